"""Definitions of the kernels for affine codes: code = rint(x / scale) (+ zero point), x = (code - zero point) * scale.

Values come as items of a named dtype. float64 computes in float64, everything else in float32. One scale serves
`group` columns of a row: `scale[row, column // group]`; a grid of one row serves all rows. Codes are one byte each in
lifted form, i.e. minus the zero point, modulo 256, so that zero is 0 in every group.
"""

import ml_dtypes
import numpy as np

from sparsefmt.base.dtypes import DTYPES, INTEGERS, Array, Dtype
from sparsefmt.kernels.registry import kernel


def compute_dtype(dtype: Dtype) -> Dtype:
    """The dtype that values of `dtype` are computed in."""
    wide = dtype.name == "float64" or (dtype.name in INTEGERS and dtype.itemsize > 2)
    return DTYPES["float64" if wide else "float32"]


def starts(cols: int, group: int) -> Array:
    """The first column of every group."""
    return np.arange(0, cols, group)


def spread(grid: Array, group: int, shape: tuple[int, int]) -> Array:
    """A grid of one entry per row and group, repeated to one entry per element."""
    if grid.shape[1] == 1:
        return np.broadcast_to(grid, shape)
    return np.broadcast_to(np.repeat(grid, group, axis=1)[:, : shape[1]], shape)


def quotients(span: Array, steps: int, dtype: Dtype) -> Array:
    """The scales `span / steps` in their dtype; 1 where the span is 0; rounded up where subnormal and too small.

    A scale beyond the dtype is infinite, and one of a span that is not finite is no finite number. One that is
    subnormal is 0 where half a step grows by more than 1/512 of the span, and a wider dtype would spare that: values
    must not vanish unseen.
    """
    with np.errstate(all="ignore"):
        scale, wide = (span / span.dtype.type(steps)).astype(dtype), span.astype(np.float64)
        subnormal = scale < np.finfo(dtype).smallest_normal
        short = subnormal & (steps * scale.astype(np.float64) < wide)
        scale = np.where(short, np.nextafter(scale, dtype.type(np.inf)), scale)
        if dtype != span.dtype:
            more = steps * scale.astype(np.float64) - wide  # half a step grows by 1 / (2 steps) of it
            scale = np.where(subnormal & (256 * more > steps * wide), dtype.type(0), scale)
    return np.asarray(np.where(span == 0, dtype.type(1), scale))


@kernel
def affine_extremes(values: Array, dtype: str, group: int, low: Array, high: Array) -> None:
    """Writes min(0, smallest) and max(0, largest) of every group of a row to `low` and `high` (rows, groups).

    Both have the compute dtype. Zeros are +0. A group that holds NaN has NaN in both.
    """
    with np.errstate(all="ignore"):
        x = values.view(DTYPES[dtype]).astype(low.dtype)
        at = starts(x.shape[1], group)
        low[...] = np.minimum(np.minimum.reduceat(x, at, axis=1), 0) + 0.0
        high[...] = np.maximum(np.maximum.reduceat(x, at, axis=1), 0) + 0.0
        bad = np.isnan(low) | np.isnan(high)
    low[bad] = high[bad] = np.nan


@kernel
def affine_quantize(
    values: Array, dtype: str, group: int, scale: Array, zero_point: Array, bits: int, codes: Array
) -> None:
    """Writes the lifted codes (rows, cols) uint8 of `values` (rows, cols).

    Symmetric (`zero_point` empty): clip(rint(x / s), -q, q) with q = 2^(bits-1) - 1. With zero points (uint8, the
    shape of `scale`): clip(rint(x / s) + zp, 0, 2^bits - 1) - zp. Ties to even; the division is IEEE's. NaN, which
    finite values and scales do not give, counts as 0.
    """
    x = values.view(DTYPES[dtype])
    compute = compute_dtype(x.dtype)
    with np.errstate(all="ignore"):
        steps = np.rint(x.astype(compute) / spread(scale, group, x.shape).astype(compute))
    steps[np.isnan(steps)] = 0
    if zero_point.size:
        shift = spread(zero_point, group, x.shape).astype(compute)
        steps = np.clip(steps + shift, 0, 2**bits - 1) - shift
    else:
        q = 2 ** (bits - 1) - 1
        steps = np.clip(steps, -q, q)
    codes[...] = steps.astype(np.int16).astype(np.uint8)


@kernel
def affine_dequantize(codes: Array, group: int, scale: Array, zero_point: Array, dtype: str, out: Array) -> None:
    """Writes (code - zero point) * scale for lifted codes (rows, cols) to the items `out` (rows, cols).

    The product is rounded once to the dtype and clamped to its largest finite value. NaN, which finite scales do not
    give, becomes 0.
    """
    target = DTYPES[dtype]
    compute = compute_dtype(target)
    if zero_point.size:
        shift = spread(zero_point, group, codes.shape)
        steps = (codes + shift).astype(np.int16) - shift.astype(np.int16)
    else:
        steps = codes.view(np.int8).astype(np.int16)
    with np.errstate(all="ignore"):
        product = steps.astype(compute) * spread(scale, group, codes.shape).astype(compute)
        product[np.isnan(product)] = 0
        out.view(target)[...] = clamped(product, target)


def clamped(x: Array, dtype: Dtype) -> Array:
    """`x` rounded once to `dtype`, its magnitude at most the largest finite one."""
    if dtype.kind in "iu":
        low, high = float(np.iinfo(dtype).min), float(np.iinfo(dtype).max)
        if int(high) > np.iinfo(dtype).max:  # 64 bits: the float just below
            high = float(np.nextafter(high, 0))
        return np.clip(np.rint(x), low, high).astype(dtype)
    largest = largest_finite(dtype)
    return np.clip(x, -largest, largest).astype(dtype)


def largest_finite(dtype: Dtype) -> float:
    """The largest finite value of a float dtype."""
    return float(ml_dtypes.finfo(dtype).max)  # type: ignore[no-untyped-call]
