"""How much changed, and what it costs at least."""

from dataclasses import dataclass

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.delta.change import Change, Parts
from sparsefmt.delta.pieces import unsigned_steps


@dataclass(frozen=True, slots=True)
class Stats:
    """Counts of a delta. Numbers: a complex value is two."""

    tensors: int
    """Tensors in either version."""
    changed_tensors: int
    """Those that changed, came or went."""
    values: int
    """Numbers in the tensors of one shape and dtype in both versions."""
    changed: int
    """Those that differ."""
    one_step: int
    """Those that moved to the next value up or down."""
    largest_step: int
    """The largest move, in steps between neighbouring values."""
    nbytes: int
    """Bytes of the packed steps and of the whole tensors of the new version."""
    bound: float
    """Bytes below which no coder comes that treats places and steps as independent: the entropy of which values
    change, and of the distribution of steps, tensor by tensor."""

    @property
    def density(self) -> float:
        """Changed values over all; 0.0 where there are none."""
        return self.changed / self.values if self.values else 0.0


def _entropy(counts: Array) -> float:
    """Bits of one draw."""
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log2(share)).sum())


def signed_steps(change: Change) -> Array:
    """All steps of a tensor that are not 0, signed."""
    found = [unsigned_steps(p.steps) for p in change.pieces]
    steps = np.concatenate(found) if found else np.zeros(0, f"u{change.itemsize}")
    return np.asarray(steps[steps != 0].view(f"i{change.itemsize}"))


def stats(parts: Parts) -> Stats:
    """Counts of all tensors."""
    values = changed = ones = largest = moved = 0
    bound = 0.0
    for change in parts.changes.values():
        steps = signed_steps(change)
        values, changed, moved = values + change.count, changed + len(steps), moved + bool(change.pieces)
        if len(steps):
            found, counts = np.unique(steps, return_counts=True)
            ones += int(counts[(found == 1) | (found == -1)].sum())
            largest = max(largest, int(found[-1]), -int(found[0]))
            places = change.count * _entropy(np.array([len(steps), change.count - len(steps)]))
            bound += (places + len(steps) * _entropy(counts)) / 8
    news = sum(w.new.nbytes for w in parts.wholes.values() if w.new is not None)
    nbytes = sum(c.nbytes for c in parts.changes.values()) + news
    tensors = len(parts.changes) + len(parts.wholes)
    return Stats(tensors, moved + len(parts.wholes), values, changed, ones, largest, nbytes, bound + news)
