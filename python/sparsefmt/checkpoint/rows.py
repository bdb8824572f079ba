"""Packed tensors by ranges of rows: cutting, and what becomes of each array when the ranges are put together."""

import dataclasses
import math
from collections.abc import Iterator

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import SizeError
from sparsefmt.codecs import streams
from sparsefmt.codecs.affine import Affine
from sparsefmt.codecs.base import Codec
from sparsefmt.codecs.scales import TENSOR
from sparsefmt.encoding.format_text import Format
from sparsefmt.structures.base import Structure, Window
from sparsefmt.tensor.sparse import SparseTensor

BYTE_ROWS = 8
"""So many rows of codes of any width end on a byte."""

MOST_RANGES = 1 << 22
"""Of 32 MiB each: 128 TiB."""


def joins(target: Format) -> bool:
    """Whether a tensor in this format is the same as its ranges of rows put together."""
    if not target.structure.by_rows:
        return False
    if target.codec is None or target.codec.kind == "raw":
        return True
    group = target.options.get("group")
    return bool(target.options.get("row", group is not None and group >= 0))  # k-means, else scales


def one_scale(target: Format) -> bool:
    """Whether a tensor in this format is its ranges of rows put together, once the scale that all share is known."""
    structure, codec = target.structure, target.codec
    if codec is None or not issubclass(codec, Affine) or target.options.get("group") != TENSOR:
        return False
    return structure.by_rows


def shared(values: Codec) -> frozenset[str]:
    """The arrays of values that all rows have in common: one scale, or one codebook, for the tensor."""
    scales = ("scale", "zero_point") if values.params().get("group") == "tensor" else ()
    return frozenset(n for n, a in values.arrays().items() if n in scales or (n == "codebook" and a.ndim == 1))


def row_step(target: Format) -> int:
    """Ranges of rows must start at multiples of this, for blocks and codes to end there."""
    return math.lcm(BYTE_ROWS, target.params["block"][0] if "block" in target.params else 1)


def ranges(rows: int, row_bytes: int, step: int, chunk: int) -> Iterator[tuple[int, int]]:
    """Cuts rows into ranges of about `chunk` bytes that start at multiples of `step`; rows of no bytes are one range.

    Raises:
        SizeError: there are more ranges than anyone waits for: few bytes can stand for a matrix that no disk holds.
    """
    most = max(chunk // row_bytes // step, 1) * step if row_bytes else max(rows, 1)
    count = -(-rows // most)
    if count > MOST_RANGES:
        what = f"{rows} rows of {row_bytes} bytes each are {count} ranges of rows"
        msg = f"{what}; allowed {MOST_RANGES}; coo stores no rows"
        raise SizeError(msg)
    for low in range(0, rows, most):
        yield low, min(low + most, rows)


def cut(t: SparseTensor, low: int, high: int) -> SparseTensor | None:
    """Rows `low..high` of a packed tensor, with the same codes; `low` is a multiple of its `row_step` and of 8.

    None where the structure does not follow the rows.
    """
    if not t.structure.by_rows:
        return None
    if (low, high) == (0, t.structure.shape[0]):
        return SparseTensor.from_checked(t.structure, t.values, t.structure.shape)
    window = t.structure.window(low, high)
    part: Structure = window.part
    return SparseTensor.from_checked(part, cut_values(t.values, t.structure, window, low, high), part.shape)


def cut_values(values: Codec, structure: Structure, window: Window, low: int, high: int) -> Codec:
    """The values of a window of rows."""
    changed: dict[str, Array] = {}
    for name, a in values.arrays().items():
        if name == "data":
            changed[name] = a[window.start : window.stop]
        elif name == "codes":
            changed[name] = cut_codes(values, a, structure, window)
        elif a.ndim == 2 and len(a) == structure.shape[0] and structure.shape[0] > 1:
            changed[name] = a[low:high]
    return dataclasses.replace(values, check=False, **changed)  # type: ignore[type-var]


def cut_codes(values: Codec, codes: Array, structure: Structure, window: Window) -> Array:
    """The codes of a window."""
    if values.slot_bits == 8 or structure.padded:
        return codes[window.start : window.stop]
    per = math.prod(streams.body_shape(structure)[1:]) * values.slot_bits
    return streams.cut(codes, window.start * per, window.stop * per)
