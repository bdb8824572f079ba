"""Structure and codec in one go over the matrix; equals structure first, codec after, bit for bit."""

from itertools import pairwise
from typing import Any

import numpy as np

from sparsefmt.base.alloc import empty, zeros
from sparsefmt.base.dtypes import COMPLEX, INTEGERS, Array, items
from sparsefmt.base.errors import CodecError, PatternError
from sparsefmt.base.matrix import Matrix
from sparsefmt.codecs import streams
from sparsefmt.codecs.affine import Affine
from sparsefmt.codecs.base import Codec, Options
from sparsefmt.codecs.codebook import Codebook, Nearest, given_codebook
from sparsefmt.codecs.codebook import nearest as find_nearest
from sparsefmt.codecs.codes import Codes, code_range
from sparsefmt.codecs.fit import count, fit, fit_counted, rounded
from sparsefmt.codecs.scales import TENSOR, columns, extremes, grid_shape, make_scales
from sparsefmt.encoding.format_text import Format
from sparsefmt.encoding.row_blocks import BitmaskPieces, CsrPieces, DensePieces, NmPieces, Piece, Pieces, pieces
from sparsefmt.kernels.affine_rows import FUSED_BITS, SINGLES, bits_affine_encode, csr_affine_encode, nm_affine_encode
from sparsefmt.kernels.clustered import nm_nearest_encode
from sparsefmt.kernels.codebook import nearest16
from sparsefmt.structures.base import Params, Structure
from sparsefmt.structures.bitmask import Bitmask
from sparsefmt.structures.csr import Csr
from sparsefmt.structures.dense import Dense
from sparsefmt.structures.nm import Nm

# Dense rows as N:M: every item is a group and a slot.
_EVERY: Params = {"n": 1, "m": 1, "align": 1}
_EMPTY = np.empty((0, 0), np.uint8)
_NONE = np.empty(0, np.uint8)
_BLOCK_BYTES = 1 << 20  # of a matrix that must be copied to be worked on
_ROW_COLUMNS = 1 << 15  # a longer row is worked on in parts that begin with a group


def encode(
    w: Matrix, zero: int, target: Format, options: Options, prune: bool, score: Array | None
) -> tuple[Structure, Codec] | None:
    """Packs `w` without its raw slots as a whole; `prune` as in `sparsefmt.encode`.

    None where it cannot be packed, has no items, or needs all values at once: taking structure and codec one by one
    then does it, or names the reason.
    """
    kind, params = target.codec, target.params
    if kind is None or not all(w.shape) or w.dtype.name in ("bool", *COMPLEX):
        return None
    try:
        if issubclass(kind, Affine):
            grouped = _EVERY if target.structure is Dense else params
            at_once = kind.bits in FUSED_BITS
            if at_once and target.structure in (Nm, Dense) and score is None and _is_simple(w, grouped, options):
                return _encode_whole(w, zero, target.structure, grouped, kind, options, prune)
            if at_once and target.structure in (Bitmask, Csr) and _is_symmetric(w, options):
                return _encode_rows(w, zero, target, kind, options)
            source = pieces(w, zero, target.structure, params, prune, score)
            return None if source is None else _affine(source, kind, options)
        if issubclass(kind, Codebook) and _fits_in_pieces(w, options):
            source = pieces(w, zero, target.structure, params, prune, score)
            return None if source is None else (_row_codebooks if options["row"] else _codebook)(source, options)
    except (CodecError, PatternError):
        pass
    return None


