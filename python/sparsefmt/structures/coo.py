"""Coordinates."""

from collections.abc import Iterator
from dataclasses import InitVar, dataclass
from typing import ClassVar, Self

import numpy as np

from sparsefmt.base.alloc import empty
from sparsefmt.base.dtypes import Array, index_dtype
from sparsefmt.base.errors import FormatError
from sparsefmt.base.matrix import Matrix
from sparsefmt.kernels import checks
from sparsefmt.kernels import coo as coo_kernels
from sparsefmt.kernels.coo import coo_to_dense, expand_indptr
from sparsefmt.kernels.csr import dense_row_counts, dense_to_csr
from sparsefmt.structures.base import Params, Structure, Window, as_index_pair, check_indices

_ROWS = 1 << 16  # rows whose offsets are held at a time, so that a tall matrix needs no indptr


def check_sorted(row: Array, col: Array, shape: tuple[int, int]) -> None:
    """Checks what `coo_check` says.

    Raises:
        FormatError: with the first thing that is wrong.
    """
    code, at = coo_kernels.coo_check(row, col, shape)
    if code == checks.ROW_RANGE:
        msg = f"row[{at}] = {int(row[at])} is out of range 0..{shape[0] - 1}"
        raise FormatError(msg)
    if code == checks.RANGE:
        msg = f"col[{at}] = {int(col[at])} is out of range 0..{shape[1] - 1}"
        raise FormatError(msg)
    if code:
        here, before = (int(row[at]), int(col[at])), (int(row[at - 1]), int(col[at - 1]))
        msg = (
            f"entry {at} at {here} follows {before}; want them sorted by row, then column, and unique "
            "(sparsefmt.from_scipy sorts and sums duplicates)"
        )
        raise FormatError(msg)


@dataclass(frozen=True, slots=True, eq=False)
class Coo(Structure):
    """The row and column of every stored value, sorted by row, then column, and unique.

    `row` and `col` (slots,) share a dtype, int32 or int64. Slots are flat.
    """

    kind: ClassVar[str] = "coo"
    pattern: ClassVar[str] = "coo"
    template: ClassVar[str] = "coo"
    example: ClassVar[str] = "coo"
    keeps_slots: ClassVar[bool] = True
    array_names: ClassVar[tuple[str, ...]] = ("row", "col")
    by_rows: ClassVar[bool] = True
    number_arrays: ClassVar[tuple[str, ...]] = ("row",)

    row: Array
    col: Array
    shape: tuple[int, int]
    check: InitVar[bool] = True

    def __post_init__(self, check: bool) -> None:
        if check:
            self._check_shape()
            check_indices(("row", "col"), self.row, self.col)
            pair = as_index_pair(self.row, self.col, ("row", "col"), *self.shape, len(self.row))
            for name, a in zip(("row", "col"), pair, strict=True):
                object.__setattr__(self, name, a)
            if len(self.row) != len(self.col):
                msg = f"row has {len(self.row)} entries, col has {len(self.col)}"
                raise FormatError(msg)
            check_sorted(self.row, self.col, self.shape)
        self.freeze()

    @property
    def slots(self) -> int:
        """How many values are stored."""
        return len(self.row)

    def slot_shape(self, bits: int) -> tuple[int, ...]:
        """(slots,)."""
        return (len(self.row),)

    def window(self, low: int, high: int) -> Window:
        """Rows `low..high`."""
        start, stop = self._first_slot(low), self._first_slot(high)
        row = self.row[start:stop] - self.row.dtype.type(low)
        return Window(Coo(row, self.col[start:stop], (high - low, self.shape[1]), check=False), start, stop, low, 0)

    def windows(self, slots: int = 1 << 16) -> Iterator[Window]:
        """Cuts it into windows of at most that many slots, not by rows, which may be far more than slots."""
        for start in range(0, self.slots, slots):
            stop = min(start + slots, self.slots)
            part = Coo(self.row[start:stop], self.col[start:stop], self.shape, check=False)
            yield Window(part, start, stop, 0, 0)

    def coords(self) -> tuple[Array, Array]:
        """Row and column of every slot."""
        return self.row, self.col

    @classmethod
    def encode(cls, w: Matrix, zero: int, params: Params) -> tuple[Self, Array]:
        """Stores the nonzero items in row-major order, a block of rows at a time."""
        rows, cols = w.shape
        total, kept = 0, None
        for low, high, block in _short_blocks(w):
            counts = np.zeros(high - low + 1, np.int64)
            dense_row_counts(block, zero, counts[1:])
            total += int(counts.sum())
            kept = counts if (low, high) == (0, rows) else None
        dtype = index_dtype(rows, cols, total)
        row, col = empty(total, dtype, "row"), empty(total, dtype, "col")
        slots, start = empty(total, w.item_dtype, "values"), 0
        for low, high, block in _short_blocks(w):
            counts = np.zeros(high - low + 1, np.int64) if kept is None else kept
            if kept is None:
                dense_row_counts(block, zero, counts[1:])
            indptr = np.cumsum(counts).astype(dtype)
            end = start + int(indptr[-1])
            dense_to_csr(block, zero, indptr, col[start:end], slots[start:end])
            expand_indptr(indptr, row[start:end])
            if low:
                row[start:end] += dtype.type(low)
            start = end
        return cls(row, col, w.shape, check=False), slots

    def _first_slot(self, row: int) -> int:
        """The first slot at or behind the row; the row is cast, since else all others would be."""
        dtype = self.row.dtype
        return len(self.row) if row > np.iinfo(dtype).max else int(np.searchsorted(self.row, dtype.type(row)))

    def decode(self, slots: Array, low: int, high: int, out: Array) -> None:
        """Zeroes `out` and scatters rows `low..high` into it."""
        start, end = self._first_slot(low), self._first_slot(high)
        coo_to_dense(self.row[start:end], self.col[start:end], slots[start:end], low, out)


def _short_blocks(w: Matrix) -> Iterator[tuple[int, int, Array]]:
    """The row blocks of a matrix, cut further so that none has more than `_ROWS` rows."""
    for low, high, block in w.row_blocks():
        for start in range(low, high, _ROWS):
            end = min(start + _ROWS, high)
            yield start, end, block[start - low : end - low]
