"""N:M and affine codes in one pass over the matrix; equals structure first, codec after, bit for bit."""

from collections.abc import Iterator

import numpy as np

from sparsefmt.arrays import INTEGERS, Array, Matrix, blocks, empty, zeros
from sparsefmt.codecs import streams
from sparsefmt.codecs.affine import Affine
from sparsefmt.codecs.base import Options
from sparsefmt.codecs.scales import TENSOR, columns, extremes, grid_shape, make_scales
from sparsefmt.errors import CodecError, PatternError
from sparsefmt.kernels.fused import SINGLES, nm_affine_encode
from sparsefmt.structures.base import Params
from sparsefmt.structures.nm import Nm, check_real

_EMPTY = np.empty((0, 0), np.uint8)
_BLOCK_BYTES = 1 << 20  # of the matrix that are worked on at once
_ROW_COLUMNS = 1 << 15  # a longer row is worked on in parts that begin with a group


def encode(
    w: Matrix, zero: int, params: Params, kind: type[Affine], options: Options, prune: bool, score: Array | None
) -> tuple[Nm, Affine] | None:
    """Packs `w`; `prune` as in `sparsefmt.encode`.

    None where it cannot be packed, or has no items: taking structure and codec one by one names the reason.
    """
    if not all(w.shape) or w.dtype.name == "bool":
        return None
    check_real(w)
    try:
        if _is_simple(w, params, options) and score is None:
            return _encode_whole(w, zero, params, kind, options, prune)
        return _encode_blocks(w, zero, params, kind, options, prune, score)
    except (CodecError, PatternError):
        return None


def _is_simple(w: Matrix, params: Params, options: Options) -> bool:
    """Whether a kernel does it all: a scale has columns of one row, and begins with a group that starts on a byte."""
    if options["asym"] or options["group"] == TENSOR or w.dtype.name not in SINGLES:
        return False
    group, (_, cols) = columns(w.shape, options["group"]), w.shape
    if group < cols and group % params["m"]:
        return False
    return cols <= _ROW_COLUMNS or np.lcm(group, 8 * params["m"]) <= _ROW_COLUMNS


def _rows_of_values(made: Nm, bits: int) -> tuple[Array, Array] | None:
    """Stored codes to be filled: in their own shape, and a view of a row of bytes per row; None if rows share one."""
    if bits == 8:
        stored = empty(made.slot_shape(8), np.uint8, "codes")
        return stored, stored
    stored = empty(streams.stored_shape(made, bits), np.uint8, "codes")
    count = made.groups * made.n
    if not made.padded and count % 2 and made.shape[0] > 1:
        return None
    return stored, stored.reshape(made.shape[0], -1)


def _encode_whole(
    w: Matrix, zero: int, params: Params, kind: type[Affine], options: Options, prune: bool
) -> tuple[Nm, Affine] | None:
    made, codes, _ = Nm.allocate(w.shape, params, np.dtype("u1"), slots=False)
    rows = _rows_of_values(made, kind.bits)
    if rows is None:
        return _encode_blocks(w, zero, params, kind, options, prune, None)
    stored, values = rows
    scale = empty(grid_shape(w.shape, options["group"]), options["dtype"], "scales")
    group = columns(w.shape, options["group"])
    for low, high, block in w.row_blocks(1, _BLOCK_BYTES):
        part = codes[low:high], scale[low:high], values[low:high]
        if nm_affine_encode(block, zero, int(prune), w.dtype.name, params["n"], params["m"], group, kind.bits, *part):
            return None
    if kind.bits == 8:
        stored = stored.view(np.int8)
    return made, kind(stored, scale, None, options["group"], w.dtype, check=False)


def _encode_blocks(
    w: Matrix, zero: int, params: Params, kind: type[Affine], options: Options, prune: bool, score: Array | None
) -> tuple[Nm, Affine]:
    made, codes, _ = Nm.allocate(w.shape, params, np.dtype("u1"), slots=False)
    group, asym, cols = options["group"], options["asym"], w.shape[1]
    whole = w.dtype.name in INTEGERS
    per = made.groups * made.n
    bare = {**params, "align": 1}

    def parts() -> Iterator[tuple[int, int, Nm, Array]]:
        """Gives (first row, end, structure without padding, its raw slots)."""
        for first, last, block in w.row_blocks(8, _BLOCK_BYTES):
            for low, high in blocks(last - first, cols * w.dtype.itemsize, 8, _BLOCK_BYTES):
                low_row, high_row = first + low, first + high
                slots = empty((high - low, per), w.item_dtype, "a block of values")
                rows = codes[low_row:high_row]
                ranks = None if score is None else score[low_row:high_row]
                Nm.pack_block(block[low:high], w.dtype, zero, bare, rows, slots, prune, ranks, low_row)
                part = Nm(rows, **bare, shape=(high - low, cols), check=False)
                yield low_row, high_row, part, slots.view(w.dtype)

    shape = grid_shape(w.shape, group)
    scale = empty(shape, options["dtype"], "scales")
    point = empty(shape, np.uint8, "zero points") if asym else None
    if group == TENSOR:
        lows, highs = zip(*(extremes(part, slots, group) for _, _, part, slots in parts()), strict=True)
        both = np.minimum.reduce(lows), np.maximum.reduce(highs)
        scale, point = make_scales(*both, kind.bits, asym, options["dtype"], whole)
    stored = zeros(made.slot_shape(8) if kind.bits == 8 else streams.stored_shape(made, 4), np.uint8, "codes")
    for low, high, part, slots in parts():
        if group != TENSOR:
            made_scale, made_point = make_scales(
                *extremes(part, slots, group), kind.bits, asym, options["dtype"], whole
            )
            scale[low:high] = made_scale
            if point is not None:
                point[low:high] = made_point
            codec = kind(_EMPTY, made_scale, made_point, group, w.dtype, check=False)
        else:
            codec = kind(_EMPTY, scale, point, group, w.dtype, check=False)
        packed = codec.lower(part, codec.quantized(part, slots)).codes.view(np.uint8)
        if kind.bits == 4 and made.padded:
            aligned = Nm(part.codes, **params, shape=part.shape, check=False)
            stored[low:high] = streams.pack(aligned, streams.unpack(part, packed, 4), 4)
        elif kind.bits == 4:
            stored[low * per // 2 : low * per // 2 + len(packed)] = packed
        else:
            stored[low:high, :per] = packed
    if kind.bits == 8 and not asym:
        stored = stored.view(np.int8)
    return made, kind(stored, scale, point, group, w.dtype, check=False)
