"""Values of some rows, stored as those of the whole tensor are."""

import math

from sparsefmt.base.alloc import counted
from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import CodecError
from sparsefmt.codecs import streams
from sparsefmt.codecs.affine import Affine
from sparsefmt.codecs.base import Codec, Layout
from sparsefmt.codecs.codebook import Codebook
from sparsefmt.codecs.raw import Raw
from sparsefmt.codecs.scales import TENSOR


def taken(codec: Codec, structure: Layout, target: Layout, at: Array, ids: Array) -> Codec:
    """The values of `target`, which has the rows `ids` of `structure`.

    Args:
        codec: the values of `structure`.
        structure: what rows are taken of.
        target: what they become.
        at: the places of its slots along the first axis of the slots of `structure`.
        ids: the rows, any order, some of them often.

    Raises:
        CodecError: the codec is of an unknown kind.
    """
    if isinstance(codec, Raw):
        return Raw(codec.data[at], check=False)
    if isinstance(codec, Affine):
        codes = codec.codes[at] if codec.bits == 8 else _codes(structure, target, codec.codes, codec.bits, at)
        scale, point = codec.scale, codec.zero_point
        if codec.group != TENSOR:
            scale, point = scale[ids], None if point is None else point[ids]
        return type(codec)(codes, scale, point, codec.group, codec.dtype, check=False)
    if isinstance(codec, Codebook):
        book = codec.codebook if codec.codebook.ndim == 1 else codec.codebook[ids]
        return type(codec)(_codes(structure, target, codec.codes, codec.bits, at), book, check=False)
    msg = f"rows of codec {codec.text!r} are not taken; use sf.dequantize first"
    raise CodecError(msg)


def _codes(structure: Layout, target: Layout, stored: Array, bits: int, at: Array) -> Array:
    """The stream of the codes at these places."""
    if structure.padded:  # rows begin on a byte, and are as long as they were
        return stored[at]
    per = math.prod(streams.body_shape(structure)[1:])
    flat = at if per == 1 else (at[:, None] * per + counted(per)).reshape(-1)
    codes = streams.gathered(stored, bits, flat)
    return streams.pack(target, codes.reshape(streams.body_shape(target)), bits)
