"""Packed tensors from integer codes and scales that others computed, where codecs here hold them exactly."""

from typing import NamedTuple

import numpy as np

from sparsefmt.base.alloc import empty
from sparsefmt.base.dtypes import DTYPES, FLOATS, Array, Dtype
from sparsefmt.base.errors import FormatError
from sparsefmt.codecs.base import Codec
from sparsefmt.codecs.registry import CODECS
from sparsefmt.interop.chunks import in_chunks
from sparsefmt.structures.base import Structure
from sparsefmt.structures.registry import STRUCTURES
from sparsefmt.tensor.sparse import SparseTensor

_CHUNK = 1 << 17  # elements that are decoded together


class Grid(NamedTuple):
    """Codes of all slots and how they are scaled: value = (code - zero point) * scale[row, column // group].

    Args:
        codes: (rows, slots per row) uint8, unsigned: 0 .. 2**bits - 1.
        bits: per code.
        scale: (rows, groups), or (1, 1) for the tensor.
        zero_point: integers of the shape of `scale`; None: 2**(bits - 1) everywhere, the codes are offset binary.
        group: columns per scale; 0: the row, -1: the tensor.
        dtype: of the values.
    """

    codes: Array
    bits: int
    scale: Array
    zero_point: Array | None
    group: int
    dtype: Dtype


def single(scale: Array) -> Array:
    """Scales in float32; what is beyond its range becomes infinite."""
    with np.errstate(over="ignore", invalid="ignore"):
        return scale.astype(np.float32)


def obstacle(grid: Grid) -> str:
    """Why no codec here holds the grid exactly; empty: one does."""
    if f"int{grid.bits}" not in CODECS:
        return f"there is no codec of {grid.bits} bits"
    scale = single(grid.scale)
    if not (np.isfinite(scale) & (scale > 0)).all():
        return "a scale is zero, negative or not finite"
    if grid.scale.dtype == np.float64 and not (scale == grid.scale).all():
        return "a scale of float64 is no float32"
    point = grid.zero_point
    if point is not None and point.size and not (int(point.min()) >= 0 and int(point.max()) < 2**grid.bits):
        return f"a zero point is outside 0..{2**grid.bits - 1}"
    return ""


def packed(structure: Structure, grid: Grid, *, stream: bool = False) -> SparseTensor:
    """The tensor with these codes; `obstacle(grid)` must be empty.

    `stream`: the codes of the grid are bytes (rows, row bytes) of 4 or 8 bits a code, low bits first, without gaps.

    Raises:
        FormatError: the grid does not fit the structure.
    """
    scale = grid.scale if grid.scale.dtype in (np.float16, np.float32) else single(grid.scale)
    kind = CODECS[f"int{grid.bits}"]
    middle, whole = (1 << (grid.bits - 1), np.int8) if grid.zero_point is None else (0, np.uint8)
    if stream:
        flips = np.uint8(middle | middle << 4 if grid.bits == 4 else middle)
        codes = (grid.codes.reshape(-1) ^ flips).reshape(structure.shape if grid.bits == 8 else -1)
        arrays = {"codes": codes.view(whole) if grid.bits == 8 else codes, "scale": scale}
    else:
        twos = grid.codes ^ np.uint8(middle) if middle else grid.codes  # offset binary to two's complement
        arrays = {"codes": _stream(twos, grid.bits, whole), "scale": scale}
    if grid.zero_point is not None:
        arrays["zero_point"] = grid.zero_point.astype(np.uint8)
    params = {"group": {0: "row", -1: "tensor"}.get(grid.group, grid.group)}
    codec: Codec = kind.from_parts({k: np.ascontiguousarray(a) for k, a in arrays.items()}, params, grid.dtype)
    return SparseTensor(structure, codec, structure.shape)


def _stream(codes: Array, bits: int, whole: type) -> Array:
    """Codes as a codec stores them: bytes, or one continuous stream, low bits first."""
    if bits == 8:
        return codes.view(whole)
    if bits == 4:
        flat = codes.reshape(-1)
        if flat.size % 2:
            flat = np.append(flat, np.uint8(0))
        return np.asarray(flat[0::2] | (flat[1::2] << np.uint8(4)))
    spread = (codes.reshape(-1, 1) >> np.arange(bits, dtype=np.uint8)) & np.uint8(1)
    return np.packbits(spread.reshape(-1), bitorder="little")


