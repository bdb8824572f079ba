"""The layouts of 2:4 that NVIDIA's libraries read: plain nibbles, and CUTLASS's order of them. On CPU and GPU.

A group of four columns is a nibble i0 | i1 << 2, the positions of its two slots, i0 < i1. The values are (rows,
cols / 2), row by row. Every function takes NumPy's or CuPy's arrays and gives the same.
"""

from typing import Any

import numpy as np

from sparsefmt.base.coerce import is_device_array
from sparsefmt.base.errors import FormatError
from sparsefmt.codecs.affine import Int8
from sparsefmt.codecs.raw import Raw
from sparsefmt.cuda.device import contiguous, cupy
from sparsefmt.kernels.marlin24 import CODES, NIBBLES
from sparsefmt.structures.nm import Nm
from sparsefmt.tensor.layout import refuse
from sparsefmt.tensor.sparse import SparseTensor, as_tensor


def _module(a: Any) -> Any:  # noqa: ANN401
    """The module of an array: numpy or cupy."""
    return cupy() if is_device_array(a) else np


def _contiguous(a: Any) -> Any:  # noqa: ANN401
    return contiguous(a) if is_device_array(a) else np.ascontiguousarray(a)


def _parts(t: SparseTensor, what: str) -> tuple[Nm, Any]:
    """The structure and the values (rows, groups * 2) of an nm2:4 tensor.

    Raises:
        FormatError: another structure, or a codec whose codes are no numbers.
    """
    t = as_tensor(t, gpu=True)
    refuse(t, what)
    s, codec = t.structure, t.values
    if not isinstance(s, Nm) or (s.n, s.m) != (2, 4):
        msg = f'{what}: want nm2:4, got {s.text}; convert first: t.convert("nm2:4")'
        raise FormatError(msg)
    if isinstance(codec, Int8) and codec.zero_point is None:
        held = codec.codes
    elif isinstance(codec, Raw):
        held = codec.data
    else:
        msg = f"{what}: want raw values or symmetric int8 codes, got {codec.text!r}; use sf.dequantize first"
        raise FormatError(msg)
    return s, _contiguous(s.body(held))


