"""Definitions of the kernels for bitmask.

Row blocks: `w`, `bits` and `out` may be a block of rows; `row_offsets` is then the slice for these rows (one entry more
than rows) and holds absolute positions in the full `slots`.
"""

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import FormatError
from sparsefmt.kernels.checks import COUNT, PADDING, START, Finding, first
from sparsefmt.kernels.items import changed, check_range, nonzero, pack_bits, span, unpack_bits
from sparsefmt.kernels.registry import kernel


@kernel
def dense_to_bits(w: Array, zero: int, bits: Array, counts: Array) -> None:
    """Writes one bit per item of `w` into `bits` (rows, at least ceil(cols / 8)) and counts them per row."""
    keep = nonzero(w, zero)
    pack_bits(keep, bits)
    counts[...] = keep.sum(axis=1)


@kernel
def dense_to_bits_within(w: Array, zero: int, bits: Array, row_offsets: Array, slots: Array) -> int:
    """As `dense_to_bits`, with the offsets of all rows, and the nonzero items if there is room for all.

    Returns the number of nonzero items; without room for them, `slots` holds anything.
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
def bits_to_dense(bits: Array, row_offsets: Array, slots: Array, out: Array) -> None:
    """Zeroes `out` (rows, cols) and spreads the slots of each row over its set bits."""
    keep = unpack_bits(bits, out.shape[1])
    if not np.array_equal(keep.sum(axis=1), np.diff(row_offsets)):
        msg = "row_offsets do not agree with the bits that are set"
        raise FormatError(msg)
    out[...] = 0
    out[keep] = slots[span(row_offsets)]


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


def bits_row_counts(bits: Array) -> Array:
    """Counts the set bits of every row."""
    return np.asarray(np.bitwise_count(bits).sum(axis=1, dtype=np.int64))


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
