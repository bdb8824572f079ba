"""Small integers in 32-bit words, as checkpoints of quantised models hold them."""

import numpy as np

from sparsefmt.base.alloc import empty
from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import FormatError
from sparsefmt.kernels.words import words_turn, words_unpack


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
    check_words(words.shape[1], -(-count // (32 // bits)), count, bits)
    if bits == 8:
        return np.ascontiguousarray(words.view(np.uint8)[:, :count])
    out = empty((len(words), count), np.uint8, "codes")
    words_unpack(words, bits, 0, out)
    return out


def unpack_stream(words: Array, bits: int, count: int) -> Array:
    """The first `count` codes of each row of words, one continuous stream of bits per row, low bits first.

    Args and errors as in `unpack_words`; codes may lie across two words.
    """
    check_words(words.shape[1], -(-count * bits // 32), count, bits)
    if 32 % bits == 0:
        return unpack_words(words, bits, count)
    out = empty((len(words), count), np.uint8, "codes")
    words_unpack(words, bits, 1, out)
    return out


def turned_words(words: Array) -> Array:
    """The transpose of a matrix of words."""
    out = empty((words.shape[1], words.shape[0]), np.uint32, "words in rows of outputs")
    words_turn(words, out)
    return out


def turned(a: Array) -> Array:
    """The transpose of a matrix, contiguous: items of 1, 2 and 4 bytes by way of words, in less than half the time."""
    if a.itemsize > 4 or not a.flags.c_contiguous:
        return np.ascontiguousarray(a.T)
    narrow = np.dtype(f"u{a.itemsize}")
    return turned_words(a.view(narrow).astype(np.uint32)).astype(narrow).view(a.dtype)


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
