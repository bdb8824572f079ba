"""Definitions of the kernels for affine codes of slots that stand in segments of any length, one scale each.

`offsets` (segments + 1,) int64 starts at 0, never falls, and ends at the number of slots: segment i owns the slots
`offsets[i]:offsets[i + 1]`. Slots are flat; `scale` and `zero_point` are (1, segments), or (1, 1) for all.
"""

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import FormatError
from sparsefmt.kernels.affine import affine_dequantize, affine_extremes, affine_quantize
from sparsefmt.kernels.items import unpack_bits
from sparsefmt.kernels.registry import kernel


def check_offsets(offsets: Array, slots: int) -> None:
    """Raises FormatError where `offsets` are not what they should be."""
    if len(offsets) < 1 or offsets[0] != 0 or offsets[-1] != slots or (np.diff(offsets) < 0).any():
        msg = f"offsets: want them to rise from 0 to {slots}"
        raise FormatError(msg)


def entries(grid: Array, offsets: Array) -> Array:
    """The entry of every slot, (1, slots)."""
    counts = np.diff(offsets)
    return np.repeat(np.broadcast_to(grid, (1, len(counts))), counts, axis=1)


@kernel
def csr_segments(indptr: Array, indices: Array, group: int, offsets: Array) -> None:
    """Writes where the slots of every `group` columns of every row begin, in rows of `(len(offsets) - 1) / rows`.

    Slots are counted from `indptr[0]` on. Columns ascend in every row and lie in the groups.
    """
    rows = len(indptr) - 1
    per_row = (len(offsets) - 1) // max(rows, 1)
    row = np.repeat(np.arange(rows), np.diff(indptr))
    at = row * per_row + indices[int(indptr[0]) : int(indptr[-1])].astype(np.int64) // group
    offsets[0] = 0
    np.cumsum(np.bincount(at, minlength=rows * per_row), out=offsets[1:])


@kernel
def bits_segments(bits: Array, row_offsets: Array, cols: int, group: int, offsets: Array) -> None:
    """The same for set bits, which `row_offsets` agree with."""
    keep = unpack_bits(bits, cols)
    if not np.array_equal(keep.sum(axis=1), np.diff(row_offsets)):
        msg = "row_offsets do not agree with the bits that are set"
        raise FormatError(msg)
    offsets[0] = 0
    if keep.size:
        np.cumsum(np.add.reduceat(keep, np.arange(0, cols, group), axis=1, dtype=np.int64), out=offsets[1:])


@kernel
def segment_extremes(values: Array, dtype: str, offsets: Array, low: Array, high: Array) -> None:
    """`affine_extremes` of every segment, into the flat `low` and `high`; zeros for an empty one."""
    check_offsets(offsets, len(values))
    low[...] = high[...] = 0
    for i in np.flatnonzero(np.diff(offsets)):
        part = values[offsets[i] : offsets[i + 1]].reshape(1, -1)
        affine_extremes(part, dtype, part.size, low[i : i + 1].reshape(1, 1), high[i : i + 1].reshape(1, 1))


@kernel
def segment_quantize(
    values: Array, dtype: str, offsets: Array, scale: Array, zero_point: Array, bits: int, codes: Array
) -> None:
    """`affine_quantize` of every segment by its own scale, into the flat `codes`."""
    check_offsets(offsets, len(values))
    if len(values):
        point = entries(zero_point, offsets) if zero_point.size else zero_point
        affine_quantize(values.reshape(1, -1), dtype, 1, entries(scale, offsets), point, bits, codes.reshape(1, -1))


@kernel
def segment_dequantize(codes: Array, offsets: Array, scale: Array, zero_point: Array, dtype: str, out: Array) -> None:
    """`affine_dequantize` of every segment by its own scale, into the flat `out`."""
    check_offsets(offsets, len(codes))
    if len(codes):
        point = entries(zero_point, offsets) if zero_point.size else zero_point
        affine_dequantize(codes.reshape(1, -1), 1, entries(scale, offsets), point, dtype, out.reshape(1, -1))
