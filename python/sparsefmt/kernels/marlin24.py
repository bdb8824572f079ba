"""Definitions of the kernels that put marlin-24 into rows of outputs. The order: docs/formats/marlin24.md."""

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.kernels.registry import kernel

TILE = 16  # rows of kept inputs, and columns of outputs, that stand together
NIBBLES = (0x4, 0x8, 0x9, 0xC, 0xD, 0xE)
"""Positions of two slots in four columns, i0 | i1 << 2, by code of nm2:4."""
CODES = np.full(16, 255, np.uint8)
"""By nibble; 255 where it names no two positions."""
CODES[list(NIBBLES)] = np.arange(6)

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


@kernel
def marlin24_codes(words: Array, bits: int, out: Array) -> None:
    """Writes the codes of `words` (inputs / 32, outputs * bits / 2) uint32 in rows of outputs, as two's complement.

    `out` is (outputs, inputs / 2 * bits / 8) uint8, two codes of 4 bits a byte, the first one low. Outputs come in 64s,
    `bits` is 4 or 8.
    """
    outputs, order = len(out), code_order(bits)
    shifts = np.arange(0, 32, bits, dtype=np.uint32)
    stream = ((words[:, :, None] >> shifts) & np.uint32(2**bits - 1)).astype(np.uint8).reshape(-1, len(order))
    tiles = np.take(stream, np.argsort(order), axis=1)
    kept = tiles.reshape(len(words), outputs // TILE, TILE, TILE).transpose(0, 2, 1, 3)
    codes = kept.reshape(len(words) * TILE, outputs).T ^ np.uint8(1 << (bits - 1))
    out[...] = codes if bits == 8 else codes[:, 0::2] | (codes[:, 1::2] << np.uint8(4))


def plain_units(units: Array, outputs: int, inputs: int) -> Array:
    """Positions in plain order: (outputs, inputs / 8) uint8, two groups of four columns a byte.

    A unit is 16 bits of four groups, (output, column of units). The number of its place in memory has, from the
    highest bit down: the pair of columns, output / 64, bit 1 of the output, its bits 5, 4, 3, bit 0, the parity of the
    column, and bit 2 of the output.
    """
    columns = inputs // 16
    stored = units.reshape(columns // 2, outputs // 64, 2, 8, 2, 2, 2)
    plain = stored.transpose(1, 3, 6, 2, 4, 0, 5)
    return np.ascontiguousarray(plain).reshape(outputs, columns).view(np.uint8)


@kernel
def marlin24_meta(units: Array, codes: Array) -> int:
    """Writes the codes of nm2:4 of positions, flat uint16 in their order, to `codes` (outputs, 3 * inputs / 32) uint8.

    Outputs come in 64s, inputs in 32s. Returns 0, or 1 where a nibble names no two positions; the codes are unspecified
    then.
    """
    outputs, inputs = len(codes), codes.shape[1] // 3 * 32
    plain = plain_units(units, outputs, inputs)
    ranks = CODES[np.stack([plain & 15, plain >> 4], axis=-1).reshape(outputs, inputs // 32, 8)]
    if (ranks == 255).any():
        return 1
    words = (ranks.astype(np.uint32) << np.arange(0, 24, 3, dtype=np.uint32)).sum(axis=2, dtype=np.uint32)
    codes[...] = words.view(np.uint8).reshape(outputs, inputs // 32, 4)[:, :, :3].reshape(codes.shape)
    return 0
