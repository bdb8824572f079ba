"""Definitions of the kernels for block-sparse rows.

Blocks are (count, r, c), row-major inside, completed by zeros at the ragged right and lower edge. A block is stored
when any of its items is nonzero. `w` and `out` may be a block of rows that starts at a multiple of r.
"""

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import FormatError
from sparsefmt.kernels.items import changed, check_range, every_bit, nonzero, span
from sparsefmt.kernels.registry import kernel


def blocked(w: Array, r: int, c: int) -> Array:
    """(rows, cols) -> (block rows, block columns, r, c), completed by zeros."""
    rows, cols = w.shape
    full = np.zeros((-(-rows // r) * r, -(-cols // c) * c), w.dtype)
    full[:rows, :cols] = w
    return full.reshape(full.shape[0] // r, r, full.shape[1] // c, c).swapaxes(1, 2)


@kernel
def bsr_block_counts(w: Array, zero: int, block: tuple[int, int], counts: Array) -> None:
    """Counts the blocks of every block row of `w` that hold a nonzero item into `counts` (block rows,)."""
    counts[...] = nonzero(blocked(w, *block), zero).any(axis=(2, 3)).sum(axis=1)


@kernel
def dense_to_bsr(w: Array, zero: int, indptr: Array, indices: Array, blocks: Array) -> None:
    """Writes the block columns and the blocks that hold a nonzero item, where `indptr` says."""
    tiles = blocked(w, blocks.shape[1], blocks.shape[2])
    keep = nonzero(tiles, zero).any(axis=(2, 3))
    if not np.array_equal(keep.sum(axis=1), np.diff(indptr)):
        raise changed()
    indices[span(indptr)] = np.nonzero(keep)[1]
    blocks[span(indptr)] = tiles[keep]


@kernel
def dense_to_bsr_within(w: Array, zero: int, indptr: Array, indices: Array, blocks: Array) -> int:
    """Writes the offsets of all block rows, and block columns and blocks as `dense_to_bsr` if there is room for all.

    Returns the number of blocks; without room for them, `indices` and `blocks` hold anything.
    """
    tiles = blocked(w, blocks.shape[1], blocks.shape[2])
    keep = nonzero(tiles, zero).any(axis=(2, 3))
    indptr[0] = 0
    indptr[1:] = np.cumsum(keep.sum(axis=1))
    total = int(np.count_nonzero(keep))
    if total <= min(len(indices), len(blocks)):
        indices[:total] = np.nonzero(keep)[1]
        blocks[:total] = tiles[keep]
    return total


@kernel
def bsr_to_dense(indptr: Array, indices: Array, blocks: Array, out: Array) -> None:
    """Zeroes `out` (rows, cols) and puts every block in its place; what sticks out at the ragged edge is ignored."""
    rows, cols = out.shape
    r, c = blocks.shape[1:]
    across = -(-cols // c)
    check_range(indices[span(indptr)], across)
    full = np.zeros((len(indptr) - 1, across, r, c), out.dtype)
    full[np.repeat(np.arange(len(indptr) - 1), np.diff(indptr)), indices[span(indptr)]] = blocks[span(indptr)]
    out[...] = full.swapaxes(1, 2).reshape((len(indptr) - 1) * r, across * c)[:rows, :cols]


def elements(indptr: Array, indices: Array, blocks: Array, shape: tuple[int, int]) -> tuple[Array, Array, Array]:
    """Row and column of every nonzero (by bits) item inside the shape, and the items, all in row-major order."""
    r, c = blocks.shape[1:]
    at, i, j = np.nonzero(nonzero(blocks, every_bit(blocks)))
    row = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))[at] * r + i
    col = indices[at].astype(np.int64) * c + j
    inside = (row < shape[0]) & (col < shape[1])
    row, col, items = row[inside], col[inside], blocks[at, i, j][inside]
    order = np.lexsort((col, row))
    return row[order], col[order], items[order]


@kernel
def bsr_row_counts(indptr: Array, indices: Array, blocks: Array, shape: tuple[int, int], counts: Array) -> None:
    """Counts the nonzero (by bits) items inside the shape of every row (not block row) into `counts` (rows,)."""
    counts[...] = np.bincount(elements(indptr, indices, blocks, shape)[0], minlength=shape[0])


@kernel
def bsr_to_csr(
    indptr: Array, indices: Array, blocks: Array, cols: int, out_indptr: Array, out_indices: Array, out_slots: Array
) -> None:
    """Writes the column and item of all that `bsr_row_counts` counts, row by row, where `out_indptr` says."""
    rows = len(out_indptr) - 1
    row, col, items = elements(indptr, indices, blocks, (rows, cols))
    if not np.array_equal(np.bincount(row, minlength=rows), np.diff(out_indptr)):
        raise changed()
    out_indices[...] = col
    out_slots[...] = items


def block_keys(indptr: Array, indices: Array, slots: Array, block: tuple[int, int], cols: int) -> tuple[Array, Array]:
    """The nonzero (by bits) slots of csr: their places in `slots`, and the number of their blocks, row-major."""
    r, c = block
    row = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    place = np.flatnonzero(nonzero(slots, every_bit(slots)))
    across = -(-cols // c)
    return place, (row[place] // r) * across + indices[place].astype(np.int64) // c


@kernel
def csr_block_counts(
    indptr: Array, indices: Array, slots: Array, block: tuple[int, int], cols: int, counts: Array
) -> None:
    """Counts the blocks of every block row that hold a nonzero (by bits) slot of csr into `counts` (block rows,)."""
    check_range(indices, cols)
    keys = np.unique(block_keys(indptr, indices, slots, block, cols)[1])
    counts[...] = np.bincount(keys // max(-(-cols // block[1]), 1), minlength=len(counts))


@kernel
def csr_to_bsr(
    indptr: Array, indices: Array, slots: Array, cols: int, out_indptr: Array, out_indices: Array, blocks: Array
) -> None:
    """Writes the blocks that `csr_block_counts` counts, where `out_indptr` says."""
    r, c = blocks.shape[1:]
    place, keys = block_keys(indptr, indices, slots, (r, c), cols)
    stored, number = np.unique(keys, return_inverse=True)
    across = max(-(-cols // c), 1)
    if not np.array_equal(np.bincount(stored // across, minlength=len(out_indptr) - 1), np.diff(out_indptr)):
        msg = "the array changed while it was read; do not write to it during a call"
        raise FormatError(msg)
    row = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))[place]
    out_indices[...] = stored % across
    blocks[...] = 0
    blocks[number, row % r, indices[place] % c] = slots[place]
