"""The device layout of nm2:4: bricks of 64 x 64 in which every thread finds its fragment side by side.

A brick holds the 64 x 32 values of its slots, then the 64 x 16 codes of its groups, in the order in which the lanes of
a warp read them (formulas.cuh). Rows and columns are padded with zeros to whole bricks; nothing else is added, so that
large matrices take the bytes that they take in a file. The same functions serve NumPy and CuPy arrays. A prepared
layout is cached beside its tensor and never saved.
"""

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparsefmt.base.dtypes import Array, Dtype
from sparsefmt.codecs.affine import Affine
from sparsefmt.codecs.codebook import Codebook
from sparsefmt.codecs.raw import Raw
from sparsefmt.cuda.device import DeviceArray, cupy
from sparsefmt.cuda.own.formulas import formulas
from sparsefmt.kernels.affine_rows import FUSED_BITS, SINGLES
from sparsefmt.structures.nm import Nm
from sparsefmt.tensor.sparse import SparseTensor

BRICK = 64  # rows, and dense columns
STEP = 32  # dense columns of an instruction; scales begin at multiples of it
META_BYTES = 384
_BUDGET = 1 << 24  # slots that are laid out at a time
ALL = 1 << 30  # a group of columns that is the whole row


def module_of(a: DeviceArray) -> Any:  # noqa: ANN401
    """NumPy or CuPy."""
    return np if isinstance(a, np.ndarray) else cupy()


@dataclass(frozen=True, slots=True)
class Bricks:
    """A tensor as the kernels read it.

    `bricks` (row bricks, column bricks, bytes) uint8. `scale` (row bricks, groups, 64) float16 or float32 and `point`
    of that shape, uint8: in the order of the lanes; a group is `group` steps of 32 columns. `row_scale` (rows,) or
    (1,): scales that are applied to sums. `codebook` uint16: bits of its values.
    """

    codec: str  # raw16, raw8, int8, int4, lut
    bits: int
    shape: tuple[int, int]
    bricks: DeviceArray
    scale: DeviceArray | None = None
    point: DeviceArray | None = None
    group: int = 0
    row_scale: DeviceArray | None = None
    codebook: DeviceArray | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        arrays = (self.bricks, self.scale, self.point, self.row_scale, self.codebook)
        return sum(a.nbytes for a in arrays if a is not None)


def _grid(**axes: int) -> list[Array]:
    return [np.asarray(a) for a in np.meshgrid(*(np.arange(n) for n in axes.values()), indexing="ij")]


