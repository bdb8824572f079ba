"""Unsorted coordinates with duplicates, made canonical."""

import numpy as np

from sparsefmt.base.alloc import empty
from sparsefmt.base.dtypes import Array, Dtype, items
from sparsefmt.base.errors import FormatError
from sparsefmt.kernels.coo import coo_order, coo_to_csr
from sparsefmt.kernels.csr import csr_check

_FEW = 1000  # entries that are left out by copying what lies between


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


def narrowed(name: str, a: Array, index: Dtype) -> Array:
    """Whole numbers of any width in an index dtype, none of them cut.

    Raises:
        FormatError: one does not fit; with its place.
    """
    top = int(np.iinfo(index).max)
    if a.size and not 0 <= int(a.min()) <= int(a.max()) <= top:
        at = int(np.flatnonzero((a < 0) | (a > top))[0])
        msg = f"{name}[{at}] = {int(a[at])} is out of range 0..{top}"
        raise FormatError(msg)
    return a.astype(index)


def rows_from_triplets(
    row: Array, col: Array, data: Array, shape: tuple[int, int]
) -> tuple[Array, Array, Array] | None:
    """The same as offsets of rows, columns and data; None where rows are too many, or an entry is a block.

    Too many: what `coo` is for, where offsets would take more room than the entries.
    """
    if data.ndim != 1 or shape[0] > 4 * len(row) + 1024:
        return None
    indptr, indices = empty(shape[0] + 1, row.dtype, "indptr"), empty(len(row), row.dtype, "indices")
    moved = empty(len(row), data.dtype, "data")
    coo_to_csr(row, col, items(data), shape, indptr, indices, items(moved))
    return _unique(indptr, indices, moved) if csr_check(indptr, indices, shape[1])[0] else (indptr, indices, moved)


def _unique(indptr: Array, indices: Array, data: Array) -> tuple[Array, Array, Array]:
    """Sums the entries of each place of sorted rows, in order."""
    same = np.zeros(len(indices) + 1, bool)  # as the one before
    np.equal(indices[1:], indices[:-1], out=same[1:-1])
    same[indptr[:-1]] = False
    more = np.flatnonzero(same[:-1])
    heads = np.setdiff1d(more - 1, more, assume_unique=True)
    # The entries of places that several share, place by place: a head, then those that follow it.
    several = np.sort(np.concatenate([heads, more]))
    data[heads] = sum_runs(data[several], np.searchsorted(several, heads))
    starts = (indptr - np.searchsorted(more, indptr)).astype(indptr.dtype)
    if len(more) < _FEW:
        return starts, _without(indices, more), _without(data, more)
    kept = ~same[:-1]
    return starts, indices[kept], data[kept]


def _without(a: Array, places: Array) -> Array:
    """The items but those at ascending `places`, copied piece by piece."""
    ends = [*places.tolist(), len(a)]
    return np.concatenate([a[start:end] for start, end in zip([0, *(end + 1 for end in ends)], ends, strict=False)])
