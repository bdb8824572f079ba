"""Compressed sparse rows and columns."""

from dataclasses import InitVar, dataclass
from itertools import pairwise
from typing import ClassVar, Self

import numpy as np

from sparsefmt.base.alloc import empty, zeros
from sparsefmt.base.dtypes import Array, index_dtype
from sparsefmt.base.errors import FormatError
from sparsefmt.base.matrix import Matrix
from sparsefmt.base.packed_rows import CsrRows
from sparsefmt.kernels import checks
from sparsefmt.kernels import csr as csr_kernels
from sparsefmt.kernels.affine_segments import csr_segments
from sparsefmt.kernels.coo import compress_rows, coo_order, expand_indptr
from sparsefmt.kernels.csc import count_indices, csc_to_dense, csr_transpose, dense_col_counts, dense_to_csc
from sparsefmt.kernels.csr import (
    csr_to_dense,
    dense_row_counts,
    dense_sample,
    dense_to_csr,
    dense_to_csr_new,
    dense_to_csr_within,
)
from sparsefmt.kernels.equal import csr_equal
from sparsefmt.structures.base import Params, Structure, Window, as_index_pair, check_indices
from sparsefmt.structures.coo import Coo
from sparsefmt.structures.edges import edge
from sparsefmt.structures.guess import INT32_MAX, PIECE, SAMPLES, large_block, likely, small_block, trimmed

RUN = 1 << 22  # slots between two looks at signals: some 10 ms


def compressed_error(finding: checks.Finding, indptr: Array, indices: Array, bound: int) -> FormatError:
    """The error for what `csr_check` found."""
    code, at = finding
    if code == checks.START:
        return FormatError(f"indptr[0] = {int(indptr[0])}; want 0")
    if code == checks.FALLS:
        return FormatError(f"indptr falls from {int(indptr[at])} to {int(indptr[at + 1])} at entry {at + 1}")
    if code == checks.END:
        return FormatError(f"indptr ends at {int(indptr[-1])}, but there are {len(indices)} indices")
    if code == checks.RANGE:
        return FormatError(f"indices[{at}] = {int(indices[at])} is out of range 0..{bound - 1}")
    return FormatError(
        f"indices[{at}] = {int(indices[at])} follows {int(indices[at - 1])}; want them ascending and unique "
        "(sparsefmt.from_scipy sorts and sums duplicates)"
    )


def check_compressed(indptr: Array, indices: Array, bound: int, lines: int) -> None:
    """Checks one `indptr` entry per line and one more, and what `csr_check` says.

    Raises:
        FormatError: with the first thing that is wrong.
    """
    if len(indptr) != lines + 1:
        msg = f"indptr has {len(indptr)} entries, want {lines + 1}"
        raise FormatError(msg)
    finding = csr_kernels.csr_check(indptr, indices, bound)
    if finding[0]:
        raise compressed_error(finding, indptr, indices, bound)


