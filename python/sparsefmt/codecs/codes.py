"""Integer codes: their width, their range, and the bytes that they are stored in."""

from dataclasses import dataclass

import numpy as np

from sparsefmt.base.alloc import empty
from sparsefmt.base.dtypes import Array, Dtype
from sparsefmt.base.errors import FormatError
from sparsefmt.codecs import streams
from sparsefmt.codecs.base import Layout
from sparsefmt.codecs.scales import part_entries, slot_grid


@dataclass(frozen=True, slots=True, eq=False)
class Codes:
    """Integers of `bits` bits: two's complement, or unsigned with a zero point.

    Eight bits are an item each (int8, unsigned: uint8) in the shape of the slots. Fewer stand side by side in one
    stream over the slots, the least significant bit first; here int4, whose first code is the low nibble:

        slot        0    1    2    3
        code       -3    5    7   -1
        bits     1101 0101 0111 1111
        bytes   [0101 1101] [1111 0111]  =  5d f7

    and int3, whose codes cross the ends of bytes (slot 2 has its low two bits in byte 0, its high one in byte 1):

        slot        0   1   2   3
        code       -3   1   2  -1
        bits      101 001 010 111
        bytes   [10 001 101] [0000 111 0]  =  8d 0e

    Work is done on one byte per code, in the shape of the body of the structure.
    """

    bits: int
    zero_point: Array | None
    """uint8, an entry for every scale; None for codes in two's complement."""

    @property
    def largest(self) -> int:
        """The largest code that encoding writes; symmetric codes go down to its negative, others to 0."""
        return code_range(self.bits, asym=self.zero_point is not None)

    @property
    def dtype(self) -> Dtype:
        """The dtype of the stored array."""
        return np.dtype(np.int8 if self.bits == 8 and self.zero_point is None else np.uint8)

    def shape(self, structure: Layout) -> tuple[int, ...]:
        """The shape of the stored array."""
        return structure.slot_shape(8) if self.bits == 8 else streams.stored_shape(structure, self.bits)

    def pack(self, structure: Layout, codes: Array) -> Array:
        """Codes as they are stored."""
        codes = np.ascontiguousarray(codes)
        if self.bits == 8:
            return streams.widened(structure, codes, 8).view(self.dtype)
        return streams.pack(structure, codes, self.bits)

    def unpack(self, structure: Layout, stored: Array, start: int = 0, stop: int | None = None) -> Array:
        """The inverse, for `body[start:stop]`: bytes that hold int8, or with zero points uint8."""
        if self.bits == 8:
            return np.ascontiguousarray(structure.body(stored.view(np.uint8))[start:stop])
        codes, sign = streams.unpack(structure, stored, self.bits, start, stop), np.uint8(1 << (self.bits - 1))
        return codes if self.zero_point is not None else (codes ^ sign) - sign

    def shift(self, structure: Layout, codes: Array, group: int, sign: int) -> Array:
        """Adds (`sign` 1) or takes away (-1) the zero points, which stand for `group` columns each, modulo 256."""
        if self.zero_point is None or not codes.size:
            return codes
        if (every := part_entries(structure, self.zero_point, group)) is not None:
            return np.asarray(codes + every if sign > 0 else codes - every)
        out = empty(codes.shape, np.uint8, "codes")
        for w in structure.windows():
            rows, cols = w.part.coords()
            points = slot_grid(self.zero_point, group, rows + w.row, cols + w.col)
            part = codes[w.start : w.stop]
            out[w.start : w.stop] = part + points if sign > 0 else part - points
        return out

    def check(self, scale: Array) -> None:
        """Checks the zero points beside their scales.

        Raises:
            FormatError: another dtype or shape, or one that is no code.
        """
        point = self.zero_point
        if point is not None and (point.dtype != np.uint8 or point.shape != scale.shape):
            msg = f"zero_point: want uint8 of shape {scale.shape}, got {point.dtype} of shape {point.shape}"
            raise FormatError(msg)
        if point is not None and point.size and int(point.max()) >= 2**self.bits:
            msg = f"zero_point holds {int(point.max())}, allowed 0..{2**self.bits - 1}"
            raise FormatError(msg)

    def fits(self, structure: Layout, stored: Array) -> None:
        """Checks the stored array against the structure.

        Raises:
            FormatError: another dtype or shape, or padding that is not zero.
        """
        if self.bits < 8:
            streams.check(structure, stored, self.bits)
            return
        want = self.shape(structure)
        if stored.dtype != self.dtype or stored.shape != want:
            msg = f"codes: want {self.dtype} of shape {want}, got {stored.dtype} of shape {stored.shape}"
            raise FormatError(msg)
        if structure.padded and stored[:, streams.body_shape(structure)[-1] :].any():
            msg = "codes: the padding of rows is not zero"
            raise FormatError(msg)


def code_range(bits: int, *, asym: bool) -> int:
    """The largest code of so many bits; also how many steps a scale divides a magnitude, or `asym` a range, into."""
    return (1 << bits) - 1 if asym else (1 << (bits - 1)) - 1