def _ranks(s: Nm) -> Any:  # noqa: ANN401
    """The codes of all groups (rows, groups), uint8."""
    xp, stored, groups = _module(s.codes), s.codes, s.groups
    runs = -(-groups // 8)
    wide = xp.zeros((len(stored), runs * 3), np.uint8)
    used = min(stored.shape[1], runs * 3)
    wide[:, :used] = stored[:, :used]
    parts = wide.reshape(-1, 3).astype(np.uint32)
    word = parts[:, 0] | (parts[:, 1] << np.uint32(8)) | (parts[:, 2] << np.uint32(16))
    ranks = xp.stack([(word >> np.uint32(3 * i)) & np.uint32(7) for i in range(8)], axis=1)
    return ranks.astype(np.uint8).reshape(len(stored), runs * 8)[:, :groups]


def _packed(ranks: Any, shape: tuple[int, int]) -> Nm:  # noqa: ANN401
    """The structure of these codes, all below 6."""
    xp, (rows, groups) = _module(ranks), ranks.shape
    runs = -(-groups // 8)
    wide = xp.zeros((rows, runs * 8), np.uint32)
    wide[:, :groups] = ranks
    each = wide.reshape(rows, runs, 8)
    word = xp.zeros((rows, runs), np.uint32)
    for i in range(8):
        word |= each[:, :, i] << np.uint32(3 * i)
    stored = xp.stack([(word >> np.uint32(8 * i)) & np.uint32(255) for i in range(3)], axis=2).astype(np.uint8)
    stored = xp.ascontiguousarray(stored.reshape(rows, runs * 3)[:, : -(-groups * 3 // 8)])
    return Nm(stored, 2, 4, shape, check=False)


def _built(values: Any, nibbles: Any, cols: int) -> SparseTensor:  # noqa: ANN401
    """The tensor of values (rows, groups * 2) and nibbles (rows, groups), one a byte.

    Raises:
        FormatError: a nibble that is none of the six.
    """
    xp, rows = _module(values), len(values)
    ranks = xp.asarray(CODES)[nibbles]
    bad = ranks == 255
    if bool(bad.any()):
        place = np.argwhere(bad if xp is np else cupy().asnumpy(bad))[0]
        row, group = (int(i) for i in place)
        known = ", ".join(f"0x{n:X}" for n in NIBBLES)
        msg = f"metadata: row {row}, columns {4 * group}..{4 * group + 3} hold the nibble "
        raise FormatError(msg + f"0x{int(nibbles[row, group]):X}, allowed {known}")
    codec = Raw(_contiguous(values).copy(), check=xp is np)
    structure = _packed(ranks, (rows, cols))
    if xp is np:
        return SparseTensor(structure, codec, (rows, cols))
    return SparseTensor.from_checked(structure, codec, (rows, cols))


def _table(xp: Any) -> Any:  # noqa: ANN401
    return xp.asarray(np.array([*NIBBLES, 0xE, 0xE], np.uint8))


def to_nibbles24(t: SparseTensor) -> tuple[Any, Any]:
    """Values and plain nibbles of an nm2:4 tensor.

    Args:
        t: an nm2:4 tensor, raw or with symmetric int8 codes (then the values are the codes); on CPU or GPU.

    Returns:
        values (rows, groups * 2), of the dtype of the values, and metadata (rows, ceil(groups / 2)) uint8: two groups
        a byte, the low nibble first. groups = ceil(cols / 4). float8 on a GPU comes as uint8.

    Raises:
        FormatError: the tensor has another structure or codec.

    Source: NVIDIA, PTX ISA 8.5, section 9.7.14.6 (sparse mma).

    >>> import sparsefmt as sf
    >>> to_nibbles24(sf.encode(np.array([[0, 5, 6, 0, 7, 0, 0, 0]], np.int8), "nm2:4"))
    (array([[5, 6, 7, 0]], dtype=int8), array([[137]], dtype=uint8))
    """
    s, values = _parts(t, "to_nibbles24")
    xp = _module(values)
    single = _table(xp)[_ranks(s)]
    even = xp.zeros((s.shape[0], -(-s.groups // 2) * 2), np.uint8)
    even[:, : s.groups] = single
    return values, even[:, 0::2] | (even[:, 1::2] << np.uint8(4))


def from_nibbles24(values: Any, nibbles: Any, cols: int | None = None) -> SparseTensor:  # noqa: ANN401
    """The inverse of `to_nibbles24`.

    Args:
        values: (rows, groups * 2), NumPy or CuPy.
        nibbles: (rows, ceil(groups / 2)) uint8.
        cols: of the matrix, in the last group; default groups * 4.

    Raises:
        FormatError: shapes or dtypes that do not fit, a nibble that is none of 4, 8, 9, C, D, E, or a nonzero value
            beyond the last column.

    >>> from_nibbles24(np.array([[5, 6]], np.int8), np.array([[9]], np.uint8)).to_dense()
    array([[0, 5, 6, 0]], dtype=int8)
    """
    rows, groups = _check_values(values)
    want = (rows, -(-groups // 2))
    if nibbles.shape != want or nibbles.dtype != np.uint8:
        msg = f"nibbles: want uint8 of shape {want}, got {nibbles.dtype} of shape {nibbles.shape}"
        raise FormatError(msg)
    cols = 4 * groups if cols is None else cols
    if not 4 * groups - 4 < cols <= 4 * groups and not cols == groups == 0:
        msg = f"cols = {cols}; {groups} groups hold {max(4 * groups - 3, 0)}..{4 * groups} columns"
        raise FormatError(msg)
    xp = _module(values)
    both = xp.stack([nibbles & np.uint8(15), nibbles >> np.uint8(4)], axis=2).reshape(rows, 2 * nibbles.shape[1])
    return _built(values, both[:, :groups], cols)


def _check_values(values: Any) -> tuple[int, int]:  # noqa: ANN401
    """(rows, groups) of an array of values."""
    if values.ndim != 2 or values.shape[1] % 2:
        msg = f"values: want shape (rows, groups * 2), got {values.shape}"
        raise FormatError(msg)
    return values.shape[0], values.shape[1] // 2


def _axes(itemsize: int, rows: int, groups: int) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """How CUTLASS orders units of metadata (rows, units): axes to split into, their order, groups per unit.

    A unit is 16 bits for 16-bit values (4 groups) and 32 for 8-bit ones (8 groups).

    Raises:
        FormatError: rows or columns are no multiples of a tile.
    """
    per, tall = (4, 32) if itemsize == 2 else (8, 16)
    if rows % tall or groups % (2 * per):
        msg = f"shape {(rows, 4 * groups)}: CUTLASS wants multiples of {tall} rows and {8 * per} columns; pad first"
        raise FormatError(msg)
    units = groups // per // 2
    if itemsize == 2:  # row = 32 a + 16 b + 8 c + d, unit = 2 e + f: order e a d b f c
        return (rows // 32, 2, 2, 8, units, 2), (4, 0, 3, 1, 5, 2), per
    return (rows // 16, 2, 8, units, 2), (3, 0, 2, 4, 1), per  # row = 16 a + 8 b + c, unit = 2 d + e: d a c e b


def to_cutlass24(t: SparseTensor) -> tuple[Any, Any]:
    """Values and metadata of an nm2:4 tensor as the sm80 kernels of CUTLASS and PyTorch read them.

    Args:
        t: an nm2:4 tensor with values of 8 or 16 bits (or symmetric int8 codes), on CPU or GPU. 16 bits: multiples of
            32 rows and 32 columns; 8 bits: of 16 rows and 64 columns.

    Returns:
        values (rows, cols / 2), and metadata (rows, cols / 16) int16 for 16-bit values, (rows, cols / 32) int32 for
        8-bit ones: `ColumnMajorInterleaved<2>` after `reorder_meta`. The bytes of PyTorch's converter.

    Raises:
        FormatError: another structure, codec, item size or shape.

    Source: CUTLASS, `tools/util/include/cutlass/util/host_reorder.h`; PyTorch 2.13,
    `torch/sparse/_semi_structured_conversions.py`.

    >>> import sparsefmt as sf
    >>> w = np.tile(np.array([1, 0, 2, 0], np.float16), (32, 8))
    >>> values, meta = to_cutlass24(sf.encode(w, "nm2:4"))
    >>> values.shape, meta.shape, hex(meta.view(np.uint16)[0, 0])
    ((32, 16), (32, 2), '0x8888')
    """
    s, values = _parts(t, "to_cutlass24")
    if values.dtype.itemsize > 2:
        msg = f"to_cutlass24: want values of 8 or 16 bits, got {values.dtype}"
        raise FormatError(msg)
    xp, (rows, _) = _module(values), values.shape
    split, order, per = _axes(values.dtype.itemsize, rows, s.groups)
    single = _table(xp)[_ranks(s)]
    both = single[:, 0::2] | (single[:, 1::2] << np.uint8(4))
    unit = np.dtype(np.int16 if per == 4 else np.int32)
    units = xp.ascontiguousarray(both).view(unit)
    return values, xp.ascontiguousarray(units.reshape(split).transpose(order)).reshape(rows, s.groups // per)


def from_cutlass24(values: Any, meta: Any) -> SparseTensor:  # noqa: ANN401
    """The inverse of `to_cutlass24`.

    Args:
        values: (rows, cols / 2) of 8 or 16 bits, NumPy or CuPy.
        meta: (rows, cols / 16) int16 or (rows, cols / 32) int32.

    Raises:
        FormatError: shapes or dtypes that do not fit, or a nibble that is none of 4, 8, 9, C, D, E.

    >>> import sparsefmt as sf
    >>> t = sf.encode(np.tile(np.array([1, 0, 2, 0], np.int8), (16, 16)), "nm2:4")
    >>> sf.equal(from_cutlass24(*to_cutlass24(t)), t)
    True
    """
    rows, groups = _check_values(values)
    if values.dtype.itemsize > 2:
        msg = f"from_cutlass24: want values of 8 or 16 bits, got {values.dtype}"
        raise FormatError(msg)
    split, order, per = _axes(values.dtype.itemsize, rows, groups)
    unit, want = np.dtype(np.int16 if per == 4 else np.int32), (rows, groups // per)
    if meta.shape != want or meta.dtype != unit:
        msg = f"meta: want {unit} of shape {want}, got {meta.dtype} of shape {meta.shape}"
        raise FormatError(msg)
    xp = _module(values)
    moved = xp.ascontiguousarray(meta).reshape([split[i] for i in order])
    back = xp.ascontiguousarray(moved.transpose([order.index(i) for i in range(len(order))])).reshape(
        rows, groups // per
    )
    both = back.view(np.uint8)
    single = xp.stack([both & np.uint8(15), both >> np.uint8(4)], axis=2).reshape(rows, groups)
    return _built(values, single, 4 * groups)
