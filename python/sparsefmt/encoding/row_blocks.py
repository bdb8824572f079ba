"""A matrix packed some rows at a time, so that its raw slots never exist as a whole."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from sparsefmt.base.alloc import empty, zeros
from sparsefmt.base.coerce import is_plain
from sparsefmt.base.dtypes import Array, index_dtype
from sparsefmt.base.matrix import Matrix, blocks
from sparsefmt.kernels.bitmask import bits_gather, dense_to_bits
from sparsefmt.kernels.csr import dense_row_counts, dense_to_csr
from sparsefmt.kernels.settings import cpu_features
from sparsefmt.structures.base import Params, Structure
from sparsefmt.structures.bitmask import Bitmask, row_bytes
from sparsefmt.structures.csr import Csr, offsets, rebased
from sparsefmt.structures.dense import Dense
from sparsefmt.structures.nm import Nm

_BYTES = 1 << 19  # of the matrix that each thread works on at once; half of it where they must be copied first


class Piece(NamedTuple):
    """Some rows."""

    low: int
    high: int
    part: Structure
    """What these rows alone would give; without the padding of rows."""
    slots: Array
    """Its slots, in the dtype of the matrix."""


class Pieces(ABC):
    """A structure, and its rows piece by piece; both can be had again and again.

    The arrays of `structure` are complete when the pieces have been gone through once.
    """

    structure: Structure

    def __init__(self, w: Matrix, zero: int) -> None:
        self.w, self.zero = w, zero
        self.budget = (_BYTES if is_plain(w.array) else _BYTES // 2) * int(cpu_features()["threads"])

    @abstractmethod
    def piece(self, low: int, high: int, block: Array) -> Piece:
        """Packs `block`, the items of rows `low..high`."""

    def __iter__(self) -> Iterator[Piece]:
        """Goes through all rows; there are none where there are no items."""
        row = self.w.shape[1] * self.w.dtype.itemsize
        for first, last, block in self.w.row_blocks(1, self.budget):
            for low, high in blocks(last - first, row, 1, self.budget):
                yield self.piece(first + low, first + high, block[low:high])


class DensePieces(Pieces):
    """Rows as they are; all at once, if they need no copy and `whole` asks for that."""

    def __init__(self, w: Matrix, zero: int, params: Params) -> None:
        super().__init__(w, zero)
        self.structure = Dense(w.shape)

    def whole(self) -> None:
        """Makes one piece of all rows that stand together in memory."""
        if is_plain(self.w.array):
            self.budget = max(self.w.array.nbytes, 1)

    def piece(self, low: int, high: int, block: Array) -> Piece:
        """The block itself."""
        return Piece(low, high, Dense(block.shape), block.view(self.w.dtype))


class CsrPieces(Pieces):
    """Counted first, then filled; `indices` can be written."""

    def __init__(self, w: Matrix, zero: int, params: Params) -> None:
        super().__init__(w, zero)
        rows, cols = w.shape
        counted = zeros(rows + 1, index_dtype(rows, cols, rows * cols), "indptr")
        for low, high, block in w.row_blocks():
            dense_row_counts(block, zero, counted[low + 1 : high + 1])
        self._indptr, total = offsets(counted, rows, cols)
        self.indices = empty(total, self._indptr.dtype, "indices")
        self.structure = Csr(self._indptr, self.indices, w.shape, check=False)

    def piece(self, low: int, high: int, block: Array) -> Piece:
        """Writes the columns into the whole, the items into an array of their own."""
        indptr, start, stop = rebased(self._indptr[low : high + 1])
        slots, indices = empty(stop - start, self.w.item_dtype, "a block of values"), self.indices[start:stop]
        dense_to_csr(block, self.zero, indptr, indices, slots)
        return Piece(low, high, Csr(indptr, indices, block.shape, check=False), slots.view(self.w.dtype))


class BitmaskPieces(Pieces):
    """Bits and counts first, then the items."""

    def __init__(self, w: Matrix, zero: int, params: Params) -> None:
        super().__init__(w, zero)
        (rows, cols), self._align = w.shape, params["align"]
        self._bits = empty((rows, row_bytes(cols, self._align)), np.uint8, "bits")
        counted = zeros(rows + 1, index_dtype(rows, cols, rows * cols), "row_offsets")
        for low, high, block in w.row_blocks():
            dense_to_bits(block, zero, self._bits[low:high], counted[low + 1 : high + 1])
        self._offsets, _ = offsets(counted, rows, cols)
        self.structure = Bitmask(self._bits, self._offsets, w.shape, self._align, check=False)

    def piece(self, low: int, high: int, block: Array) -> Piece:
        """Gathers the items of set bits."""
        row_offsets, start, stop = rebased(self._offsets[low : high + 1])
        slots, bits = empty(stop - start, self.w.item_dtype, "a block of values"), self._bits[low:high]
        bits_gather(block, bits, row_offsets, slots)
        part = Bitmask(bits, row_offsets, block.shape, self._align, check=False)
        return Piece(low, high, part, slots.view(self.w.dtype))


class NmPieces(Pieces):
    """Packed, and pruned before if that is asked for; `score` as in `sparsefmt.encode`.

    Raises:
        PatternError: while it goes through the pieces, where a group has too many nonzeros.
    """

    def __init__(self, w: Matrix, zero: int, params: Params, prune: bool, score: Array | None) -> None:
        super().__init__(w, zero)
        Nm.check_dtype(w.dtype)
        self._bare, self.prune, self.score = {**params, "align": 1}, prune, score
        made, self.codes, _ = Nm.allocate(w.shape, params, np.dtype("u1"), slots=False)
        self.structure, self._per_row = made, made.groups * made.n

    def piece(self, low: int, high: int, block: Array) -> Piece:
        """Writes the codes of groups into the whole, the slots into an array of their own."""
        slots = empty((high - low, self._per_row), self.w.item_dtype, "a block of values")
        codes = self.codes[low:high]
        score = None if self.score is None else self.score[low:high]
        Nm.pack_block(block, self.w.dtype, self.zero, self._bare, codes, slots, self.prune, score, low)
        part = Nm(codes, **self._bare, shape=block.shape, check=False)
        return Piece(low, high, part, slots.view(self.w.dtype))


def pieces(
    w: Matrix, zero: int, structure: type[Structure], params: Params, prune: bool, score: Array | None
) -> Pieces | None:
    """The pieces of a structure that can be packed in pieces."""
    if structure is Nm:
        return NmPieces(w, zero, params, prune, score)
    kinds: dict[type[Structure], type[CsrPieces | BitmaskPieces | DensePieces]] = {
        Csr: CsrPieces, Bitmask: BitmaskPieces, Dense: DensePieces,
    }  # fmt: skip
    made = kinds.get(structure)
    return None if made is None else made(w, zero, params)
