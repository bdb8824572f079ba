"""Definitions of the kernels for coo, csr, csc and bitmask.

Row blocks: `w`, `bits` and `out` may be a block of rows; `indptr` and `row_offsets` are then the slice for these rows
(one entry more than rows) and hold absolute positions in the full `indices` and `slots`.
"""

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import FormatError
from sparsefmt.kernels.items import every_bit, nonzero, pack_bits, unpack_bits
from sparsefmt.kernels.registry import kernel


def changed() -> FormatError:
    """The error for an array that another thread wrote to between counting and filling."""
    return FormatError("the array changed while it was read; do not write to it during a call")


def span(indptr: Array) -> slice:
    """The slots that belong to the rows of an indptr slice."""
    return slice(int(indptr[0]), int(indptr[-1]))


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

    Gives the number of nonzero items; without room for them, `indices` and `slots` hold anything.
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
def dense_to_bits(w: Array, zero: int, bits: Array, counts: Array) -> None:
    """Writes one bit per item of `w` into `bits` (rows, at least ceil(cols / 8)) and counts them per row."""
    keep = nonzero(w, zero)
    pack_bits(keep, bits)
    counts[...] = keep.sum(axis=1)


@kernel
def dense_to_bits_within(w: Array, zero: int, bits: Array, row_offsets: Array, slots: Array) -> int:
    """As `dense_to_bits`, with the offsets of all rows, and the nonzero items if there is room for all.

    Gives the number of nonzero items; without room for them, `slots` holds anything.
    """
    dense_to_bits(w, zero, bits, row_offsets[1:])
    row_offsets[0] = 0
    np.cumsum(row_offsets[1:], out=row_offsets[1:])
    keep = nonzero(w, zero)
    total = int(np.count_nonzero(keep))
    if total <= len(slots):
        slots[:total] = w[keep]
    return total


@kernel
def bits_gather(w: Array, bits: Array, row_offsets: Array, slots: Array) -> None:
    """Copies the items of `w` whose bit is set to `slots`, row by row, where `row_offsets` says."""
    keep = unpack_bits(bits, w.shape[1])
    if not np.array_equal(keep.sum(axis=1), np.diff(row_offsets)):
        raise changed()
    slots[span(row_offsets)] = w[keep]


@kernel
def csr_to_dense(indptr: Array, indices: Array, slots: Array, out: Array) -> None:
    """Zeroes `out` (rows, cols) and puts every slot in its place. An index out of range: FormatError."""
    place = span(indptr)
    check_range(indices[place], out.shape[1])
    out[...] = 0
    out[np.repeat(np.arange(len(indptr) - 1), np.diff(indptr)), indices[place]] = slots[place]


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
def coo_to_dense(row: Array, col: Array, slots: Array, first_row: int, out: Array) -> None:
    """Zeroes `out` (a block of rows from `first_row`, cols) and puts in the slots, which all lie in the block."""
    local = row - np.int64(first_row)
    check_range(local, out.shape[0])
    check_range(col, out.shape[1])
    out[...] = 0
    out[local, col] = slots


def check_range(indices: Array, bound: int) -> None:
    """Raises FormatError at the first index outside 0..bound."""
    bad = (indices < 0) | (indices >= bound)
    if bad.any():
        at = int(np.argmax(bad))
        msg = f"index {int(indices[at])} at position {at} is out of range 0..{bound}"
        raise FormatError(msg)


@kernel
def bits_to_dense(bits: Array, row_offsets: Array, slots: Array, out: Array) -> None:
    """Zeroes `out` (rows, cols) and spreads the slots of each row over its set bits."""
    keep = unpack_bits(bits, out.shape[1])
    if not np.array_equal(keep.sum(axis=1), np.diff(row_offsets)):
        msg = "row_offsets do not agree with the bits that are set"
        raise FormatError(msg)
    out[...] = 0
    out[keep] = slots[span(row_offsets)]


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


@kernel
def csr_to_bits(indptr: Array, indices: Array, cols: int, bits: Array) -> None:
    """Sets the bit of every slot in `bits` (rows, at least ceil(cols / 8)) and clears all others."""
    check_range(indices[span(indptr)], cols)
    keep = np.zeros((len(indptr) - 1, cols), bool)
    keep[np.repeat(np.arange(len(indptr) - 1), np.diff(indptr)), indices[span(indptr)]] = True
    pack_bits(keep, bits)


@kernel
def bits_to_indices(bits: Array, row_offsets: Array, indices: Array) -> None:
    """Writes the column of every set bit, row by row; `row_offsets` must agree with the bits."""
    keep = np.unpackbits(bits, axis=1, bitorder="little").astype(bool)
    if not np.array_equal(keep.sum(axis=1), np.diff(row_offsets)):
        raise changed()
    indices[...] = np.nonzero(keep)[1]


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


def bits_row_counts(bits: Array) -> Array:
    """Counts the set bits of every row."""
    return np.asarray(np.bitwise_count(bits).sum(axis=1, dtype=np.int64))


def every(a: Array) -> Array:
    """Tells for each item whether any of its bits is set (the rule "bits")."""
    return nonzero(a, every_bit(a))
