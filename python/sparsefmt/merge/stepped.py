"""Models that are given as deltas: the base, and the steps that lead from it, a stretch at a time."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from sparsefmt.base.dtypes import Array, Dtype
from sparsefmt.base.errors import MergeError
from sparsefmt.checkpoint.entry import Entry
from sparsefmt.checkpoint.model import Checkpoint
from sparsefmt.checkpoint.snapshot import Identity, check_unchanged
from sparsefmt.delta.apply import check_ends, check_names
from sparsefmt.delta.change import ARRAY, Change, moved, named
from sparsefmt.delta.foreign import Chain
from sparsefmt.delta.formats import load
from sparsefmt.delta.grid import is_float
from sparsefmt.delta.model import Delta
from sparsefmt.delta.pieces import Piece, as_gaps, places
from sparsefmt.kernels.delta import add_steps
from sparsefmt.structures.gap import Gap


@dataclass(frozen=True, slots=True)
class Stepped:
    """A tensor of the base with a change that leads from it."""

    base: Array
    change: Change

    @property
    def shape(self) -> tuple[int, ...]:
        """Of both versions."""
        return self.change.shape

    @property
    def dtype(self) -> Dtype:
        """Of both versions."""
        return named(self.change.dtype)

    def to_dense(self) -> Array:
        """The new version."""
        return moved(self.change, self.base)


@dataclass(slots=True)
class SteppedRows:
    """It as a reader: the steps of the stretch that is asked for are added to the items of the base."""

    value: Stepped
    held: tuple[int, Gap, Array] | None = None
    """The piece that was read last, its places and steps."""

    @property
    def dtype(self) -> str:
        """Name of the dtype."""
        return self.value.change.dtype

    def read(self, lo: int, hi: int) -> Array:
        """Elements lo to hi."""
        out = np.array(self.value.base.reshape(-1)[lo:hi])
        items, floats = out.view(f"u{out.itemsize}"), is_float(out.dtype)
        for p in self.value.change.pieces:
            if p.start < hi and lo < p.start + p.count:
                where, steps = self.steps(p, max(lo - p.start, 0), min(hi - p.start, p.count))
                where += p.start - lo
                found = items[where]
                add_steps(steps, floats, found)
                items[where] = found
        return out

    def steps(self, p: Piece, lo: int, hi: int) -> tuple[Array, Array]:
        """Places in the piece from lo to hi, and the steps there."""
        if self.held is None or self.held[0] != p.at:
            self.held = (p.at, *as_gaps(p.steps))
        _, gap, steps = self.held
        rows, cols = gap.shape
        first, last = lo // cols, min(-(-hi // cols), rows)
        slots, ends = (o[first : last + 1] for o in (gap.row_offsets, gap.byte_offsets))
        window = Gap(
            gap.gaps[ends[0] : ends[-1]], ends - ends[0], slots - slots[0], (last - first, cols), check=False
        )  # fmt: skip
        where, own = places(window) + first * cols, np.array(steps[slots[0] : slots[-1]])
        inside = (where >= lo) & (where < hi)
        return where[inside], own[inside]


class Tuned(Mapping[str, Any]):
    """A model by its base and a delta, as a mapping; tensors are checked against the delta when they are first used."""

    def __init__(self, base: Mapping[str, Any], delta: Delta) -> None:
        self.base, self.delta = base, delta
        check_names(delta.parts, set(base))
        self._checked: set[str] = set()
        came = [name for name, w in delta.wholes.items() if w.new is not None and name not in base]
        gone = {name for name, w in delta.wholes.items() if w.new is None}
        self._names = [name for name in base if name not in gone] + came

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401
        change = self.delta.changes.get(name)
        if change is None:
            whole = self.delta.wholes[name]
            if whole.new_sum is None:
                raise KeyError(name)
            if name not in self._checked:
                whole.arrived(name)
                self._checked.add(name)
            return whole.new
        value = np.asarray(self.base[name]) if isinstance(self.base[name], list) else self.base[name]
        if name not in self._checked:
            check_ends(change, value, name)
            self._checked.add(name)
        return Stepped(value, change) if change.pieces else value

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class TunedCheckpoint(Tuned):
    """A checkpoint by its base and the file of a delta, with what a merge asks of a checkpoint."""

    def __init__(self, path: Path, base: Checkpoint) -> None:
        self.identity = Identity.of(path.stat())
        found = load(path)
        super().__init__(base, found.to_delta(base.path) if isinstance(found, Chain) else found)
        self.path, self.anchor = path, base
        self.sources = base.sources
        self.config = base.config
        entries = {}
        for name in self:
            if name in self.delta.wholes:
                new = self.delta.wholes[name].new
                assert new is not None
                entries[name] = Entry(new.shape, new.dtype.name, new.nbytes)
            else:
                entries[name] = replace(base.entries[name])
        self.entries: Mapping[str, Entry] = MappingProxyType(entries)

    def check(self) -> None:
        """Checks that the files of the base and of the delta are still those that were opened."""
        self.anchor.check()
        check_unchanged(self.path, self.identity)


def tuned(delta: Delta | Chain, base: Any, what: str) -> Any:  # noqa: ANN401
    """The model that a delta leads to, from an array or a mapping.

    Raises:
        MergeError: there is no base.
        DeltaError: the base is not the version that the delta leads from.
    """
    if base is None:
        msg = f"{what} is a delta, which leads from a base; give base="
        raise MergeError(msg)
    found = delta.to_delta(base) if isinstance(delta, Chain) else delta
    if found.kind != "array":
        if not isinstance(base, Mapping):
            msg = f"{what} is a delta of a {found.kind}, the base is a {type(base).__name__}"
            raise MergeError(msg)
        return Tuned(base, found)
    if found.wholes:
        return found.wholes[ARRAY].arrived("")
    check_ends(found.changes[ARRAY], base, "")
    return Stepped(np.asarray(base), found.changes[ARRAY])
