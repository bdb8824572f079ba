"""What is common to all definitions: items moved by width, and the zero rule as a bit mask.

Kernels move items of 1, 2, 4, 8 or 16 bytes and never look at what they mean: uint8, uint16, uint32, uint64, and
complex128 as the carrier of 16 bytes. The zero rule comes as `zero`, a mask of the bits that make an item nonzero
(for 16-byte items the mask of each 8-byte half): all bits for "bits", all but the sign bits for "value".
"""

import numpy as np

from sparsefmt.base.dtypes import Array


def nonzero(a: Array, zero: int) -> Array:
    """Tells for each item whether any bit of the mask `zero` is set in it."""
    if a.dtype.itemsize == 16:
        halves = np.ascontiguousarray(a).view(np.uint64).reshape(*a.shape, 2)
        return np.asarray(((halves & np.uint64(zero)) != 0).any(axis=-1))
    return np.asarray((a & a.dtype.type(zero)) != 0)


def every_bit(a: Array) -> int:
    """The mask of the rule "bits" for the items of `a`."""
    return int((1 << (8 * min(a.dtype.itemsize, 8))) - 1)


def unpack_bits(bits: Array, cols: int) -> Array:
    """(rows, bytes) -> (rows, cols) bool; bit 0 of byte 0 is column 0."""
    return np.unpackbits(bits, axis=1, bitorder="little")[:, :cols].astype(bool)


def pack_bits(keep: Array, bits: Array) -> None:
    """(rows, cols) bool -> `bits`, rows padded with zeros."""
    packed = np.packbits(keep, axis=1, bitorder="little")
    bits[...] = 0
    bits[:, : packed.shape[1]] = packed
