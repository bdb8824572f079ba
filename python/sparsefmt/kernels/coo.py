"""Definitions of the kernels for coo."""

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.kernels.checks import ORDER, RANGE, ROW_RANGE, Finding, first
from sparsefmt.kernels.items import check_range
from sparsefmt.kernels.registry import kernel


@kernel
def coo_to_dense(row: Array, col: Array, slots: Array, first_row: int, out: Array) -> None:
    """Zeroes `out` (a block of rows from `first_row`, cols) and puts in the slots, which all lie in the block."""
    local = row - np.int64(first_row)
    check_range(local, out.shape[0])
    check_range(col, out.shape[1])
    out[...] = 0
    out[local, col] = slots


@kernel
def expand_indptr(indptr: Array, out: Array) -> None:
    """Writes the row of every slot: `out[indptr[r]:indptr[r+1]] = r`."""
    out[...] = np.repeat(np.arange(len(indptr) - 1, dtype=out.dtype), np.diff(indptr))


@kernel
def compress_rows(row: Array, indptr: Array) -> None:
    """The inverse of `expand_indptr`: `indptr[r]` is the number of entries of the ascending `row` below r."""
    check_range(row, len(indptr) - 1)
    indptr[...] = np.searchsorted(row, np.arange(len(indptr)))


@kernel
def coo_order(row: Array, col: Array, shape: tuple[int, int], order: Array) -> None:
    """Writes the stable permutation (int64) that sorts by row, then column. FormatError: out of range."""
    check_range(row, shape[0])
    check_range(col, shape[1])
    order[...] = np.lexsort((col, row))


@kernel
def coo_to_csr(
    row: Array, col: Array, slots: Array, shape: tuple[int, int], indptr: Array, indices: Array, out_slots: Array
) -> None:
    """Sorts coo in any order into csr; slots in one place stay in order. FormatError: out of range."""
    order = np.empty(len(row), np.int64)
    coo_order(row, col, shape, order)
    indptr[...] = np.searchsorted(row[order], np.arange(shape[0] + 1))
    indices[...] = col[order]
    out_slots[...] = slots[order]


@kernel
def coo_check(row: Array, col: Array, shape: tuple[int, int]) -> Finding:
    """Finds what is wrong with coordinates.

    ROW_RANGE at i, RANGE at i (of col), ORDER at i: (row, col) not after its predecessor; in this order.
    """
    if (found := first(ROW_RANGE, (row < 0) | (row >= shape[0])))[0]:
        return found
    if (found := first(RANGE, (col < 0) | (col >= shape[1])))[0]:
        return found
    bad = np.zeros(len(row), bool)
    bad[1:] = (row[1:] < row[:-1]) | ((row[1:] == row[:-1]) & (col[1:] <= col[:-1]))
    return first(ORDER, bad)
