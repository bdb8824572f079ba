"""Definitions of the kernels that compress bytes and integers: zstd frames, and an adaptive range coder."""

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import FormatError
from sparsefmt.kernels import zstd
from sparsefmt.kernels.registry import kernel


@kernel
def zstd_compress(data: Array, level: int, out: Array) -> int:
    """Writes a zstd frame of `data` (flat uint8) with its content size to the front of `out`; returns its length.

    What is defined is what the frame holds, not how small it is: the definition stores, the extension compresses.

    Raises:
        FormatError: `out` holds less than `zstd_bound`.
    """
    frame = zstd.stored_frame(data.tobytes())
    if len(out) < zstd_bound(len(data)):
        msg = f"out holds {len(out)} bytes, want {zstd_bound(len(data))}"
        raise FormatError(msg)
    out[: len(frame)] = np.frombuffer(frame, np.uint8)
    return len(frame)


def zstd_bound(size: int) -> int:
    """Bytes that a frame of `size` bytes needs at most."""
    return size + size // 128 + 512


@kernel
def zstd_decompress(frame: Array, out: Array) -> int:
    """Writes what the zstd frame (flat uint8) holds to the front of `out`; returns its length.

    Raises:
        FormatError: it is no zstd frame, is cut or damaged, or holds more than `out`.
    """
    content = zstd.content(frame.tobytes(), len(out))
    out[: len(content)] = np.frombuffer(content, np.uint8)
    return len(content)


ONE = 1 << 16  # of a probability
LIMIT = 1 << 13  # counts of a context are halved beyond
TREE = 3  # bits below the leading one that have contexts
WORD = (1 << 64) - 1
LENGTHS = 66  # bit lengths of v + 1, and one more


class Contexts:
    """Counts of zeros and ones in each context, doubled, beginning as one half of each."""

    def __init__(self) -> None:
        self.counts = [[1, 1] for _ in range(LENGTHS << TREE)]

    def share(self, context: int) -> int:
        """The probability of a one, in 1/65536, at least 1/2048."""
        zeros, ones = self.counts[context]
        return min(max((ones << 16) // (zeros + ones), 32), ONE - 32)

    def learn(self, context: int, bit: int) -> None:
        """Counts a bit."""
        counts = self.counts[context]
        counts[bit] += 2
        if counts[0] + counts[1] > LIMIT:
            counts[:] = [(n + 1) >> 1 for n in counts]


class Encoder:
    """A range coder with 64 bits; carries run back into what is written."""

    def __init__(self) -> None:
        self.low, self.range, self.out = 0, WORD, bytearray()
        self.contexts = Contexts()

    def _shift(self) -> None:
        while self.range < 1 << 32:
            self.out += (self.low >> 32).to_bytes(4, "big")
            self.low, self.range = (self.low << 32) & WORD, self.range << 32

    def _add(self, offset: int) -> None:
        self.low += offset
        if self.low > WORD:
            self.low &= WORD
            at = len(self.out) - 1
            while self.out[at] == 255:
                self.out[at] = 0
                at -= 1
            self.out[at] += 1

    def bit(self, context: int, bit: int) -> None:
        """Codes a bit in its context."""
        bound = (self.range >> 16) * self.contexts.share(context)
        if bit:
            self.range = bound
        else:
            self._add(bound)
            self.range -= bound
        self.contexts.learn(context, bit)
        self._shift()

    def plain(self, value: int, bits: int) -> None:
        """Codes `bits` bits that all have probability one half, 16 at a time, the high ones first."""
        while bits:
            some = min(bits, 16)
            bits -= some
            self.range >>= some
            self._add((value >> bits & ((1 << some) - 1)) * self.range)
            self._shift()

    def finish(self) -> bytes:
        """What is written, without zeros at the end: the shortest number in the range that is left."""
        for size in range(5):  # the range is 2**32 at least
            step = 1 << (64 - 8 * size)
            value = -(-self.low // step) * step
            if value < self.low + self.range:
                break
        self._add(value - self.low)
        self.out += (self.low >> (64 - 8 * size)).to_bytes(size, "big")
        return bytes(self.out).rstrip(b"\0")


class Decoder:
    """The inverse of `Encoder`; beyond the end it reads zeros."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at, self.range = data, 8, WORD
        self.code = int.from_bytes(data[:8].ljust(8, b"\0"), "big")
        self.contexts = Contexts()

    def _shift(self) -> None:
        while self.range < 1 << 32:
            more = int.from_bytes(self.data[self.at : self.at + 4].ljust(4, b"\0"), "big")
            self.at += 4
            self.code, self.range = (self.code << 32 | more) & WORD, self.range << 32

    def bit(self, context: int) -> int:
        """The next bit in its context."""
        bound = (self.range >> 16) * self.contexts.share(context)
        bit = int(self.code < bound)
        if bit:
            self.range = bound
        else:
            self.code -= bound
            self.range -= bound
        self.contexts.learn(context, bit)
        self._shift()
        return bit

    def plain(self, bits: int) -> int:
        """The next `bits` bits."""
        value = 0
        while bits:
            some = min(bits, 16)
            bits -= some
            self.range >>= some
            part = min(self.code // self.range, (1 << some) - 1)
            self.code -= part * self.range
            value = value << some | part
            self._shift()
        return value


@kernel
def adaptive_encode(values: Array, out: Array) -> int:
    """Codes flat uint64 `values` to the front of `out` (uint8) if there is room; returns the bytes that they need.

    Each v is the bit length of v + 1, in ones and a zero, then the bits below the leading one, the high ones first.
    The ones and zeros, and the first three of the bits, are coded by the frequencies of those before in the same
    context (context 8 L for the zero or one at length L; 8 L plus the bits so far behind a leading one for the bits
    of length L), the others as they are. Small and frequent values take the least.
    """
    coder = Encoder()
    for v in values.tolist():
        x = v + 1
        length = x.bit_length()
        for i in range(1, length):
            coder.bit(i << TREE, 1)
        if length < LENGTHS - 1:
            coder.bit(length << TREE, 0)
        node, left = 1, length - 1
        for _ in range(min(TREE, left)):
            left -= 1
            bit = x >> left & 1
            coder.bit(length << TREE | node, bit)
            node = node << 1 | bit
        coder.plain(x & ((1 << left) - 1), left)
    written = coder.finish()
    if len(written) <= len(out):
        out[: len(written)] = np.frombuffer(written, np.uint8)
    return len(written)


@kernel
def adaptive_decode(data: Array, values: Array) -> None:
    """The inverse of `adaptive_encode` for as many `values` as there are. Damaged data gives other values."""
    coder = Decoder(data.tobytes())
    for i in range(len(values)):
        length = 1
        while length < LENGTHS - 1 and coder.bit(length << TREE):
            length += 1
        node, left, x = 1, length - 1, 1
        for _ in range(min(TREE, left)):
            left -= 1
            bit = coder.bit(length << TREE | node)
            x, node = x << 1 | bit, node << 1 | bit
        values[i] = ((x << left | coder.plain(left)) - 1) & WORD
