"""Definitions of the kernels for csr.

Row blocks: `w` and `out` may be a block of rows; `indptr` is then the slice for these rows (one entry more than rows)
and holds absolute positions in the full `indices` and `slots`.
"""

import numpy as np

from sparsefmt.base.alloc import empty
from sparsefmt.base.dtypes import Array
from sparsefmt.kernels.checks import END, FALLS, ORDER, RANGE, START, Finding, first
from sparsefmt.kernels.items import changed, check_range, nonzero, span
from sparsefmt.kernels.registry import kernel


@kernel
def count_nonzero(slots: Array, zero: int) -> int:
    """Counts the items of the flat `slots` that are nonzero under `zero`."""
    return int(np.count_nonzero(nonzero(slots, zero)))


@kernel
def dense_row_counts(w: Array, zero: int, counts: Array) -> None:
    """Counts the nonzero items of every row of `w` (rows, cols) into `counts` (rows,) int32 or int64."""
    counts[...] = nonzero(w, zero).sum(axis=1)


@kernel
def dense_to_csr(w: Array, zero: int, indptr: Array, indices: Array, slots: Array) -> None:
    """Writes the columns and items of the nonzero items of `w`, row by row, where `indptr` says."""
    keep = nonzero(w, zero)
    if not np.array_equal(keep.sum(axis=1), np.diff(indptr)):
        raise changed()
    indices[span(indptr)] = np.nonzero(keep)[1]
    slots[span(indptr)] = w[keep]


@kernel
def dense_to_csr_within(w: Array, zero: int, indptr: Array, indices: Array, slots: Array) -> int:
    """Writes the offsets of all rows, and the columns and items of the nonzero items if there is room for all.

    Returns the number of nonzero items; without room for them, `indices` and `slots` hold anything.
    """
    keep = nonzero(w, zero)
    indptr[0] = 0
    indptr[1:] = np.cumsum(keep.sum(axis=1))
    total = int(np.count_nonzero(keep))
    if total <= min(len(indices), len(slots)):
        indices[:total] = np.nonzero(keep)[1]
        slots[:total] = w[keep]
    return total


@kernel
def dense_to_csr_new(w: Array, zero: int) -> tuple[Array, Array, Array]:
    """Returns the offsets of all rows, and the columns and items of the nonzero items, of `w` with few items.

    They are new, read-only and start at multiples of 64; offsets and columns are int32. Of 16-byte items the halves
    may be returned, 8 bytes each.
    """
    keep = nonzero(w, zero)
    offsets = np.zeros(len(keep) + 1, np.int64)
    np.cumsum(keep.sum(axis=1), out=offsets[1:])
    made = []
    for a, dtype in ((offsets, np.int32), (np.nonzero(keep)[1], np.int32), (w[keep], w.dtype)):
        copy = empty(a.shape, dtype)
        copy[...] = a
        copy.setflags(write=False)
        made.append(copy)
    return made[0], made[1], made[2]


@kernel
def dense_sample(w: Array, zero: int, block: tuple[int, int], counts: Array) -> None:
    """Counts the nonzero items in as many blocks of `w` as there are `counts`, int64.

    They are spread evenly: block `i * G mod 2**64`, scaled from 2**64 to the number of blocks; G is 2**64 over the
    golden ratio. Blocks at the edge are short.
    """
    (rows, cols), (r, c) = w.shape, block
    across = -(-cols // c)
    for i in range(len(counts)):
        at = (i * 0x9E3779B97F4A7C15 % 2**64) * (-(-rows // r) * across) >> 64
        row, col = at // max(across, 1) * r, at % max(across, 1) * c
        counts[i] = np.count_nonzero(nonzero(w[row : row + r, col : col + c], zero))


@kernel
def csr_to_dense(indptr: Array, indices: Array, slots: Array, out: Array) -> None:
    """Zeroes `out` (rows, cols) and puts every slot in its place. An index out of range: FormatError."""
    place = span(indptr)
    check_range(indices[place], out.shape[1])
    out[...] = 0
    out[np.repeat(np.arange(len(indptr) - 1), np.diff(indptr)), indices[place]] = slots[place]


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
