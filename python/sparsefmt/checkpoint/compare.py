"""How far a tensor is from its original: bit-exact, pruned, quantized, or different by a measured error."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from sparsefmt.base.dtypes import Array, items
from sparsefmt.base.errors import FormatError
from sparsefmt.checkpoint.entry import Value
from sparsefmt.checkpoint.readers.base import decoded_rows, matrix_of
from sparsefmt.checkpoint.rounding import Rounding
from sparsefmt.tensor.sparse import SparseTensor

EXACT, PRUNED, QUANTIZED, DIFFERS = "exact", "pruned", "quantized", "differs"
BLOCK = 8 << 20  # bytes of rows that are compared at a time
_SPARSE = 64  # elements per stored value from which on two packed tensors are compared by position
_MOST = 2**62  # positions that int64 numbers


@dataclass
class Norm:
    """A Frobenius norm that neither over- nor underflows: the largest magnitude, and the sum of squares over it."""

    largest: float = 0.0
    squares: float = 0.0

    def add(self, magnitudes: Array) -> None:
        """Adds finite magnitudes."""
        top = float(magnitudes.max(initial=0.0))
        if top == 0:
            return
        part = float(np.square(magnitudes / top).sum())
        if top > self.largest:
            self.squares = self.squares * (self.largest / top) ** 2 + part
            self.largest = top
        else:
            self.squares += part * (top / self.largest) ** 2

    @property
    def value(self) -> float:
        """The norm."""
        return self.largest * math.sqrt(self.squares)

    def over(self, other: "Norm") -> float:
        """The quotient of two norms."""
        if not self.largest:
            return 0.0
        if not other.largest:
            return math.inf
        return self.largest / other.largest * math.sqrt(self.squares / other.squares)


@dataclass
class Difference:
    """What `compare` measured. Zeros count as equal whatever their sign; equal bits count as no error, NaN too.

    Args:
        elements: that were compared, stored or not.
        unequal: how many are not equal.
        rounded: how many of these are the rounding of the original under the codec.
        zeroed: how many of the others are zero in the packed tensor.
        left: how many elements of the packed tensor are not zero.
        max_abs: the largest absolute error; inf where NaN or an infinity differs.
        worst: the largest relative error of a row, or of a group of columns under one scale.
        error: the norm of the error.
        norm: the norm of the finite values of the original.
        gone: the norm of the values that became zero.
    """

    elements: int = 0
    unequal: int = 0
    rounded: int = 0
    zeroed: int = 0
    left: int = 0
    max_abs: float = 0.0
    worst: float = 0.0
    error: Norm = field(default_factory=Norm)
    norm: Norm = field(default_factory=Norm)
    gone: Norm = field(default_factory=Norm)

    @property
    def status(self) -> str:
        """`exact`, `pruned` (whatever is kept has its original bits), `quantized` (is its rounding) or `differs`."""
        if not self.unequal:
            return EXACT
        if self.unequal > self.rounded + self.zeroed or (self.zeroed and not self.left):
            return DIFFERS
        return QUANTIZED if self.rounded else PRUNED

    @property
    def relative(self) -> float:
        """The Frobenius norm of the error, relative to that of the original."""
        return self.error.over(self.norm)

    @property
    def energy(self) -> float:
        """The share of the sum of squares that became zero."""
        return min(self.gone.over(self.norm) ** 2, 1.0)

    def add(
        self, original: Array, packed: Array, rounding: Rounding | None, row: Array, col: Array, group: int = 0
    ) -> None:
        """Compares arrays of one shape and dtype.

        Args:
            original: (rows, cols), or (n,) values at positions.
            packed: the same.
            rounding: of the codec of `packed`; None for values as they are.
            row: of every item in the matrix, or what broadcasts to it.
            col: the same.
            group: columns of one scale, for `worst`; 0: the row.
        """
        zero = packed == 0
        unequal = (bits(original) != bits(packed)).any(-1) & ~(zero & (original == 0))
        wide = np.complex128 if original.dtype.kind == "c" else np.float64
        self.left += int(packed.size - np.count_nonzero(zero))
        with np.errstate(all="ignore"):
            x, y = original.astype(wide), packed.astype(wide)
            a = np.abs(x)
            a[~np.isfinite(a)] = 0
            self.norm.add(a)
            if not unequal.any():
                return
            error = np.where(unequal, np.abs(x - y), 0)
            error[np.isnan(error)] = np.inf
            rounded = np.zeros_like(unequal)
            if rounding is not None and wide is np.float64:
                rounded = unequal & rounding.within(x, y, row, col)
        zeroed = unequal & zero & ~rounded
        self.unequal += int(unequal.sum())
        self.rounded += int(rounded.sum())
        self.zeroed += int(zeroed.sum())
        self.max_abs = max(self.max_abs, float(error.max()))
        self.gone.add(a[zeroed])
        self.error.add(error) if np.isfinite(self.max_abs) else self.error.add(np.array([np.inf]))
        if original.ndim == 2:
            self.worst = max(self.worst, worst_group(error, a, group))


def worst_group(error: Array, magnitude: Array, group: int) -> float:
    """The largest relative error of a group of columns."""
    starts = np.arange(0, error.shape[1], group or error.shape[1])
    with np.errstate(all="ignore"):
        top = np.maximum.reduceat(magnitude, starts, axis=1)
        every = np.repeat(np.where(top == 0, 1, top), group or error.shape[1], axis=1)[:, : error.shape[1]]
        lost, had = (np.add.reduceat(np.square(a / every), starts, axis=1) for a in (error, magnitude))
        found = np.sqrt(np.where(had > 0, lost / np.where(had > 0, had, 1), 0))
    return float(found.max(initial=0.0))


def snr_db(relative: float) -> float:
    """Signal to noise in dB, from a relative error in the Frobenius norm; infinite where there is none.

    >>> snr_db(0.1), snr_db(0.0)
    (20.0, inf)
    """
    return -20 * math.log10(relative) if relative else math.inf


def bits(a: Array) -> Array:
    """The items as (..., n) unsigned integers; two of 8 bytes for a complex128."""
    flat = np.ascontiguousarray(a)
    return flat.view(np.uint64).reshape(*a.shape, 2) if a.dtype.itemsize == 16 else items(flat)[..., None]


def same_bytes(a: Array, b: Array) -> bool:
    """Whether two contiguous arrays hold the same bytes."""
    x, y = a.reshape(-1).view(np.uint8), b.reshape(-1).view(np.uint8)
    whole = x.size // 8 * 8
    return np.array_equal(x[:whole].view(np.uint64), y[:whole].view(np.uint64)) and np.array_equal(x[whole:], y[whole:])


def compare(original: Value, packed: Value) -> Difference:
    """Measures the difference of two tensors of one shape and dtype, a block at a time.

    Raises:
        FormatError: shapes or dtypes differ.
    """
    for what in ("shape", "dtype"):
        a, b = getattr(original, what), getattr(packed, what)
        if (a != b) if what == "shape" else (a.newbyteorder("=") != b.newbyteorder("=")):
            msg = f"the {what} is {b}, in the original {a}"
            raise FormatError(msg)
    found = Difference(elements=math.prod(original.shape))
    rounding = Rounding.of(packed) if isinstance(packed, SparseTensor) else None
    if isinstance(original, SparseTensor) and isinstance(packed, SparseTensor):
        stored = max(original.slots + packed.slots, 1)
        if found.elements // stored >= _SPARSE:
            for x, y, row, col in aligned(original, packed):
                found.add(x, y, rounding, row, col)
            return found
    if not all(same_bytes(a, b) for _, a, b in blocks_of(original, packed)):
        for low, a, b in blocks_of(original, packed):
            row = np.arange(low, low + len(a))[:, None]
            col = np.arange(a.shape[1])[None, :]
            found.add(a, b, rounding, row, col, rounding.group if rounding else 0)
    return found


def blocks_of(original: Value, packed: Value) -> Iterator[tuple[int, Array, Array]]:
    """Blocks of rows of both, native and contiguous, with the number of their first row."""
    rows, cols = matrix_of(original.shape)
    width = max(cols * original.dtype.itemsize, 1)
    step = max(BLOCK // width, 1)
    for low in range(0, rows if cols else 0, step):
        high = min(low + step, rows)
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
