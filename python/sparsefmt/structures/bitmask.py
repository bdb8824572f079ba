"""One bit per element."""

from collections.abc import Mapping
from dataclasses import InitVar, dataclass
from typing import Any, ClassVar, Self

import numpy as np

from sparsefmt.base.alloc import empty, zeros
from sparsefmt.base.coerce import plain
from sparsefmt.base.dtypes import Array, index_dtype
from sparsefmt.base.errors import FormatError
from sparsefmt.base.matrix import Matrix
from sparsefmt.base.packed_rows import BitRows
from sparsefmt.base.part import Form
from sparsefmt.kernels import bitmask as bitmask_kernels
from sparsefmt.kernels import checks
from sparsefmt.kernels.affine_segments import bits_segments
from sparsefmt.kernels.bitmask import (
    bits_gather,
    bits_to_dense,
    bits_to_indices,
    csr_to_bits,
    dense_to_bits,
    dense_to_bits_within,
)
from sparsefmt.kernels.csr import dense_sample
from sparsefmt.kernels.equal import bits_equal
from sparsefmt.structures.base import Params, Structure, Window, alignment, as_bytes
from sparsefmt.structures.csr import Csr, expanded, offsets, rebased
from sparsefmt.structures.edges import edge
from sparsefmt.structures.guess import INT32_MAX, PIECE, SAMPLES, large_block, likely, trimmed


