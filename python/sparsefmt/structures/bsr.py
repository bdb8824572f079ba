"""Block-sparse rows."""

from collections.abc import Mapping
from dataclasses import InitVar, dataclass
from typing import Any, ClassVar, Self

import numpy as np

from sparsefmt.base.alloc import counted, empty, spread, zeros
from sparsefmt.base.coerce import whole
from sparsefmt.base.dtypes import Array, index_dtype
from sparsefmt.base.errors import FormatError
from sparsefmt.base.matrix import Matrix
from sparsefmt.base.part import Form
from sparsefmt.kernels import bsr as kernels
from sparsefmt.kernels.bsr import bsr_block_counts, bsr_to_dense, dense_to_bsr, dense_to_bsr_within
from sparsefmt.kernels.csr import dense_sample
from sparsefmt.structures.base import Params, Structure, Window, as_index_pair, check_indices
from sparsefmt.structures.csr import Csr, accumulate, check_compressed, expanded, offsets, rebased, runs
from sparsefmt.structures.edges import edge
from sparsefmt.structures.guess import BLOCKS, INT32_MAX, large_block, likely, trimmed


def as_block(block: object) -> tuple[int, int]:
    """Rows and columns of a block.

    Raises:
        FormatError: they are not two positive integers.
    """
    if not isinstance(block, list | tuple) or len(block) != 2:
        msg = f"block = {block!r}; want two integers"
        raise FormatError(msg)
    r, c = (whole(size, "block", 1, 2**31 - 1) for size in block)
    return r, c


