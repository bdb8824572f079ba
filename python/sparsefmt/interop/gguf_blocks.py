"""The block formats of GGUF as values in float32, in the order of operations of their own reference code.

Source: ggml, `ggml-common.h` and `ggml-quants.c` (the layout of the blocks). A decoder takes blocks (count, bytes) and
returns (count, elements) float32.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from sparsefmt.base.dtypes import Array

Decoder = Callable[[Array], Array]
SUPER = 256  # elements of a K-quant


class BlockType(NamedTuple):
    """A type of tensors in a file: elements and bytes of a block, and how it is decoded."""

    name: str
    elements: int
    nbytes: int
    decode: Decoder


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


BLOCKS: dict[int, BlockType] = {
    2: BlockType("Q4_0", 32, 18, _q4_0),
    3: BlockType("Q4_1", 32, 20, _q4_1),
    6: BlockType("Q5_0", 32, 22, _q5_0),
    7: BlockType("Q5_1", 32, 24, _q5_1),
    8: BlockType("Q8_0", 32, 34, _q8_0),
    10: BlockType("Q2_K", SUPER, 84, _q2_k),
    11: BlockType("Q3_K", SUPER, 110, _q3_k),
    12: BlockType("Q4_K", SUPER, 144, _q4_k),
    13: BlockType("Q5_K", SUPER, 176, _q5_k),
    14: BlockType("Q6_K", SUPER, 210, _q6_k),
}
"""By the number that a file has for the type."""
