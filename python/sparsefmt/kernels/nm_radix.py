"""Definitions of the kernels for N:M whose codes stand in words of mixed radix.

A word holds `count` groups as the number sum of code[i] * C^i, C = C(m, n), in as few bits as C^count needs. Words of a
row stand side by side, LSB first; the last holds what is left; rows start on a byte and end in zeros.
"""

import functools
from math import comb

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.kernels.nm import Report, nm_decode, nm_encode, nm_prune_encode, pack_codes, unpack_codes, width
from sparsefmt.kernels.registry import kernel

WORD, PADDING = 1, 2
_WORD_BITS = (64, 128)


def word_bits(n: int, m: int, groups: int) -> int:
    """Bits of a word of so many groups: ceil(log2 C(m, n)^groups)."""
    return int(comb(m, n) ** groups - 1).bit_length()


@functools.cache
def word_groups(n: int, m: int) -> int:
    """How many groups a word holds.

    As many as take the fewest bits per group in words of up to 64 bits, and fewer where that is equal. Where that is
    more than 1 % above log2 C(m, n), words have up to 128 bits.

    >>> word_groups(2, 4), word_bits(2, 4, 17)
    (17, 44)
    """
    count = comb(m, n)
    best = 1
    for most in _WORD_BITS if count > 1 else ():
        groups = 1
        while word_bits(n, m, groups) <= most:
            if word_bits(n, m, groups) * best < word_bits(n, m, best) * groups:
                best = groups
            groups += 1
        if 2 ** (100 * word_bits(n, m, best)) <= count ** (101 * best):  # bits / groups <= 1.01 log2 C
            break
    return best


def row_bits(n: int, m: int, groups: int) -> int:
    """Bits of the words of a row of so many groups."""
    whole, rest = divmod(groups, word_groups(n, m))
    return whole * word_bits(n, m, word_groups(n, m)) + word_bits(n, m, rest)


def _fields(n: int, m: int, groups: int, per: int) -> list[tuple[int, int, int]]:
    """The first group, the number of groups and the first bit of every word of a row."""
    bits = word_bits(n, m, per)
    return [(first, min(per, groups - first), first // per * bits) for first in range(0, groups, per)]


def _bits_of(words: Array) -> Array:
    return np.unpackbits(words, axis=1, bitorder="little").astype(object)


def _word(stream: Array, at: int, bits: int) -> Array:
    """(rows,) Python integers."""
    return np.asarray((stream[:, at : at + bits] * np.array([1 << i for i in range(bits)], object)).sum(axis=1))


@kernel
def nm_radix_pack(codes: Array, n: int, m: int, groups: int, per: int, words: Array) -> None:
    """Writes the words of `groups` groups per row, `per` of them in each, from the codes of plain N:M.

    Codes are (rows, row bytes) uint8 as in `nm`, `words` (rows, row bytes) uint8; of codes that name no mask, words are
    unspecified.
    """
    ranks = unpack_codes(codes, width(n, m), groups).astype(object)
    bits = np.zeros((len(words), 8 * words.shape[1]), np.uint8)
    for first, count, at in _fields(n, m, groups, per):
        powers = np.array([comb(m, n) ** i for i in range(count)], object)
        word = (ranks[:, first : first + count] * powers).sum(axis=1)
        for i in range(word_bits(n, m, count)):
            bits[:, at + i] = (word >> i) & 1 if len(word) else 0
    words[...] = np.packbits(bits, axis=1, bitorder="little")


@kernel
def nm_radix_unpack(words: Array, n: int, m: int, groups: int, per: int, codes: Array) -> None:
    """The inverse of `nm_radix_pack`; of a word that is too large, what is left of its last group is taken modulo C."""
    stream, count = _bits_of(words), comb(m, n)
    ranks = np.zeros((len(words), groups), np.int64)
    for first, held, at in _fields(n, m, groups, per):
        word = _word(stream, at, word_bits(n, m, held))
        for i in range(held):
            ranks[:, first + i] = word % count
            word = word // count
    pack_codes(ranks, width(n, m), codes)


def _plain(rows: int, n: int, m: int, groups: int) -> Array:
    """Room for the codes of plain N:M."""
    return np.zeros((rows, -(-groups * width(n, m) // 8)), np.uint8)


@kernel
def nm_radix_encode(w: Array, zero: int, n: int, m: int, per: int, words: Array, slots: Array) -> Report:
    """`nm_encode`, then `nm_radix_pack`; returns what the first does.

    Words and slots are unspecified where it reports groups.
    """
    groups = -(-w.shape[1] // m)
    codes = _plain(len(w), n, m, groups)
    report = nm_encode(w, zero, n, m, codes, slots)
    if not report[0]:
        nm_radix_pack(codes, n, m, groups, per, words)
    return report


@kernel
def nm_radix_prune_encode(
    w: Array, zero: int, order: str, n: int, m: int, per: int, words: Array, slots: Array
) -> None:
    """`nm_prune_encode`, then `nm_radix_pack`."""
    groups = -(-w.shape[1] // m)
    codes = _plain(len(w), n, m, groups)
    nm_prune_encode(w, zero, order, n, m, codes, slots)
    nm_radix_pack(codes, n, m, groups, per, words)


@kernel
def nm_radix_decode(words: Array, slots: Array, n: int, m: int, per: int, out: Array) -> None:
    """`nm_radix_unpack`, then `nm_decode`."""
    groups = -(-out.shape[1] // m)
    codes = _plain(len(out), n, m, groups)
    nm_radix_unpack(words, n, m, groups, per, codes)
    nm_decode(codes, slots, n, m, out)


@kernel
def nm_radix_check(words: Array, n: int, m: int, groups: int, per: int) -> tuple[int, int, int]:
    """Looks for what words must not hold.

    Returns (0, 0, 0), or (`WORD`, row, word) of the first word not below C^count, or, where there is none, (`PADDING`,
    row, 0) of the first row with a bit behind its last word.
    """
    if not words.size:
        return 0, 0, 0
    stream = _bits_of(words)
    found: list[tuple[int, int]] = []
    for at_word, (_, held, at) in enumerate(_fields(n, m, groups, per)):
        over = _word(stream, at, word_bits(n, m, held)) >= comb(m, n) ** held
        if over.any():
            found.append((int(np.argmax(over)), at_word))
    if found:
        return WORD, *min(found)
    behind = (stream[:, row_bits(n, m, groups) :] != 0).any(axis=1)
    if behind.any():
        return PADDING, int(np.argmax(behind)), 0
    return 0, 0, 0
