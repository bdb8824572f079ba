"""Definitions of the kernels for streams: codes of 1 to 8 bits, side by side, LSB first, the last byte padded by 0."""

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import FormatError
from sparsefmt.kernels.registry import kernel


def check_stream(stream: Array, bits: int, count: int) -> None:
    """Raises FormatError where `bits` is not 1..8 or the stream has another length than `count` codes need."""
    if not 1 <= bits <= 8:
        msg = f"bits = {bits} is not supported"
        raise FormatError(msg)
    if len(stream) != -(-count * bits // 8):
        msg = f"stream holds {len(stream)} items, want {-(-count * bits // 8)}"
        raise FormatError(msg)


@kernel
def pack_stream(codes: Array, bits: int, stream: Array) -> None:
    """Writes the low `bits` (1..8) bits of the flat uint8 `codes` into `stream`, uint8 of ceil(count * bits / 8)."""
    check_stream(stream, bits, len(codes))
    each = (codes[:, None] >> np.arange(bits, dtype=np.uint8)) & np.uint8(1)
    stream[...] = np.packbits(each.reshape(-1), bitorder="little")


@kernel
def unpack_stream(stream: Array, bits: int, codes: Array) -> None:
    """The inverse of `pack_stream`; padding is not looked at (see `stream_padding`)."""
    check_stream(stream, bits, len(codes))
    each = np.unpackbits(stream, count=len(codes) * bits, bitorder="little").reshape(len(codes), bits)
    codes[...] = (each << np.arange(bits, dtype=np.uint8)).sum(axis=1, dtype=np.uint8)


@kernel
def stream_padding(stream: Array, bits: int, count: int) -> int:
    """1 if a bit behind the last of `count` codes is set, else 0."""
    check_stream(stream, bits, count)
    return int(np.unpackbits(stream, bitorder="little")[count * bits :].any())