def runs(indptr: Array, step: int, per: int = 1) -> list[tuple[int, int]]:
    """Runs of lines with about `RUN` slots each, `per` of them for each index; they begin at multiples of `step`.

    Signals are answered between them. None where nothing is stored.
    """
    total = int(indptr[-1])
    if not total:
        return []
    whole = np.arange(0, total, max(RUN // per, 1))[1:]
    edges = np.searchsorted(indptr, whole.astype(indptr.dtype)) // step * step
    bounds = np.unique(np.concatenate(([0], edges, [len(indptr) - 1]))).tolist()
    return list(pairwise(bounds))


def rebased(offsets: Array) -> tuple[Array, int, int]:
    """A slice of offsets counted from zero, and the slots that it covers."""
    start, stop = int(offsets[0]), int(offsets[-1])
    return (offsets - offsets[0] if start else offsets), start, stop


def expanded(offsets: Array, slots: int) -> Array:
    """The line of every slot."""
    line = empty(slots, offsets.dtype, "lines of slots")
    expand_indptr(offsets, line)
    return line


def accumulate(counted: Array) -> int:
    """Turns [0, counts...] into offsets in place; returns the total."""
    np.add.accumulate(counted, 0, None, counted)
    return int(counted[-1])


def offsets(counted: Array, *bounds: int, per: int = 1) -> tuple[Array, int]:
    """Like `accumulate`; returns the offsets in the canonical dtype, and their total.

    `per` is the number of slots that a count stands for.
    """
    total = accumulate(counted)
    dtype = index_dtype(*bounds, total * per)
    return counted if counted.dtype == dtype else counted.astype(dtype), total


@dataclass(frozen=True, slots=True, eq=False)
class Compressed(Structure):
    """What csr and csc share: lines along `axis`, each with ascending and unique indices across it."""

    array_names: ClassVar[tuple[str, ...]] = ("indptr", "indices")
    keeps_slots: ClassVar[bool] = True
    axis: ClassVar[int]
    """The axis that is compressed: 0 for csr, 1 for csc."""

    indptr: Array
    indices: Array
    shape: tuple[int, int]
    check: InitVar[bool] = True

    def __post_init__(self, check: bool) -> None:
        if check:
            self._check_shape()
            check_indices(("indptr", "indices"), self.indptr, self.indices)
            bounds = (*self.shape, len(self.indices))
            indptr, indices = as_index_pair(self.indptr, self.indices, ("indptr", "indices"), *bounds)
            check_compressed(indptr, indices, self.shape[1 - self.axis], self.shape[self.axis])
            object.__setattr__(self, "indptr", indptr)
            object.__setattr__(self, "indices", indices)
        self.freeze()

    @classmethod
    def _made(cls, indptr: Array, indices: Array, shape: tuple[int, int]) -> Self:
        """Builds one from read-only arrays that were made here: a small matrix is packed within that time."""
        s, put = object.__new__(cls), object.__setattr__
        put(s, "indptr", indptr)
        put(s, "indices", indices)
        put(s, "shape", shape)
        return s

    @property
    def slots(self) -> int:
        """How many values are stored."""
        return len(self.indices)

    def slot_shape(self, bits: int) -> tuple[int, ...]:
        """(slots,)."""
        return (len(self.indices),)


class Csr(Compressed):
    """Row by row: the columns of the stored values, ascending and unique.

    `indptr` (rows + 1,) and `indices` (slots,) share a dtype, int32 or int64; row r owns the slots
    `indptr[r]:indptr[r + 1]`. Slots are flat.
    """

    __slots__ = ()

    kind: ClassVar[str] = "csr"
    pattern: ClassVar[str] = "csr"
    template: ClassVar[str] = "csr"
    example: ClassVar[str] = "csr"
    by_rows: ClassVar[bool] = True
    offset_arrays: ClassVar[tuple[str, ...]] = ("indptr",)
    axis: ClassVar[int] = 0

    def packed_rows(self) -> CsrRows:
        """As they are."""
        return CsrRows(self.indptr, self.indices)

    def slot_offsets(self, group: int) -> Array | None:
        """Counted in the columns."""
        rows, cols = self.shape
        if group >= cols:
            return self.indptr.astype(np.int64)
        found = empty(rows * -(-cols // group) + 1, np.int64, "offsets of groups")
        csr_segments(self.indptr, self.indices, group, found)
        return found

    def window(self, low: int, high: int) -> Window:
        """Rows `low..high`."""
        indptr, start, stop = rebased(self.indptr[low : high + 1])
        part = Csr(indptr, self.indices[start:stop], (high - low, self.shape[1]), check=False)
        return Window(part, start, stop, low, 0)

    def coords(self) -> tuple[Array, Array]:
        """Row and column of every slot."""
        return expanded(self.indptr, self.slots), self.indices

    @classmethod
    def encode(cls, w: Matrix, zero: int, params: Params) -> tuple[Self, Array]:
        """Stores the nonzero items row by row."""
        rows, cols = w.shape
        found = cls._encode_at_once(w, zero)
        if found is not None:
            return found
        counted = zeros(rows + 1, index_dtype(rows, cols, rows * cols), "indptr")
        for low, high, block in w.row_blocks():
            dense_row_counts(block, zero, counted[low + 1 : high + 1])
        indptr, total = offsets(counted, rows, cols)
        indices, slots = empty(total, indptr.dtype, "indices"), empty(total, w.item_dtype, "values")
        for low, high, block in w.row_blocks() if total else ():
            dense_to_csr(block, zero, indptr[low : high + 1], indices, slots)
        return cls(indptr, indices, w.shape, check=False), slots

    @classmethod
    def _encode_at_once(cls, w: Matrix, zero: int) -> tuple[Self, Array] | None:
        """The same in one reading, where that is worth a guess of how many items there are, and the guess is right."""
        rows, cols = w.shape
        block = large_block(w)
        if block is None:
            return cls._encode_small(w, zero)
        sample = np.empty(SAMPLES, np.int64)
        dense_sample(block, zero, (1, PIECE), sample)
        most = min(likely(sample, rows * -(-cols // PIECE)), rows * cols)
        if max(rows, cols, most) > INT32_MAX:
            return None
        indptr, indices = empty(rows + 1, np.int32, "indptr"), empty(most, np.int32, "indices")
        slots = empty(most, w.item_dtype, "values")
        total = dense_to_csr_within(block, zero, indptr, indices, slots)
        if total > most:
            return None
        return cls(indptr, trimmed(indices, total), w.shape, check=False), trimmed(slots, total)

    @classmethod
    def _encode_small(cls, w: Matrix, zero: int) -> tuple[Self, Array] | None:
        """The same in one call, where items are few: a call costs more than they do."""
        block = small_block(w)
        if block is None:
            return None
        indptr, indices, slots = dense_to_csr_new(block, zero)
        return cls._made(indptr, indices, w.shape), slots if slots.dtype == block.dtype else slots.view(block.dtype)

    def decode(self, slots: Array, low: int, high: int, out: Array) -> None:
        """Zeroes `out` and scatters rows `low..high` into it."""
        csr_to_dense(self.indptr[low : high + 1], self.indices, slots, out)

    def equals(self, slots: Array, low: int, high: int, want: Array) -> bool:
        """Compared in the caches, without a dense copy."""
        return csr_equal(self.indptr[low : high + 1], self.indices, slots, want)


class Csc(Compressed):
    """Column by column: the rows of the stored values, ascending and unique.

    `indptr` (cols + 1,) and `indices` (slots,) share a dtype; column c owns the slots `indptr[c]:indptr[c + 1]`.
    Slots are flat.
    """

    __slots__ = ()

    kind: ClassVar[str] = "csc"
    pattern: ClassVar[str] = "csc"
    template: ClassVar[str] = "csc"
    example: ClassVar[str] = "csc"
    axis: ClassVar[int] = 1

    @property
    def lines(self) -> int:
        """Columns."""
        return self.shape[1]

    def window(self, low: int, high: int) -> Window:
        """Columns `low..high`."""
        indptr, start, stop = rebased(self.indptr[low : high + 1])
        part = Csc(indptr, self.indices[start:stop], (self.shape[0], high - low), check=False)
        return Window(part, start, stop, 0, low)

    def coords(self) -> tuple[Array, Array]:
        """Row and column of every slot."""
        return self.indices, expanded(self.indptr, self.slots)

    @classmethod
    def encode(cls, w: Matrix, zero: int, params: Params) -> tuple[Self, Array]:
        """Stores the nonzero items column by column."""
        rows, cols = w.shape
        counted = zeros(cols + 1, index_dtype(rows, cols, rows * cols), "indptr")
        for low, high, block in w.col_blocks():
            dense_col_counts(block, zero, counted[low + 1 : high + 1])
        indptr, total = offsets(counted, rows, cols)
        indices, slots = empty(total, indptr.dtype, "indices"), empty(total, w.item_dtype, "values")
        for low, high, block in w.col_blocks():
            dense_to_csc(block, zero, indptr[low : high + 1], indices, slots)
        return cls(indptr, indices, w.shape, check=False), slots

    def decode(self, slots: Array, low: int, high: int, out: Array) -> None:
        """Zeroes `out` and scatters rows `low..high` into it."""
        csc_to_dense(self.indptr, self.indices, slots, low, out)


@edge(Csr, Coo, cost=8, lines=(4, 0))
def csr_to_coo(s: Csr, slots: Array, params: Params) -> tuple[Coo, Array]:
    """Expands the offsets; columns and slots are shared."""
    row = empty(s.slots, s.indices.dtype, "row")
    expand_indptr(s.indptr, row)
    return Coo(row, s.indices, s.shape, check=False), slots


@edge(Coo, Csr, cost=4, lines=(4, 0))
def coo_to_csr(s: Coo, slots: Array, params: Params) -> tuple[Csr, Array]:
    """Counts the rows; columns and slots are shared."""
    indptr = empty(s.shape[0] + 1, s.row.dtype, "indptr")
    compress_rows(s.row, indptr)
    return Csr(indptr, s.col, s.shape, check=False), slots


def transpose(s: Csr | Csc, slots: Array, lines: int) -> tuple[Array, Array, Array]:
    """The offsets, indices and slots of the same matrix compressed along the other axis, which has `lines` lines."""
    indptr = zeros(lines + 1, s.indptr.dtype, "indptr")
    if s.slots:
        count_indices(s.indices, indptr[1:])
        np.cumsum(indptr, out=indptr, dtype=indptr.dtype)
    indices, moved = empty(s.slots, indptr.dtype, "indices"), empty(s.slots, slots.dtype, "values")
    if s.slots:
        csr_transpose(s.indptr, s.indices, slots, indptr, indices, moved)
    return indptr, indices, moved


@edge(Csr, Csc, cost=20, lines=(4, 4))
def csr_to_csc(s: Csr, slots: Array, params: Params) -> tuple[Csc, Array]:
    """Moves every slot to its column."""
    indptr, indices, moved = transpose(s, slots, s.shape[1])
    return Csc(indptr, indices, s.shape, check=False), moved


@edge(Csc, Csr, cost=20, lines=(4, 4))
def csc_to_csr(s: Csc, slots: Array, params: Params) -> tuple[Csr, Array]:
    """Moves every slot to its row."""
    indptr, indices, moved = transpose(s, slots, s.shape[0])
    return Csr(indptr, indices, s.shape, check=False), moved


def column_order(s: Coo) -> Array:
    """The permutation that sorts the slots by column, then row."""
    order = empty(s.slots, np.int64, "an order of slots")
    coo_order(s.col, s.row, s.shape[::-1], order)
    return order


@edge(Coo, Csc, cost=64, lines=(0, 4))
def coo_to_csc(s: Coo, slots: Array, params: Params) -> tuple[Csc, Array]:
    """Sorts by column; for matrices with far more rows than slots, which csr cannot hold."""
    order = column_order(s)
    indptr = empty(s.shape[1] + 1, s.row.dtype, "indptr")
    compress_rows(s.col[order], indptr)
    return Csc(indptr, s.row[order], s.shape, check=False), slots[order]


@edge(Csc, Coo, cost=64, lines=(0, 4))
def csc_to_coo(s: Csc, slots: Array, params: Params) -> tuple[Coo, Array]:
    """Sorts by row; for matrices with far more rows than slots, which csr cannot hold."""
    col, order = empty(s.slots, s.indices.dtype, "col"), empty(s.slots, np.int64, "an order of slots")
    expand_indptr(s.indptr, col)
    coo_order(s.indices, col, s.shape, order)
    return Coo(s.indices[order], col[order], s.shape, check=False), slots[order]
