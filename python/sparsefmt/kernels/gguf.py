"""Definitions of the kernels for blocks of GGUF: values in float32, in the order of operations of ggml's own code.

Source: ggml, `ggml-common.h` and `ggml-quants.c` (the layout of the blocks).
"""

from collections.abc import Callable

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.kernels.registry import kernel

SUPER = 256  # elements of a K-quant


def _half(blocks: Array, at: int) -> Array:
    """A float16 at a byte of every block, (count, 1) float32."""
    half: Array = np.ascontiguousarray(blocks[:, at : at + 2]).view(np.float16)
    return half.astype(np.float32)


def nibbles(blocks: Array, at: int, count: int) -> Array:
    """(blocks, 2 * count) uint8: the low nibbles of `count` bytes, then the high ones."""
    packed = blocks[:, at : at + count]
    return np.concatenate([packed & np.uint8(15), packed >> np.uint8(4)], axis=1)


def _fields(packed: Array, run: int, bits: int) -> Array:
    """Fields of `bits` bits: of every run of bytes first all low ones, then the next, (blocks, groups, run)."""
    shifts = np.arange(0, 8, bits, dtype=np.uint8).reshape(1, 1, -1, 1)
    each = (packed.reshape(len(packed), -1, 1, run) >> shifts) & np.uint8(2**bits - 1)
    return each.reshape(len(packed), -1, run)


def _high_bits(blocks: Array, at: int) -> Array:
    """(blocks, 32) uint8: the bits of a 32-bit word, low first."""
    return np.unpackbits(np.ascontiguousarray(blocks[:, at : at + 4]), axis=1, bitorder="little")


def _q8_0(b: Array) -> Array:
    return np.asarray(b[:, 2:].view(np.int8).astype(np.float32) * _half(b, 0))


def _q4_0(b: Array) -> Array:
    return np.asarray((nibbles(b, 2, 16).astype(np.int8) - np.int8(8)).astype(np.float32) * _half(b, 0))


def _q4_1(b: Array) -> Array:
    return nibbles(b, 4, 16).astype(np.float32) * _half(b, 0) + _half(b, 2)


def _q5_0(b: Array) -> Array:
    codes = (nibbles(b, 6, 16) | (_high_bits(b, 2) << np.uint8(4))).astype(np.int8) - np.int8(16)
    return np.asarray(codes.astype(np.float32) * _half(b, 0))


def _q5_1(b: Array) -> Array:
    codes = nibbles(b, 8, 16) | (_high_bits(b, 4) << np.uint8(4))
    return np.asarray(codes.astype(np.float32) * _half(b, 0) + _half(b, 2))


def _scaled(scale: Array, codes: Array, low: Array | None = None) -> Array:
    """Scale (count, groups) times codes (count, groups, run), less `low` (count, groups)."""
    out = scale[:, :, None] * codes.astype(np.float32)
    if low is not None:
        out -= low[:, :, None]
    return out.reshape(len(codes), SUPER)


def _q2_k(b: Array) -> Array:
    scales = b[:, :16]
    codes = _fields(b[:, 16:80], 32, 2).reshape(len(b), 16, 16)
    return _scaled(_half(b, 80) * (scales & np.uint8(15)), codes, _half(b, 82) * (scales >> np.uint8(4)))


def _q3_k(b: Array) -> Array:
    low = _fields(b[:, 32:96], 32, 2).reshape(len(b), 16, 16).astype(np.int8)
    high = _fields(b[:, :32], 32, 1).reshape(len(b), 16, 16).astype(np.int8)
    four = _fields(b[:, 96:104], 8, 4).reshape(len(b), 16)
    two = _fields(b[:, 104:108], 4, 2).reshape(len(b), 16)
    scales = (four | (two << np.uint8(4))).astype(np.int8) - np.int8(32)
    return _scaled(_half(b, 108) * scales, low - ((high ^ np.int8(1)) << np.int8(2)))


