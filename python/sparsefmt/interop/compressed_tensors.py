"""The tensors of compressed-tensors: sparse-bitmask, sparse-24-bitmask, and packed or plain integer codes.

Source: compressed-tensors 0.11 (`compressors/sparse_compressors`, `compressors/quantized_compressors`), whose files
stand in tests/data/reference; the readers of the sparse formats were removed there in 2026.
"""

from collections.abc import Sequence

import numpy as np

from sparsefmt.base.alloc import empty
from sparsefmt.base.coerce import plain
from sparsefmt.base.dtypes import Array, index_dtype
from sparsefmt.base.errors import FormatError
from sparsefmt.codecs.raw import Raw
from sparsefmt.interop import integer_grid
from sparsefmt.interop.integer_grid import Grid
from sparsefmt.interop.integer_words import pack_words, unpack_stream, unpack_words, word_array
from sparsefmt.kernels.nm import nm24_from_mask
from sparsefmt.structures.nm import Nm
from sparsefmt.structures.registry import STRUCTURES
from sparsefmt.tensor.layout import along_last, refuse
from sparsefmt.tensor.sparse import SparseTensor


def stored_shape(shape: Array | Sequence[int]) -> tuple[int, int]:
    """The shape of a matrix from the array that holds it, (2,) or (2, 1) integers, or a sequence.

    Raises:
        FormatError: it is no shape of a matrix.
    """
    shape = np.asarray(shape)
    if shape.dtype.kind not in "iu" or shape.size != 2:
        msg = f"shape: want two integers, got {shape.dtype} of shape {shape.shape}"
        raise FormatError(msg)
    rows, cols = (int(n) for n in shape.reshape(-1))
    if rows < 0 or cols < 0:
        msg = f"shape: want lengths of 0 and more, got ({rows}, {cols})"
        raise FormatError(msg)
    return rows, cols


