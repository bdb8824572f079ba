"""What is common to all definitions: items moved by width, and the zero rule as a bit mask.

Kernels move items of 1, 2, 4, 8 or 16 bytes and never look at what they mean: uint8, uint16, uint32, uint64, and
complex128 as the carrier of 16 bytes. The zero rule comes as `zero`, a mask of the bits that make an item nonzero
(for 16-byte items the mask of each 8-byte half): all bits for "bits", all but the sign bits for "value".
"""

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import FormatError

_FEW = 1 << 16  # bytes that are best compared as one object


def nonzero(a: Array, zero: int) -> Array:
    """Tells for each item whether any bit of the mask `zero` is set in it."""
    if a.dtype.itemsize == 16:
        halves = np.ascontiguousarray(a).view(np.uint64).reshape(*a.shape, 2)
        return np.asarray(((halves & np.uint64(zero)) != 0).any(axis=-1))
    return np.asarray((a & a.dtype.type(zero)) != 0)


def same_bytes(a: Array, b: Array) -> bool:
    """Whether two contiguous arrays hold the same bytes."""
    if a.nbytes < _FEW:
        return a.tobytes() == b.tobytes()
    x, y = a.reshape(-1).view(np.uint8), b.reshape(-1).view(np.uint8)
    whole = x.size // 8 * 8
    return np.array_equal(x[:whole].view(np.uint64), y[:whole].view(np.uint64)) and np.array_equal(x[whole:], y[whole:])


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


def changed() -> FormatError:
    """The error for an array that another thread wrote to between counting and filling."""
    return FormatError("the array changed while it was read; do not write to it during a call")


def span(indptr: Array) -> slice:
    """The slots that belong to the rows of an indptr slice."""
    return slice(int(indptr[0]), int(indptr[-1]))


def check_range(indices: Array, bound: int) -> None:
    """Raises FormatError at the first index outside 0..bound."""
    bad = (indices < 0) | (indices >= bound)
    if bad.any():
        at = int(np.argmax(bad))
        msg = f"index {int(indices[at])} at position {at} is out of range 0..{bound - 1}"
        raise FormatError(msg)


def every(a: Array) -> Array:
    """Tells for each item whether any of its bits is set (the rule "bits")."""
    return nonzero(a, every_bit(a))


def check_length(name: str, got: int, want: int) -> None:
    """Raises FormatError where an array has another length than wanted."""
    if got != want:
        msg = f"{name} holds {got} items, want {want}"
        raise FormatError(msg)


def check_items(name: str, good: Array, want: str) -> None:
    """Raises FormatError at the first item that is not good."""
    if not good.all():
        msg = f"{name}[{int(np.argmin(good))}]: want {want}"
        raise FormatError(msg)
