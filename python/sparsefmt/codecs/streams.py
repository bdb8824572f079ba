"""Codes of less than a byte: one continuous stream over the slots, or a stream per row where rows are aligned."""

import math

import numpy as np

from sparsefmt.base.alloc import ALIGNMENT, empty, zeros
from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import FormatError
from sparsefmt.codecs.base import Layout
from sparsefmt.kernels.stream import pack_stream, stream_padding, unpack_stream


def body_shape(structure: Layout) -> tuple[int, ...]:
    """The shape of the slots without the padding of rows."""
    shape = structure.slot_shape(8)
    return structure.body(np.broadcast_to(np.uint8(0), shape)).shape if structure.padded else shape


def stored_shape(structure: Layout, bits: int) -> tuple[int, ...]:
    """The shape of the stored codes: (bytes,), or (rows, row bytes) where rows are aligned."""
    shape = body_shape(structure)
    if structure.padded:
        used = -(-shape[1] * bits // 8)
        return shape[0], -(-used // ALIGNMENT) * ALIGNMENT
    return (-(-math.prod(shape) * bits // 8),)


def pack(structure: Layout, codes: Array, bits: int) -> Array:
    """Codes in the shape of the body, one byte each, as they are stored."""
    if not structure.padded:
        stream = empty(stored_shape(structure, bits), np.uint8, "codes")
        pack_stream(codes.reshape(-1), bits, stream)
        return stream
    rows = zeros(stored_shape(structure, bits), np.uint8, "codes")
    if not codes.size:  # rows of nothing may be more than can be walked through
        return rows
    used = -(-codes.shape[1] * bits // 8)
    for row, stream in zip(codes, rows, strict=True):
        pack_stream(row, bits, stream[:used])
    return rows


def by_rows(structure: Layout, stored: Array, bits: int) -> Array | None:
    """The bytes of codes row by row, writable if they are; None where rows begin inside a byte."""
    rows = structure.shape[0]
    if stored.ndim == 2 or rows == 1 or (rows and structure.slots // rows * bits % 8 == 0):
        return stored.reshape(rows, -1)
    return None


def cut(stream: Array, start: int, stop: int) -> Array:
    """Bits `start..stop` of a stream as a stream of their own: a view where they begin and end on a byte."""
    part = stream[start // 8 : -(-stop // 8)]
    if start % 8 == 0 and (stop % 8 == 0 or -(-stop // 8) == len(stream)):
        return part
    made = part >> (start % 8)
    made[:-1] |= part[1:] << (8 - start % 8) if start % 8 else 0
    made = made[: -(-(stop - start) // 8)]
    if (stop - start) % 8 and len(made):
        made[-1] &= (1 << (stop - start) % 8) - 1
    return made


class Joined:
    """Streams one after the other, as one that has no bits between them."""

    def __init__(self) -> None:
        self._bits = 0
        self._open = np.zeros(1, np.uint8)  # the bits after the last whole byte

    def add(self, stream: Array, bits: int) -> Array:
        """The next whole bytes, when a stream of so many bits is added; the bits of its last byte beyond are zero."""
        shift = self._bits % 8
        if shift:
            made = np.empty(len(stream) + 1, np.uint8)
            made[:-1] = stream << shift
            made[-1] = 0
            made[1:] |= stream >> (8 - shift)
            made[0] |= self._open[0]
        else:
            made = stream
        self._bits += bits
        whole = (shift + bits) // 8
        self._open = made[whole : whole + 1].copy() if self._bits % 8 else np.zeros(1, np.uint8)
        return made[:whole]

    def rest(self) -> Array:
        """The last byte, where the bits do not end on one."""
        return self._open[: self._bits % 8 > 0]


class Writer:
    """Fills a stream part by part."""

    def __init__(self, stream: Array, bits: int) -> None:
        self._stream, self._bits, self._at = stream, bits, 0
        self._open = np.empty(0, np.uint8)  # fewer than eight codes, which do not end on a byte

    def put(self, codes: Array) -> None:
        """Adds flat codes, one byte each."""
        if self._open.size:
            first = min(-len(self._open) % 8, len(codes))
            self._open = np.concatenate([self._open, codes[:first]])
            codes = codes[first:]
            if len(self._open) < 8:
                return
            self._pack(self._open)
        whole = len(codes) // 8 * 8
        self._pack(codes[:whole])
        self._open = codes[whole:].copy()

    def room(self, count: int) -> Array | None:
        """The bytes for so many codes, to be filled by the caller; None where they begin or end inside a byte."""
        end = self._at + count * self._bits // 8
        if self._open.size or count % 8:
            return None
        start, self._at = self._at, end
        return self._stream[start:end]

    def _pack(self, codes: Array) -> None:
        end = self._at + -(-len(codes) * self._bits // 8)
        pack_stream(codes, self._bits, self._stream[self._at : end])
        self._at = end

    def close(self) -> None:
        """Completes the last byte by zeros."""
        self._pack(self._open)
        self._open = self._open[:0]


def unpack(structure: Layout, stored: Array, bits: int, start: int = 0, stop: int | None = None) -> Array:
    """The codes of `body[start:stop]`, one byte each."""
    shape = body_shape(structure)
    stop = shape[0] if stop is None else stop
    out = empty((stop - start, *shape[1:]), np.uint8, "unpacked codes")
    if structure.padded:
        used = -(-shape[1] * bits // 8)
        for row, codes in zip(stored[start:stop], out, strict=True):
            unpack_stream(row[:used], bits, codes)
        return out
    per = math.prod(shape[1:])
    first, last = start * per, stop * per
    lead = first % 8  # eight codes end on a byte
    if lead == 0:
        unpack_stream(stored[first * bits // 8 : -(-last * bits // 8)], bits, out.reshape(-1))
        return out
    wide = empty(last - first + lead, np.uint8, "unpacked codes")
    unpack_stream(stored[(first - lead) * bits // 8 : -(-last * bits // 8)], bits, wide)
    return wide[lead:].reshape(out.shape)


def gathered(stored: Array, bits: int, at: Array) -> Array:
    """The codes at these places of a stream, one byte each."""
    if bits == 8:
        return np.asarray(stored[at])
    first = at * bits
    low, shift = first >> 3, (first & 7).astype(np.uint16)
    word = stored[low].astype(np.uint16)
    over = np.flatnonzero(shift + bits > 8)
    word[over] |= stored[low[over] + 1].astype(np.uint16) << np.uint16(8)
    return np.asarray((word >> shift) & np.uint16((1 << bits) - 1), np.uint8)


def check(structure: Layout, stored: Array, bits: int) -> None:
    """Checks the shape and that unused bits are zero.

    Raises:
        FormatError: they are not.
    """
    want = stored_shape(structure, bits)
    if stored.dtype != np.uint8 or stored.shape != want:
        msg = f"codes: want uint8 of shape {want}, got {stored.dtype} of shape {stored.shape}"
        raise FormatError(msg)
    if structure.padded:
        count = body_shape(structure)[1]
        used = -(-count * bits // 8)
        dirty = bool(stored[:, used:].any()) or any(stream_padding(row[:used], bits, count) for row in stored)
    else:
        dirty = bool(stream_padding(stored, bits, math.prod(body_shape(structure))))
    if dirty:
        msg = "codes: the padding behind the last code is not zero"
        raise FormatError(msg)


def widened(structure: Layout, body: Array, bits: int) -> Array:
    """Slots in the shape of the body, with rows padded by zeros to `slot_shape(bits)` where they are aligned."""
    if not structure.padded:
        return body
    out = zeros(structure.slot_shape(bits), body.dtype, "slots")
    out[:, : body.shape[1]] = body
    return out
