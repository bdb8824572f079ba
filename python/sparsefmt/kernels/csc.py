"""Definitions of the kernels for csc, and of the step from rows to columns."""

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.kernels.items import changed, check_range, nonzero, span
from sparsefmt.kernels.registry import kernel


@kernel
def dense_col_counts(w: Array, zero: int, counts: Array) -> None:
    """Counts the nonzero items of every column of `w` (rows, cols) into `counts` (cols,)."""
    counts[...] = nonzero(w, zero).sum(axis=0)


@kernel
def dense_to_csc(w: Array, zero: int, indptr: Array, indices: Array, slots: Array) -> None:
    """Like `dense_to_csr`, column by column; `w` may be a block of columns."""
    keep = nonzero(w, zero).T
    if not np.array_equal(keep.sum(axis=1), np.diff(indptr)):
        raise changed()
    indices[span(indptr)] = np.nonzero(keep)[1]
    slots[span(indptr)] = w.T[keep]


@kernel
def csc_to_dense(indptr: Array, indices: Array, slots: Array, first_row: int, out: Array) -> None:
    """Zeroes `out` (block of rows from `first_row`, cols) and puts every slot that falls into it in its place.

    Relies on ascending indices in each column to find the slots of the block.
    """
    col = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    row = indices - np.int64(first_row)
    inside = (row >= 0) & (row < out.shape[0])
    out[...] = 0
    out[row[inside], col[inside]] = slots[inside]


@kernel
def count_indices(indices: Array, counts: Array) -> None:
    """Counts how often each value occurs in `indices` into `counts`; FormatError where one is out of range."""
    check_range(indices, len(counts))
    counts[...] = np.bincount(indices, minlength=len(counts))


@kernel
def csr_transpose(
    indptr: Array, indices: Array, slots: Array, out_indptr: Array, out_indices: Array, out_slots: Array
) -> None:
    """Writes the same slots column by column; `out_indptr` comes filled (see `count_indices`)."""
    counts = np.bincount(indices, minlength=len(out_indptr) - 1)
    if not np.array_equal(counts, np.diff(out_indptr)):
        raise changed()
    order = np.argsort(indices, kind="stable")
    out_indices[...] = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))[order]
    out_slots[...] = slots[order]