def _is_simple(w: Matrix, params: Params, options: Options) -> bool:
    """Whether a kernel does it all: a scale has columns of one row, and begins with a group that starts on a byte."""
    if not _is_symmetric(w, options):
        return False
    group, (rows, cols) = columns(w.shape, options["group"]), w.shape
    if group < cols and group % params["m"]:
        return False
    if params["align"] == 1 and -(-cols // params["m"]) * params["n"] % 2 and rows > 1:
        return False  # a byte that two rows share, with codes of 4 bits
    return cols <= _ROW_COLUMNS or np.lcm(group, 8 * params["m"]) <= _ROW_COLUMNS


def _is_symmetric(w: Matrix, options: Options) -> bool:
    """Whether kernels know the dtype, and scales of rows."""
    return not options["asym"] and options["group"] != TENSOR and w.dtype.name in SINGLES


def _encode_rows(
    w: Matrix, zero: int, target: Format, kind: type[Affine], options: Options
) -> tuple[Structure, Affine] | None:
    """Counts, then codes rows and gathers the codes of their slots."""
    source: BitmaskPieces | CsrPieces
    source = (BitmaskPieces if target.structure is Bitmask else CsrPieces)(w, zero, target.params)
    made, group = source.structure, columns(w.shape, options["group"])
    stored = empty(streams.stored_shape(made, kind.bits), np.uint8, "codes")
    scale = empty(grid_shape(w.shape, options["group"]), options["dtype"], "scales")
    for low, high, block in w.row_blocks(1, _BLOCK_BYTES):
        how, scales = (w.dtype.name, group, kind.bits), scale[low:high]
        if isinstance(source, BitmaskPieces):
            bits, offsets = made.arrays()["bits"][low:high], made.arrays()["row_offsets"][low : high + 1]
            failed = bits_affine_encode(block, bits, offsets, *how, scales, stored)
        else:
            indptr = made.arrays()["indptr"][low : high + 1]
            failed = csr_affine_encode(block, zero, indptr, *how, source.indices, scales, stored)
        if failed:
            return None
    return made, _stored(kind, stored, scale, None, options["group"], w.dtype)


def _encode_whole(
    w: Matrix, zero: int, structure: type[Structure], params: Params, kind: type[Affine], options: Options, prune: bool
) -> tuple[Structure, Affine] | None:
    made: Structure
    if structure is Dense:
        made, codes = Dense(w.shape), np.empty((w.shape[0], 0), np.uint8)
    else:
        made, codes, _ = Nm.allocate(w.shape, params, np.dtype("u1"), slots=False)
    stored = empty(Codes(kind.bits, None).shape(made), np.uint8, "codes")
    values = stored.reshape(w.shape[0], -1)
    scale = empty(grid_shape(w.shape, options["group"]), options["dtype"], "scales")
    group = columns(w.shape, options["group"])
    for low, high, block in w.row_blocks(1, _BLOCK_BYTES):
        part = codes[low:high], scale[low:high], values[low:high]
        if nm_affine_encode(block, zero, int(prune), w.dtype.name, params["n"], params["m"], group, kind.bits, *part):
            return None
    return made, _stored(kind, stored, scale, None, options["group"], w.dtype)


def _stored(
    kind: type[Affine], codes: Array, scale: Array, point: Array | None, group: int, dtype: np.dtype[Any]
) -> Affine:
    """The codec with these codes, bytes that are signed numbers where they are symmetric and of 8 bits."""
    if kind.bits == 8 and point is None:
        codes = codes.view(np.int8)
    return kind(codes, scale, point, group, dtype, check=False)


class _Store:
    """Codes of a structure, stored piece by piece."""

    def __init__(self, structure: Structure, bits: int, stream: bool) -> None:
        self._structure, self._bits, self._stream = structure, bits, stream
        shape = streams.stored_shape(structure, bits) if stream else structure.slot_shape(8)
        self.codes = (zeros if structure.padded else empty)(shape, np.uint8, "codes")
        self._writer = None if structure.padded else streams.Writer(self.codes.reshape(-1), bits)

    def put(self, piece: Piece, codes: Array) -> None:
        """Adds the codes of the slots of a piece, one byte each, in their shape."""
        if self._writer is not None:
            self._writer.put(codes.reshape(-1))
        elif not self._stream:
            self.codes[piece.low : piece.high, : codes.shape[1]] = codes
        else:
            params = self._structure.params()
            aligned = Nm(piece.part.arrays()["codes"], **params, shape=piece.part.shape, check=False)
            self.codes[piece.low : piece.high] = streams.pack(aligned, codes, self._bits)

    def room(self, count: int) -> Array | None:
        """The bytes for so many codes, if they are whole ones."""
        return None if self._writer is None else self._writer.room(count)

    def rows(self) -> Array | None:
        """All bytes, row by row, to be filled by the caller; None where rows begin inside a byte."""
        return streams.by_rows(self._structure, self.codes, self._bits)

    def close(self) -> Array:
        """All codes."""
        if self._writer is not None:
            self._writer.close()
        return self.codes


def _affine(source: Pieces, kind: type[Affine], options: Options) -> tuple[Structure, Affine]:
    w, group, asym, dtype = source.w, options["group"], options["asym"], options["dtype"]
    whole, shape = w.dtype.name in INTEGERS, grid_shape(w.shape, group)
    steps = code_range(kind.bits, asym=asym)
    scale, point = empty(shape, dtype, "scales"), empty(shape, np.uint8, "zero points") if asym else None
    if group == TENSOR:
        lows, highs = zip(*(extremes(p.part, p.slots, group) for p in source), strict=True)
        scale, point = make_scales(np.minimum.reduce(lows), np.maximum.reduce(highs), steps, asym, dtype, whole)
    store = _Store(source.structure, kind.bits, kind.bits < 8)
    for piece in source:
        low, high, part, slots = piece
        entries = scale, point
        if group != TENSOR:
            entries = make_scales(*extremes(part, slots, group), steps, asym, dtype, whole)
            scale[low:high] = entries[0]
            if point is not None:
                point[low:high] = entries[1]
        codec = kind(_EMPTY, *entries, group, w.dtype, check=False)
        codes = codec.coding.shift(part, codec.quantized(part, slots), group, 1)
        store.put(piece, codes)
    return source.structure, _stored(kind, store.close(), scale, point, group, w.dtype)


def _fits_in_pieces(w: Matrix, options: Options) -> bool:
    """Whether codebooks are given, or made from counts of at most 65,536 values or row by row."""
    return options["row"] or options.get("codebook") is not None or w.dtype.itemsize <= 2


def _codebook(source: Pieces, options: Options) -> tuple[Structure, Codebook] | None:
    w, k = source.w, options["k"]
    if options.get("codebook") is not None:
        book = given_codebook(options["codebook"], w.dtype, k, None)
    else:
        counts = np.zeros(1 << (8 * w.dtype.itemsize), np.int64)
        for piece in source:
            check_finite(piece)
            counts += count(piece.slots)
        filling = isinstance(source, NmPieces) and bool(counts[0])
        if isinstance(source, NmPieces):
            counts[0] = 0
        book = rounded(fit_counted(counts, w.dtype, k, filling), w.dtype)
    codec = Codebook(_NONE, book, check=False)
    must_hold = isinstance(source, NmPieces) and not (items(book) == 0).any()
    nearest, store = Nearest(book), _Store(source.structure, codec.bits, True)
    limits = nearest.limits(w.dtype)
    rows = store.rows() if isinstance(source, NmPieces) and source.score is None else None
    if isinstance(source, NmPieces) and limits is not None and rows is not None:
        return _clustered(source, codec, limits, rows, must_hold)
    if isinstance(source, DensePieces) and limits is not None:
        source.whole()
    for piece in source:
        if must_hold and not items(piece.slots).all():
            return None
        room = None if limits is None else store.room(piece.slots.size)
        if room is not None and limits is not None:
            if nearest16(items(piece.slots).reshape(-1), w.dtype.name, *limits, codec.bits, room):
                return None
            continue
        check_finite(piece)
        codes = empty(piece.slots.shape, np.uint8, "codes")
        nearest(piece.slots.reshape(-1), codes.reshape(-1))
        store.put(piece, codes)
    return source.structure, Codebook(store.close(), book, check=False)


def _row_codebooks(source: Pieces, options: Options) -> tuple[Structure, Codebook] | None:
    w, k, given = source.w, options["k"], options.get("codebook")
    fills = isinstance(source, NmPieces)
    zero = fills and not all(items(piece.slots).all() for piece in source)
    books = np.zeros((w.shape[0], k), w.dtype) if given is None else given_codebook(given, w.dtype, k, w.shape[0])
    if zero and given is not None and not (items(books) == 0).any(axis=1).all():
        return None
    store = _Store(source.structure, (k - 1).bit_length(), True)
    for piece in source:
        check_finite(piece)
        slots, codes = np.ascontiguousarray(piece.slots), empty(piece.slots.shape, np.uint8, "codes")
        for row, (start, stop) in enumerate(pairwise(_borders(piece)), piece.low):
            values = slots.reshape(-1)[start:stop]
            if given is None and len(values):
                chosen = values[items(values) != 0] if fills else values
                books[row] = rounded(fit(chosen, None, k, zero), w.dtype)
            if len(values):
                find_nearest(values, books[row], codes.reshape(-1)[start:stop])
        store.put(piece, codes)
    return source.structure, Codebook(store.close(), books, check=False)


def _borders(piece: Piece) -> list[int]:
    """Where the slots of each row of a piece begin, and where the last ones end."""
    arrays, rows = piece.part.arrays(), piece.high - piece.low
    offsets = arrays.get("indptr", arrays.get("row_offsets"))
    if offsets is None:
        return [int(at) for at in np.arange(rows + 1) * (piece.slots.size // max(rows, 1))]
    return [int(at) for at in offsets]


def _clustered(
    source: NmPieces, codec: Codebook, limits: tuple[Array, Array], rows: Array, must_hold: bool
) -> tuple[Structure, Codebook] | None:
    """Packs once more, and codes slots at once; `must_hold`: no slot may be zero."""
    w, params = source.w, source.structure.params()
    for low, high, block in w.row_blocks(1, _BLOCK_BYTES):
        how = source.zero, int(source.prune), w.dtype.name, params["n"], params["m"]
        found = nm_nearest_encode(block, *how, *limits, codec.bits, source.codes[low:high], rows[low:high])
        if found & 1 or (must_hold and found):
            return None
    stored = streams.stored_shape(source.structure, codec.bits)
    return source.structure, Codebook(rows.reshape(stored), codec.codebook, check=False)


def check_finite(piece: Piece) -> None:
    """Raises CodecError where a value is NaN or infinite."""
    if piece.slots.size and piece.slots.dtype.name not in INTEGERS:
        extremes(piece.part, piece.slots, TENSOR)
