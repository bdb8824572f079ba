"""What became of one tensor."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sparsefmt.base import dtypes
from sparsefmt.base.alloc import empty
from sparsefmt.base.dtypes import Array, Dtype
from sparsefmt.base.errors import DeltaError
from sparsefmt.delta import pieces
from sparsefmt.delta.grid import is_float, part_dtype, spans
from sparsefmt.delta.pieces import Piece
from sparsefmt.delta.sums import Sums, digest, rows_of
from sparsefmt.io.dtypes import PASSED
from sparsefmt.kernels.checksum import as_bytes
from sparsefmt.kernels.delta import ALL, NOTHING

DTYPES: dict[str, Dtype] = {**dtypes.DTYPES, **{dtype.name: dtype for dtype in PASSED.values()}}
"""Every dtype that a tensor can have, by name."""


@dataclass(frozen=True, slots=True)
class Change:
    """A tensor of one shape and dtype in both versions, and the steps from the old bits to the new.

    `old` and `new` are the checksums of its bytes (see `sums.digest`); equal where nothing changed, and then there are
    no `pieces`, of which only those with steps are here, in order. `marks` are those of the items that differ, before
    and after; None where they are not known, as after `then`.
    """

    dtype: str
    shape: tuple[int, ...]
    old: str
    new: str
    pieces: tuple[Piece, ...] = ()
    marks: tuple[str, str] | None = None

    @property
    def itemsize(self) -> int:
        """Bytes of a step."""
        return part_dtype(DTYPES[self.dtype]).itemsize

    @property
    def count(self) -> int:
        """Numbers in the tensor; a complex value is two."""
        return math.prod(self.shape) * (DTYPES[self.dtype].itemsize // self.itemsize)

    @property
    def changed(self) -> int:
        """Numbers that differ."""
        return sum(p.steps.slots if p.steps.format[:5] != "dense" else _nonzero(p) for p in self.pieces)

    @property
    def nbytes(self) -> int:
        """Bytes of the packed steps."""
        return sum(p.nbytes for p in self.pieces)

    def inverse(self, keep: "Keep | None" = None) -> "Change":
        """The way back; `keep` takes every piece."""
        back = tuple((keep or as_made)(replace(p, steps=pieces.inverse(p.steps))) for p in self.pieces)
        marks = None if self.marks is None else self.marks[::-1]
        return replace(self, old=self.new, new=self.old, pieces=back, marks=marks)

    def then(self, other: "Change", keep: "Keep | None" = None) -> "Change":
        """This, then `other`, whose old version is the new one of this; `keep` takes every piece."""
        mine, theirs = ({p.at: p for p in c.pieces} for c in (self, other))
        found = []
        for at in sorted(mine.keys() | theirs.keys()):
            a, b = mine.get(at), theirs.get(at)
            steps = pieces.total(*(None if p is None else p.steps for p in (a, b)))
            one = a or b
            if steps is not None and one is not None:
                found.append((keep or as_made)(replace(one, steps=steps)))
        marks = other.marks if not self.pieces else self.marks if not other.pieces else None
        return Change(self.dtype, self.shape, self.old, other.new, tuple(found), marks)


def _nonzero(piece: Piece) -> int:
    return int(np.count_nonzero(pieces.unsigned_steps(piece.steps)))


@dataclass(frozen=True, slots=True)
class Whole:
    """A tensor that came, went, or has another shape or dtype: both versions, and their checksums.

    None where there is no such version; the version itself, not its checksum, is also None where it was left out.
    """

    old: Array | None
    new: Array | None
    old_sum: str | None
    new_sum: str | None

    def inverse(self) -> "Whole":
        """The way back."""
        return Whole(self.new, self.old, self.new_sum, self.old_sum)

    def arrived(self, name: str) -> Array:
        """The new version.

        Raises:
            DeltaError: the delta does not hold it, or it is not the one that its checksum is of.
        """
        if self.new is None:
            msg = f"tensor {name!r}: the delta holds no new version of it"
            raise DeltaError(msg)
        if digest(self.new) != self.new_sum:
            msg = f"tensor {name!r}: the delta is damaged: the array that it holds has another checksum"
            raise DeltaError(msg)
        return self.new


@dataclass(frozen=True, slots=True)
class Parts:
    """All tensors of a delta, by name."""

    changes: Mapping[str, Change]
    wholes: Mapping[str, Whole]


ARRAY = ""
"""The name of the only tensor of a delta between two arrays."""


def checked(value: object, name: str) -> Array:
    """`value` as an array in this machine's byte order.

    Raises:
        DeltaError: it is no array, or has a dtype that deltas do not know.
    """
    if not isinstance(value, (np.ndarray, np.generic)) or isinstance(value, np.ma.MaskedArray):
        way = "; pass its .to_dense()" if hasattr(value, "to_dense") else ""
        msg = f"{name or 'input'}: want an array, got {type(value).__name__}{way}"
        raise DeltaError(msg)
    a = np.asarray(value)
    return a.astype(named(a.dtype.name), copy=False)


Keep = Callable[[Piece], Piece]
"""Takes a piece when it is made, and gives the one that stays, as one in a file."""


def as_made(p: Piece) -> Piece:
    """Keeps it where it is."""
    return p


def compared(old: Array, new: Array, keep: Keep = as_made) -> Change:
    """The change between arrays of one shape and dtype; reads each once. `keep` takes every piece as it is made."""
    dtype, itemsize = old.dtype, part_dtype(old.dtype).itemsize
    a, b, floats = as_bytes(old), as_bytes(new), is_float(old.dtype)
    sums, found = Sums(), []
    for at, (start, stop) in enumerate(spans(len(a) // itemsize, itemsize)):
        part = slice(start * itemsize, stop * itemsize)
        steps, rows = pieces.difference(a[part], b[part], itemsize, floats)
        if steps is None:
            sums.same(rows[:, :2])
        else:
            sums.add(rows)
            found.append(keep(Piece(at, start, stop - start, steps)))
    return Change(dtype.name, old.shape, *sums.whole, tuple(found), sums.marks)


def renewed(
    change: Change, base: Array, out: Array, wanted: int = ALL, before: Callable[[Piece], object] | None = None
) -> Sums:
    """Makes `out` the new version of `base`; both are the flat bytes of the tensor, and may be the same.

    `before` is called with every piece that has steps, before any item of it moves.

    Returns:
        The checksums that were taken on the way, as far as they are `wanted`: NOTHING, MOVED or ALL.
    """
    width, floats, sums = change.itemsize, is_float(named(change.dtype)), Sums()
    steps, done = {p.at: p for p in change.pieces}, list[Piece]()
    try:
        for at, (start, stop) in enumerate(spans(change.count, width)):
            part = slice(start * width, stop * width)
            if at in steps:
                anchor = pieces.NO_BYTES if base is out else base[part]
                if before is not None:
                    before(steps[at])
                sums.add(pieces.move(steps[at].steps, floats, out[part], anchor, wanted))
                done.append(steps[at])
                continue
            if base is not out:
                out[part] = base[part]
            if wanted == ALL:
                sums.same(rows_of(base[part], width))
    except BaseException:
        if base is out:  # interrupted
            for p in done:
                pieces.move(pieces.inverse(p.steps), floats, out[p.start * width : (p.start + p.count) * width])
        raise
    return sums


def moved(change: Change, base: Array) -> Array:
    """The new version of `base`, a checked array, in a new one."""
    made = empty(base.shape, base.dtype, "the new version")
    renewed(change, as_bytes(base), as_bytes(made), NOTHING)
    return made


def named(dtype: str) -> Dtype:
    """A dtype by the name that a delta gives.

    Raises:
        DeltaError: there is none.
    """
    if dtype not in DTYPES:
        msg = f"dtype {dtype[:40]!r} of a delta is unknown; have {', '.join(DTYPES)}"
        raise DeltaError(msg)
    return DTYPES[dtype]


def shape_of(value: object) -> tuple[int, ...]:
    """A shape as it came from JSON.

    Raises:
        DeltaError: it is none.
    """
    if not isinstance(value, Sequence) or not all(type(n) is int and n >= 0 for n in value):
        msg = f"shape {str(value)[:40]!r} of a delta is none"
        raise DeltaError(msg)
    return tuple(value)
