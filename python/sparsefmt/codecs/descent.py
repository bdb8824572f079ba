"""Integer codes chosen by the error of the outputs, not of each weight.

Minimises (Q - T) H (Q - T)' summed over rows, where Q = code * scale. Coordinate descent: one column after the other,
every row takes the best code given all others; between sweeps each row takes the best scales given its codes.
"""

from dataclasses import dataclass

import numpy as np

from sparsefmt.base.dtypes import Array, Dtype
from sparsefmt.base.errors import CodecError
from sparsefmt.codecs.scales import columns, grid_shape, make_scales
from sparsefmt.kernels.blas import matmul

SWEEPS = 6
_RATIOS = np.linspace(1.0, 0.5, 21)
_FEW = 0.001  # a sweep that changes fewer codes than this share is the last one


@dataclass(frozen=True)
class Chosen:
    """Scales, zero points, and the values that codes stand for."""

    values: Array
    """(rows, cols) float32: code times scale; 0 where nothing is kept."""
    scale: Array
    zero_point: Array | None


def choose_codes(
    target: Array, keep: Array, h: Array, *, bits: int, group: int, asym: bool, dtype: Dtype, start: Array | None = None
) -> Chosen:
    """Scales and codes for the kept positions of `target`.

    Args:
        target: (rows, cols), finite.
        keep: (rows, cols) bool.
        h: (cols, cols) second moments of the inputs, or their diagonal (cols,).
        bits: of a code.
        group: columns per scale; 0: the row; -1: the tensor.
        asym: whether codes have zero points.
        dtype: of the scales.
        start: the values to begin at, default the target on the kept positions.
    """
    begin = np.where(keep, target if start is None else start, 0).astype(np.float32)
    full, diagonal = h.astype(np.float32), (np.diagonal(h) if h.ndim == 2 else h).astype(np.float32)
    per = columns((target.shape[0], target.shape[1]), group)
    scale, point = _scales(begin, diagonal, bits, group, asym, dtype)
    low, high = (0, 2**bits - 1) if asym else (1 - 2 ** (bits - 1), 2 ** (bits - 1) - 1)
    zero = np.zeros(1, np.int32) if point is None else _spread(point.astype(np.int32), per, target.shape)
    bounds = np.broadcast_to(low - zero, target.shape), np.broadcast_to(high - zero, target.shape)
    wide = _spread(scale.astype(np.float32), per, target.shape)
    codes = _nearest(begin, wide, bounds) * keep
    if h.ndim == 1:
        return Chosen(codes * wide, scale, point)
    t = target.astype(np.float32)
    for sweep in range(SWEEPS):
        if sweep and group >= 0:
            scale = _best_scales(codes, t, full, scale, per)
            wide = _spread(scale.astype(np.float32), per, target.shape)
        if sweep_codes(codes, t, keep, full, wide, bounds) < _FEW * keep.sum():
            break
    return Chosen(codes * wide, scale, point)


def _spread(grid: Array, per: int, shape: tuple[int, ...]) -> Array:
    """The entry of the grid for every position."""
    return np.broadcast_to(np.repeat(grid, per, axis=1)[:, : shape[1]], shape)


def _nearest(values: Array, wide: Array, bounds: tuple[Array, Array]) -> Array:
    return np.clip(np.rint(values / wide), *bounds).astype(np.float32)


def _scales(
    values: Array, diagonal: Array, bits: int, group: int, asym: bool, dtype: Dtype
) -> tuple[Array, Array | None]:
    """The scales that lose least if inputs were independent, among some that cut the largest values off."""
    rows, cols = values.shape
    per = columns((rows, cols), group)
    grid = grid_shape((rows, cols), group)
    lead = (1, rows * per) if group < 0 else (rows, per)
    padded = np.zeros((rows, -(-cols // per) * per), np.float32)
    padded[:, :cols] = values
    cells = padded.reshape(lead[0], -1, lead[1])
    weight = np.zeros(padded.shape[1], np.float32)
    weight[:cols] = diagonal
    weights = np.broadcast_to(weight, padded.shape).reshape(cells.shape)
    lo, hi = np.minimum(cells.min(axis=2), 0).reshape(grid), np.maximum(cells.max(axis=2), 0).reshape(grid)
    steps = 2**bits - 1 if asym else 2 ** (bits - 1) - 1
    best: Array | None = None
    scale, point = make_scales(lo, hi, steps, asym, dtype, False)
    for ratio in _RATIOS:
        try:
            some, shift = make_scales(lo * np.float32(ratio), hi * np.float32(ratio), steps, asym, dtype, False)
        except CodecError:  # too small for the dtype: those before it are not
            break
        wide = some.astype(np.float32)[..., None]
        zero = 0 if shift is None else shift.astype(np.int32)[..., None]
        least, most = (0 - zero, steps - zero) if asym else (-steps, steps)
        lost = np.square(np.clip(np.rint(cells / wide), least, most) * wide - cells)
        cost = np.einsum("ijk,ijk->ij", lost, weights).reshape(grid)
        if best is None:
            best = cost
            continue
        better = cost < best
        best = np.where(better, cost, best)
        scale = np.where(better, some, scale)
        point = None if point is None or shift is None else np.where(better, shift, point)
    return scale, point


def sweep_codes(codes: Array, t: Array, keep: Array, h: Array, wide: Array, bounds: tuple[Array, Array]) -> int:
    """Brings every column of `codes` to its best, in place; returns how many codes changed."""
    diagonal, changed = np.diagonal(h), 0
    g = matmul(codes * wide - t, h)
    for low in range(0, codes.shape[1], 64):
        high = min(low + 64, codes.shape[1])
        steps = np.zeros((len(codes), high - low), np.float32)
        near = g[:, low:high].copy()
        for j in range(low, high):
            if not diagonal[j]:
                continue
            now, s = codes[:, j], wide[:, j]
            best = np.clip(np.rint(now - near[:, j - low] / (diagonal[j] * s)), bounds[0][:, j], bounds[1][:, j])
            moved = np.flatnonzero((best != now) & keep[:, j])
            if not len(moved):
                continue
            step = ((best - now) * s)[moved].astype(np.float32)
            codes[moved, j] = best[moved]
            steps[moved, j - low] = step
            near[moved] += step[:, None] * h[j, low:high]
            changed += len(moved)
        g[:, high:] += matmul(steps, h[low:high, high:])
        g[:, :low] += matmul(steps, h[low:high, :low])
    return changed


def _best_scales(codes: Array, t: Array, h: Array, scale: Array, per: int) -> Array:
    """The scales of each row that lose least for its codes; one that is not above 0 and finite stays what it was."""
    rows, groups = scale.shape
    cols = codes.shape[1]
    made = scale.copy()
    th = matmul(t, h)
    starts = np.arange(0, cols, per)
    right = np.add.reduceat(codes * th, starts, axis=1).astype(np.float64)
    left = np.empty((rows, groups, groups))
    for a, low in enumerate(starts):
        part = matmul(codes[:, low : low + per], h[low : low + per])
        left[:, a] = np.add.reduceat(part * codes, starts, axis=1)
    ridge = 1e-6 * np.einsum("rgg->r", left)[:, None, None] / groups + 1e-30
    solved = np.linalg.solve(left + ridge * np.eye(groups), right[..., None])[..., 0]
    with np.errstate(over="ignore"):
        rounded = solved.astype(scale.dtype)
    good = np.isfinite(rounded) & (rounded > 0) & (left.diagonal(axis1=1, axis2=2) > 0)
    made[good] = rounded[good]
    return made
