"""Definitions of the kernels that check arrays from outside. Each gives (0, 0), or what is wrong first and where."""

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.kernels.registry import kernel

OK, START, FALLS, END, RANGE, ORDER, ROW_RANGE, PADDING, COUNT = range(9)
Finding = tuple[int, int]


def first(code: int, bad: Array) -> Finding:
    """The finding (code, position of the first True), or (0, 0)."""
    return (code, int(np.argmax(bad))) if bad.any() else (OK, 0)


@kernel
def csr_check(indptr: Array, indices: Array, cols: int) -> Finding:
    """Finds what is wrong with compressed offsets and indices.

    START: indptr[0] != 0; FALLS at r: indptr[r+1] < indptr[r]; END: indptr[-1] != len(indices);
    RANGE at i: indices[i] outside 0..cols; ORDER at i: indices[i] <= indices[i-1] in one row.
    The order of the checks is as listed: RANGE for all slots before ORDER for any.
    """
    if indptr[0] != 0:
        return START, 0
    if (found := first(FALLS, indptr[1:] < indptr[:-1]))[0]:  # np.diff could wrap
        return found
    if indptr[-1] != len(indices):
        return END, 0
    if (found := first(RANGE, (indices < 0) | (indices >= cols)))[0]:
        return found
    row = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    bad = np.zeros(len(indices), bool)
    bad[1:] = (row[1:] == row[:-1]) & (indices[1:] <= indices[:-1])
    return first(ORDER, bad)


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


@kernel
def bits_check(bits: Array, row_offsets: Array, cols: int) -> Finding:
    """Finds what is wrong with a bitmask.

    START: row_offsets[0] != 0; COUNT at row r: row_offsets[r+1] - row_offsets[r] is not the number of set bits;
    PADDING at row r: a bit at or beyond cols is set. COUNT for all rows before PADDING for any.
    """
    if row_offsets[0] != 0:
        return START, 0
    if (found := first(COUNT, np.diff(row_offsets) != np.bitwise_count(bits).sum(axis=1, dtype=np.int64)))[0]:
        return found
    padding = np.unpackbits(bits, axis=1, bitorder="little")[:, cols:]
    return first(PADDING, np.asarray(padding.any(axis=1)))
