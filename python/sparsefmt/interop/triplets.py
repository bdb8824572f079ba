"""Unsorted coordinates with duplicates, made canonical."""

import numpy as np

from sparsefmt.base.alloc import empty
from sparsefmt.base.dtypes import Array, items
from sparsefmt.kernels.coo import coo_order, coo_to_csr
from sparsefmt.kernels.csr import csr_check


def sum_runs(data: Array, starts: Array) -> Array:
    """Sums runs along the first axis in order, in the dtype of the data; bool: or."""
    if data.dtype == bool:
        return np.logical_or.reduceat(data, starts, axis=0)
    with np.errstate(all="ignore"):
        return np.add.reduceat(data, starts, axis=0, dtype=data.dtype)


def from_triplets(row: Array, col: Array, data: Array, shape: tuple[int, int]) -> tuple[Array, Array, Array]:
    """Sorts by row, then column, and sums duplicates in the order in which they came.

    Args:
        row: (entries,) int32 or int64.
        col: (entries,) of the same dtype.
        data: (entries, ...), one item or block per entry.
        shape: what the coordinates are below.

    Returns:
        Row, column and data, sorted and unique.

    Raises:
        FormatError: a coordinate is out of range.
    """
    order = empty(len(row), np.int64, "the order of the entries")
    coo_order(row, col, shape, order)
    row, col = row[order], col[order]
    fresh = np.ones(len(row), bool)
    fresh[1:] = (row[1:] != row[:-1]) | (col[1:] != col[:-1])
    if fresh.all():
        return row, col, items(data)[order].view(data.dtype)
    starts = np.flatnonzero(fresh)
    return row[starts], col[starts], sum_runs(data[order], starts)


def rows_from_triplets(
    row: Array, col: Array, data: Array, shape: tuple[int, int]
) -> tuple[Array, Array, Array] | None:
    """The same as offsets of rows, columns and data; None where some entries are in one place, or rows are too many.

    Too many: what `coo` is for, where offsets would take more room than the entries.
    """
    if data.ndim != 1 or shape[0] > 4 * len(row) + 1024:
        return None
    indptr, indices = empty(shape[0] + 1, row.dtype, "indptr"), empty(len(row), row.dtype, "indices")
    moved = empty(len(row), data.dtype, "data")
    coo_to_csr(row, col, items(data), shape, indptr, indices, items(moved))
    return None if csr_check(indptr, indices, shape[1])[0] else (indptr, indices, moved)
