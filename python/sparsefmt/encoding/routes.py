"""Conversion: a small graph of direct edges between structures, and the cheapest route through it.

An edge takes `(structure, slots, params of the target)` and gives `(structure, slots)`. Slots are items that move by
width, all zero bits where a slot decodes to +0 (see `Codec.lift`). Among coo, csr, csc and bitmask every slot is
kept; coming from nm, bsr and dense, and going to nm and bsr, zero slots are left out.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from sparsefmt.base.alloc import empty, zeros
from sparsefmt.base.dtypes import Array, index_dtype
from sparsefmt.base.matrix import Matrix
from sparsefmt.kernels import bsr as blocks
from sparsefmt.kernels import nm
from sparsefmt.kernels.items import every_bit
from sparsefmt.kernels.rowwise import (
    bits_to_indices,
    compress_rows,
    coo_order,
    count_indices,
    csr_to_bits,
    csr_transpose,
    expand_indptr,
)
from sparsefmt.structures.base import Params, Structure
from sparsefmt.structures.bitmask import Bitmask, row_bytes
from sparsefmt.structures.bsr import Bsr
from sparsefmt.structures.coo import Coo
from sparsefmt.structures.csr import Csc, Csr, accumulate, offsets
from sparsefmt.structures.dense import Dense
from sparsefmt.structures.gap import Gap
from sparsefmt.structures.nm import Nm, over_full
from sparsefmt.structures.registry import STRUCTURES

Convert = Callable[..., tuple[Structure, Array]]


@dataclass(frozen=True, slots=True)
class Edge:
    """A direct conversion, and about how many bytes it moves beyond the values."""

    run: Convert
    cost: float  # per slot
    dense: float  # per element of the matrix
    lines: tuple[float, float]  # per row, per column

    def nbytes(self, s: Structure, itemsize: int) -> float:
        """About how many bytes it moves for a structure with as many slots as `s`."""
        (rows, cols), (per_row, per_col) = s.shape, self.lines
        moved = (self.cost + itemsize) * s.slots
        return moved + self.dense * rows * cols + per_row * rows + per_col * cols


EDGES: dict[tuple[str, str], Edge] = {}
HUBS = ("coo", "csr", "csc", "bitmask")


def edge(
    source: type[Structure],
    target: type[Structure],
    *,
    cost: float,
    dense: float = 0.0,
    lines: tuple[float, float] = (0.0, 0.0),
) -> Callable[[Convert], Convert]:
    """Registers a direct conversion."""

    def register(run: Convert) -> Convert:
        EDGES[source.kind, target.kind] = Edge(run, cost, dense, lines)
        return run

    return register


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


@edge(Csr, Nm, cost=8, lines=(4, 0))
def csr_to_nm(s: Csr, slots: Array, params: Params) -> tuple[Nm, Array]:
    """Packs the nonzero slots; PatternError where a group has too many."""
    n, m = params["n"], params["m"]
    made, codes, packed = Nm.allocate(s.shape, params, slots.dtype)
    if packed.size:
        report = nm.csr_to_nm(s.indptr, s.indices, slots, n, m, s.shape[1], codes, packed)
        if report[0]:
            raise over_full(report, n, m, s.shape)
    return made, packed


@edge(Nm, Csr, cost=8, lines=(4, 0))
def nm_to_csr(s: Nm, slots: Array, params: Params) -> tuple[Csr, Array]:
    """Lists the nonzero slots."""
    counted = zeros(s.shape[0] + 1, index_dtype(*s.shape, s.slots), "indptr")
    if s.slots:
        nm.nm_row_counts(s.codes, slots, s.n, s.m, s.shape[1], counted[1:])
    indptr, total = offsets(counted, *s.shape)
    indices, kept = empty(total, indptr.dtype, "indices"), empty(total, slots.dtype, "values")
    if total:
        nm.nm_to_csr(s.codes, slots, s.n, s.m, s.shape[1], indptr, indices, kept)
    return Csr(indptr, indices, s.shape, check=False), kept


@edge(Csr, Bsr, cost=12, lines=(4, 0))
def csr_to_bsr(s: Csr, slots: Array, params: Params) -> tuple[Bsr, Array]:
    """Collects the nonzero slots in blocks."""
    (rows, cols), (r, c) = s.shape, params["block"]
    counted = zeros(-(-rows // r) + 1, s.indptr.dtype, "indptr")
    if s.slots:
        blocks.csr_block_counts(s.indptr, s.indices, slots, (r, c), cols, counted[1:])
    total = accumulate(counted)
    packed = empty((total, r, c), slots.dtype, "values")
    dtype = np.result_type(index_dtype(rows, cols, total * r * c), s.indptr.dtype)
    indptr, indices = counted.astype(dtype, copy=False), empty(total, dtype, "indices")
    if total:
        source = s.indptr.astype(dtype, copy=False), s.indices.astype(dtype, copy=False)
        blocks.csr_to_bsr(*source, slots, cols, indptr, indices, packed)
    return Bsr(indptr, indices, (r, c), s.shape, check=False), packed


@edge(Bsr, Csr, cost=12, lines=(4, 0))
def bsr_to_csr(s: Bsr, slots: Array, params: Params) -> tuple[Csr, Array]:
    """Lists the nonzero elements of the blocks."""
    indptr = zeros(s.shape[0] + 1, s.indptr.dtype, "indptr")
    if s.slots:
        blocks.bsr_row_counts(s.indptr, s.indices, slots, s.shape, indptr[1:])
    total = accumulate(indptr)
    indices, kept = empty(total, indptr.dtype, "indices"), empty(total, slots.dtype, "values")
    if total:
        blocks.bsr_to_csr(s.indptr, s.indices, slots, s.shape[1], indptr, indices, kept)
    return Csr(indptr, indices, s.shape, check=False), kept


@edge(Csr, Gap, cost=5, lines=(8, 0))
def csr_to_gap(s: Csr, slots: Array, params: Params) -> tuple[Gap, Array]:
    """Counts bytes, then writes gaps; offsets of rows and slots are shared."""
    return Gap.from_csr(s), slots


@edge(Gap, Csr, cost=5, lines=(4, 0))
def gap_to_csr(s: Gap, slots: Array, params: Params) -> tuple[Csr, Array]:
    """Sums up gaps; offsets of rows and slots are shared."""
    return s.to_csr(), slots


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


for _kind, _structure in STRUCTURES.items():
    if _kind != Dense.kind:
        edge(_structure, Dense, cost=8, dense=2)(to_dense)
        edge(Dense, _structure, cost=8, dense=2)(from_dense(_structure))


def plan(source: Structure, target: type[Structure], params: Params, itemsize: int) -> tuple[list[str], int]:
    """The kinds on the cheapest way, first and last included, and about how many bytes it moves.

    Only the source where nothing needs to be done. Only structures that keep every slot and are about as large as
    both ends are passed through: never dense.
    """
    if type(source) is target and own_params(source) == params:
        return [source.kind], 0
    queue: list[tuple[float, list[str]]] = [(0.0, [source.kind])]
    done: set[str] = set()
    while True:
        cost, path = heapq.heappop(queue)
        here = path[-1]
        if len(path) > 1:  # the source may be entered again: the target may be of its kind with other parameters
            if here == target.kind:
                return path, int(cost)
            if here in done or here not in HUBS:
                continue
            done.add(here)
        for (a, b), e in EDGES.items():
            if a == here:
                heapq.heappush(queue, (cost + e.nbytes(source, itemsize), [*path, b]))


def route(source: Structure, target: type[Structure], params: Params, itemsize: int) -> list[str]:
    """The kinds on the cheapest way; see `plan`."""
    return plan(source, target, params, itemsize)[0]


def own_params(s: Structure) -> Params:
    """The parameters of a structure in the form that `Structure.parse` gives."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in s.params().items()}


def restructure(s: Structure, slots: Array, target: type[Structure], params: Params) -> tuple[Structure, Array]:
    """Converts along the cheapest route.

    Raises:
        PatternError: the target cannot hold the pattern.
        SizeError: the target would be larger than allowed.
    """
    return along(route(s, target, params, slots.itemsize), s, slots, params)


def along(way: list[str], s: Structure, slots: Array, params: Params) -> tuple[Structure, Array]:
    """Converts along a way that `route` found; `params` are those of the target."""
    for at, edge_of in enumerate(pairwise(way), 2):
        s, slots = EDGES[edge_of].run(s, slots, params if at == len(way) else {"align": 1})
    return s, slots
