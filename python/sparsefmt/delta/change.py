"""What became of one tensor."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sparsefmt.base import dtypes
from sparsefmt.base.dtypes import Array, Dtype
from sparsefmt.base.errors import DeltaError
from sparsefmt.delta import pieces
from sparsefmt.delta.pieces import Piece
from sparsefmt.io.dtypes import PASSED
from sparsefmt.kernels.checksum import Checksum

DTYPES: dict[str, Dtype] = {**dtypes.DTYPES, **{dtype.name: dtype for dtype in PASSED.values()}}
"""Every dtype that a tensor can have, by name."""


@dataclass(frozen=True, slots=True)
class Change:
    """A tensor of one shape and dtype in both versions, and the steps from the old bits to the new.

    `old` and `new` are the checksums (XXH3-128, 32 hexadecimal digits) of its bytes; equal where nothing changed, and
    then there are no `pieces`, of which only those with steps are here, in order.
    """

    dtype: str
    shape: tuple[int, ...]
    old: str
    new: str
    pieces: tuple[Piece, ...] = ()

    @property
    def itemsize(self) -> int:
        """Bytes of a step."""
        return pieces.part_dtype(DTYPES[self.dtype]).itemsize

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

    def inverse(self) -> "Change":
        """The way back."""
        back = tuple(replace(p, steps=pieces.inverse(p.steps)) for p in self.pieces)
        return replace(self, old=self.new, new=self.old, pieces=back)

    def then(self, other: "Change") -> "Change":
        """This, then `other`, whose old version is the new one of this."""
        mine, theirs = ({p.at: p for p in c.pieces} for c in (self, other))
        found = []
        for at in sorted(mine.keys() | theirs.keys()):
            a, b = mine.get(at), theirs.get(at)
            steps = pieces.total(*(None if p is None else p.steps for p in (a, b)))
            one = a or b
            if steps is not None and one is not None:
                found.append(replace(one, steps=steps))
        return Change(self.dtype, self.shape, self.old, other.new, tuple(found))


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
        msg = f"{name or 'input'}: want an array, got {type(value).__name__}"
        raise DeltaError(msg)
    a = np.asarray(value)
    return a.astype(named(a.dtype.name), copy=False)


def compared(old: Array, new: Array) -> Change:
    """The change between arrays of one shape and dtype; reads each once."""
    dtype = old.dtype
    before, after = np.ascontiguousarray(old), np.ascontiguousarray(new)
    a, b, floats = pieces.bits(before), pieces.bits(after), pieces.is_float(dtype)
    sums, found = (Checksum(), Checksum()), []
    for at, (start, stop) in enumerate(pieces.spans(len(a), a.itemsize)):
        both = a[start:stop], b[start:stop]
        for total, part in zip(sums, both, strict=True):
            total.update(part)
        steps = pieces.difference(*both, floats)
        if steps is not None:
            found.append(Piece(at, start, stop - start, steps))
    return Change(dtype.name, old.shape, sums[0].hexdigest(), sums[1].hexdigest(), tuple(found))


def moved(change: Change, base: Array, out: Array | None = None) -> Array:
    """The new version of `base`, in `out` (contiguous, may be `base` itself) or a new array."""
    made = np.array(base, order="C", copy=True) if out is None else out
    if out is not None and out is not base:
        out[...] = base
    values, floats = pieces.bits(made), pieces.is_float(made.dtype)
    for p in change.pieces:
        pieces.move(p.steps, floats, values[p.start : p.start + p.count])
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
