"""Compressed sparse rows whose columns are differences in bytes."""

from dataclasses import InitVar, dataclass
from typing import ClassVar, Self

import numpy as np

from sparsefmt.base.alloc import empty, zeros
from sparsefmt.base.coerce import plain
from sparsefmt.base.dtypes import Array, Dtype, index_dtype
from sparsefmt.base.errors import FormatError
from sparsefmt.base.matrix import Matrix
from sparsefmt.kernels import checks
from sparsefmt.kernels.gap import (
    csr_gap_counts,
    csr_to_gaps,
    dense_gap_counts,
    dense_to_gaps,
    gap_check,
    gaps_to_dense,
    gaps_to_indices,
)
from sparsefmt.structures.base import Params, Structure, Window, as_index_pair
from sparsefmt.structures.csr import Csr, accumulate, expanded, rebased
from sparsefmt.structures.edges import edge


def as_offsets(counted: Array, dtype: Dtype, what: str) -> Array:
    """Offsets counted in int64 in the dtype that they are to have."""
    if counted.dtype == dtype:
        return counted
    made = empty(len(counted), dtype, what)
    made[...] = counted
    return made


@dataclass(frozen=True, slots=True, eq=False)
class Gap(Structure):
    """Row by row: the distance of each stored value from the one before it, in bytes.

    The gap of a slot is its column minus that of the slot before it in the row, minus one; of the first, its column.
    `gaps` (bytes,) uint8 holds the byte 255 for every 255 in a gap, then what is left, 0 to 254. `row_offsets` and
    `byte_offsets` (rows + 1,) share a dtype, int32 or int64: row r owns the slots `row_offsets[r]:row_offsets[r + 1]`,
    columns ascending, and the bytes `byte_offsets[r]:byte_offsets[r + 1]`. Slots are flat. Of all structures the
    smallest where one in 8 to one in a thousand values is stored.
    """

    kind: ClassVar[str] = "gap"
    pattern: ClassVar[str] = "gap"
    template: ClassVar[str] = "gap"
    example: ClassVar[str] = "gap"
    array_names: ClassVar[tuple[str, ...]] = ("gaps", "byte_offsets", "row_offsets")
    keeps_slots: ClassVar[bool] = True
    by_rows: ClassVar[bool] = True
    offset_arrays: ClassVar[tuple[str, ...]] = ("byte_offsets", "row_offsets")

    gaps: Array
    byte_offsets: Array
    row_offsets: Array
    shape: tuple[int, int]
    check: InitVar[bool] = True

    def __post_init__(self, check: bool) -> None:
        if check:
            self._check_shape()
            self._check_arrays()
            self._check_gaps()
        self.freeze()

    def _check_arrays(self) -> None:
        a = self.gaps
        if not isinstance(a, np.ndarray) or a.dtype != np.uint8 or a.ndim != 1:
            got = f"{a.dtype} of shape {a.shape}" if isinstance(a, np.ndarray) else type(a).__name__
            msg = f"gaps: want 1-d uint8, got {got}"
            raise FormatError(msg)
        object.__setattr__(self, "gaps", plain(a, np.uint8))
        names = ("byte_offsets", "row_offsets")
        pair = as_index_pair(self.byte_offsets, self.row_offsets, names, *self.shape, len(a))
        for name, offsets in zip(names, pair, strict=True):
            if len(offsets) != self.shape[0] + 1:
                msg = f"{name} has {len(offsets)} entries, want {self.shape[0] + 1}"
                raise FormatError(msg)
            object.__setattr__(self, name, offsets)

    def _check_gaps(self) -> None:
        code, at = gap_check(self.gaps, self.byte_offsets, self.row_offsets, self.shape[1])
        if code == checks.START:
            msg = f"byte_offsets[0] = {int(self.byte_offsets[0])}, row_offsets[0] = {int(self.row_offsets[0])}; want 0"
        elif code == checks.FALLS:
            ends = int(self.byte_offsets[at]), int(self.byte_offsets[at + 1])
            msg = f"byte_offsets falls from {ends[0]} to {ends[1]} at entry {at + 1}"
        elif code == checks.END:
            msg = f"byte_offsets ends at {int(self.byte_offsets[-1])}, but there are {len(self.gaps)} bytes of gaps"
        elif code == checks.COUNT:
            got = int(self.row_offsets[at + 1]) - int(self.row_offsets[at])
            msg = f"row_offsets: row {at} holds {got} values, but another number of its gaps end"
        elif code == checks.PADDING:
            msg = f"gaps: row {at} ends with 255, which ends no gap"
        elif code:
            msg = f"gaps: row {at} leads to a column at or beyond {self.shape[1]}"
        else:
            return
        raise FormatError(msg)

    @property
    def slots(self) -> int:
        """How many values are stored."""
        return int(self.row_offsets[-1])

    def slot_shape(self, bits: int) -> tuple[int, ...]:
        """(slots,)."""
        return (self.slots,)

    def slot_offsets(self, group: int) -> Array | None:
        """Counted in the columns."""
        if group >= self.shape[1]:
            return self.row_offsets.astype(np.int64)
        return Csr(self.row_offsets, self.columns(), self.shape, check=False).slot_offsets(group)

    def window(self, low: int, high: int) -> Window:
        """Rows `low..high`."""
        row_offsets, start, stop = rebased(self.row_offsets[low : high + 1])
        byte_offsets, first, last = rebased(self.byte_offsets[low : high + 1])
        part = Gap(self.gaps[first:last], byte_offsets, row_offsets, (high - low, self.shape[1]), check=False)
        return Window(part, start, stop, low, 0)

    def columns(self) -> Array:
        """The column of every slot."""
        col = empty(self.slots, self.row_offsets.dtype, "columns of slots")
        if self.slots:
            gaps_to_indices(self.gaps, self.byte_offsets, self.row_offsets, self.shape[1], col)
        return col

    def coords(self) -> tuple[Array, Array]:
        """Row and column of every slot."""
        return expanded(self.row_offsets, self.slots), self.columns()

    @classmethod
    def from_csr(cls, s: Csr) -> Self:
        """The same slots in the same order."""
        counts = zeros(s.shape[0] + 1, np.int64, "byte_offsets")
        if s.slots:
            csr_gap_counts(s.indptr, s.indices, counts[1:])
        total = accumulate(counts)
        dtype = np.result_type(index_dtype(*s.shape, total), s.indptr.dtype)
        byte_offsets = as_offsets(counts, dtype, "byte_offsets")
        row_offsets = as_offsets(s.indptr, dtype, "row_offsets")
        gaps = empty(total, np.uint8, "gaps")
        if total:
            csr_to_gaps(row_offsets, s.indices.astype(dtype, copy=False), byte_offsets, gaps)
        return cls(gaps, byte_offsets, row_offsets, s.shape, check=False)

    def to_csr(self) -> Csr:
        """The same slots in the same order; the offsets are shared."""
        return Csr(self.row_offsets, self.columns(), self.shape, check=False)

    @classmethod
    def encode(cls, w: Matrix, zero: int, params: Params) -> tuple[Self, Array]:
        """Stores the nonzero items row by row."""
        slot_counts = zeros(w.shape[0] + 1, np.int64, "row_offsets")
        byte_counts = zeros(w.shape[0] + 1, np.int64, "byte_offsets")
        for low, high, block in w.row_blocks():
            dense_gap_counts(block, zero, slot_counts[low + 1 : high + 1], byte_counts[low + 1 : high + 1])
        dtype = index_dtype(*w.shape, accumulate(slot_counts), accumulate(byte_counts))
        row_offsets = as_offsets(slot_counts, dtype, "row_offsets")
        byte_offsets = as_offsets(byte_counts, dtype, "byte_offsets")
        gaps = empty(int(byte_offsets[-1]), np.uint8, "gaps")
        slots = empty(int(row_offsets[-1]), w.item_dtype, "values")
        for low, high, block in w.row_blocks() if len(slots) else ():
            dense_to_gaps(block, zero, byte_offsets[low : high + 1], row_offsets[low : high + 1], gaps, slots)
        return cls(gaps, byte_offsets, row_offsets, w.shape, check=False), slots

    def decode(self, slots: Array, low: int, high: int, out: Array) -> None:
        """Zeroes `out` and puts the slots of rows `low..high` into it."""
        gaps_to_dense(self.gaps, self.byte_offsets[low : high + 1], self.row_offsets[low : high + 1], slots, out)


@edge(Csr, Gap, cost=5, lines=(8, 0))
def csr_to_gap(s: Csr, slots: Array, params: Params) -> tuple[Gap, Array]:
    """Counts bytes, then writes gaps; offsets of rows and slots are shared."""
    return Gap.from_csr(s), slots


@edge(Gap, Csr, cost=5, lines=(4, 0))
def gap_to_csr(s: Gap, slots: Array, params: Params) -> tuple[Csr, Array]:
    """Sums up gaps; offsets of rows and slots are shared."""
    return s.to_csr(), slots
