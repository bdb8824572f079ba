"""Definitions of the kernels for codes of 8 and 4 bits whose values, under the scale of a block, stand in tables."""

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.kernels.registry import kernel


@kernel
def blocks_lut(codes: Array, tables: Array, block: tuple[int, int], out: Array) -> None:
    """Writes `table[codes[r, c]]` to `out` (rows, cols), each block of so many rows and columns by a table of its own.

    `tables` is (blocks, 256) unsigned items, blocks row by row.
    """
    rows, cols = codes.shape
    tall, wide = block
    across = -(-cols // wide)
    which = (np.arange(rows) // tall)[:, None] * across + (np.arange(cols) // wide)[None, :]
    if codes.size:
        out[...] = tables[which, codes]


@kernel
def nibbles_lut(codes: Array, which: Array, tables: Array, group: int, out: Array) -> None:
    """Writes entries of `tables` (256, 16) uint16 to `out` (rows, cols): `tables[which[r, c // group], code]`.

    `codes` (rows, cols / 2) uint8 hold two codes a byte, the first one low; `which` is (rows, ceil(cols / group))
    uint8, `group` is even.
    """
    each = np.stack([codes & 15, codes >> 4], axis=-1).reshape(out.shape)
    out[...] = tables[np.repeat(which, group, axis=1)[:, : out.shape[1]], each]
