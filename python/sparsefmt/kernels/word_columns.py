"""Definition of the kernel for codes in words along the columns, whose groups come in any order."""

import numpy as np

from sparsefmt.base.dtypes import DTYPES, Array
from sparsefmt.kernels.registry import kernel

DTYPES_OF_COLUMNS = ("float16", "bfloat16")
"""The dtypes that the kernel takes."""


@kernel
def word_columns_decode(words: Array, scale: Array, point: Array, at: Array, dtype: str, out: Array) -> None:
    """Writes (code - point) * scale to the items `out` (rows, columns): float32, rounded once to the dtype.

    `words` is (columns / 8, rows) uint32, each the codes of eight columns of a row, 4 bits, low ones first. `scale` and
    `point` are float32 (groups, rows), `at` (columns,) int32 names the group of each column. A product beyond the dtype
    is infinite, and NaN the one of NumPy. Takes float16 and bfloat16.
    """
    shifts = np.arange(0, 32, 4, dtype=np.uint32)
    codes = ((words[:, None, :] >> shifts[:, None]) & np.uint32(15)).reshape(out.shape[1], out.shape[0])
    with np.errstate(all="ignore"):
        x = (codes.astype(np.float32) - np.take(point, at, axis=0)) * np.take(scale, at, axis=0)
        x[np.isnan(x)] = np.nan
        out.view(DTYPES[dtype])[...] = x.T
