"""Packing pruned weights with codes that are chosen by the error of the outputs."""

import numpy as np

from sparsefmt.api.encode import encode
from sparsefmt.api.quantize import cluster, raw_values, scaled_codes
from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import CodecError
from sparsefmt.codecs.affine import Affine
from sparsefmt.codecs.codebook import Codebook
from sparsefmt.codecs.descent import choose_codes
from sparsefmt.encoding.format_text import parse_codec
from sparsefmt.tensor.sparse import SparseTensor


def structure_text(pattern: object) -> str:
    """The structure that stores a pattern: the text itself where it is one, else bitmask."""
    if not isinstance(pattern, str):
        return "bitmask"
    head = pattern.partition("/")[0]
    if head.startswith("bsr"):
        return head.partition(":")[0]
    if head.startswith("t"):
        return "nm" + head[1:]
    return "bitmask" if head.startswith("v") else head


def packed_format(pattern: str) -> str:
    """The format that stores a pattern, with its codec."""
    _, slash, codec = pattern.partition("/")
    return structure_text(pattern) + slash + codec


def code_weights(kept: Array, keep: Array, want: Array, h: Array, pattern: object, codec: str) -> SparseTensor:
    """`kept` (rows, cols) packed in the structure of the pattern, with codes near to `want` in the outputs.

    Raises:
        CodecError: the codec is unknown or takes no data.
    """
    kind, options = parse_codec(codec)
    structure = structure_text(pattern)
    if issubclass(kind, Codebook):
        raw = encode(kept, structure)
        weights = np.broadcast_to(np.diagonal(h) if h.ndim == 2 else h, kept.shape)
        return cluster(raw, codec, weights=weights)
    if not issubclass(kind, Affine):
        msg = f"codec {codec!r} has no codes to choose; have int2 .. int8 and kmeansK"
        raise CodecError(msg)
    made = choose_codes(
        want,
        keep,
        h,
        bits=kind.bits,
        group=options["group"],
        asym=options["asym"],
        dtype=options["dtype"],
        start=kept,
    )
    raw = encode(made.values.astype(kept.dtype), structure)
    slots = raw_values(raw, "code_weights")
    codes = scaled_codes(raw.structure, slots, kind, options["group"], made)
    return SparseTensor(raw.structure, codes, raw.shape)