def dense_values(grid: Grid, order: Array | None = None) -> Array:
    """(rows, columns) of the values of codes of a dense matrix: products in float32, rounded once to the dtype.

    `order` is the group of every column; None: they are in order.
    """
    rows, cols = grid.codes.shape
    point: Array | int = 1 << (grid.bits - 1) if grid.zero_point is None else grid.zero_point.astype(np.int32)
    spread = {0: cols, -1: cols}.get(grid.group, grid.group)

    groups = grid.scale.shape[1]
    if groups * spread < cols:
        msg = f"scale: {groups} groups of {spread} columns do not cover {cols} columns"
        raise FormatError(msg)
    at = np.arange(cols) // max(spread, 1) if order is None else order
    out = empty((rows, cols), grid.dtype, "the values of integer codes")
    scale = np.broadcast_to(single(grid.scale), (rows, groups))

    def decode(low: int, high: int) -> None:
        with np.errstate(over="ignore", invalid="ignore"):
            wide = grid.codes[low:high].astype(np.float32)  # small integers: differences are exact
            wide -= point if isinstance(point, int) else np.take(point[low:high], at, axis=1).astype(np.float32)
            wide *= np.take(scale[low:high], at, axis=1)
            out[low:high] = wide

    in_chunks(rows, max(_CHUNK // max(cols, 1), 1), decode)
    return out


def dense_structure(shape: tuple[int, int]) -> Structure:
    """Every element of the matrix is stored."""
    return STRUCTURES["dense"].from_parts({}, {}, shape)


def value(grid: Grid) -> tuple[SparseTensor | Array, str]:
    """A dense matrix of codes as a packed tensor, or as its values with the reason."""
    reason = obstacle(grid)
    return (dense_values(grid), reason) if reason else (packed(dense_structure(grid.codes.shape), grid), "")


def words_as_codes(words: Array, cols: int, grid: Grid) -> SparseTensor | None:
    """The tensor whose codes are the bytes of words (rows, words), as they are; None where they have gaps or obstacles.

    `grid` says all but the codes.
    """
    if grid.bits not in (4, 8) or words.shape[1] * 32 != cols * grid.bits or obstacle(grid):
        return None
    held = grid._replace(codes=words.view(np.uint8))
    return packed(dense_structure((len(words), cols)), held, stream=True)


def float_dtype(name: str, default: Dtype) -> Dtype:
    """The dtype of weights that a configuration names ("bfloat16", "torch.float16")."""
    short = name.removeprefix("torch.")
    return DTYPES[short] if short in FLOATS else default


def ordered(grid: Grid, g_idx: Array | None) -> tuple[SparseTensor | Array, str]:
    """As `value`, with the group of every column given; where they are not in order, the values.

    Raises:
        FormatError: it has another length, or names groups that are not there.
    """
    if is_in_order(grid, grid.codes.shape[1], g_idx):
        return value(grid)
    return dense_values(grid, g_idx), "the groups of its columns are not in order (act order)"


def is_in_order(grid: Grid, cols: int, g_idx: Array | None) -> bool:
    """Whether column `c` has the scale of group `c // group`, as g_idx says of every column; None: so it is.

    Raises:
        FormatError: g_idx has another length, or names groups that are not there.
    """
    if g_idx is None:
        return True
    groups = grid.scale.shape[1]
    if g_idx.shape != (cols,) or g_idx.dtype.kind not in "iu":
        msg = f"g_idx: want {cols} integers, got {g_idx.dtype} of shape {g_idx.shape}"
        raise FormatError(msg)
    if cols and not (int(g_idx.min()) >= 0 and int(g_idx.max()) < groups):
        msg = f"g_idx: want 0..{groups - 1}, got {int(g_idx.min())}..{int(g_idx.max())}"
        raise FormatError(msg)
    return bool((g_idx == np.arange(cols) // max(grid.group if grid.group > 0 else cols, 1)).all())
