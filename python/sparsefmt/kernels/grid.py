"""Definition of the kernel for unsigned codes whose scales and zero points stand in groups of columns, in any order."""

import numpy as np

from sparsefmt.base.dtypes import DTYPES, Array
from sparsefmt.kernels.affine import largest_finite
from sparsefmt.kernels.registry import kernel

DTYPES_OF_GRID = ("float16", "bfloat16", "float32")
"""The dtypes that the kernel takes."""


@kernel
def grid_decode(
    codes: Array, bits: int, scale: Array, point: Array, at: Array, dtype: str, finite: int, out: Array
) -> None:
    """Writes (code - point) * scale to the items `out` (rows, cols): float32, rounded once to the dtype.

    `codes` has a byte for each, or with `bits` 4 a byte for two, the first one low, rows on bytes. `scale` and `point`
    are float32 (rows or 1, groups), `at` (cols,) int32 names the group of each column. A product beyond the dtype is
    infinite, and NaN the one of NumPy; with `finite` 1 the largest finite value and 0. Takes float16, bfloat16 and
    float32.
    """
    target, shape = DTYPES[dtype], out.shape
    if bits == 4:
        codes = np.stack([codes & 15, codes >> 4], axis=-1).reshape(len(codes), 2 * codes.shape[1])[:, : shape[1]]
    with np.errstate(all="ignore"):
        x = (codes.astype(np.float32) - np.take(point, at, axis=1)) * np.take(scale, at, axis=1)
        x[np.isnan(x)] = 0 if finite else np.nan
        if finite:
            largest = largest_finite(target)
            x = np.clip(x, -largest, largest)
        out.view(target)[...] = x
