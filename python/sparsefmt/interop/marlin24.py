"""Marlin-24: 2:4 weights of 4 or 8 bits in the order in which a GPU kernel loads them.

How the order was found and what it is: docs/formats/marlin24.md.
"""

import numpy as np

from sparsefmt.base.alloc import empty
from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import FormatError
from sparsefmt.codecs.raw import Raw
from sparsefmt.interop import integer_grid
from sparsefmt.interop.integer_grid import Grid
from sparsefmt.interop.integer_words import turned, word_array
from sparsefmt.interop.layouts24 import from_nibbles24
from sparsefmt.kernels.marlin24 import TILE, marlin24_codes, marlin24_meta, plain_units
from sparsefmt.structures.nm import Nm
from sparsefmt.tensor.sparse import SparseTensor

_SCALES = 64  # scales that are permuted together


def scale_order(groups: int) -> Array:
    """Which of 64 scales stands at each position: in order, but from 3 groups on pairs four apart side by side.

    The writer compared the group with the kept inputs, half of all, so two groups stay in order as one does.
    """
    if groups <= 2:
        return np.arange(_SCALES)
    return np.arange(_SCALES).reshape(8, 2, 4).transpose(0, 2, 1).reshape(-1)


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
    if bits not in (4, 8):
        msg = f"marlin-24 holds 4 or 8 bits, got {bits}"
        raise FormatError(msg)
    words = word_array("weight_packed", packed)
    if scale.ndim != 2 or scale.dtype.kind not in "fV" or not scale.size or scale.shape[1] % _SCALES:
        msg = f"scale_packed: want floats of shape (groups, multiple of {_SCALES}), got {scale.dtype} of {scale.shape}"
        raise FormatError(msg)
    (groups, outputs), inputs = scale.shape, 32 * len(words)
    if words.shape[1] * (32 // bits) != outputs * TILE:
        want = outputs * TILE * bits // 32
        msg = f"weight_packed: want {want} words a row for {outputs} outputs, got {words.shape[1]}"
        raise FormatError(msg)
    if meta.dtype.itemsize != 2 or meta.dtype.kind not in "iu" or meta.size != outputs * inputs // 16:
        msg = f"meta: want {outputs * inputs // 16} int16, got {meta.dtype} of shape {meta.shape}"
        raise FormatError(msg)
    if inputs % groups or (groups > 1 and inputs // groups % 4):
        msg = f"scale_packed: {groups} groups do not divide {inputs} inputs"
        raise FormatError(msg)
    codes = empty((outputs, inputs // 2 * bits // 8), np.uint8, "codes")
    marlin24_codes(words, bits, codes)
    structure = _positions(np.ascontiguousarray(meta).view(np.uint16).reshape(-1), (outputs, inputs))
    plain_scale = np.empty_like(scale).reshape(-1, _SCALES)
    plain_scale[:, scale_order(groups)] = scale.reshape(-1, _SCALES)
    grid = turned(plain_scale.reshape(groups, outputs))
    group = 0 if groups == 1 else inputs // groups
    whole = Grid(codes, bits, grid, None, group, scale.dtype, pairs=bits == 4, signed=True)
    reason = integer_grid.obstacle(whole)
    if not reason:
        return integer_grid.packed(structure, whole), ""
    kept = codes if bits == 8 else np.stack([codes & 15, codes >> 4], axis=-1).reshape(outputs, -1)
    signed = kept.view(np.int8) if bits == 8 else (kept.view(np.int8) ^ np.int8(8)) - np.int8(8)
    dense = SparseTensor(structure, Raw(np.ascontiguousarray(signed)), (outputs, inputs)).to_dense()
    return integer_grid.dense_values(whole._replace(codes=dense.view(np.uint8), bits=8, pairs=False)), reason


def _positions(units: Array, shape: tuple[int, int]) -> Nm:
    """The structure of positions in the order of tiles.

    Raises:
        FormatError: a nibble that names no two positions.
    """
    outputs, inputs = shape
    held = empty((outputs, inputs // 32 * 3), np.uint8, "codes of groups")
    if not marlin24_meta(units, held):
        return Nm(held, 2, 4, shape, check=False)
    from_nibbles24(np.zeros((outputs, inputs // 2), np.int8), plain_units(units, outputs, inputs), inputs)
    msg = "meta changed while it was read"
    raise FormatError(msg)
