"""Marlin-24: 2:4 weights of 4 or 8 bits in the order in which a GPU kernel loads them.

How the order was found and what it is: docs/formats/marlin24.md.
"""

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import FormatError
from sparsefmt.interop import integer_grid
from sparsefmt.interop.integer_grid import Grid
from sparsefmt.interop.integer_words import unpack_words, word_array
from sparsefmt.interop.layouts24 import from_nibbles24
from sparsefmt.tensor.sparse import SparseTensor

_TILE = 16  # rows of kept inputs, and columns of outputs, that stand together
_SCALES = 64  # scales that are permuted together
_INTERLEAVED = {4: (0, 2, 4, 6, 1, 3, 5, 7), 8: (0, 2, 1, 3)}


def code_order(bits: int) -> Array:
    """Which element of four tiles (1024 codes, tile by tile, row by row) stands at each position of the stream."""
    lane = np.arange(32)[:, None, None, None]  # threads of a warp
    step = np.arange(4)[None, :, None, None]  # four neighbouring columns
    half = np.arange(2)[None, None, :, None]  # which half of eight columns
    row = np.array([0, 1, 8, 9])[None, None, None, :]  # as one thread holds them for a matrix instruction
    place = 16 * (2 * (lane % 4) + row) + 256 * (lane // 8) + 8 * (lane // 4 % 2) + 4 * half + step
    inner = np.array(_INTERLEAVED[bits])
    return np.asarray(place.reshape(-1, len(inner))[:, inner].reshape(-1))


def scale_order(groups: int) -> Array:
    """Which of 64 scales stands at each position: in order, but from 3 groups on pairs four apart side by side.

    The writer compared the group with the kept inputs, half of all, so two groups stay in order as one does.
    """
    if groups <= 2:
        return np.arange(_SCALES)
    return np.arange(_SCALES).reshape(8, 2, 4).transpose(0, 2, 1).reshape(-1)


def plain_meta(meta: Array, outputs: int, inputs: int) -> Array:
    """Positions in plain order: (outputs, inputs / 8) uint8, two groups of four columns a byte.

    A unit is an int16 of four groups, (output, column of units). The number of its place in memory has, from the
    highest bit down: the pair of columns, output / 64, bit 1 of the output, its bits 5, 4, 3, bit 0, the parity of the
    column, and bit 2 of the output.
    """
    units = inputs // 16
    stored = meta.view(np.int16).reshape(units // 2, outputs // 64, 2, 8, 2, 2, 2)
    plain = stored.transpose(1, 3, 6, 2, 4, 0, 5)
    return np.ascontiguousarray(plain).reshape(outputs, units).view(np.uint8)


def from_marlin24(packed: Array, scale: Array, meta: Array, bits: int) -> tuple[SparseTensor | Array, str]:
    """The nm2:4 weight of a layer in marlin-24: the same codes, scales and positions, in the plain order.

    Args:
        packed: (inputs / 32, outputs * 16 * bits / 32) int32.
        scale: (groups, outputs) float16: one group, or one for every 128 inputs.
        meta: int16, outputs * inputs / 16 of them, positions in an order of tiles.
        bits: 4 or 8.

    Returns:
        A tensor (outputs, inputs) of format nm2:4/int4 or nm2:4/int8 and "", or its values and the reason why it
        cannot be packed. Nothing is lost.

    Raises:
        FormatError: arrays that do not fit each other, or positions that are none.

    Source: compressed-tensors 0.11 (`marlin_24.py`), which wrote such files; docs/formats/marlin24.md.

    >>> zero, meta = np.full((1, 128), -0x7777_7778, np.int32), np.full(128, 0x4444, np.int16)
    >>> from_marlin24(zero, np.ones((1, 64), np.float16), meta, 4)[0]
    <sparsefmt nm2:4/int4 of float16, shape (64, 32), 1024 slots, 832 bytes, 3.25 bits per weight>
    """
    if bits not in _INTERLEAVED:
        msg = f"marlin-24 holds 4 or 8 bits, got {bits}"
        raise FormatError(msg)
    words = word_array("weight_packed", packed)
    if scale.ndim != 2 or scale.dtype.kind not in "fV" or not scale.size or scale.shape[1] % _SCALES:
        msg = f"scale_packed: want floats of shape (groups, multiple of {_SCALES}), got {scale.dtype} of {scale.shape}"
        raise FormatError(msg)
    (groups, outputs), inputs = scale.shape, 32 * len(words)
    if words.shape[1] * (32 // bits) != outputs * _TILE:
        want = outputs * _TILE * bits // 32
        msg = f"weight_packed: want {want} words a row for {outputs} outputs, got {words.shape[1]}"
        raise FormatError(msg)
    if meta.dtype.itemsize != 2 or meta.dtype.kind not in "iu" or meta.size != outputs * inputs // 16:
        msg = f"meta: want {outputs * inputs // 16} int16, got {meta.dtype} of shape {meta.shape}"
        raise FormatError(msg)
    if inputs % groups or (groups > 1 and inputs // groups % 4):
        msg = f"scale_packed: {groups} groups do not divide {inputs} inputs"
        raise FormatError(msg)
    order = code_order(bits)
    stream = unpack_words(words, bits, outputs * _TILE).reshape(-1, len(order))
    tiles = np.take(stream, np.argsort(order), axis=1)
    kept = tiles.reshape(inputs // 32, outputs // _TILE, _TILE, _TILE).transpose(0, 2, 1, 3)
    codes = np.ascontiguousarray(kept.reshape(inputs // 2, outputs).T)
    plain_scale = np.empty_like(scale).reshape(-1, _SCALES)
    plain_scale[:, scale_order(groups)] = scale.reshape(-1, _SCALES)
    grid = np.ascontiguousarray(plain_scale.reshape(groups, outputs).T)
    nibbles = plain_meta(np.ascontiguousarray(meta), outputs, inputs)
    positions = from_nibbles24(codes, nibbles, inputs)
    whole = Grid(codes, bits, grid, None, 0 if groups == 1 else inputs // groups, scale.dtype)
    reason = integer_grid.obstacle(whole)
    if not reason:
        return integer_grid.packed(positions.structure, whole), ""
    signed = codes.astype(np.int16) - np.int16(1 << (bits - 1))
    return _values(from_nibbles24(signed, nibbles, inputs), grid, inputs // groups), reason


def _values(codes: SparseTensor, scale: Array, group: int) -> Array:
    with np.errstate(over="ignore", invalid="ignore"):
        spread = np.repeat(scale.astype(np.float32), group, axis=1)
        return np.asarray((codes.to_dense().astype(np.float32) * spread).astype(scale.dtype))