def _mask_bytes(bitmask: Array, shape: tuple[int, int]) -> Array:
    want = (shape[0], -(-shape[1] // 8))
    if bitmask.dtype != np.uint8 or bitmask.shape != want:
        msg = f"bitmask: want uint8 of shape {want}, got {bitmask.dtype} of shape {bitmask.shape}"
        raise FormatError(msg)
    return bitmask


def from_sparse24_bitmask(compressed: Array, bitmask: Array, shape: Array | Sequence[int]) -> SparseTensor:
    """The nm2:4 tensor of a sparse-24-bitmask: the same values, and codes for the same positions.

    Args:
        compressed: (rows, cols / 2), two values for every four columns.
        bitmask: (rows, ceil(cols / 8)) uint8, low bit first, two bits set of every four.
        shape: rows and cols, integers of shape (2,) or (2, 1).

    Returns:
        An nm2:4 tensor of the dtype of `compressed`. Nothing is lost.

    Raises:
        FormatError: arrays that do not fit the shape, columns that are no multiple of 4, a group without two set bits.

    Source: compressed-tensors 0.11, `sparse_24_bitmask.py`.

    >>> mask = np.array([[0b1001_1010]], np.uint8)
    >>> from_sparse24_bitmask(np.array([[1.5, -2, 3, .5]]), mask, np.array([1, 8])).to_dense()
    array([[ 0. ,  1.5,  0. , -2. ,  3. ,  0. ,  0. ,  0.5]])
    """
    rows, cols = stored_shape(shape)
    if cols % 4:
        msg = f"shape: sparse-24-bitmask wants columns in fours, got {cols}"
        raise FormatError(msg)
    bits = _mask_bytes(bitmask, (rows, cols))
    if compressed.shape != (rows, cols // 2):
        msg = f"compressed: want shape {(rows, cols // 2)}, got {compressed.shape}"
        raise FormatError(msg)
    codes = empty((rows, -(-cols // 4 * 3 // 8)), np.uint8, "codes of groups")
    if nm24_from_mask(np.ascontiguousarray(bits), cols, codes):
        raise _bad_mask(bits, cols)
    structure, values = Nm(codes, 2, 4, (rows, cols), check=False), Raw(plain(compressed, compressed.dtype))
    values.fits(structure)
    return SparseTensor.from_checked(structure, values, (rows, cols))


def _bad_mask(bits: Array, cols: int) -> FormatError:
    """What is wrong with a mask."""
    if cols % 8 and (bits[:, -1] >> np.uint8(4)).any():
        return FormatError(f"bitmask: a bit is set at or beyond column {cols}")
    set_bits = np.unpackbits(bits, axis=1, bitorder="little")[:, :cols]
    count = set_bits.reshape(len(bits), -1, 4).sum(axis=2)
    row, group = (int(i) for i in np.argwhere(count != 2)[0])
    low, found = 4 * group, int(count[row, group])
    return FormatError(f"bitmask: row {row}, columns {low}..{low + 3} have {found} bits set, want 2")


def to_sparse24_bitmask(t: SparseTensor) -> tuple[Array, Array, Array]:
    """Compressed values, bitmask and shape of an nm2:4 tensor, as `from_sparse24_bitmask` takes them.

    Args:
        t: an nm2:4 tensor with raw values, columns in fours.

    Returns:
        (rows, cols / 2) of the dtype of `t`, (rows, ceil(cols / 8)) uint8, and int64 of shape (2, 1).

    Raises:
        FormatError: another rank, structure or codec, packed along another axis than the last, or columns that are no
            multiple of 4.

    >>> import sparsefmt as sf
    >>> to_sparse24_bitmask(sf.encode(np.array([[0, 5., 6, 0]]), "nm2:4"))
    (array([[5., 6.]]), array([[6]], dtype=uint8), array([[1],
           [4]]))
    """
    refuse(t, "sparse-24-bitmask")
    if t.ndim != 2:
        msg = f"sparse-24-bitmask holds matrices, got shape {t.shape}"
        raise FormatError(msg)
    from_nm = _plain_nm24(t)
    rows, cols = t.structure.shape
    mask = np.packbits(from_nm, axis=1, bitorder="little")
    values = np.array(t.values.decode(t.structure)[:, : cols // 2])
    return values, mask, np.array([[rows], [cols]], np.int64)


def _plain_nm24(t: SparseTensor) -> Array:
    """Where an nm2:4 tensor has its slots, (rows, cols) bool."""
    if not t.format.startswith("nm2:4") or not isinstance(t.values, Raw):
        msg = f'sparse-24-bitmask holds nm2:4 with raw values, got {t.format}; use t.convert("nm2:4"), sf.dequantize'
        raise FormatError(msg)
    rows, cols = t.structure.shape
    if cols % 4:
        msg = f"sparse-24-bitmask wants columns in fours, got {cols}; use sparse-bitmask"
        raise FormatError(msg)
    row, col = t.structure.coords()
    held = np.zeros((rows, cols), bool)
    held[row, col] = True
    return held


def from_sparse_bitmask(
    compressed: Array, bitmask: Array, row_offsets: Array, shape: Array | Sequence[int]
) -> SparseTensor:
    """The bitmask tensor of a sparse-bitmask: the same bits and values.

    Args:
        compressed: (values,), row by row.
        bitmask: (rows, ceil(cols / 8)) uint8, low bit first.
        row_offsets: (rows,) integers, where the values of a row begin.
        shape: rows and cols.

    Returns:
        A bitmask tensor of the dtype of `compressed`. Nothing is lost.

    Raises:
        FormatError: arrays that contradict each other.

    Source: compressed-tensors 0.11, `sparse_bitmask.py`.

    >>> bits, offsets = np.array([[2, 1], [0, 2]], np.uint8), np.array([0, 2])
    >>> from_sparse_bitmask(np.array([1., 2, 5]), bits, offsets, np.array([2, 10])).to_dense()
    array([[0., 1., 0., 0., 0., 0., 0., 0., 2., 0.],
           [0., 0., 0., 0., 0., 0., 0., 0., 0., 5.]])
    """
    rows, cols = stored_shape(shape)
    bits = _mask_bytes(bitmask, (rows, cols))
    if compressed.ndim != 1 or row_offsets.dtype.kind not in "iu" or row_offsets.shape != (rows,):
        msg = (
            f"want compressed of rank 1 and row_offsets of shape ({rows},), got {compressed.shape} and "
            f"{row_offsets.dtype} of shape {row_offsets.shape}"
        )
        raise FormatError(msg)
    index = index_dtype(rows, cols, compressed.size)
    wide = row_offsets.astype(np.int64)
    if rows and not (int(wide.min()) >= 0 and int(wide.max()) <= compressed.size):
        msg = f"row_offsets: want 0..{compressed.size}, got {int(wide.min())}..{int(wide.max())}"
        raise FormatError(msg)
    offsets = np.append(wide, compressed.size).astype(index)
    structure = STRUCTURES["bitmask"].from_parts(
        {"bits": np.ascontiguousarray(bits), "row_offsets": offsets}, {"align": 1}, (rows, cols)
    )
    return SparseTensor(structure, Raw(plain(compressed, compressed.dtype)), (rows, cols))


def to_sparse_bitmask(t: SparseTensor) -> tuple[Array, Array, Array, Array]:
    """Compressed values, bitmask, row offsets and shape, as `from_sparse_bitmask` takes them.

    Args:
        t: a tensor of rank 2 that converts to bitmask, with raw values.

    Returns:
        (values,) of the dtype of `t`, (rows, ceil(cols / 8)) uint8, (rows,) int64, and int64 of shape (2,).

    Raises:
        FormatError: another rank, or a codec.

    >>> import sparsefmt as sf
    >>> to_sparse_bitmask(sf.encode(np.array([[0, 5.], [6, 0]]), "csr"))
    (array([5., 6.]), array([[2],
           [1]], dtype=uint8), array([0, 1]), array([2, 2]))
    """
    if t.ndim != 2 or not isinstance(t.values, Raw):
        msg = f"sparse-bitmask holds matrices with raw values, got {t.format} of rank {t.ndim}; use sf.dequantize"
        raise FormatError(msg)
    held = along_last(t).convert("bitmask")
    arrays = held.structure.arrays()
    shape = np.array(t.shape, np.int64)
    return held.values.decode(held.structure), arrays["bits"], arrays["row_offsets"][:-1].astype(np.int64), shape


def from_pack_quantized(
    packed: Array,
    scale: Array,
    shape: Array | Sequence[int],
    bits: int,
    *,
    zero_point: Array | None = None,
    g_idx: Array | None = None,
    across_words: bool | None = None,
    group_size: int | None = None,
    dtype: "np.dtype[np.generic] | None" = None,
) -> tuple[SparseTensor | Array, str]:
    """The weight of a pack-quantized layer: dense codes and scales as they are, where a codec here holds them.

    Args:
        packed: (rows, words) int32: codes plus 2**(bits - 1), low bits first, `32 // bits` a word.
        scale: (rows, groups), (rows, 1) per row, or one element for the tensor.
        shape: rows and cols.
        bits: per code, 2 to 8.
        zero_point: (ceil(rows * bits / 32), groups) int32, packed along the rows; None: symmetric.
        g_idx: (cols,) the group of every column; None: in order.
        across_words: whether codes of 3, 5, 6, 7 bits lie across words, as newer versions have it; None: from the
            number of words.
        group_size: columns of a group, where the last may be short; default: what g_idx says, else groups are alike.
        dtype: of the weights; default that of the scales.

    Returns:
        The packed tensor and "", or the values and the reason why they are not packed. Exact, but for the one
        rounding of code times scale where values are returned. Without zero points, codes of 4 and 8 bits share the
        memory of `packed` until something other than `to_dense` asks for them.

    Raises:
        FormatError: arrays that do not fit the shape.

    Source: compressed-tensors 0.11, `pack_quantized.py`.

    >>> words = np.array([[0x0000_F980]], np.uint32).view(np.int32)
    >>> from_pack_quantized(words, np.array([[2.]], np.float16), np.array([1, 4]), 4)[0].to_dense()
    array([[-16.,   0.,   2.,  14.]], dtype=float16)
    """
    rows, cols = stored_shape(shape)
    words = word_array("weight_packed", packed)
    if len(words) != rows:
        msg = f"weight_packed: want {rows} rows, got {len(words)}"
        raise FormatError(msg)
    if across_words is None:
        across_words = 32 % bits != 0 and words.shape[1] == -(-cols * bits // 32) != -(-cols // (32 // bits))
    unpack = unpack_stream if across_words else unpack_words
    scale, group = scale_grid(scale, (rows, cols), group_size, g_idx)
    point = None
    if zero_point is not None:
        turned = np.ascontiguousarray(word_array("weight_zero_point", zero_point).T)
        point = unpack(turned, bits, rows).T
        if point.shape != scale.shape:
            msg = f"weight_zero_point: {zero_point.shape} holds points of shape {point.shape}, the scales {scale.shape}"
            raise FormatError(msg)
    grid = Grid(words, bits, scale, point, group, scale.dtype if dtype is None else dtype)
    return integer_grid.ordered(integer_grid.with_words(grid, words, cols, across=across_words), g_idx)


def from_int_quantized(
    weight: Array,
    scale: Array,
    *,
    zero_point: Array | None = None,
    g_idx: Array | None = None,
    group_size: int | None = None,
    dtype: "np.dtype[np.generic] | None" = None,
) -> tuple[SparseTensor | Array, str]:
    """The weight of an int-quantized layer, int8 codes one a byte.

    Args:
        weight: (rows, cols) int8.
        scale: as in `from_pack_quantized`.
        zero_point: integers of the shape of `scale`; None: symmetric.
        g_idx: as in `from_pack_quantized`.
        group_size: likewise.
        dtype: of the weights; default that of the scales.

    Returns:
        As `from_pack_quantized`.

    Raises:
        FormatError: arrays that do not fit.

    >>> codes, scale = np.array([[1, -2]], np.int8), np.array([[.5]], np.float16)
    >>> from_int_quantized(codes, scale)[0].to_dense()
    array([[ 0.5, -1. ]], dtype=float16)
    """
    if weight.ndim != 2 or weight.dtype != np.int8:
        msg = f"weight: want a matrix of int8, got {weight.dtype} of shape {weight.shape}"
        raise FormatError(msg)
    scale, group = scale_grid(scale, weight.shape, group_size, g_idx)
    point = None
    if zero_point is not None:
        if zero_point.dtype.kind not in "iu" or zero_point.size != scale.size:
            msg = f"weight_zero_point: want {scale.size} integers, got {zero_point.dtype} of shape {zero_point.shape}"
            raise FormatError(msg)
        point = zero_point.reshape(scale.shape).astype(np.int32) + 128
    codes = np.ascontiguousarray(weight).view(np.uint8)
    held = codes if point is None else integer_grid.flipped(codes, 128)
    dtype = scale.dtype if dtype is None else dtype
    return integer_grid.ordered(Grid(held, 8, scale, point, group, dtype, signed=point is None), g_idx)


def scale_grid(
    scale: Array, shape: tuple[int, int], size: int | None = None, g_idx: Array | None = None
) -> tuple[Array, int]:
    """Scales as (rows, groups), and the columns of a group, as `columns_per_scale` finds them: 0 for rows, -1: for all.

    Raises:
        FormatError: they lie on no grid over a matrix of this shape.
    """
    rows, cols = shape
    if scale.dtype.kind not in "fV" or scale.ndim > 2:
        msg = f"weight_scale: want a matrix of floats, got {scale.dtype} of shape {scale.shape}"
        raise FormatError(msg)
    if scale.size == 1 and (rows != 1 or scale.ndim < 2):
        return scale.reshape(1, 1), -1
    grid = scale.reshape(rows, -1) if scale.size and scale.shape[0] == rows else None
    groups = 0 if grid is None else grid.shape[1]
    if grid is None or groups > max(cols, 1):
        msg = f"weight_scale: shape {scale.shape} is no grid over a matrix of shape {shape}"
        raise FormatError(msg)
    return grid, integer_grid.columns_per_scale(cols, groups, size, g_idx)


def to_pack_quantized(t: SparseTensor) -> dict[str, Array]:
    """`weight_packed, weight_scale, weight_shape` (and `weight_zero_point`) of a dense tensor with int4 or int8 codes.

    Args:
        t: a matrix with an int4 or int8 codec; another structure than dense becomes dense first.

    Returns:
        int32 (rows, words), the scales, int64 (2,), and int32 zero points packed along the rows if `:asym`.

    Raises:
        FormatError: another rank or codec, or packed along another axis than the last.

    Source: compressed-tensors 0.11, `pack_quantized.py`.

    >>> import sparsefmt as sf
    >>> sorted(to_pack_quantized(sf.encode(np.ones((2, 8), np.float16), "dense/int4")))
    ['weight_packed', 'weight_scale', 'weight_shape']
    """
    if t.ndim != 2 or t.values.kind not in ("int4", "int8"):
        msg = f"pack-quantized holds matrices of int4 or int8 codes, got {t.format} of rank {t.ndim}"
        raise FormatError(msg)
    refuse(t, "pack-quantized")
    dense = t.convert("dense")
    bits = dense.values.slot_bits
    arrays = dense.values.arrays()
    middle = np.uint8(1 << (bits - 1))
    lifted = np.asarray(dense.values.lift(dense.structure)).view(np.uint8).reshape(t.shape)  # code minus zero point
    group = dense.values.params()["group"]
    point = arrays.get("zero_point")
    spread = {"row": t.shape[1], "tensor": t.shape[1]}.get(group, group)
    parts = {"weight_scale": arrays["scale"], "weight_shape": np.array(t.shape, np.int64)}
    if point is None:
        codes = (lifted + middle) & np.uint8(2**bits - 1)
    else:
        every = np.broadcast_to(np.repeat(point, spread, axis=1)[:, : t.shape[1]], t.shape)
        codes = (lifted + every) & np.uint8(2**bits - 1)
        parts["weight_zero_point"] = np.ascontiguousarray(pack_words(np.ascontiguousarray(point.T), bits).T)
    return {"weight_packed": pack_words(codes, bits), **parts}