def _six_bit_pairs(packed: Array) -> tuple[Array, Array]:
    """Eight scales and eight minima of 6 bits in 12 bytes."""
    a, b, c = packed[:, :4], packed[:, 4:8], packed[:, 8:]
    scales = np.concatenate([a & np.uint8(63), (c & np.uint8(15)) | ((a >> np.uint8(2)) & np.uint8(48))], axis=1)
    minima = np.concatenate([b & np.uint8(63), (c >> np.uint8(4)) | ((b >> np.uint8(2)) & np.uint8(48))], axis=1)
    return scales, minima


def _q4_k(b: Array) -> Array:
    scales, minima = _six_bit_pairs(b[:, 4:16])
    return _scaled(_half(b, 0) * scales, _fields(b[:, 16:], 32, 4), _half(b, 2) * minima)


def _q5_k(b: Array) -> Array:
    scales, minima = _six_bit_pairs(b[:, 4:16])
    codes = _fields(b[:, 48:], 32, 4) | (_fields(b[:, 16:48], 32, 1) << np.uint8(4))
    return _scaled(_half(b, 0) * scales, codes, _half(b, 2) * minima)


def _q6_k(b: Array) -> Array:
    low = _fields(b[:, :128], 64, 4).reshape(len(b), 8, 32)
    codes = (low | (_fields(b[:, 128:192], 32, 2) << np.uint8(4))).astype(np.int8) - np.int8(32)
    scales = np.ascontiguousarray(b[:, 192:208]).view(np.int8)
    return _scaled(_half(b, 208) * scales, codes.reshape(len(b), 16, 16))


_DECODERS: dict[int, Callable[[Array], Array]] = {
    2: _q4_0,
    3: _q4_1,
    6: _q5_0,
    7: _q5_1,
    8: _q8_0,
    10: _q2_k,
    11: _q3_k,
    12: _q4_k,
    13: _q5_k,
    14: _q6_k,
}


@kernel
def gguf_decode(blocks: Array, kind: int, out: Array) -> None:
    """Writes the values of `blocks` (count, bytes) uint8 of the type that files number `kind` to `out` (count, values).

    float32; every product and sum is rounded. A NaN stays one, with other bits perhaps.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        out[...] = _DECODERS[kind](blocks) if len(blocks) else 0


def _scales(blocks: Array, scale: Array) -> tuple[Array, Array]:
    """Writes scales above 0 (flat uint16); which blocks had a negative one, and which a zero (blocks, 1)."""
    d = np.ascontiguousarray(blocks[:, :2]).view(np.float16)
    with np.errstate(invalid="ignore"):
        negative, zero = d < 0, d == 0
    scale[...] = np.where(zero, np.uint16(0x3C00), d.view(np.uint16) & np.uint16(0x7FFF)).reshape(-1)
    return negative, zero


@kernel
def gguf_q4_0_codes(blocks: Array, codes: Array, scale: Array, point: Array) -> None:
    """Takes `blocks` (count, 18) of Q4_0 apart: value = (code - 8) * d.

    `codes` (count, 16) uint8 hold two codes a byte, the first one low, `scale` (count,) the bits of float16 above 0,
    `point` (count,) uint8: with d < 0 the code is 15 - q and the zero point 7; with d = 0 all are at the zero point.
    """
    negative, zero = _scales(blocks, scale)
    each = nibbles(blocks, 2, 16)
    middle = np.where(negative, np.uint8(7), np.uint8(8))
    each = np.where(zero, middle, np.where(negative, np.uint8(15) - each, each))
    codes[...] = each[:, 0::2] | (each[:, 1::2] << np.uint8(4))
    point[...] = middle.reshape(-1)


@kernel
def gguf_q8_0_codes(blocks: Array, codes: Array, scale: Array) -> int:
    """Takes `blocks` (count, 34) of Q8_0 apart: value = code * d; with d < 0 the code is negated.

    `codes` is (count, 32) uint8, two's complement; `scale` as in `gguf_q4_0_codes`. Returns 0, or 1 where a code to
    negate is -128; the arrays are unspecified then.
    """
    negative, zero = _scales(blocks, scale)
    held = np.ascontiguousarray(blocks[:, 2:])
    codes[...] = np.where(zero, np.uint8(0), np.where(negative, -held, held))
    return int(((held == 128) & negative).any())
