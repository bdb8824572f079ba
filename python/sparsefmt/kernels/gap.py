"""Definitions of the kernels for gap: rows as csr, columns as differences minus one, in bytes.

The gap of a slot is its column minus the column of the slot before it in the row, minus one; of the first slot, its
column. It is stored as the byte 255 for every 255 that it holds, then what is left, 0 to 254: a slot ends with each
byte that is not 255.

Row blocks: as in `rowwise`; `row_offsets` holds absolute positions in `slots`, `byte_offsets` in `gaps`.
"""

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import FormatError
from sparsefmt.kernels.checks import COUNT, END, FALLS, OK, PADDING, RANGE, START, Finding, first
from sparsefmt.kernels.items import changed, check_range, nonzero, span
from sparsefmt.kernels.registry import kernel

ESCAPE = 255


def gaps_of(indptr: Array, indices: Array) -> Array:
    """The gap of every slot, int64.

    Raises:
        FormatError: the columns of a row do not ascend, or one is negative.
    """
    cols = indices[span(indptr)].astype(np.int64)
    before = np.empty_like(cols)
    before[1:] = cols[:-1]
    starts = (indptr[:-1] - indptr[0])[np.diff(indptr) > 0]
    before[starts] = -1
    gaps = cols - before - 1
    if (gaps < 0).any():
        raise changed()
    return np.asarray(gaps)


def gap_bytes(gaps: Array) -> Array:
    """The bytes of all `gaps`."""
    sizes = gaps // ESCAPE + 1
    out = np.full(int(sizes.sum()), ESCAPE, np.uint8)
    out[np.cumsum(sizes) - 1] = gaps % ESCAPE
    return out


def row_sums(counts: Array, indptr: Array) -> Array:
    """The sum of the `counts` of every row of `indptr`."""
    ends = np.concatenate([[0], np.cumsum(counts)])
    return np.asarray(np.diff(ends[indptr - indptr[0]]))


@kernel
def csr_gap_counts(indptr: Array, indices: Array, counts: Array) -> None:
    """Counts the bytes that the gaps of every row need. Columns that do not ascend: FormatError."""
    counts[...] = row_sums(gaps_of(indptr, indices) // ESCAPE + 1, indptr)


@kernel
def csr_to_gaps(indptr: Array, indices: Array, byte_offsets: Array, gaps: Array) -> None:
    """Writes the gaps of all slots, row by row, where `byte_offsets` says."""
    found = gaps_of(indptr, indices)
    if not np.array_equal(row_sums(found // ESCAPE + 1, indptr), np.diff(byte_offsets)):
        raise changed()
    gaps[span(byte_offsets)] = gap_bytes(found)


def columns_of(gaps: Array, byte_offsets: Array, row_offsets: Array) -> Array:
    """The column of every slot, int64. FormatError: the offsets do not agree with the bytes."""
    mine = gaps[span(byte_offsets)]
    ends = mine != ESCAPE
    if not np.array_equal(row_sums(ends, byte_offsets), np.diff(row_offsets)):
        msg = "row_offsets do not agree with the gaps"
        raise FormatError(msg)
    steps = mine.astype(np.int64) + ends
    after = np.concatenate([[0], np.cumsum(steps)])
    base = np.repeat(after[(byte_offsets - byte_offsets[0])[:-1]], np.diff(row_offsets))
    return np.asarray(after[1:][ends] - base - 1)


@kernel
def gaps_to_indices(gaps: Array, byte_offsets: Array, row_offsets: Array, cols: int, indices: Array) -> None:
    """Writes the column of every slot, row by row, where `row_offsets` says. One beyond `cols`: FormatError."""
    found = columns_of(gaps, byte_offsets, row_offsets)
    check_range(found, cols)
    indices[span(row_offsets)] = found


@kernel
def gaps_to_dense(gaps: Array, byte_offsets: Array, row_offsets: Array, slots: Array, out: Array) -> None:
    """Zeroes `out` (rows, cols) and puts every slot in its place. A column out of range: FormatError."""
    found = columns_of(gaps, byte_offsets, row_offsets)
    check_range(found, out.shape[1])
    out[...] = 0
    out[np.repeat(np.arange(len(row_offsets) - 1), np.diff(row_offsets)), found] = slots[span(row_offsets)]


def kept_offsets(keep: Array) -> tuple[Array, Array]:
    """The csr of the True items: offsets of rows, and columns."""
    indptr = np.concatenate([[0], np.cumsum(keep.sum(axis=1))])
    return indptr, np.ascontiguousarray(np.nonzero(keep)[1])


@kernel
def dense_gap_counts(w: Array, zero: int, slot_counts: Array, byte_counts: Array) -> None:
    """Counts the nonzero items of every row of `w` (rows, cols), and the bytes that their gaps need."""
    indptr, indices = kept_offsets(nonzero(w, zero))
    slot_counts[...] = np.diff(indptr)
    csr_gap_counts(indptr, indices, byte_counts)


@kernel
def dense_to_gaps(w: Array, zero: int, byte_offsets: Array, row_offsets: Array, gaps: Array, slots: Array) -> None:
    """Writes the gaps and items of the nonzero items of `w`, row by row, where the offsets say."""
    keep = nonzero(w, zero)
    indptr, indices = kept_offsets(keep)
    if not np.array_equal(np.diff(indptr), np.diff(row_offsets)):
        raise changed()
    csr_to_gaps(indptr, indices, byte_offsets.astype(indptr.dtype), gaps)
    slots[span(row_offsets)] = w[keep]


@kernel
def gap_check(gaps: Array, byte_offsets: Array, row_offsets: Array, cols: int) -> Finding:
    """Finds what is wrong with gaps.

    START: an offset array does not begin with 0; FALLS at r: byte_offsets[r+1] < byte_offsets[r]; END: byte_offsets
    does not end at the number of bytes; COUNT at row r: row_offsets[r+1] - row_offsets[r] is not the number of its
    bytes that are not 255; PADDING at row r: its last byte is 255; RANGE at row r: a column is not below `cols`. The
    order of the checks is as listed, each for all rows.
    """
    if byte_offsets[0] != 0 or row_offsets[0] != 0:
        return START, 0
    if (found := first(FALLS, byte_offsets[1:] < byte_offsets[:-1]))[0]:
        return found
    if byte_offsets[-1] != len(gaps):
        return END, 0
    ends = gaps != ESCAPE
    if (found := first(COUNT, row_sums(ends, byte_offsets) != np.diff(row_offsets)))[0]:
        return found
    full = byte_offsets[1:] > byte_offsets[:-1]
    open_ends = np.zeros(len(full), bool)
    open_ends[full] = ~ends[byte_offsets[1:][full] - 1]
    if (found := first(PADDING, open_ends))[0]:
        return found
    reach = row_sums(gaps.astype(np.int64) + ends, byte_offsets)
    return first(RANGE, reach > cols) if len(reach) else (OK, 0)
