"""The conversions that every structure has: to and from dense, and without edges of its own to and from coo."""

from collections.abc import Iterator

import numpy as np

from sparsefmt.base.alloc import empty
from sparsefmt.base.dtypes import Array, index_dtype
from sparsefmt.base.matrix import BLOCK_BYTES, Matrix, blocks
from sparsefmt.kernels.coo import coo_order, coo_to_dense
from sparsefmt.kernels.items import every_bit
from sparsefmt.structures.base import Params, Structure
from sparsefmt.structures.coo import Coo
from sparsefmt.structures.dense import Dense
from sparsefmt.structures.edges import EDGES, Convert, Edge


def to_dense(s: Structure, slots: Array, params: Params) -> tuple[Dense, Array]:
    """Decodes all rows."""
    out = empty(s.shape, slots.dtype, "the dense array")
    if out.size:
        s.decode(slots, 0, s.shape[0], out)
    return Dense(s.shape), out


def from_dense(target: type[Structure]) -> Convert:
    """The edge that encodes a dense matrix by bits."""

    def run(s: Dense, slots: Array, params: Params) -> tuple[Structure, Array]:
        return target.encode(Matrix(slots), every_bit(slots), params)

    return run


def to_coo(s: Structure, slots: Array, params: Params) -> tuple[Coo, Array]:
    """Lists the coordinates of the slots in order; zero slots are left out unless the structure keeps every slot."""
    row, col = (np.ascontiguousarray(a).reshape(-1) for a in s.coords())
    flat = np.ascontiguousarray(s.body(slots)).reshape(-1)
    if not s.keeps_slots:
        stored = flat.view(np.uint8).reshape(len(flat), flat.itemsize).any(axis=1)
        row, col, flat = row[stored], col[stored], flat[stored]
    dtype, order = index_dtype(*s.shape, len(flat)), np.empty(len(flat), np.int64)
    row, col = row.astype(dtype, copy=False), col.astype(dtype, copy=False)
    coo_order(row, col, s.shape, order)
    return Coo(row[order], col[order], s.shape, check=False), flat[order]


class CooMatrix(Matrix):
    """A coo as a matrix of items, decoded a block at a time: what `encode` of a structure takes."""

    def __init__(self, s: Coo, slots: Array) -> None:
        super().__init__(np.empty((0, 0), slots.dtype))  # nothing is in place
        self._coo, self._slots, self.shape = s, slots, s.shape

    def row_blocks(self, step: int = 1, budget: int = BLOCK_BYTES) -> Iterator[tuple[int, int, Array]]:
        """As `Matrix.row_blocks`."""
        rows, cols = self.shape
        for low, high in blocks(rows if cols else 0, cols * self.dtype.itemsize, step, budget):
            buffer = self._room(high - low, cols)
            self._coo.decode(self._slots, low, high, buffer)
            yield low, high, buffer

    def col_blocks(self, budget: int = BLOCK_BYTES) -> Iterator[tuple[int, int, Array]]:
        """As `Matrix.col_blocks`."""
        rows, cols = self.shape
        for low, high in blocks(cols if rows else 0, rows * self.dtype.itemsize, 1, budget):
            buffer, chosen = self._room(rows, high - low), (self._coo.col >= low) & (self._coo.col < high)
            col = self._coo.col[chosen] - self._coo.col.dtype.type(low)
            coo_to_dense(self._coo.row[chosen], col, self._slots[chosen], 0, buffer)
            yield low, high, buffer


def from_coo(target: type[Structure]) -> Convert:
    """The edge that encodes a coo by bits, a block of rows at a time."""

    def run(s: Coo, slots: Array, params: Params) -> tuple[Structure, Array]:
        return target.encode(CooMatrix(s, slots), every_bit(slots), params)

    return run


def edge_between(source: type[Structure], target: type[Structure]) -> Edge | None:
    """The direct conversion from one structure to another, of its own or by default; None if there is none."""
    found = EDGES.get((source.kind, target.kind))
    if found is not None or (source is Dense and target is Dense):
        return found
    if target is Dense:
        return Edge(to_dense, cost=8, dense=2)
    if source is Dense:
        return Edge(from_dense(target), cost=8, dense=2)
    if target is Coo and not any(a == source.kind for a, _ in EDGES):
        return Edge(to_coo, cost=64)
    if source is Coo and not any(b == target.kind for _, b in EDGES):
        return Edge(from_coo(target), cost=8, dense=2)
    return None
