"""Which way a tensor differs from its original: zeroed, rounded by its codec, or otherwise."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from sparsefmt.base.coerce import is_plain
from sparsefmt.base.dtypes import Array, items
from sparsefmt.base.scaled_sum import ScaledSum, root_ratio
from sparsefmt.checkpoint.ahead import PIECE, worked
from sparsefmt.checkpoint.entry import Value
from sparsefmt.checkpoint.readers.base import decoded_rows, matrix_of
from sparsefmt.checkpoint.rounding import Rounding
from sparsefmt.checkpoint.rows import ranges
from sparsefmt.codecs.raw import Raw
from sparsefmt.kernels.items import same_bytes
from sparsefmt.tensor.layout import is_moved
from sparsefmt.tensor.sparse import SparseTensor

EXACT, PRUNED, QUANTIZED, DIFFERS = "exact", "pruned", "quantized", "differs"
BLOCK = 8 << 20  # bytes of rows that are looked at at a time
_SPARSE = 64  # elements per stored value from which on two packed tensors are looked at by position
_MOST = 2**62  # positions that int64 numbers


@dataclass
class Verdict:
    """What became of the elements that are not equal. Zeros are equal whatever their sign.

    Args:
        unequal: how many there are.
        rounded: how many are the rounding of the original under the codec.
        zeroed: how many of the others are zero now.
        left: how many elements are not zero now.
        had: how many elements of the original are not zero.
    """

    unequal: int = 0
    rounded: int = 0
    zeroed: int = 0
    left: int = 0
    had: int = 0
    _gone: ScaledSum = field(default_factory=ScaledSum)
    _all: ScaledSum = field(default_factory=ScaledSum)

    @property
    def status(self) -> str:
        """`exact`, `pruned` (whatever is kept has its original bits), `quantized` (is its rounding) or `differs`."""
        if not self.unequal:
            return EXACT
        if self.unequal > self.rounded + self.zeroed or (self.had and not self.left):
            return DIFFERS
        return QUANTIZED if self.rounded else PRUNED

    @property
    def energy(self) -> float:
        """The share of the sum of squares that became zero."""
        return min(root_ratio(self._gone, self._all) ** 2, 1.0) if self.zeroed else 0.0

    def add(self, original: Array, packed: Array, rounding: Rounding | None, row: Array, col: Array) -> None:
        """Adds elements of one shape and dtype, with what broadcasts to their rows and columns."""
        zero, was_zero = packed == 0, original == 0
        differs = bits(original) != bits(packed)
        unequal = (differs.any(-1) if differs.ndim > zero.ndim else differs) & ~(zero & was_zero)
        self.left += packed.size - int(np.count_nonzero(zero))
        self.had += original.size - int(np.count_nonzero(was_zero))
        rounded = np.zeros_like(unequal)
        wide = np.complex128 if original.dtype.kind == "c" else np.float64
        with np.errstate(all="ignore"):
            x = original.astype(wide)
            if rounding is not None and wide is np.float64 and unequal.any():
                rounded = unequal & rounding.within(x, packed.astype(wide), row, col)
            magnitude = np.abs(x)
            magnitude[~np.isfinite(magnitude)] = 0
        zeroed = unequal & zero & ~rounded
        self._all.add(magnitude, magnitude)
        gone = magnitude[zeroed]
        self._gone.add(gone, gone)
        self.unequal += int(np.count_nonzero(unequal))
        self.rounded += int(np.count_nonzero(rounded))
        self.zeroed += int(np.count_nonzero(zeroed))


def bits(a: Array) -> Array:
    """The items as unsigned integers; a complex128 as two of 8 bytes along another axis."""
    flat = np.ascontiguousarray(a)
    return flat.view(np.uint64).reshape(*a.shape, 2) if a.dtype.itemsize == 16 else items(flat)


def is_sparse(original: Value, packed: Value) -> bool:
    """Whether two tensors are packed, and so empty that only stored values are worth a look."""
    if not isinstance(original, SparseTensor) or not isinstance(packed, SparseTensor):
        return False
    return original.size > _SPARSE * (original.slots + packed.slots)


def identical(original: Value, packed: Value) -> bool:
    """Whether all bytes are equal, at the speed of reading both."""
    if isinstance(original, np.ndarray) and isinstance(packed, np.ndarray) and is_plain(original) and is_plain(packed):
        if original.nbytes <= PIECE:
            return same_bytes(original, packed)
    elif is_sparse(original, packed):
        return False
    calls = (partial(same_rows, original, packed, *rows) for rows in row_ranges(original, PIECE))
    with contextlib.closing(worked(calls)) as found:
        return all(found)


def same_rows(original: Value, packed: Value, low: int, high: int) -> bool:
    """Whether rows hold the same bytes; those of a packed tensor and an array are compared as they are decoded."""
    for t, other in ((packed, original), (original, packed)):
        if isinstance(t, SparseTensor) and isinstance(other, np.ndarray):
            values = t.values
            if isinstance(values, Raw) and stand_apart(t, low, high):
                return values.equals_rows(t.structure, low, high, block(other, low, high))
    return same_bytes(block(original, low, high), block(packed, low, high))


def stand_apart(t: SparseTensor, low: int, high: int) -> bool:
    """Whether the structure decodes these rows of the tensor, and no others with them."""
    step, rows = t.structure.row_step, t.structure.shape[0]
    return not is_moved(t) and low % step == 0 and (high % step == 0 or high == rows)


def row_ranges(value: Value, nbytes: int) -> Iterator[tuple[int, int]]:
    """Ranges of rows of about so many dense bytes; none where there are no items."""
    rows, cols = matrix_of(value.shape)
    return ranges(rows if cols else 0, cols * value.dtype.itemsize, 1, nbytes)


def small(original: Value, packed: Value) -> bool:
    """Whether both are one block, so that they are best decoded once."""
    rows, cols = matrix_of(original.shape)
    return rows * cols * original.dtype.itemsize <= BLOCK and not is_sparse(original, packed)


def whole(value: Value) -> Array:
    """All rows of a tensor, native and contiguous."""
    return block(value, 0, matrix_of(value.shape)[0])


def judge(original: Value, packed: Value, rounding: Rounding | None) -> Verdict:
    """Finds out what became of the elements of a tensor of the same shape and dtype, which the codec may round."""
    found = Verdict()
    if isinstance(original, SparseTensor) and isinstance(packed, SparseTensor) and is_sparse(original, packed):
        for x, y, row, col in aligned(original, packed):
            found.add(x, y, rounding, row, col)
        return found
    for low, x, y in blocks_of(original, packed):
        found.add(x, y, rounding, np.arange(low, low + len(x))[:, None], np.arange(x.shape[1])[None, :])
    return found


def blocks_of(original: Value, packed: Value) -> Iterator[tuple[int, Array, Array]]:
    """Blocks of rows of both, native and contiguous, with the number of their first row."""
    for low, high in row_ranges(original, BLOCK):
        a, b = (block(t, low, high) for t in (original, packed))
        yield low, a, b


def block(value: Value, low: int, high: int) -> Array:
    """Rows, native and contiguous."""
    rows = decoded_rows(value, low, high)
    return np.ascontiguousarray(rows.astype(rows.dtype.newbyteorder("="), copy=False))


def aligned(original: SparseTensor, packed: SparseTensor) -> Iterator[tuple[Array, Array, Array, Array]]:
    """The values of both at all positions that either stores, with these positions; never dense."""
    rows, cols = matrix_of(original.shape)
    both = []
    for t in (original, packed):
        coo = t.convert("coo")
        arrays = coo.structure.arrays()
        values = coo.values.decode(coo.structure).reshape(-1)
        both.append((arrays["row"].astype(np.int64), arrays["col"].astype(np.int64), values))
    step = max(min(_MOST // max(cols, 1), rows), 1)
    for low in range(0, rows, step):
        keys, parts = [], []
        for row, col, value in both:
            start, stop = np.searchsorted(row, [low, low + step])
            keys.append((row[start:stop] - low) * cols + col[start:stop])
            parts.append(value[start:stop])
        union = np.union1d(*keys)
        spread = []
        for key, value in zip(keys, parts, strict=True):
            full = np.zeros(len(union), original.dtype)
            full[np.searchsorted(union, key)] = value
            spread.append(full)
        yield spread[0], spread[1], union // cols + low, union % cols
