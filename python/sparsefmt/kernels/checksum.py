"""Definitions of the checksums of bytes: XXH3 with 128 bits, at once and in pieces.

Source: the xxHash specification, "XXH3 Algorithm Overview" (github.com/Cyan4973/xxHash, doc/xxhash_spec.md), seed 0 and
the default secret. The extension uses the Rust crate `xxhash-rust` for what is hashed at once.
"""

import struct
from typing import Self

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import FormatError
from sparsefmt.kernels.registry import kernel

SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221"
    "b8084674f743248ee03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
    "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364eac5ac8334d3ebc3c581a0fffa1363eb"
    "170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e"
)
"""Of XXH3, 192 bytes."""

_WORD = (1 << 64) - 1
_P32 = 0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D
_P64 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5
START = _P32[2], _P64[0], _P64[1], _P64[2], _P64[3], _P32[1], _P64[4], _P32[0]
"""Of the eight sums of a long input."""

STRIPE, BLOCK, SHORT = 64, 1024, 240
Pair = tuple[int, int]


def _at(data: bytes, place: int, size: int = 8) -> int:
    return int.from_bytes(data[place : place + size], "little")


def _key(first: int, second: int, size: int = 8) -> int:
    return _at(SECRET, first, size) ^ _at(SECRET, second, size)


def _fold(a: int, b: int) -> int:
    product = a * b
    return (product ^ product >> 64) & _WORD


def _avalanche(h: int) -> int:
    h = ((h ^ h >> 37) * 0x165667919E3779F9) & _WORD
    return h ^ h >> 32


def _avalanche64(h: int) -> int:
    h = ((h ^ h >> 33) * _P64[1]) & _WORD
    h = ((h ^ h >> 29) * _P64[2]) & _WORD
    return h ^ h >> 32


def _swapped(value: int, size: int) -> int:
    return int.from_bytes(value.to_bytes(size, "little"), "big")


def _tiny(data: bytes) -> Pair:
    """0 to 3 bytes."""
    n = len(data)
    if n == 0:
        return _avalanche64(_key(80, 88)), _avalanche64(_key(64, 72))
    low = data[0] << 16 | data[n >> 1] << 24 | data[-1] | n << 8
    turned = _swapped(low, 4)
    high = (turned << 13 | turned >> 19) & 0xFFFFFFFF
    return _avalanche64(high ^ _key(8, 12, 4)), _avalanche64(low ^ _key(0, 4, 4))


def _few(data: bytes) -> Pair:
    """4 to 8 bytes."""
    n = len(data)
    word = (_at(data, 0, 4) + (_at(data, n - 4, 4) << 32)) ^ _key(16, 24)
    product = word * (_P64[0] + (n << 2))
    low = product & _WORD
    high = ((product >> 64) + (low << 1)) & _WORD
    low ^= high >> 3
    low = ((low ^ low >> 35) * 0x9FB21C651E98DF25) & _WORD
    return _avalanche(high), low ^ low >> 28


def _some(data: bytes) -> Pair:
    """9 to 16 bytes."""
    n = len(data)
    first, last = _at(data, 0), _at(data, n - 8)
    product = (first ^ last ^ _key(32, 40)) * _P64[0]
    low, high = (product + ((n - 1) << 54)) & _WORD, (product >> 64) & _WORD
    last ^= _key(48, 56)
    high = (high + last + (last & 0xFFFFFFFF) * (_P32[1] - 1)) & _WORD
    product = (low ^ _swapped(high, 8)) * _P64[1]
    return _avalanche(((product >> 64) + high * _P64[1]) & _WORD), _avalanche(product & _WORD)


def _mix(data: bytes, place: int, secret: int) -> int:
    return _fold(_at(data, place) ^ _at(SECRET, secret), _at(data, place + 8) ^ _at(SECRET, secret + 8))


def _mix_pair(sums: Pair, data: bytes, a: int, b: int, secret: int) -> Pair:
    low = (sums[0] + _mix(data, a, secret)) & _WORD
    high = (sums[1] + _mix(data, b, secret + 16)) & _WORD
    return (
        low ^ (_at(data, b) + _at(data, b + 8)) & _WORD,
        high ^ (_at(data, a) + _at(data, a + 8)) & _WORD,
    )