@functools.cache
def value_order(codec: str, width: int) -> Array:
    """(2048,) for every place of a plane of `width` bits, in stream order: row * 32 + slot of its value."""
    f = formulas()
    order = np.full(2048, -1)
    if codec == "raw8":
        lane, m, reg, byte = _grid(lane=32, m=4, reg=4, byte=4)
        word, bit = f["raw8_word"](lane, m, reg), f["raw8_bit"](byte)
        row, slot = 16 * m + f["a16_row"](lane, reg), f["a8_slot"](lane, reg, byte)
    else:
        lane, m, s, reg, half = _grid(lane=32, m=4, s=2, reg=4, half=2)
        if codec == "raw16":
            word, bit = f["raw16_word"](lane, m, s, reg), f["raw16_bit"](half)
        elif codec == "int8":
            word, bit = f["int8_word"](lane, m, s, reg), f["int8_bit"](reg, half)
        elif codec == "int4":
            word, bit = f["int4_word"](lane, m, s), f["int4_bit"](reg, half)
        else:
            word, bit = f[f"plane{width}_word"](lane, m, s, reg), f[f"plane{width}_bit"](m, s, reg) + width * half
        row, slot = 16 * m + f["a16_row"](lane, reg), 16 * s + f["a16_slot"](lane, reg, half)
    order[(word * (32 // width) + bit // width).reshape(-1)] = (row * 32 + slot).reshape(-1)
    return order


@functools.cache
def meta_order(codec: str) -> Array:
    """(4, 256) for every row tile and nibble of its words, in stream order: row * 16 + group of the code."""
    f = formulas()
    m, lane, j = _grid(m=4, lane=32, j=8)
    nibble = f["meta_nibble"](j)
    kind = "meta8" if codec == "raw8" else "meta16"
    place = (16 * m + f[f"{kind}_row"](lane, nibble)) * 16 + f[f"{kind}_group"](lane, nibble)
    order = np.empty((4, 256), np.int64)
    order[m, f["meta_word"](lane, 0) * 8 + j] = place
    return order


@functools.cache
def scale_order() -> Array:
    """(64,) the row of every entry of a line of scales."""
    return np.asarray(formulas()["scale_row"](np.arange(64)))


def planes(codec: str, bits: int) -> list[int]:
    """The widths of the planes of a code, widest first; the widest holds the lowest bits."""
    return [w for w in (8, 4, 2, 1) if bits & w] if codec == "lut" else [bits]


def _unpack(stream: DeviceArray, bits: int, count: int) -> DeviceArray:
    """Codes from rows of LSB-first streams: (rows, bytes) -> (rows, count) uint8."""
    xp = module_of(stream)
    runs = -(-count // 8)  # eight codes fill `bits` bytes
    room = xp.zeros((stream.shape[0], runs * bits), np.uint8)
    used = min(stream.shape[1], room.shape[1])
    room[:, :used] = stream[:, :used]
    parts = room.reshape(stream.shape[0], runs, bits)
    word = xp.zeros(parts.shape[:2], np.uint64)
    for i in range(bits):
        word |= parts[:, :, i].astype(np.uint64) << np.uint64(8 * i)
    codes = xp.empty((stream.shape[0], runs, 8), np.uint8)
    for i in range(8):
        codes[:, :, i] = (word >> np.uint64(bits * i)) & np.uint64((1 << bits) - 1)
    return codes.reshape(stream.shape[0], -1)[:, :count]


def _pack(codes: DeviceArray, bits: int) -> DeviceArray:
    """The inverse of `_unpack`: rows end on a byte."""
    xp = module_of(codes)
    rows, count = codes.shape
    runs = -(-count // 8)
    room = xp.zeros((rows, runs * 8), np.uint8)
    room[:, :count] = codes
    parts = room.reshape(rows, runs, 8)
    word = xp.zeros((rows, runs), np.uint64)
    for i in range(8):
        word |= parts[:, :, i].astype(np.uint64) << np.uint64(bits * i)
    out = xp.empty((rows, runs, bits), np.uint8)
    for i in range(bits):
        out[:, :, i] = (word >> np.uint64(8 * i)) & np.uint64(255)
    return out.reshape(rows, -1)[:, : -(-count * bits // 8)]


def _fields(items: DeviceArray, width: int) -> DeviceArray:
    """Joins fields of 1, 2, 4, 8 or 16 bits, LSB first, to bytes along the last axis."""
    if width == 16:
        return items.view(np.uint8)
    per = 8 // width
    parts = items.reshape(*items.shape[:-1], -1, per)
    out = parts[..., 0].copy()
    for i in range(1, per):
        out |= parts[..., i] << np.uint8(width * i)
    return out


def _split(data: DeviceArray, width: int) -> DeviceArray:
    """The inverse of `_fields`."""
    if width == 16:
        return data.view(np.uint16)
    xp, per = module_of(data), 8 // width
    out = xp.empty((*data.shape, per), np.uint8)
    for i in range(per):
        out[..., i] = (data >> np.uint8(width * i)) & np.uint8((1 << width) - 1)
    return out.reshape(*data.shape[:-1], -1)


def _to_bricks(a: DeviceArray, col_bricks: int, per: int) -> DeviceArray:
    """(rows, columns) -> (row bricks, column bricks, 64 * per), padded with zeros."""
    xp = module_of(a)
    row_bricks = -(-a.shape[0] // BRICK)
    room = xp.zeros((row_bricks * BRICK, col_bricks * per), a.dtype)
    room[: a.shape[0], : a.shape[1]] = a
    parts = room.reshape(row_bricks, BRICK, col_bricks, per).transpose(0, 2, 1, 3)
    return xp.ascontiguousarray(parts).reshape(row_bricks, col_bricks, BRICK * per)


def _from_bricks(a: DeviceArray, rows: int, columns: int) -> DeviceArray:
    """The inverse of `_to_bricks`."""
    row_bricks, col_bricks, count = a.shape
    parts = a.reshape(row_bricks, col_bricks, BRICK, count // BRICK).transpose(0, 2, 1, 3)
    return parts.reshape(row_bricks * BRICK, -1)[:rows, :columns]


def _inverse(order: Array) -> Array:
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    return back


def _taken(a: DeviceArray, order: Array) -> DeviceArray:
    xp = module_of(a)
    return xp.ascontiguousarray(a[..., xp.asarray(order)])


def lay_out(values: DeviceArray, codes: DeviceArray, codec: str, bits: int, out: DeviceArray) -> None:
    """Fills bricks.

    Args:
        values: (rows, slots) uint16 or uint8, one item per slot.
        codes: (rows, groups) uint8, one code per group.
        codec: raw16, raw8, int8, int4 or lut.
        bits: per value.
        out: (row bricks, column bricks, 256 * bits + 384) uint8.
    """
    col_bricks, at = out.shape[1], 0
    slots = _to_bricks(values, col_bricks, 32)
    low = 0
    for width in planes(codec, bits):
        plane = slots if width >= 8 and codec != "lut" else (slots >> np.uint8(low)) & np.uint8((1 << width) - 1)
        out[..., at : at + 256 * width] = _fields(_taken(plane, value_order(codec, width)), width)
        at, low = at + 256 * width, low + width
    groups, order = _to_bricks(codes, col_bricks, 16), meta_order(codec)
    last = _taken(groups, order[3])
    for word in range(3):
        nibbles = _taken(groups, order[word]) | ((last >> np.uint8(word)) & np.uint8(1)) << np.uint8(3)
        out[..., at + 128 * word : at + 128 * (word + 1)] = _fields(nibbles, 4)


def read_back(bricks: DeviceArray, codec: str, bits: int, shape: tuple[int, int]) -> tuple[DeviceArray, DeviceArray]:
    """The inverse of `lay_out`: (rows, slots) values and (rows, groups) codes of a matrix of `shape`."""
    xp = module_of(bricks)
    rows, groups = shape[0], -(-shape[1] // 4)
    slots = xp.zeros((*bricks.shape[:2], 2048), np.uint16 if bits == 16 else np.uint8)
    at = low = 0
    for width in planes(codec, bits):
        data = xp.ascontiguousarray(bricks[..., at : at + 256 * width])
        slots |= _taken(_split(data, width), _inverse(value_order(codec, width))) << slots.dtype.type(low)
        at, low = at + 256 * width, low + width
    order, found = meta_order(codec), xp.zeros((*bricks.shape[:2], 1024), np.uint8)
    last = xp.zeros((*bricks.shape[:2], 256), np.uint8)
    for word in range(3):
        nibbles = _split(xp.ascontiguousarray(bricks[..., at + 128 * word : at + 128 * (word + 1)]), 4)
        found[..., xp.asarray(order[word])] = nibbles & np.uint8(7)
        last |= (nibbles >> np.uint8(3)) << np.uint8(word)
    found[..., xp.asarray(order[3])] = last
    return _from_bricks(slots, rows, 2 * groups), _from_bricks(found, rows, groups)


def kind_of(t: SparseTensor) -> tuple[str, int] | None:
    """The kind and the bits of the values of an nm2:4 tensor; None if there is no kernel for them."""
    v = t.values
    if isinstance(v, Raw):
        return {"float16": ("raw16", 16), "bfloat16": ("raw16", 16), "int8": ("raw8", 8)}.get(v.dtype.name)
    if isinstance(v, Affine):
        return (v.kind, v.bits) if v.bits in FUSED_BITS and v.dtype.name in SINGLES else None
    if isinstance(v, Codebook) and v.codebook.ndim == 1 and v.dtype.name in ("float16", "bfloat16"):
        return "lut", v.bits
    return None


def _stored_rows(t: SparseTensor, codec: str, bits: int, low: int, high: int) -> DeviceArray:
    """(rows, slots) items of rows `low..high`."""
    v, nm = t.values, t.structure
    assert isinstance(nm, Nm)
    per = 2 * nm.groups
    if isinstance(v, Raw):
        return v.data[low:high, :per].view(np.uint16 if codec == "raw16" else np.uint8)
    codes = v.codes  # type: ignore[attr-defined]
    if codec == "int8":
        return codes[low:high, :per].view(np.uint8)
    if codes.ndim == 2:  # rows are aligned
        return _unpack(codes[low:high], bits, per)
    first = low * per  # a multiple of 8: rows are taken in bricks
    stream = codes[first * bits // 8 : -(-high * per * bits // 8)]
    return _unpack(stream[None], bits, (high - low) * per).reshape(high - low, per)


def prepare(t: SparseTensor) -> Bricks:
    """Lays out an nm2:4 tensor, where its arrays are.

    >>> import sparsefmt as sf
    >>> prepare(sf.encode(np.zeros((64, 64), np.float16), "nm2:4")).bricks.shape
    (1, 1, 4480)
    """
    kind = kind_of(t)
    assert kind is not None
    assert isinstance(t.structure, Nm)
    codec, bits = kind
    (rows, cols), nm = t.structure.shape, t.structure
    xp = module_of(nm.codes)
    row_bricks, col_bricks = -(-rows // BRICK), -(-cols // BRICK)
    bricks = xp.empty((row_bricks, col_bricks, 256 * bits + META_BYTES), np.uint8)
    step = max(_BUDGET // max(col_bricks * 2048, 1), 1)
    for first in range(0, row_bricks, step):
        low, high = first * BRICK, min((first + step) * BRICK, rows)
        codes = _unpack(nm.codes[low:high], 3, nm.groups)
        lay_out(_stored_rows(t, codec, bits, low, high), codes, codec, bits, bricks[first : first + step])
    made = Bricks(codec, bits, (rows, cols), bricks)
    if isinstance(t.values, Affine):
        return _with_scales(made, t.values)
    if isinstance(t.values, Codebook):
        return Bricks(codec, bits, (rows, cols), bricks, codebook=t.values.codebook.view(np.uint16))
    return made


def _with_scales(made: Bricks, v: Affine) -> Bricks:
    rows, cols = made.shape
    if v.zero_point is None and v.scale.shape[1] <= 1:
        return Bricks(made.codec, made.bits, made.shape, made.bricks, row_scale=v.scale.reshape(-1))
    group = v.group // STEP if 0 < v.group < cols else ALL
    point = None if v.zero_point is None else scale_lines(v.zero_point, rows)
    return Bricks(made.codec, made.bits, made.shape, made.bricks, scale_lines(v.scale, rows), point, group)


def scale_lines(grid: DeviceArray, rows: int) -> DeviceArray:
    """(rows or 1, groups) -> (row bricks, groups, 64), in the order of the lanes."""
    xp = module_of(grid)
    row_bricks = -(-rows // BRICK)
    room = xp.zeros((row_bricks * BRICK, grid.shape[1]), grid.dtype)
    room[:rows] = grid
    lines = room.reshape(row_bricks, BRICK, -1)[:, xp.asarray(scale_order())]
    return xp.ascontiguousarray(lines.transpose(0, 2, 1))


def restore(made: Bricks, dtype: Dtype) -> tuple[DeviceArray, DeviceArray]:
    """The canonical bytes: the codes of `Nm`, and `Raw.data` or the codes of the codec; rows are not aligned."""
    values, codes = read_back(made.bricks, made.codec, made.bits, made.shape)
    packed = _pack(codes, 3)
    if made.bits >= 8 and made.codec != "lut":
        return packed, module_of(values).ascontiguousarray(values).view(dtype)
    return packed, _pack(values.reshape(1, -1), made.bits).reshape(-1)
