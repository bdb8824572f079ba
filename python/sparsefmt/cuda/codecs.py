"""Codecs on the device: values of slots to codes and back; the bytes are those of the CPU.

`body` is the slots without padding of rows: (rows, groups * n) for nm, (rows, cols) for dense, flat or in blocks else.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sparsefmt.base.alloc import ALIGNMENT
from sparsefmt.base.dtypes import COMPLEX, INTEGERS, Dtype
from sparsefmt.base.errors import BackendError
from sparsefmt.codecs.affine import Affine
from sparsefmt.codecs.base import Codec, Options
from sparsefmt.codecs.codebook import Codebook
from sparsefmt.codecs.raw import Raw
from sparsefmt.codecs.scales import TENSOR, grid_shape
from sparsefmt.cuda import clusters, launch
from sparsefmt.cuda.device import DeviceArray, assign, carrier, contiguous, cupy, empty, zeros
from sparsefmt.cuda.structures import Refused, bit_columns, coords, expanded, nm_macros
from sparsefmt.kernels.affine import compute_dtype
from sparsefmt.structures.base import Structure
from sparsefmt.structures.bitmask import Bitmask
from sparsefmt.structures.csr import Csr
from sparsefmt.structures.dense import Dense
from sparsefmt.structures.nm import Nm


@dataclass(frozen=True, slots=True, eq=False)
class Carried(Raw):
    """Values of a dtype that CuPy does not have, in the bytes of `data`."""

    meaning: Dtype = field(default_factory=lambda: np.dtype(np.uint8))

    @property
    def dtype(self) -> Dtype:  # type: ignore[override]
        """The dtype of the values."""
        return self.meaning


@dataclass(frozen=True, slots=True)
class Layout:
    """How kernels find the place of a slot: macros, first arguments, threads."""

    macros: dict[str, str | int]
    args: tuple[Any, ...]
    threads: int


def layout(s: Structure, slots: int) -> Layout:
    """The layout of the body of `s`."""
    rows, cols = s.shape
    if isinstance(s, Nm):
        return Layout({"GROUPS": 1, **nm_macros(s)}, (s.codes, s.codes.shape[1], s.groups * s.n, rows, cols), 32 * rows)
    if isinstance(s, Dense):
        return Layout({"GROUPS": 1, "N": 1, "M": 1, "BITS": 0}, (None, 0, cols, rows, cols), 32 * rows)
    if isinstance(s, Csr | Bitmask):
        offsets = s.indptr if isinstance(s, Csr) else s.row_offsets
        columns = s.indices if isinstance(s, Csr) else bit_columns(s, slots)
        return Layout(launch.wide(offsets), (offsets, columns, slots, rows, cols), 32 * rows)
    return Layout({"COORDS": 1}, (*coords(s, slots), slots, rows, cols), slots)


def lines(s: Structure, slots: int) -> DeviceArray:
    """The row of every slot of the body, flat, int64."""
    xp = cupy()
    if isinstance(s, Nm | Dense):
        return xp.repeat(xp.arange(s.shape[0]), slots // max(s.shape[0], 1))
    if isinstance(s, Csr | Bitmask):
        return expanded(s.indptr if isinstance(s, Csr) else s.row_offsets, slots).astype(np.int64, copy=False)
    return coords(s, slots)[0]


def body_shape(s: Structure, slots: int) -> tuple[int, ...]:
    """The shape of the body."""
    if isinstance(s, Nm):
        return s.shape[0], s.groups * s.n
    shape: tuple[int, ...] = s.slot_shape(8)
    return s.shape if isinstance(s, Dense) else (slots, *shape[1:]) if len(shape) == 1 else shape


def coded(codec: Codec) -> Codebook:
    """`codec`, which is none of the others, as a codebook.

    Raises:
        BackendError: kernels do not know the codec.
    """
    if not isinstance(codec, Codebook):
        msg = f"the GPU has no kernels for the codec {codec.text!r}; move the tensor back: t.to('cpu')"
        raise BackendError(msg)
    return codec


# Streams


def pack(s: Structure, codes: DeviceArray, bits: int) -> DeviceArray:
    """A body of codes, one byte each, as `codecs.streams.pack` stores them."""
    rows, count = codes.shape if s.padded else (1, codes.size)
    used = -(-count * bits // 8)
    if s.padded:
        out = zeros((rows, -(-used // ALIGNMENT) * ALIGNMENT), np.uint8, "codes")
    else:
        out = empty(used, np.uint8, "codes")
    args = (codes, rows, count, count, bits, out, out.shape[-1])
    launch.run("stream", "pack_stream", {}, rows * -(-count // 8), *args)
    return out


def unpack(
    s: Structure, stored: DeviceArray, bits: int, shape: tuple[int, ...], low: int = 0, *, sign: bool = False
) -> DeviceArray:
    """The codes of a body of `shape`, or of its part of that shape from row `low` on, one byte each."""
    out = empty(shape, np.uint8, "unpacked codes")
    rows, count = (shape[0], shape[1]) if s.padded else (1, out.size)
    first = 0 if s.padded else low * (out.size // max(shape[0], 1))
    source = stored[low : low + rows] if s.padded else stored
    args = (source, stored.shape[-1], stored.shape[-1], first, rows, count, bits, int(sign), out, count)
    launch.run("stream", "unpack_stream", {}, rows * count, *args)
    return out


def widened(s: Structure, body: DeviceArray, bits: int) -> DeviceArray:
    """The body with the padding of rows, where rows are padded."""
    if not s.padded:
        return body
    out = zeros(s.slot_shape(bits), body.dtype, "slots")
    assign(out[:, : body.shape[1]], body)
    return out


# Values to codes


def encode(s: Structure, values: DeviceArray, dtype: Dtype, codec: type[Codec], options: Options) -> Codec:
    """Stores `values`: the body of slots, or for the raw codec all that is stored, padding included.

    Raises:
        Refused: the codec cannot hold them.
        CodecError: an impossible codebook.
    """
    if codec is Raw:
        return Raw(values, check=False)
    if dtype.name in (*COMPLEX, "bool"):
        raise Refused
    if issubclass(codec, Affine):
        return _encode_affine(s, values, dtype, codec, options)
    return clusters.encode(s, values, dtype, options, pack)


def _affine_macros(place: Layout, dtype: Dtype | None, scale: DeviceArray) -> dict[str, str | int]:
    value: dict[str, str | int] = {} if dtype is None else {"DTYPE": launch.DTYPE_IDS[dtype.name]}
    return {**place.macros, **value, **({"SCALE16": 1} if scale.dtype.itemsize == 2 else {})}


def _encode_affine(s: Structure, values: DeviceArray, dtype: Dtype, codec: type[Affine], options: Options) -> Affine:
    group, asym, bits = options["group"], options["asym"], codec.bits
    shape, wide = grid_shape(s.shape, group), compute_dtype(dtype).itemsize
    place = layout(s, values.size)
    count, bad = launch.size(shape), launch.counter()
    scale = empty(shape, options["dtype"], "scales")
    point = empty(shape, np.uint8, "zero points") if asym else None
    low, high = (empty(count, np.dtype(f"u{wide}"), "extremes") for _ in range(2))
    low.fill(1 << (8 * wide - 1))  # the key of +0
    high.fill(1 << (8 * wide - 1))
    macros = _affine_macros(place, dtype, scale)
    if values.size:
        launch.run("codec", "extremes", macros, place.threads, *place.args, values, group, shape[1], low, high, bad)
    whole = int(dtype.name in INTEGERS)
    launch.run("codec", "make_scales", macros, count, low, high, count, bits, int(asym), whole, scale, point, bad)
    if int(bad[0]):
        raise Refused
    codes = empty(values.shape, np.uint8, "codes")
    if values.size:
        args = (values, group, shape[1], bits, int(asym), scale, point, codes)
        launch.run("codec", "quantize", macros, place.threads, *place.args, *args)
    stored = pack(s, codes, bits) if bits < 8 else widened(s, codes, 8).view(np.uint8 if asym else np.int8)
    return codec(stored, scale, point, group, dtype, check=False)


# Codes to values


def window(s: Structure, codec: Affine, low: int, high: int) -> tuple[DeviceArray, DeviceArray | None]:
    """Scales and zero points of some rows."""
    if codec.group == TENSOR or (low, high) == (0, s.shape[0]):
        return codec.scale, codec.zero_point
    return codec.scale[low:high], None if codec.zero_point is None else codec.zero_point[low:high]


def rows_of(s: Structure, low: int, high: int) -> Structure:
    """Rows `low..high` of nm or dense; other structures whole."""
    if (low, high) == (0, s.shape[0]):
        return s
    if isinstance(s, Nm):
        return Nm(s.codes[low:high], s.n, s.m, (high - low, s.shape[1]), s.align, check=False)
    return Dense((high - low, s.shape[1]), check=False) if isinstance(s, Dense) else s


def slot_count(s: Structure, codec: Codec) -> int:
    """How many slots are stored, without asking the device where the codec knows."""
    if isinstance(codec, Raw) and not isinstance(s, Nm):
        return int(codec.data.size)
    return s.slots


def fetched(s: Structure, codec: Codec, low: int, high: int) -> DeviceArray:
    """The codes of rows `low..high` (nm, dense) or all, one byte each in the shape of the body, sign-extended."""
    part = rows_of(s, low, high)
    shape = body_shape(part, slot_count(s, codec) if part is s else part.slots)
    if isinstance(codec, Affine) and codec.bits == 8:
        codes = codec.codes if part is s else codec.codes[low:high]
        body = codes[:, : shape[1]] if s.padded else codes
        return cupy().ascontiguousarray(body).view(np.uint8)
    bits, sign = codec.slot_bits, isinstance(codec, Affine) and codec.zero_point is None
    first = 0 if part is s else low
    return unpack(s, codec.arrays()["codes"], bits, shape, first, sign=sign)


def decode(s: Structure, codec: Codec, low: int, high: int) -> DeviceArray:
    """The values of the slots of rows `low..high` (nm, dense) or all, in the carrier of the dtype.

    The body; of the raw codec all that is stored.
    """
    if isinstance(codec, Raw):
        return codec.data[low:high] if isinstance(s, Nm | Dense) else codec.data
    codes, part = fetched(s, codec, low, high), rows_of(s, low, high)
    out = empty(codes.shape, carrier(codec.dtype), "values")
    if not codes.size:
        return out
    if isinstance(codec, Affine):
        scale, point = window(s, codec, low, high) if part is not s else (codec.scale, codec.zero_point)
        place = layout(part, codes.size)
        args = (codes, codec.group, scale.shape[1], int(point is not None), scale, point, out)
        macros = _affine_macros(place, codec.dtype, scale)
        launch.run("codec", "dequantize", macros, place.threads, *place.args, *args)
        return out
    codec = coded(codec)
    books = codec.codebook if codec.codebook.ndim == 1 or part is s else codec.codebook[low:high]
    look_up(part, codes, books, out)
    return out


def look_up(s: Structure, codes: DeviceArray, tables: DeviceArray, out: DeviceArray) -> None:
    """`out = table[codes]`, with one table (K,) or one per row of the matrix (rows, K)."""
    macros: dict[str, str | int] = {"ITEM": out.dtype.itemsize, **({"CODE16": 1} if codes.itemsize == 2 else {})}
    if tables.ndim == 1:
        launch.run("stream", "lookup", macros, codes.size, codes, codes.size, tables, len(tables), out)
        return
    line = lines(s, codes.size)
    args = (codes, codes.size, line, len(tables), tables, tables.shape[1], out)
    launch.run("stream", "lookup_lines", macros, codes.size, *args)


# Lifted slots: all zero bits where a slot decodes to +0


def lift(s: Structure, codec: Codec) -> DeviceArray:
    """The slots as `Codec.lift` gives them, without padding of rows."""
    rows = s.shape[0]
    if isinstance(codec, Raw):
        return contiguous(codec.data[:, : s.groups * s.n]) if isinstance(s, Nm) else codec.data
    codes = fetched(s, codec, 0, rows)
    if isinstance(codec, Affine):
        return _shifted(s, codec, codes, -1)
    return clusters.lift(coded(codec), codes, lambda tables, out: look_up(s, codes, tables, out))


def lower(s: Structure, slots: DeviceArray, codec: Codec) -> Codec:
    """The same codec with other slots, given as `lift` returns them."""
    if isinstance(codec, Raw):
        data = widened(s, slots, 8 * slots.itemsize)
        return Carried(data, False, codec.meaning) if isinstance(codec, Carried) else Raw(data, check=False)
    if isinstance(codec, Affine):
        codes = _shifted(s, codec, slots, 1)
        stored = pack(s, codes, codec.bits) if codec.bits < 8 else widened(s, codes, 8).view(codec.codes.dtype)
        return type(codec)(stored, codec.scale, codec.zero_point, codec.group, codec.dtype, check=False)
    codec = coded(codec)
    codes = clusters.lower(s.kind, codec, slots, lambda tables, out: look_up(s, slots, tables, out))
    return Codebook(pack(s, codes, codec.bits), codec.codebook, check=False)


def _shifted(s: Structure, codec: Affine, codes: DeviceArray, sign: int) -> DeviceArray:
    if codec.zero_point is None or not codes.size:
        return codes
    out, place = empty(codes.shape, np.uint8, "codes"), layout(s, codes.size)
    args = (codes, codec.group, codec.scale.shape[1], sign, codec.zero_point, out)
    launch.run("codec", "shift", _affine_macros(place, None, codec.scale), place.threads, *place.args, *args)
    return out