def _medium(data: bytes) -> Pair:
    """17 to 240 bytes."""
    n = len(data)
    sums = n * _P64[0] & _WORD, 0
    if n <= 128:
        for i in reversed(range((n - 1) // 32 + 1)):
            sums = _mix_pair(sums, data, 16 * i, n - 16 * (i + 1), 32 * i)
    else:
        for i in range(4):
            sums = _mix_pair(sums, data, 32 * i, 32 * i + 16, 32 * i)
        sums = _avalanche(sums[0]), _avalanche(sums[1])
        for i in range(4, n // 32):
            sums = _mix_pair(sums, data, 32 * i, 32 * i + 16, 3 + 32 * (i - 4))
        sums = _mix_pair(sums, data, n - 16, n - 32, 136 - 17 - 16)
    low, high = sums
    mixed = (low * _P64[0] + high * _P64[3] + n * _P64[1]) & _WORD
    return -_avalanche(mixed) & _WORD, _avalanche((low + high) & _WORD)


def _secret_words(place: int, count: int = 8) -> Array:
    return np.array(struct.unpack_from(f"<{count}Q", SECRET, place), np.uint64)


def _added(stripes: Array, secret: Array) -> Array:
    """What each of `stripes` (..., 8) adds to the sums; `secret` has the same trailing shape."""
    keyed = stripes ^ secret
    low, high = keyed & np.uint64(0xFFFFFFFF), keyed >> np.uint64(32)
    swapped = stripes.reshape(*stripes.shape[:-1], 4, 2)[..., ::-1].reshape(stripes.shape)
    return np.asarray(low * high + swapped)


_STRIPES = np.stack([_secret_words(8 * i) for i in range(BLOCK // STRIPE)])
_SCRAMBLE = _secret_words(128)


@kernel
def xxh3_blocks(sums: Array, data: Array) -> None:
    """Adds whole blocks of 1024 bytes to the eight `sums` (uint64) of a long input; they begin as `START`.

    Raises:
        FormatError: `data` (uint8) is no whole number of blocks, or there are not eight sums.
    """
    if len(sums) != 8 or len(data) % BLOCK:
        msg = f"want 8 sums and whole blocks of {BLOCK} bytes, got {len(sums)} and {len(data)} bytes"
        raise FormatError(msg)
    stripes = np.frombuffer(data.tobytes(), "<u8").reshape(-1, BLOCK // STRIPE, 8)
    for added in _added(stripes, _STRIPES).sum(axis=1, dtype=np.uint64):
        sums += added
        sums ^= sums >> np.uint64(47)
        sums ^= _SCRAMBLE
        sums *= np.uint64(_P32[0])


def _merge(sums: list[int], secret: int, start: int) -> int:
    for i in range(4):
        start += _fold(sums[2 * i] ^ _at(SECRET, secret + 16 * i), sums[2 * i + 1] ^ _at(SECRET, secret + 16 * i + 8))
    return _avalanche(start & _WORD)


def finish(sums: Array, rest: bytes, last: bytes, total: int) -> Pair:
    """The checksum of a long input of `total` bytes, whose blocks are in `sums`.

    Args:
        sums: (8,) uint64, after all blocks that other bytes follow. Not modified.
        rest: the 1 to 1024 bytes behind these blocks.
        last: the last 64 bytes of all.
        total: more than 240.
    """
    count = (len(rest) - 1) // STRIPE
    stripes = np.frombuffer(rest[: count * STRIPE], "<u8").reshape(count, 8)
    made = sums + _added(stripes, _STRIPES[:count]).sum(axis=0, dtype=np.uint64)
    made += _added(np.frombuffer(last, "<u8"), _secret_words(192 - STRIPE - 7))
    words = [int(s) for s in made]
    high = _merge(words, 192 - STRIPE - 11, ~(total * _P64[1]) & _WORD)
    return high, _merge(words, 11, total * _P64[0] & _WORD)


@kernel
def xxh3_128(data: Array) -> Pair:
    """The two 64-bit words of the XXH3-128 of `data` (flat uint8), the high one first."""
    n = len(data)
    if n <= SHORT:
        text = data.tobytes()
        return _tiny(text) if n < 4 else _few(text) if n <= 8 else _some(text) if n <= 16 else _medium(text)
    sums, whole = np.array(START, np.uint64), (n - 1) // BLOCK * BLOCK
    xxh3_blocks(sums, data[:whole])
    return finish(sums, data[whole:].tobytes(), data[-STRIPE:].tobytes(), n)


@kernel
def xxh3_rows(data: Array, length: int, sums: Array) -> None:
    """Writes the two words of the XXH3-128 of every `length` bytes of `data` to `sums`, uint64; the last may be fewer.

    Raises:
        FormatError: `length` is 0, or there are not two sums for each.
    """
    if length < 1 or sums.size != 2 * -(-len(data) // length):
        msg = f"{sums.size} words of sums do not fit {len(data)} bytes in rows of {length}"
        raise FormatError(msg)
    for row, pair in enumerate(sums.reshape(-1, 2)):
        pair[...] = xxh3_128(data[row * length : (row + 1) * length])


@kernel
def xxh3_spans(data: Array, offsets: Array, sums: Array) -> None:
    """Writes the two words of the XXH3-128 of the bytes between every two neighbours of `offsets` to `sums`, uint64.

    Raises:
        FormatError: the offsets fall, or lead beyond `data`, or there are not two sums for each.
    """
    if len(offsets) < 1 or sums.size != 2 * (len(offsets) - 1):
        msg = f"{sums.size} words of sums do not fit {len(offsets)} offsets"
        raise FormatError(msg)
    if offsets[0] < 0 or offsets[-1] > len(data) or (np.diff(offsets) < 0).any():
        msg = f"offsets fall, or lead beyond {len(data)} bytes"
        raise FormatError(msg)
    for pair, start, stop in zip(sums.reshape(-1, 2), offsets[:-1], offsets[1:], strict=True):
        pair[...] = xxh3_128(data[start:stop])


def as_bytes(buffer: object) -> Array:
    """The bytes of an array or of anything with a contiguous buffer, flat uint8; copied only where not contiguous."""
    if isinstance(buffer, np.ndarray):
        return np.ascontiguousarray(buffer).reshape(-1).view(np.uint8)
    return np.frombuffer(memoryview(buffer).cast("B"), np.uint8)  # type: ignore[arg-type]


def checksum(buffer: object) -> str:
    """The XXH3-128 of the bytes of `buffer`, 32 hexadecimal digits.

    Args:
        buffer: an array of any dtype and shape (in C order), bytes, or anything with a contiguous buffer.

    >>> checksum(b"abc")
    '06b05ab6733a618578af5f94892f3950'
    """
    high, low = xxh3_128(as_bytes(buffer))
    return f"{high:016x}{low:016x}"


class Checksum:
    """The XXH3-128 of bytes that come in pieces: `update` with each, then `hexdigest`.

    >>> c = Checksum()
    >>> c.update(b"a").update(b"bc").hexdigest() == checksum(b"abc")
    True
    """

    __slots__ = ("_before", "_rest", "_sums", "total")

    def __init__(self) -> None:
        self.total = 0
        """Bytes so far."""
        self._sums = np.array(START, np.uint64)
        self._rest = b""  # at most a block, and never empty behind a block: the last one is not scrambled
        self._before = b""  # the stripe before it

    def update(self, buffer: object) -> Self:
        """Adds the bytes of `buffer`, see `checksum`."""
        data = as_bytes(buffer)
        self.total += len(data)
        if self._rest:
            room = BLOCK - len(self._rest)
            self._rest, data = self._rest + data[:room].tobytes(), data[room:]
            if not len(data):
                return self
            self._take(np.frombuffer(self._rest, np.uint8))
        whole = max(len(data) - 1, 0) // BLOCK * BLOCK
        self._take(data[:whole])
        self._rest = data[whole:].tobytes()
        return self

    def _take(self, blocks: Array) -> None:
        if len(blocks):
            xxh3_blocks(self._sums, blocks)
            self._before = blocks[-STRIPE:].tobytes()

    def hexdigest(self) -> str:
        """The checksum of all bytes so far, 32 hexadecimal digits."""
        if self.total <= BLOCK:
            return checksum(self._rest)
        last = (self._before + self._rest)[-STRIPE:]
        high, low = finish(self._sums, self._rest, last, self.total)
        return f"{high:016x}{low:016x}"
