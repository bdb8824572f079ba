"""Weights that GPTQ and AWQ quantised: codes along inputs or outputs of 32-bit words, with zero points."""

import numpy as np

from sparsefmt.base.alloc import empty
from sparsefmt.base.dtypes import Array, Dtype, items
from sparsefmt.base.errors import FormatError
from sparsefmt.interop import integer_grid
from sparsefmt.interop.integer_grid import Grid
from sparsefmt.interop.integer_words import turned, turned_words, unpack_stream, word_array
from sparsefmt.kernels.word_columns import DTYPES_OF_COLUMNS, word_columns_decode
from sparsefmt.kernels.words import awq_turn
from sparsefmt.tensor.sparse import SparseTensor


def from_gptq(
    qweight: Array,
    qzeros: Array,
    scales: Array,
    g_idx: Array | None = None,
    *,
    bits: int = 4,
    zeros_minus_one: bool = True,
    group_size: int | None = None,
    dtype: Dtype | None = None,
) -> tuple[SparseTensor | Array, str]:
    """The weight of a GPTQ layer, (outputs, inputs).

    Args:
        qweight: (inputs * bits / 32, outputs) int32, codes along the inputs, low bits first.
        qzeros: (groups, outputs * bits / 32) int32, codes along the outputs.
        scales: (groups, outputs) floats.
        g_idx: (inputs,) the group of every input; None: in order.
        bits: 2, 3, 4 or 8.
        zeros_minus_one: whether zero points are stored less one, as the first version of the format has them.
        group_size: inputs of a group, where the last may be short; default: what g_idx says, else groups are alike.
        dtype: of the weights; default that of the scales.

    Returns:
        A dense tensor with `:asym` codes and "", or the values and the reason why they are not packed: inputs whose
        groups are not in order (act order), zero points of 2**bits, scales of zero and less. One rounding, of
        (code - zero point) * scale.

    Raises:
        FormatError: arrays that do not fit each other.

    Source: AutoGPTQ 0.7 and GPTQModel 2, `nn_modules/qlinear`.

    >>> words, zeros = np.full((1, 8), 0x7654_3210, np.int32), np.full((1, 1), 0x7777_7777, np.int32)
    >>> from_gptq(words, zeros, np.ones((1, 8), np.float16))[0].to_dense()[0]
    array([-8., -7., -6., -5., -4., -3., -2., -1.], dtype=float16)
    """
    if bits not in (2, 3, 4, 8):
        msg = f"GPTQ has 2, 3, 4 or 8 bits, got {bits}"
        raise FormatError(msg)
    groups, outputs = _scales_shape(scales)
    words = word_array("qweight", qweight)
    if words.shape[1] != outputs or words.shape[0] * 32 % bits:
        msg = f"qweight: want (inputs * {bits} / 32, {outputs}), got {words.shape}"
        raise FormatError(msg)
    inputs = words.shape[0] * 32 // bits
    zeros = unpack_stream(word_array("qzeros", qzeros, (groups, -(-outputs * bits // 32))), bits, outputs)
    point = turned(zeros.astype(np.int32) + np.int32(zeros_minus_one))
    group = _group(inputs, groups, group_size, g_idx)
    grid = _grid(words, group, scales, point, bits, dtype)
    taken = bits == 4 and grid.dtype.name in DTYPES_OF_COLUMNS
    if taken and not integer_grid.is_in_order(grid, inputs, g_idx):
        return _act_order(words, scales, point, np.asarray(g_idx), grid.dtype), integer_grid.ACT_ORDER
    return integer_grid.ordered(integer_grid.with_words(grid, turned_words(words), inputs, across=True), g_idx)


def _act_order(words: Array, scales: Array, point: Array, g_idx: Array, dtype: Dtype) -> Array:
    """(outputs, inputs) of the values of words (inputs / 8, outputs) whose inputs have any groups."""
    out = empty((words.shape[1], len(g_idx)), dtype, "the values of integer codes")
    grids = np.ascontiguousarray(integer_grid.single(scales)), np.ascontiguousarray(point.T, np.float32)
    word_columns_decode(words, *grids, g_idx.astype(np.int32), dtype.name, items(out))
    return out


def from_awq(
    qweight: Array, qzeros: Array, scales: Array, *, group_size: int | None = None, dtype: Dtype | None = None
) -> tuple[SparseTensor | Array, str]:
    """The weight of an AWQ layer (4 bits, version GEMM), (outputs, inputs).

    Args:
        qweight: (inputs, outputs / 8) int32; outputs 0, 2, 4, 6, 1, 3, 5, 7 of eight, low nibble first.
        qzeros: (groups, outputs / 8) int32, in the same order.
        scales: (groups, outputs) floats.
        group_size: inputs of a group, where the last may be short; default: groups are alike.
        dtype: of the weights; default that of the scales.

    Returns:
        A dense tensor of format dense/int4:gK:asym and "", or the values and the reason.

    Raises:
        FormatError: arrays that do not fit each other.

    Source: AutoAWQ 0.2, `awq/utils/packing_utils.py`.

    >>> words, zeros = np.full((1, 1), 0x7531_6420, np.int32), np.zeros((1, 1), np.int32)
    >>> from_awq(words, zeros, np.ones((1, 8), np.float16))[0].to_dense().ravel()
    array([0., 1., 2., 3., 4., 5., 6., 7.], dtype=float16)
    """
    groups, outputs = _scales_shape(scales)
    words = word_array("qweight", qweight)
    if outputs % 8 or words.shape[1] != outputs // 8:
        msg = f"qweight: want (inputs, {outputs} / 8), got {words.shape}"
        raise FormatError(msg)
    zeros = word_array("qzeros", qzeros, (groups, outputs // 8))
    codes = _awq_pairs(words)
    point = _single_codes(_awq_pairs(zeros), groups).astype(np.int32)
    inputs = len(words)
    group = _group(inputs, groups, group_size)
    grid = _grid(codes, group, scales, point, 4, dtype)
    if inputs % 2:
        return integer_grid.value(grid._replace(codes=_single_codes(codes, inputs)))
    return integer_grid.value(grid._replace(pairs=True))


def _awq_pairs(words: Array) -> Array:
    """(outputs, ceil(inputs / 2)): the nibbles of words (inputs, outputs / 8), in the order of the outputs."""
    out = empty((8 * words.shape[1], -(-len(words) // 2)), np.uint8, "codes")
    awq_turn(words, out)
    return out


def _single_codes(pairs: Array, count: int) -> Array:
    """Codes a byte each."""
    return np.stack([pairs & 15, pairs >> 4], axis=-1).reshape(len(pairs), -1)[:, :count]


def _scales_shape(scales: Array) -> tuple[int, int]:
    if scales.ndim != 2 or scales.dtype.kind not in "fV" or not scales.size:
        msg = f"scales: want floats of shape (groups, outputs), got {scales.dtype} of shape {scales.shape}"
        raise FormatError(msg)
    groups, outputs = scales.shape
    return groups, outputs


def _group(inputs: int, groups: int, size: int | None, g_idx: Array | None = None) -> int:
    if not inputs:
        msg = f"scales: {groups} groups do not divide 0 inputs"
        raise FormatError(msg)
    return integer_grid.columns_per_scale(inputs, groups, size, g_idx)


def _grid(codes: Array, group: int, scales: Array, point: Array, bits: int, dtype: Dtype | None) -> Grid:
    """Codes of (outputs, inputs), scales (groups, outputs), zero points (outputs, groups)."""
    scale = turned(scales)
    return Grid(codes, bits, scale, point, group, scale.dtype if dtype is None else dtype)
