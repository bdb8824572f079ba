"""Small integers in 32-bit words, as checkpoints of quantised models hold them."""

from math import gcd

import numpy as np

from sparsefmt.base.alloc import empty
from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import FormatError


def word_array(name: str, a: Array, shape: tuple[int, ...] | None = None) -> Array:
    """`a` as unsigned 32-bit words.

    Raises:
        FormatError: it holds no 32-bit integers, or has another shape.
    """
    if a.dtype.kind not in "iu" or a.dtype.itemsize != 4 or a.ndim != 2:
        msg = f"{name}: want a matrix of 32-bit integers, got {a.dtype} of shape {a.shape}"
        raise FormatError(msg)
    if shape is not None and a.shape != shape:
        msg = f"{name}: want shape {shape}, got {a.shape}"
        raise FormatError(msg)
    return np.ascontiguousarray(a).view(np.uint32)


def unpack_words(words: Array, bits: int, count: int) -> Array:
    """The first `count` codes of each row of words, low bits first, none across two words.

    Args:
        words: (rows, words) uint32.
        bits: per code, 1 to 8; a word holds `32 // bits`.
        count: codes per row.

    Returns:
        (rows, count) uint8.

    Raises:
        FormatError: the words hold fewer, or a row has more words than it needs.
    """
    per = 32 // bits
    check_words(words.shape[1], -(-count // per), count, bits)
    if bits == 8:
        return np.ascontiguousarray(words.view(np.uint8)[:, :count])
    out = empty((len(words), words.shape[1] * per), np.uint8, "codes")
    grid = out.reshape(len(words), words.shape[1], per)
    if bits in (2, 4):
        narrow, folds = words.view(np.uint8).reshape(len(words), words.shape[1], 4), 8 // bits
        for i in range(folds):
            grid[:, :, i::folds] = (narrow >> np.uint8(bits * i)) & np.uint8(2**bits - 1)
    else:
        for i in range(per):
            grid[:, :, i] = (words >> np.uint32(bits * i)) & np.uint32(2**bits - 1)
    return np.ascontiguousarray(out[:, :count])


def unpack_stream(words: Array, bits: int, count: int) -> Array:
    """The first `count` codes of each row of words, one continuous stream of bits per row, low bits first.

    Args and errors as in `unpack_words`; codes may lie across two words.
    """
    check_words(words.shape[1], -(-count * bits // 32), count, bits)
    if 32 % bits == 0:
        return unpack_words(words, bits, count)
    run = bits // gcd(bits, 8)  # bytes that hold a whole number of codes
    per = 8 * run // bits
    raw = words.view(np.uint8)
    runs = -(-count // per)
    padded = np.zeros((len(words), runs * run), np.uint8)
    used = min(raw.shape[1], runs * run)
    padded[:, :used] = raw[:, :used]
    word = np.zeros((len(words), runs), np.uint64)
    for i in range(run):
        word |= padded[:, i::run].astype(np.uint64) << np.uint64(8 * i)
    out = empty((len(words), runs * per), np.uint8, "codes")
    for i in range(per):
        out[:, i::per] = (word >> np.uint64(bits * i)) & np.uint64(2**bits - 1)
    return np.ascontiguousarray(out[:, :count])


def check_words(got: int, want: int, count: int, bits: int) -> None:
    """Raises FormatError where rows have another number of words than `count` codes take."""
    if got != want:
        msg = f"packed codes: {count} codes of {bits} bits take {want} words a row, got {got}"
        raise FormatError(msg)


def pack_words(codes: Array, bits: int) -> Array:
    """The inverse of `unpack_words`: (rows, count) uint8 to (rows, words) int32, zeros behind the last code."""
    per = 32 // bits
    rows, count = codes.shape
    words = -(-count // per)
    wide = np.zeros((rows, words * per), np.uint32)
    wide[:, :count] = codes
    out = np.zeros((rows, words), np.uint32)
    for i in range(per):
        out |= wide[:, i::per] << np.uint32(bits * i)
    return out.view(np.int32)
