"""How much changed, and what it costs at least."""

from dataclasses import dataclass

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.delta.change import Change, Parts
from sparsefmt.delta.pieces import Piece, unsigned_steps
from sparsefmt.delta.spool import Spool

WINDOW = 1 << 20
"""Different steps that are looked at together at most, of all pieces of a tensor."""


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


@dataclass(slots=True)
class Tally:
    """The steps of one tensor, counted."""

    count: int = 0
    ones: int = 0
    largest: int = 0
    bits: float = 0.0
    """Entropy of a step."""


def tally(change: Change) -> Tally:
    """Counts the steps of a tensor piece by piece."""
    runs, made = list[tuple[Array, Array]](), Tally()
    room = Spool()
    for p in change.pieces:
        found, counts = np.unique(_signed(p, change.itemsize), return_counts=True)
        if len(found):
            made.count += int(counts.sum())
            made.ones += int(counts[(found == 1) | (found == -1)].sum())
            made.largest = max(made.largest, int(found[-1]), -int(found[0]))
            runs.append((room.array(found), room.array(counts)))
    made.bits = _bits(runs, made.count)
    return made


def _signed(p: Piece, itemsize: int) -> Array:
    """The steps of a piece that are not 0."""
    steps = unsigned_steps(p.steps)
    return np.asarray(steps[steps != 0].view(f"i{itemsize}"))


def _bits(runs: list[tuple[Array, Array]], count: int) -> float:
    """The entropy of a draw from runs of values, ascending, and how often each occurs; a window of values at a time."""
    sizes, at, total = [len(v) for v, _ in runs], [0] * len(runs), 0.0
    step = max(WINDOW // max(len(runs), 1), 1)
    while any(a < n for a, n in zip(at, sizes, strict=True)):
        tops = [v[min(a + step, n) - 1] for (v, _), a, n in zip(runs, at, sizes, strict=True) if a < n]
        upto = [int(np.searchsorted(v, min(tops), "right")) for v, _ in runs]
        values = np.concatenate([v[a:b] for (v, _), a, b in zip(runs, at, upto, strict=True)])
        counts = np.concatenate([c[a:b] for (_, c), a, b in zip(runs, at, upto, strict=True)])
        where = np.unique(values, return_inverse=True)[1]
        share = np.bincount(where, counts) / count
        total -= float((share * np.log2(share)).sum())
        at = upto
    return total


def stats(parts: Parts) -> Stats:
    """Counts of all tensors."""
    values = changed = ones = largest = moved = 0
    bound = 0.0
    for change in parts.changes.values():
        found = tally(change)
        values, changed, moved = values + change.count, changed + found.count, moved + bool(change.pieces)
        if found.count:
            ones, largest = ones + found.ones, max(largest, found.largest)
            places = change.count * _entropy(np.array([found.count, change.count - found.count]))
            bound += (places + found.count * found.bits) / 8
    news = sum(w.new.nbytes for w in parts.wholes.values() if w.new is not None)
    nbytes = sum(c.nbytes for c in parts.changes.values()) + news
    tensors = len(parts.changes) + len(parts.wholes)
    return Stats(tensors, moved + len(parts.wholes), values, changed, ones, largest, nbytes, bound + news)
