"""Packed tensors from integer codes and scales that others computed, where codecs here hold them exactly."""

from typing import NamedTuple

import numpy as np

from sparsefmt.base.alloc import empty
from sparsefmt.base.dtypes import DTYPES, FLOATS, Array, Dtype, items
from sparsefmt.base.errors import FormatError
from sparsefmt.codecs.base import Codec
from sparsefmt.codecs.raised import RAISED
from sparsefmt.codecs.registry import CODECS
from sparsefmt.codecs.scales import are_positive
from sparsefmt.interop.integer_words import check_words, unpack_stream, unpack_words
from sparsefmt.kernels.grid import DTYPES_OF_GRID, grid_decode
from sparsefmt.kernels.words import bytes_flip
from sparsefmt.structures.base import Structure
from sparsefmt.structures.registry import STRUCTURES
from sparsefmt.tensor.sparse import SparseTensor

ACT_ORDER = "the groups of its columns are not in order (act order)"
"""Why a weight whose columns have groups in any order is not packed."""

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
        pairs: codes have 4 bits and stand two a byte, the first one low: (rows, slots per row / 2), an even number.
        signed: codes are two's complement, the zero point is 0.
    """

    codes: Array
    bits: int
    scale: Array
    zero_point: Array | None
    group: int
    dtype: Dtype
    pairs: bool = False
    signed: bool = False

    @property
    def cols(self) -> int:
        """Slots per row."""
        return int(self.codes.shape[1]) * (2 if self.pairs else 1)


def single(scale: Array) -> Array:
    """Scales in float32; what is beyond its range becomes infinite."""
    with np.errstate(over="ignore", invalid="ignore"):
        return scale.astype(np.float32)


def obstacle(grid: Grid) -> str:
    """Why no codec here holds the grid exactly; empty: one does."""
    if f"int{grid.bits}" not in CODECS:
        return f"there is no codec of {grid.bits} bits"
    scale = grid.scale if grid.scale.dtype in (np.float16, np.float32) else single(grid.scale)
    if not are_positive(scale):
        return "a scale is zero, negative or not finite"
    if grid.scale.dtype == np.float64 and not (scale == grid.scale).all():
        return "a scale of float64 is no float32"
    point = grid.zero_point
    if point is not None and point.size and not (int(point.min()) >= 0 and int(point.max()) < 2**grid.bits):
        return f"a zero point is outside 0..{2**grid.bits - 1}"
    return ""


def packed(structure: Structure, grid: Grid) -> SparseTensor:
    """The tensor with these codes; `obstacle(grid)` must be empty, and the structure checked, without slots outside.

    Raises:
        FormatError: the grid does not fit the structure.
    """
    scale = grid.scale if grid.scale.dtype in (np.float16, np.float32) else single(grid.scale)
    kind = CODECS[f"int{grid.bits}"]
    middle, whole = (1 << (grid.bits - 1), np.int8) if grid.zero_point is None else (0, np.uint8)
    flips = 0 if grid.signed else middle  # offset binary to two's complement
    if flips and structure.kind == "dense" and (grid.pairs or grid.bits == 8):
        raised = grid.codes.reshape(-1) if grid.pairs else grid.codes.view(whole)
        return _tensor(structure, RAISED[grid.bits].of(raised, np.ascontiguousarray(scale), grid.group, grid.dtype))
    codes = flipped(grid.codes, flips | flips << 4 if grid.pairs else flips)
    stored = codes.reshape(-1) if grid.pairs else _stream(codes, grid.bits, whole)
    arrays = {"codes": stored, "scale": scale}
    if grid.zero_point is not None:
        arrays["zero_point"] = grid.zero_point.astype(np.uint8)
    params = {"group": {0: "row", -1: "tensor"}.get(grid.group, grid.group)}
    held = {name: np.ascontiguousarray(a) for name, a in arrays.items()}
    return _tensor(structure, kind.from_parts(held, params, grid.dtype))


def _tensor(structure: Structure, codec: Codec) -> SparseTensor:
    """Both together, whatever the slots hold.

    Raises:
        FormatError: they do not fit.
    """
    codec.fits(structure)
    return SparseTensor.from_checked(structure, codec, structure.shape)


def flipped(codes: Array, bits: int) -> Array:
    """Bytes, contiguous, some of whose bits are turned over."""
    if not bits:
        return codes
    out = empty(codes.shape, np.uint8, "codes")
    bytes_flip(np.ascontiguousarray(codes), bits, out)
    return out


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
    rows, cols = len(grid.codes), grid.cols
    spread = {0: cols, -1: cols}.get(grid.group, grid.group)
    groups = grid.scale.shape[1]
    if groups * spread < cols:
        msg = f"scale: {groups} groups of {spread} columns do not cover {cols} columns"
        raise FormatError(msg)
    at = np.arange(cols, dtype=np.int32) // max(spread, 1) if order is None else order.astype(np.int32)
    scale, middle = np.ascontiguousarray(single(grid.scale)), np.float32(1 << (grid.bits - 1))
    if grid.zero_point is None:
        point: Array = np.full(scale.shape, middle, np.float32)
    else:
        point = np.ascontiguousarray(grid.zero_point, np.float32)
    codes = flipped(grid.codes, 1 << (grid.bits - 1)) if grid.signed else np.ascontiguousarray(grid.codes)
    out = empty((rows, cols), grid.dtype, "the values of integer codes")
    direct = grid.dtype.name in DTYPES_OF_GRID
    step = max(rows if direct else _CHUNK // max(cols, 1), 1)
    for low in range(0, rows, step):
        part = slice(low, low + step)
        made = out[part] if direct else np.empty(out[part].shape, np.float32)
        some = part if len(scale) == rows else slice(None)
        args = scale[some], point[some], at, made.dtype.name, 0
        grid_decode(codes[part], 4 if grid.pairs else 8, *args, items(made))
        if not direct:
            with np.errstate(over="ignore", invalid="ignore"):
                out[part] = made
    return out


def makes_groups(size: int | None, cols: int, groups: int) -> bool:
    """Whether groups of so many columns, the last of which may be short, are as many."""
    return size is not None and size > 0 and -(-cols // size) == groups


def columns_per_scale(cols: int, groups: int, size: int | None, g_idx: Array | None = None) -> int:
    """The columns of a group, the last of which may be short; 0: one group, the row.

    The number of groups alone does not tell: 3 groups over 300 columns are of 100, or of 128 and the last of 44. So
    `g_idx`, the group of every column, comes first, then `size`, as settings have it; without both groups are alike.

    Raises:
        FormatError: nothing tells, or there are more groups than columns.
    """
    if groups == 1:
        return 0
    said = [size] if g_idx is None else [int((g_idx == 0).sum()), size]
    for columns in said:
        if columns is not None and makes_groups(columns, cols, groups):
            return columns
    even = -(-cols // max(groups, 1))
    if even and (cols % groups == 0 or (g_idx is not None and groups <= cols)):  # act order: no column asks for it
        return even
    wrong = "" if size is None else f", and are not of {size}"
    msg = f"scales: {groups} groups do not divide {cols} columns{wrong}; group_size says how many columns one has"
    raise FormatError(msg)


def dense_structure(shape: tuple[int, int]) -> Structure:
    """Every element of the matrix is stored."""
    return STRUCTURES["dense"].from_parts({}, {}, shape)


def value(grid: Grid) -> tuple[SparseTensor | Array, str]:
    """A dense matrix of codes as a packed tensor, or as its values with the reason."""
    reason = obstacle(grid)
    return (dense_values(grid), reason) if reason else (packed(dense_structure((len(grid.codes), grid.cols)), grid), "")


def with_words(grid: Grid, words: Array, cols: int, *, across: bool) -> Grid:
    """The grid with the codes of words (rows, words): as they are where they have no gaps, else one a byte.

    Raises:
        FormatError: the words of a row hold another number of codes.
    """
    check_words(
        words.shape[1], -(-cols * grid.bits // 32) if across else -(-cols // (32 // grid.bits)), cols, grid.bits
    )
    if grid.bits in (4, 8) and words.shape[1] * 32 == cols * grid.bits:
        return grid._replace(codes=words.view(np.uint8), pairs=grid.bits == 4)
    unpack = unpack_stream if across else unpack_words
    return grid._replace(codes=unpack(words, grid.bits, cols))


def float_dtype(name: str, default: Dtype) -> Dtype:
    """The dtype of weights that a configuration names ("bfloat16", "torch.float16")."""
    short = name.removeprefix("torch.")
    return DTYPES[short] if short in FLOATS else default


def ordered(grid: Grid, g_idx: Array | None) -> tuple[SparseTensor | Array, str]:
    """As `value`, with the group of every column given; where they are not in order, the values.

    Raises:
        FormatError: it has another length, or names groups that are not there.
    """
    if is_in_order(grid, grid.cols, g_idx):
        return value(grid)
    return dense_values(grid, g_idx), ACT_ORDER


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
