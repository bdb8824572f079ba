"""Definitions of the kernels for small integers in 32-bit words, as checkpoints of quantised models hold them."""

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.kernels.registry import kernel

AWQ_ORDER = (0, 4, 1, 5, 2, 6, 3, 7)
"""Where output i of eight stands in a word of AWQ, low nibble first. Source: AutoAWQ 0.2, `packing_utils.py`."""


@kernel
def words_turn(words: Array, out: Array) -> None:
    """Writes the transpose of `words` (rows, cols) uint32 to `out` (cols, rows)."""
    out[...] = words.T


@kernel
def words_unpack(words: Array, bits: int, across: int, out: Array) -> None:
    """Writes the first codes of each row of `words` (rows, words) uint32, low bits first, to `out` (rows, count) uint8.

    A word holds `32 // bits` codes, or, where they lie `across` words, a row is one stream of bits. `bits` is 1 to 8.
    """
    wide, mask = words.astype(np.uint64), np.uint64(2**bits - 1)
    if not across:
        shifts = np.arange(0, 32 // bits * bits, bits, dtype=np.uint64)
        each = (wide[:, :, None] >> shifts) & mask
        out[...] = each.reshape(len(words), words.shape[1] * len(shifts))[:, : out.shape[1]]
        return
    at = np.arange(out.shape[1], dtype=np.int64) * bits
    more = np.concatenate([wide, np.zeros((len(words), 1), np.uint64)], axis=1)
    both = more[:, at // 32] | (more[:, at // 32 + 1] << np.uint64(32))
    out[...] = (both >> (at % 32).astype(np.uint64)) & mask


@kernel
def awq_turn(words: Array, out: Array) -> None:
    """Writes the codes of AWQ's `words` (inputs, outputs / 8) uint32 in rows of outputs.

    `out` is (outputs, ceil(inputs / 2)) uint8: two codes a byte, the first one low; an odd last one with zeros above.
    """
    turned = words.T
    for i, place in enumerate(AWQ_ORDER):
        codes = ((turned >> np.uint32(4 * place)) & np.uint32(15)).astype(np.uint8)
        rows = out[i::8]
        rows[...] = codes[:, 0::2]
        rows[:, : codes.shape[1] // 2] |= codes[:, 1::2] << np.uint8(4)


@kernel
def bytes_flip(items: Array, bits: int, out: Array) -> None:
    """Writes `items`, of each of which `bits` are turned over, to `out`; both uint8 of one shape."""
    np.bitwise_xor(items, np.uint8(bits), out=out)