@dataclass(frozen=True, slots=True, eq=False)
class Bsr(Structure):
    """Blocks of R x C elements, stored whole where any element is nonzero; the ragged edge is completed by zeros.

    `indptr` (block rows + 1,) and `indices` (blocks,) share a dtype, int32 or int64, and count blocks. Slots are
    (blocks, R, C), row-major.

    A matrix (3, 6) in blocks of 2 x 3; the block row at the bottom sticks out by a row of zeros:

        a b .  . . .      indptr  = 0 1 2        block row 0 has block 0, block row 1 has block 1
        . . c  . . .      indices = 0 1          in block columns 0 and 1
        . . .  d . .      slots   = [[a b 0]     [[d 0 0]
                                     [0 0 c]],    [0 0 0]]
    """

    kind: ClassVar[str] = "bsr"
    pattern: ClassVar[str] = r"bsr(?P<r>\d+)x(?P<c>\d+)"
    template: ClassVar[str] = "bsr{R}x{C}"
    example: ClassVar[str] = "bsr16x16"
    array_names: ClassVar[tuple[str, ...]] = ("indptr", "indices")
    by_rows: ClassVar[bool] = True
    offset_arrays: ClassVar[tuple[str, ...]] = ("indptr",)

    indptr: Array
    indices: Array
    block: tuple[int, int]
    shape: tuple[int, int]
    check: InitVar[bool] = True

    def __post_init__(self, check: bool) -> None:
        if check:
            self._check_shape()
            r, c = as_block(self.block)
            object.__setattr__(self, "block", (r, c))
            check_indices(("indptr", "indices"), self.indptr, self.indices)
            bounds = (*self.shape, len(self.indices) * r * c)
            indptr, indices = as_index_pair(self.indptr, self.indices, ("indptr", "indices"), *bounds)
            check_compressed(indptr, indices, -(-self.shape[1] // c), -(-self.shape[0] // r))
            object.__setattr__(self, "indptr", indptr)
            object.__setattr__(self, "indices", indices)
        self.freeze()

    @classmethod
    def parse(cls, groups: dict[str, str]) -> Params:
        """The block."""
        return {"block": as_block([int(groups["r"]), int(groups["c"])])}

    @classmethod
    def from_parts(cls, arrays: dict[str, Array], params: Params, shape: tuple[int, int]) -> Self:
        """Builds and checks it; the block may come as a list, as JSON holds it."""
        return cls(**arrays, block=as_block(params.get("block")), shape=shape)  # type: ignore[arg-type]

    def params(self) -> Params:
        """The block."""
        return {"block": list(self.block)}

    @classmethod
    def text_of(cls, params: Mapping[str, Any], forms: Mapping[str, Form]) -> str:
        """The canonical format text."""
        rows, cols = params["block"]
        return f"bsr{rows:d}x{cols:d}"

    @property
    def row_step(self) -> int:  # type: ignore[override]
        """Blocks of rows must start at multiples of this."""
        return self.block[0]

    @property
    def slots(self) -> int:
        """How many values are stored: whole blocks."""
        return len(self.indices) * self.block[0] * self.block[1]

    def slot_shape(self, bits: int) -> tuple[int, ...]:
        """(blocks, R, C)."""
        return (len(self.indices), *self.block)

    @classmethod
    def examples(cls) -> tuple[str, ...]:
        """Blocks of several shapes."""
        return "bsr2x3", "bsr4x4", "bsr1x8", "bsr16x16"

    @property
    def fills_with_zero(self) -> bool:  # type: ignore[override]
        """Where blocks stick out of the matrix."""
        return bool(self.shape[0] % self.block[0] or self.shape[1] % self.block[1])

    def window(self, low: int, high: int) -> Window:
        """Rows `low..high`, whole blocks."""
        r = self.block[0]
        indptr, start, stop = rebased(self.indptr[low // r : -(-high // r) + 1])
        part = Bsr(indptr, self.indices[start:stop], self.block, (high - low, self.shape[1]), check=False)
        return Window(part, start, stop, low, 0)

    def coords(self) -> tuple[Array, Array]:
        """Row and column of every slot; those outside the shape are moved to its edge."""
        (rows, cols), (r, c) = self.shape, self.block
        shape = (len(self.indices), r, c)
        if not shape[0]:  # blocks that nothing is stored of may be very large
            return (empty(shape, np.int64, "rows of slots"),) * 2
        line = expanded(self.indptr, len(self.indices))[:, None, None] * r + counted(r)[:, None]
        col = self.indices[:, None, None] * c + counted(c)
        row, col = np.minimum(line, max(rows - 1, 0)), np.minimum(col, max(cols - 1, 0))
        return spread(row, shape, "rows of slots"), spread(col, shape, "columns of slots")

    @property
    def reads_slots(self) -> bool:
        """Of blocks that stick out."""
        return self.shape[0] % self.block[0] != 0 or self.shape[1] % self.block[1] != 0

    def check_slots(self, slots: Array | None) -> None:
        """Checks that what sticks out at the ragged edge is zero.

        Raises:
            FormatError: a value is not.
        """
        (rows, cols), (r, c) = self.shape, self.block
        if slots is None:
            return
        if rows % r:
            self._check_edge(np.arange(int(self.indptr[-2]), int(self.indptr[-1])), slots[:, rows % r :])
        if cols % c:
            self._check_edge(np.flatnonzero(self.indices == cols // c), slots[:, :, cols % c :])

    def _check_edge(self, chosen: Array, outside: Array) -> None:
        for at in chosen:
            if np.ascontiguousarray(outside[at]).view(np.uint8).any():
                msg = f"block {int(at)} holds a nonzero value outside the shape {self.shape}"
                raise FormatError(msg)

    @classmethod
    def encode(cls, w: Matrix, zero: int, params: Params) -> tuple[Self, Array]:
        """Stores the blocks that hold a nonzero item."""
        (rows, cols), (r, c) = w.shape, params["block"]
        lines = -(-rows // r)
        found = cls._encode_at_once(w, zero, (r, c))
        if found is not None:
            return found
        counted = zeros(lines + 1, index_dtype(rows, cols, lines * -(-cols // c)), "indptr")
        for low, high, part in w.row_blocks(r):
            bsr_block_counts(part, zero, (r, c), counted[low // r + 1 : -(-high // r) + 1])
        indptr, total = offsets(counted, rows, cols, per=r * c)
        indices, slots = empty(total, indptr.dtype, "indices"), empty((total, r, c), w.item_dtype, "values")
        for low, high, part in w.row_blocks(r):
            dense_to_bsr(part, zero, indptr[low // r : -(-high // r) + 1], indices, slots)
        return cls(indptr, indices, (r, c), w.shape, check=False), slots

    @classmethod
    def _encode_at_once(cls, w: Matrix, zero: int, block: tuple[int, int]) -> tuple[Self, Array] | None:
        """The same in one reading, where that is worth a guess of how many blocks there are, and the guess is right."""
        (rows, cols), (r, c) = w.shape, block
        part = large_block(w)
        if part is None:
            return None
        lines, across = -(-rows // r), -(-cols // c)
        sample = np.empty(BLOCKS, np.int64)
        dense_sample(part, zero, block, sample)
        most = min(likely(np.minimum(sample, 1), lines * across), lines * across)
        if max(rows, cols, most * r * c) > INT32_MAX:
            return None
        indptr, indices = empty(lines + 1, np.int32, "indptr"), empty(most, np.int32, "indices")
        slots = empty((most, r, c), w.item_dtype, "values")
        total = dense_to_bsr_within(part, zero, indptr, indices, slots)
        if total > most:
            return None
        return cls(indptr, trimmed(indices, total), block, w.shape, check=False), trimmed(slots, total)

    def decode(self, slots: Array, low: int, high: int, out: Array) -> None:
        """Zeroes `out` and puts the blocks of rows `low..high` in their places; `low` is a multiple of R."""
        r = self.block[0]
        bsr_to_dense(self.indptr[low // r : -(-high // r) + 1], self.indices, slots, out)


@edge(Csr, Bsr, cost=12, lines=(4, 0))
def csr_to_bsr(s: Csr, slots: Array, params: Params) -> tuple[Bsr, Array]:
    """Collects the nonzero slots in blocks."""
    (rows, cols), (r, c) = s.shape, params["block"]
    lines = zeros(-(-rows // r) + 1, s.indptr.dtype, "indptr")
    for low, high in runs(s.indptr, r):
        part, start, stop = rebased(s.indptr[low : high + 1])
        counts = lines[low // r + 1 : -(-high // r) + 1]
        kernels.csr_block_counts(part, s.indices[start:stop], slots[start:stop], (r, c), cols, counts)
    total = accumulate(lines)
    packed = empty((total, r, c), slots.dtype, "values")
    dtype = np.result_type(index_dtype(rows, cols, total * r * c), s.indptr.dtype)
    indptr, indices = lines.astype(dtype, copy=False), empty(total, dtype, "indices")
    for first, last in runs(indptr, 1, r * c):  # by what is written: a block for each slot at worst
        low, high = first * r, min(last * r, rows)
        part, start, stop = rebased(s.indptr[low : high + 1])
        source = part.astype(dtype, copy=False), s.indices[start:stop].astype(dtype, copy=False)
        into, at, end = rebased(indptr[first : last + 1])
        kernels.csr_to_bsr(*source, slots[start:stop], cols, into, indices[at:end], packed[at:end])
    return Bsr(indptr, indices, (r, c), s.shape, check=False), packed


@edge(Bsr, Csr, cost=12, lines=(4, 0))
def bsr_to_csr(s: Bsr, slots: Array, params: Params) -> tuple[Csr, Array]:
    """Lists the nonzero elements of the blocks."""
    (rows, cols), (r, c) = s.shape, s.block
    indptr = zeros(rows + 1, s.indptr.dtype, "indptr")
    parts = [(low * r, min(high * r, rows)) for low, high in runs(s.indptr, 1, r * c)]
    for low, high in parts:
        part, start, stop = rebased(s.indptr[low // r : -(-high // r) + 1])
        counts = indptr[low + 1 : high + 1]
        kernels.bsr_row_counts(part, s.indices[start:stop], slots[start:stop], (high - low, cols), counts)
    total = accumulate(indptr)
    indices, kept = empty(total, indptr.dtype, "indices"), empty(total, slots.dtype, "values")
    for low, high in parts:
        part, start, stop = rebased(s.indptr[low // r : -(-high // r) + 1])
        into, first, last = rebased(indptr[low : high + 1])
        source = part, s.indices[start:stop], slots[start:stop]
        kernels.bsr_to_csr(*source, cols, into, indices[first:last], kept[first:last])
    return Csr(indptr, indices, s.shape, check=False), kept
