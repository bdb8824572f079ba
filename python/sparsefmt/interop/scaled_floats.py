"""Weights in 8 and 4 bits of floating point with scales: block scales of FP8, ModelOpt, NVFP4."""

import numpy as np

from sparsefmt.base.alloc import empty
from sparsefmt.base.dtypes import DTYPES, Array, Dtype, items
from sparsefmt.base.errors import FormatError
from sparsefmt.interop.chunks import in_chunks
from sparsefmt.interop.integer_grid import single
from sparsefmt.kernels.scaled_floats import blocks_lut, nibbles_lut

_FP4 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6], np.float32)
E2M1 = np.concatenate([_FP4, -_FP4])
"""The values of FP4 (E2M1) by code."""

_GROUP = 16  # columns of a scale
_BLOCK_BYTES = 1 << 20
_TABLES = 1 << 18  # values of codes under all scales that are found together


def from_block_scales(
    weight: Array, scale: Array, block: tuple[int, int] = (128, 128), dtype: Dtype = DTYPES["bfloat16"]
) -> Array:
    """FP8 weights times a scale for every block.

    Args:
        weight: (rows, cols) float8_e4m3fn or float8_e5m2.
        scale: (ceil(rows / R), ceil(cols / C)) floats, what a block is multiplied by (`weight_scale_inv`); (rows, 1)
            with blocks of one row, or one element.
        block: R and C.
        dtype: of the result.

    Returns:
        (rows, cols) of `dtype`: the product in float32, rounded once.

    Raises:
        FormatError: shapes that do not fit.

    Source: DeepSeek-V3, `inference/fp8_cast_bf16.py`.

    >>> w = np.ones((2, 3), DTYPES["float8_e4m3fn"])
    >>> from_block_scales(w, np.array([[2., 3.]], np.float32), (2, 2))[1]
    array([2, 2, 3], dtype=bfloat16)
    """
    if weight.ndim != 2 or weight.dtype.itemsize != 1 or weight.dtype.kind not in "fV":
        msg = f"weight: want a matrix of float8, got {weight.dtype} of shape {weight.shape}"
        raise FormatError(msg)
    rows, cols = weight.shape
    want = (-(-rows // block[0]), -(-cols // block[1]))
    if scale.size == 1:
        block, scale = (max(rows, 1), max(cols, 1)), scale.reshape(1, 1)
    elif scale.shape != want:
        msg = f"scale: want shape {want} for blocks of {block[0]}x{block[1]}, got {scale.shape}"
        raise FormatError(msg)
    out = empty(weight.shape, dtype, "the values of scaled float8")
    codes, factor = np.ascontiguousarray(weight).view(np.uint8), single(scale)
    every = np.arange(256, dtype=np.uint8).view(weight.dtype).astype(np.float32)
    raw, tall = items(out), max(_TABLES // (256 * max(factor.shape[1], 1)), 1)
    for top in range(0, len(factor), tall):
        part = slice(top * block[0], (top + tall) * block[0])
        with np.errstate(over="ignore", invalid="ignore"):
            tables = (factor[top : top + tall].reshape(-1, 1) * every).astype(dtype)
        blocks_lut(codes[part], items(tables), block, raw[part])
    return out


def from_nvfp4(weight: Array, scale: Array, scale_2: Array, dtype: Dtype = DTYPES["bfloat16"]) -> Array:
    """NVFP4 weights: two FP4 codes a byte, a float8 scale per 16 columns, one float32 scale for all.

    Args:
        weight: (rows, cols / 2) uint8, low nibble first.
        scale: (rows, cols / 16) float8_e4m3fn.
        scale_2: one float32.
        dtype: of the result.

    Returns:
        (rows, cols) of `dtype`: code * (scale * scale_2) in float32, rounded once.

    Raises:
        FormatError: shapes that do not fit.

    Source: TensorRT-ModelOpt 0.33, `nvfp4_tensor.py`.

    >>> from_nvfp4(np.full((1, 8), 0x72, np.uint8), np.ones((1, 1), DTYPES["float8_e4m3fn"]), np.float32([2.]))[0, :2]
    array([2, 12], dtype=bfloat16)
    """
    if weight.ndim != 2 or weight.dtype != np.uint8 or scale.shape != (len(weight), -(-weight.shape[1] // 8)):
        msg = f"want uint8 (rows, cols / 2) and scales (rows, cols / 16), got {weight.shape} and {scale.shape}"
        raise FormatError(msg)
    if scale.dtype.itemsize != 1:
        msg = f"scale: want float8, got {scale.dtype}"
        raise FormatError(msg)
    if scale_2.size != 1:
        msg = f"weight_scale_2: want one scale, got shape {scale_2.shape}"
        raise FormatError(msg)
    rows, cols = len(weight), 2 * weight.shape[1]
    out = empty((rows, cols), dtype, "the values of FP4")
    with np.errstate(over="ignore", invalid="ignore"):
        factor = np.arange(256, dtype=np.uint8).view(scale.dtype).astype(np.float32) * single(scale_2.reshape(1, 1))
        tables = (factor.reshape(256, 1) * E2M1).astype(dtype)
    which = np.ascontiguousarray(scale).view(np.uint8)
    if dtype.itemsize == 2:
        nibbles_lut(np.ascontiguousarray(weight), which, items(tables), _GROUP, items(out))
        return out

    def decode(low: int, high: int) -> None:
        each = np.stack([weight[low:high] & 15, weight[low:high] >> 4], axis=-1).reshape(high - low, cols)
        out[low:high] = tables[np.repeat(which[low:high], _GROUP, axis=1)[:, :cols], each]

    in_chunks(rows, max(_BLOCK_BYTES // max(4 * cols, 1), 1), decode)
    return out
