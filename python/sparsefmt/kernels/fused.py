"""Definitions of the kernels that pack N:M and affine codes in one pass over the matrix."""

import numpy as np

from sparsefmt.arrays import DTYPES, Array, item_dtype
from sparsefmt.kernels.affine import affine_dequantize, affine_extremes, affine_quantize, compute_dtype, quotients
from sparsefmt.kernels.nm import nm_decode, nm_encode, nm_prune_encode
from sparsefmt.kernels.registry import kernel

SINGLES = ("float16", "bfloat16", "float32")  # the dtypes that these kernels take
_NONE = np.empty((0, 0), np.uint8)


def slots_per_scale(group: int, n: int, m: int, cols: int) -> int:
    """Slots of `group` columns, a multiple of m or the whole row."""
    return -(-min(group, cols) // m) * n


def nibbles(codes: Array) -> Array:
    """Two codes per byte, low nibble first; an odd last one of a row is completed by zeros."""
    pairs = np.zeros((codes.shape[0], -(-codes.shape[1] // 2), 2), np.uint8)
    pairs.reshape(len(codes), -1)[:, : codes.shape[1]] = codes & 15
    return np.asarray(pairs[..., 0] | pairs[..., 1] << 4)


@kernel
def nm_affine_encode(
    w: Array,
    zero: int,
    prune: int,
    dtype: str,
    n: int,
    m: int,
    group: int,
    bits: int,
    codes: Array,
    scale: Array,
    values: Array,
) -> int:
    """`nm_encode` (with `prune` 1: `nm_prune_encode`), then symmetric codes of 4 or 8 bits of the slots.

    `group` is a multiple of m, or at least the columns; `scale` is (rows, groups). `values` (rows, bytes) uint8 holds
    a byte per slot, or two codes per byte, low nibble first; then zeros. Takes float16, bfloat16 and float32.

    Gives 0, or 1 where a group has too many nonzeros, a value is not finite, or a scale is beyond its dtype; the
    arrays hold nothing of use then.
    """
    slots = np.zeros((len(w), -(-w.shape[1] // m) * n), w.dtype)
    values[...] = 0
    if prune:
        nm_prune_encode(w, zero, dtype, n, m, codes, slots)
    elif nm_encode(w, zero, n, m, codes, slots)[0]:
        return 1
    if not slots.size:
        return 0
    per, compute = slots_per_scale(group, n, m, w.shape[1]), compute_dtype(DTYPES[dtype])
    low, high = np.empty(scale.shape, compute), np.empty(scale.shape, compute)
    affine_extremes(slots, dtype, per, low, high)
    scale[...] = quotients(np.maximum(-low, high), 2 ** (bits - 1) - 1, scale.dtype)
    if not np.isfinite(scale).all():
        return 1
    made = np.empty(slots.shape, np.uint8)
    affine_quantize(slots, dtype, per, scale, _NONE, bits, made)
    packed: Array = made if bits == 8 else nibbles(made)
    values[:, : packed.shape[1]] = packed
    return 0


@kernel
def nm_affine_decode(
    codes: Array, values: Array, n: int, m: int, group: int, bits: int, scale: Array, dtype: str, out: Array
) -> None:
    """The inverse of `nm_affine_encode`: fills `out` (rows, cols). `scale` may have one row, or one entry in it."""
    count = -(-out.shape[1] // m) * n
    stored = values[:, : -(-count * bits // 8)]
    if bits == 4:
        stored = np.stack([stored & 15, stored >> 4], axis=-1).reshape(len(values), -1)[:, :count]
        stored = (stored ^ 8) - 8
    slots = np.zeros(stored.shape, item_dtype(DTYPES[dtype]))
    if slots.size:
        per = slots_per_scale(group, n, m, out.shape[1])
        affine_dequantize(np.ascontiguousarray(stored), per, scale, _NONE, dtype, slots)
    nm_decode(codes, slots, n, m, out)