def row_bytes(cols: int, align: int) -> int:
    """Bytes of one row of bits."""
    return -(-cols // (8 * align)) * align


@dataclass(frozen=True, slots=True, eq=False)
class Bitmask(Structure):
    """One bit per element, LSB first, rows padded to bytes; `@64`: to multiples of 64 bytes.

    `bits` (rows, row bytes) uint8; `row_offsets` (rows + 1,) int32 or int64: row r owns the slots
    `row_offsets[r]:row_offsets[r + 1]`, one per set bit, columns ascending. Slots are flat.
    """

    kind: ClassVar[str] = "bitmask"
    pattern: ClassVar[str] = r"bitmask(?:@(?P<align>\d+))?"
    template: ClassVar[str] = "bitmask[@64]"
    example: ClassVar[str] = "bitmask"
    keeps_slots: ClassVar[bool] = True
    array_names: ClassVar[tuple[str, ...]] = ("bits", "row_offsets")
    by_rows: ClassVar[bool] = True
    offset_arrays: ClassVar[tuple[str, ...]] = ("row_offsets",)
    has_mask: ClassVar[bool] = True

    bits: Array
    row_offsets: Array
    shape: tuple[int, int]
    align: int = 1
    check: InitVar[bool] = True

    def __post_init__(self, check: bool) -> None:
        if check:
            self._check_shape()
            alignment(self.align)
            rows, cols = self.shape
            object.__setattr__(self, "bits", as_bytes("bits", self.bits, (rows, row_bytes(cols, self.align))))
            self._check_offsets()
            code, at = bitmask_kernels.bits_check(self.bits, self.row_offsets, cols)
            if code == checks.START:
                msg = f"row_offsets[0] = {int(self.row_offsets[0])}; want 0"
                raise FormatError(msg)
            if code == checks.COUNT:
                got = int(self.row_offsets[at + 1]) - int(self.row_offsets[at])
                want = int(np.bitwise_count(self.bits[at]).sum())
                msg = f"row_offsets: row {at} holds {got} values, but {want} bits are set"
                raise FormatError(msg)
            if code:
                msg = f"bits: row {at} has a set bit at or beyond column {cols}"
                raise FormatError(msg)
        self.freeze()

    def _check_offsets(self) -> None:
        a = self.row_offsets
        if not isinstance(a, np.ndarray) or a.shape != (self.shape[0] + 1,) or a.dtype not in (np.int32, np.int64):
            got = f"{a.dtype} of shape {a.shape}" if isinstance(a, np.ndarray) else type(a).__name__
            msg = f"row_offsets: want int32 or int64 of shape ({self.shape[0] + 1},), got {got}"
            raise FormatError(msg)
        object.__setattr__(self, "row_offsets", plain(a, a.dtype.newbyteorder("=")))

    @classmethod
    def parse(cls, groups: dict[str, str]) -> Params:
        """The alignment."""
        return {"align": alignment(int(groups.get("align", 1)))}

    def params(self) -> Params:
        """The alignment."""
        return {"align": self.align}

    @classmethod
    def text_of(cls, params: Mapping[str, Any], forms: Mapping[str, Form]) -> str:
        """The canonical format text."""
        align = params["align"]
        return "bitmask" if align == 1 else f"bitmask@{align:d}"

    @property
    def slots(self) -> int:
        """How many values are stored."""
        return int(self.row_offsets[-1])

    def slot_shape(self, bits: int) -> tuple[int, ...]:
        """(slots,)."""
        return (self.slots,)

    @property
    def metadata_bits(self) -> int:
        """A bit per element, and the offsets."""
        return self.shape[0] * self.shape[1] + 8 * self.row_offsets.nbytes

    @classmethod
    def examples(cls) -> tuple[str, ...]:
        """Rows that start on a byte, and aligned ones."""
        return "bitmask", "bitmask@64"

    def packed_rows(self) -> BitRows:
        """A slot for each set bit."""
        return BitRows(self.bits, self.row_offsets)

    def slot_offsets(self, group: int) -> Array | None:
        """Counted in the bits."""
        rows, cols = self.shape
        if group >= cols:
            return self.row_offsets.astype(np.int64)
        found = empty(rows * -(-cols // group) + 1, np.int64, "offsets of groups")
        bits_segments(self.bits, self.row_offsets, cols, group, found)
        return found

    def window(self, low: int, high: int) -> Window:
        """Rows `low..high`."""
        row_offsets, start, stop = rebased(self.row_offsets[low : high + 1])
        part = Bitmask(self.bits[low:high], row_offsets, (high - low, self.shape[1]), self.align, check=False)
        return Window(part, start, stop, low, 0)

    def coords(self) -> tuple[Array, Array]:
        """Row and column of every slot."""
        col = empty(self.slots, self.row_offsets.dtype, "columns of slots")
        if self.bits.size:
            bits_to_indices(self.bits, self.row_offsets, col)
        return expanded(self.row_offsets, self.slots), col

    @classmethod
    def encode(cls, w: Matrix, zero: int, params: Params) -> tuple[Self, Array]:
        """Stores the nonzero items row by row."""
        rows, cols = w.shape
        bits = empty((rows, row_bytes(cols, params["align"])), np.uint8, "bits")
        found = cls._encode_at_once(w, zero, bits)
        if found is not None:
            return cls(bits, found[0], w.shape, params["align"], check=False), found[1]
        counted = zeros(rows + 1, index_dtype(rows, cols, rows * cols), "row_offsets")
        for low, high, block in w.row_blocks():
            dense_to_bits(block, zero, bits[low:high], counted[low + 1 : high + 1])
        row_offsets, total = offsets(counted, rows, cols)
        slots = empty(total, w.item_dtype, "values")
        for low, high, block in w.row_blocks():
            bits_gather(block, bits[low:high], row_offsets[low : high + 1], slots)
        return cls(bits, row_offsets, w.shape, params["align"], check=False), slots

    @staticmethod
    def _encode_at_once(w: Matrix, zero: int, bits: Array) -> tuple[Array, Array] | None:
        """Fills bits and returns offsets and slots in one reading: as `Csr`, where a guess of their number is right."""
        rows, cols = w.shape
        block = large_block(w)
        if block is None:
            return None
        sample = np.empty(SAMPLES, np.int64)
        dense_sample(block, zero, (1, PIECE), sample)
        most = min(likely(sample, rows * -(-cols // PIECE)), rows * cols)
        if max(rows, cols, most) > INT32_MAX:
            return None
        row_offsets, slots = empty(rows + 1, np.int32, "row_offsets"), empty(most, w.item_dtype, "values")
        total = dense_to_bits_within(block, zero, bits, row_offsets, slots)
        return (row_offsets, trimmed(slots, total)) if total <= most else None

    def decode(self, slots: Array, low: int, high: int, out: Array) -> None:
        """Zeroes `out` and spreads rows `low..high` over it."""
        bits_to_dense(self.bits[low:high], self.row_offsets[low : high + 1], slots, out)

    def equals(self, slots: Array, low: int, high: int, want: Array) -> bool:
        """Compared in the caches, without a dense copy."""
        return bits_equal(self.bits[low:high], self.row_offsets[low : high + 1], slots, want)


@edge(Csr, Bitmask, cost=4, dense=1 / 8)
def csr_to_bitmask(s: Csr, slots: Array, params: Params) -> tuple[Bitmask, Array]:
    """Sets bits; offsets and slots are shared."""
    rows, cols = s.shape
    bits = empty((rows, row_bytes(cols, params["align"])), np.uint8, "bits")
    if bits.size:
        csr_to_bits(s.indptr, s.indices, cols, bits)
    return Bitmask(bits, s.indptr, s.shape, params["align"], check=False), slots


@edge(Bitmask, Csr, cost=4, dense=1 / 8)
def bitmask_to_csr(s: Bitmask, slots: Array, params: Params) -> tuple[Csr, Array]:
    """Lists the set bits; offsets and slots are shared."""
    indices = empty(s.slots, s.row_offsets.dtype, "indices")
    if s.bits.size:
        bits_to_indices(s.bits, s.row_offsets, indices)
    return Csr(s.row_offsets, indices, s.shape, check=False), slots
