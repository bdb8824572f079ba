"""Definitions of the kernels that do structure and affine codes in one pass over the matrix."""

import numpy as np

from sparsefmt.base.dtypes import DTYPES, Array, item_dtype
from sparsefmt.kernels.affine import affine_dequantize, affine_extremes, affine_quantize, compute_dtype, quotients
from sparsefmt.kernels.bitmask import bits_gather, bits_row_counts, bits_to_dense, bits_to_indices, dense_to_bits
from sparsefmt.kernels.csr import csr_to_dense
from sparsefmt.kernels.items import changed, span
from sparsefmt.kernels.nm import nm_decode, raw_slots
from sparsefmt.kernels.registry import kernel
from sparsefmt.kernels.stream import pack_stream, unpack_stream

FUSED_BITS = (4, 8)  # the widths of codes that these kernels take
SINGLES = ("float16", "bfloat16", "float32")  # the dtypes that these kernels take
_NONE = np.empty((0, 0), np.uint8)


def slots_per_scale(group: int, n: int, m: int, cols: int) -> int:
    """Slots of `group` columns, a multiple of m or the whole row."""
    return -(-min(group, cols) // m) * n


def nibbles(codes: Array) -> Array:
    """Two codes per byte, low nibble first; an odd last one of a row is completed by zeros."""
    pairs = np.zeros((codes.shape[0], -(-codes.shape[1] // 2), 2), np.uint8)
    pairs.reshape(len(codes), -1)[:, : codes.shape[1]] = codes & 15
    return np.asarray(pairs[..., 0] | pairs[..., 1] << 4)


def symmetric_codes(x: Array, dtype: str, per: int, bits: int, scale: Array) -> Array | None:
    """Fills `scale` (rows, groups of `per` items) and returns the codes; None where a scale is beyond its dtype.

    Also where it is too small for it, see `quotients`.
    """
    compute = compute_dtype(DTYPES[dtype])
    low, high = np.empty(scale.shape, compute), np.empty(scale.shape, compute)
    affine_extremes(x, dtype, per, low, high)
    scale[...] = quotients(np.maximum(-low, high), 2 ** (bits - 1) - 1, scale.dtype)
    if not (np.isfinite(scale).all() and scale.all()):
        return None
    codes = np.empty(x.shape, np.uint8)
    affine_quantize(x, dtype, per, scale, _NONE, bits, codes)
    return codes


@kernel
def nm_affine_encode(
    w: Array,
    zero: int,
    prune: int,
    dtype: str,
    n: int,
    m: int,
    group: int,
    bits: int,
    codes: Array,
    scale: Array,
    values: Array,
) -> int:
    """`nm_encode` (with `prune` 1: `nm_prune_encode`), then symmetric codes of 4 or 8 bits of the slots.

    `group` is a multiple of m, or at least the columns; `scale` is (rows, groups). `values` (rows, bytes) uint8 holds
    a byte per slot, or two codes per byte, low nibble first; then zeros. Takes float16, bfloat16 and float32.

    Returns 0, or 1 where a group has too many nonzeros, a value is not finite, or a scale is beyond its dtype or too
    small for it; the content of the arrays is unspecified then.
    """
    slots = raw_slots(w, zero, bool(prune), dtype, n, m, codes)
    if slots is None:
        return 1
    values[...] = 0
    if not slots.size:
        return 0
    made = symmetric_codes(slots, dtype, slots_per_scale(group, n, m, w.shape[1]), bits, scale)
    if made is None:
        return 1
    packed: Array = made if bits == 8 else nibbles(made)
    values[:, : packed.shape[1]] = packed
    return 0


@kernel
def nm_affine_decode(
    codes: Array, values: Array, n: int, m: int, group: int, bits: int, scale: Array, dtype: str, out: Array
) -> None:
    """The inverse of `nm_affine_encode`: fills `out` (rows, cols). `scale` may have one row, or one entry in it."""
    count = -(-out.shape[1] // m) * n
    stored = values[:, : -(-count * bits // 8)]
    if bits == 4:
        stored = np.stack([stored & 15, stored >> 4], axis=-1).reshape(len(values), -1)[:, :count]
        stored = (stored ^ 8) - 8
    slots = np.zeros(stored.shape, item_dtype(DTYPES[dtype]))
    if slots.size:
        per = slots_per_scale(group, n, m, out.shape[1])
        affine_dequantize(np.ascontiguousarray(stored), per, scale, _NONE, dtype, slots)
    nm_decode(codes, slots, n, m, out)


def put_codes(codes: Array, bits: int, start: int, values: Array) -> None:
    """Writes flat codes as the slots from `start` on of a stream; the other half of a first byte stays as it is."""
    lead = start * bits % 8 // bits
    first = values[start * bits // 8] & 15 if lead else 0
    stream = np.concatenate([np.full(lead, first, np.uint8), codes])
    place = values[start * bits // 8 : -(-(start + len(codes)) * bits // 8)]
    if len(codes):
        pack_stream(stream, bits, place)


def get_codes(values: Array, bits: int, start: int, stop: int) -> Array:
    """The inverse; codes of 4 bits are two's complement."""
    lead = start * bits % 8 // bits
    codes = np.empty(stop - start + lead, np.uint8)
    unpack_stream(values[start * bits // 8 : -(-stop * bits // 8)], bits, codes)
    return codes[lead:] if bits == 8 else (codes[lead:] ^ 8) - 8


@kernel
def bits_affine_encode(
    w: Array, bits: Array, row_offsets: Array, dtype: str, group: int, width: int, scale: Array, values: Array
) -> int:
    """Writes symmetric codes, `width` 4 or 8 bits, of items whose bit is set; a scale for `group` columns of a row.

    `scale` is (rows, groups) float16 or float32; `values` a stream (uint8), in which `row_offsets` are places: a code
    of 4 bits that stands second in its byte leaves the first as it is. Zeros that are not stored change no scale.
    Takes float16, bfloat16 and float32.

    Returns 0, or 1 where a value is not finite, or a scale is beyond its dtype or too small for it; the content of
    the arrays is unspecified then.
    """
    place = span(row_offsets)
    if not (w.size and np.array_equal(bits_row_counts(bits[:, : -(-w.shape[1] // 8)]), np.diff(row_offsets))):
        if w.size:
            raise changed()
        scale[...] = 1
        return 0
    made = symmetric_codes(w, dtype, min(group, w.shape[1]), width, scale)
    if made is None:
        return 1
    codes = np.zeros(place.stop - place.start, np.uint8)
    bits_gather(made, bits, row_offsets - row_offsets[0], codes)
    put_codes(codes, width, place.start, values)
    return 0


@kernel
def csr_affine_encode(
    w: Array,
    zero: int,
    indptr: Array,
    dtype: str,
    group: int,
    width: int,
    indices: Array,
    scale: Array,
    values: Array,
) -> int:
    """The same for csr: writes the columns of items that are nonzero under `zero` too; `indptr` is for both."""
    bits, counts = np.empty((len(w), -(-w.shape[1] // 8)), np.uint8), np.empty(len(w), indptr.dtype)
    dense_to_bits(w, zero, bits, counts)
    if not np.array_equal(counts, np.diff(indptr)):
        raise changed()
    if w.size:
        bits_to_indices(bits, indptr - indptr[0], indices[span(indptr)])
    return bits_affine_encode(w, bits, indptr, dtype, group, width, scale, values)


@kernel
def bits_affine_decode(
    bits: Array, row_offsets: Array, values: Array, group: int, width: int, scale: Array, dtype: str, out: Array
) -> None:
    """The inverse of `bits_affine_encode`: fills `out`; what has no slot has code 0.

    `scale` may have one row, or one entry in it.
    """
    place, dense = span(row_offsets), np.zeros(out.shape, np.uint8)
    if out.size:
        codes = get_codes(values, width, place.start, place.stop)
        bits_to_dense(bits, row_offsets - row_offsets[0], codes, dense)
        affine_dequantize(dense, min(group, out.shape[1]), scale, _NONE, dtype, out)


@kernel
def csr_affine_decode(
    indptr: Array, indices: Array, values: Array, group: int, width: int, scale: Array, dtype: str, out: Array
) -> None:
    """The inverse of `csr_affine_encode`: fills `out`; what has no slot has code 0."""
    place, dense = span(indptr), np.zeros(out.shape, np.uint8)
    if out.size:
        codes = get_codes(values, width, place.start, place.stop)
        csr_to_dense(indptr - indptr[0], indices[place], codes, dense)
        affine_dequantize(dense, min(group, out.shape[1]), scale, _NONE, dtype, out)
