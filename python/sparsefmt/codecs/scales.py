"""Scales and zero points: the grid on the dense matrix, and how its entries follow from the stored values."""

from typing import Any

import numpy as np

from sparsefmt.base.alloc import empty, repeated, spread, zeros
from sparsefmt.base.dtypes import Array, Dtype
from sparsefmt.base.errors import CodecError
from sparsefmt.codecs.base import Layout
from sparsefmt.kernels.affine import affine_extremes, compute_dtype, quotients
from sparsefmt.kernels.segments import segment_extremes

ROW, TENSOR = 0, -1  # a group of columns that is the whole row, or shared by all rows


def grid_shape(shape: tuple[int, int], group: int) -> tuple[int, int]:
    """The shape of the scales of a matrix."""
    if group == TENSOR:
        return 1, 1
    return shape[0], 1 if group == ROW else -(-shape[1] // group)


def columns(shape: tuple[int, int], group: int) -> int:
    """Columns per scale, at least 1."""
    return max(shape[1] if group in (ROW, TENSOR) else group, 1)


def slot_grid(grid: Array, group: int, row: Array, col: Array) -> Array:
    """The entry of a grid for every slot at `row`, `col`."""
    if group == TENSOR:
        return spread(grid.reshape(-1)[:1], row.shape, "scales of slots")
    return np.asarray(grid[row, 0 if group == ROW else col // group])


def part_entries(part: Layout, grid: Array, group: int) -> Array | None:
    """The entry of `grid`, of the rows of `part`, for every slot of its body; None where its slots are scattered."""
    if group == TENSOR:
        return grid.reshape(-1)[:1]
    per, rows = part.slot_group(columns(part.shape, group)), part.shape[0]
    if per is not None and rows:
        row = part.slots // rows
        return repeated(grid, min(per, row), 1, "scales of slots")[:, :row]  # a group may be wider than the row by far
    offsets = part.slot_offsets(columns(part.shape, group))
    return None if offsets is None else repeated(grid.reshape(-1), np.diff(offsets), 0, "scales of slots")


def extremes(structure: Layout, values: Array, group: int) -> tuple[Array, Array]:
    """min(0, smallest) and max(0, largest) of the stored values of every group.

    Raises:
        CodecError: a value is NaN or infinite.
    """
    compute = compute_dtype(values.dtype)
    shape = grid_shape(structure.shape, group)
    low, high = zeros(shape, compute, "extremes of groups"), zeros(shape, compute, "extremes of groups")
    per = structure.slot_group(columns(structure.shape, group))
    body = structure.body(values)
    if body.size and per is not None and not structure.padded:
        rows = (structure.shape[0], shape[1])
        lows, highs = (low, high) if shape == rows else (empty(rows, compute), empty(rows, compute))
        unsigned = body.view(f"u{body.itemsize}")
        affine_extremes(unsigned, values.dtype.name, per, lows, highs)
        if group == TENSOR:
            low[...], high[...] = lows.min(), highs.max()
    elif body.size and group == TENSOR and not structure.padded:
        affine_extremes(body.reshape(1, -1).view(f"u{body.itemsize}"), values.dtype.name, body.size, low, high)
    elif body.size and (offsets := structure.slot_offsets(columns(structure.shape, group))) is not None:
        unsigned = body.view(f"u{body.itemsize}")
        segment_extremes(unsigned, values.dtype.name, offsets, low.reshape(-1), high.reshape(-1))
    elif body.size:
        for w in structure.windows():
            row, col = w.part.coords()
            x = body[w.start : w.stop].astype(compute)
            with np.errstate(all="ignore"):
                if group == TENSOR:
                    low[...], high[...] = np.minimum(low, x.min(initial=0)), np.maximum(high, x.max(initial=0))
                    continue
                at: Any = (row + w.row, 0 if group == ROW else (col + w.col) // group)
                np.minimum.at(low, at, x)
                np.maximum.at(high, at, x)
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise not_finite(structure, body)
    return low, high


def not_finite(structure: Layout, body: Array) -> CodecError:
    """The error that names the first value that is NaN or infinite."""
    for w in structure.windows():
        x = body[w.start : w.stop].astype(np.float64)
        bad = ~np.isfinite(x)
        if bad.any():
            row, col = (np.broadcast_to(a, x.shape)[bad][0] for a in w.part.coords())
            return CodecError(
                f"row {int(row) + w.row}, column {int(col) + w.col} holds {x[bad][0]}; integer codes hold finite values"
            )
    return CodecError("the values changed while they were read; do not write to them during a call")


def rounded_scale(span: Array, steps: int, dtype: Dtype) -> Array:
    """`span / steps` in the scale dtype; 1 where the span is 0; rounded up where it is subnormal and too small.

    Raises:
        CodecError: a scale is beyond the dtype.
    """
    scale = quotients(span, steps, dtype)
    if not np.isfinite(scale).all():
        way = "; use the option :f32" if dtype == np.float16 else ""
        msg = f"the scale {float((span / span.dtype.type(steps)).max()):.6g} is beyond {dtype}{way}"
        raise CodecError(msg)
    return scale


def make_scales(
    low: Array, high: Array, bits: int, asym: bool, dtype: Dtype, whole: bool
) -> tuple[Array, Array | None]:
    """Scales, and zero points (uint8) for asymmetric codes, from the extremes of every group.

    `whole`: the values are integers, and the scale is 1.

    Raises:
        CodecError: a scale is beyond the dtype, or integers that have no code.
    """
    steps = 2**bits - 1 if asym else 2 ** (bits - 1) - 1
    with np.errstate(all="ignore"):
        span = high - low if asym else np.maximum(-low, high)
    if whole:
        if span.size and span.max() > steps:
            what = "a range" if asym else "a magnitude"
            msg = f"integers with {what} of {int(span.max())} have no int{bits} code (at most {steps}); cast to a float"
            raise CodecError(msg)
        scale = np.ones(span.shape, dtype)
    else:
        scale = rounded_scale(span, steps, dtype)
    if not asym:
        return scale, None
    with np.errstate(all="ignore"):
        zero_point = np.clip(np.rint(-low / scale.astype(low.dtype)), 0, steps)
    return scale, zero_point.astype(np.uint8)
