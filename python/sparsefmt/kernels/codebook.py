"""Definitions of the kernels for codebooks: codes of values, values of codes."""

import numpy as np

from sparsefmt.base.dtypes import INFINITIES, Array
from sparsefmt.base.errors import FormatError
from sparsefmt.kernels.items import check_items, check_length
from sparsefmt.kernels.registry import kernel
from sparsefmt.kernels.stream import pack_stream


@kernel
def lookup(slots: Array, table: Array, codes: Array) -> None:
    """`codes[i] = table[slots[i]]`: flat uint16 (or uint8) `slots`, `table` uint8 of 65536 (or 256) entries."""
    check_length("table", len(table), 1 << (8 * slots.dtype.itemsize))
    check_length("codes", len(codes), len(slots))
    codes[...] = table[slots]


def keys16(slots: Array, dtype: str) -> Array:
    """uint16 that rise with the values of 16-bit items; -0.0 just below 0.0."""
    if dtype == "uint16":
        return slots
    flip = 0x7FFF if dtype in INFINITIES else 0
    return np.asarray(slots ^ np.where(slots >> 15, np.uint16(flip), np.uint16(0)) ^ np.uint16(0x8000))


@kernel
def nearest16(slots: Array, dtype: str, limits: Array, codes: Array, bits: int, stream: Array) -> int:
    """Writes `codes[number of limits below the key of the slot]` for the flat uint16 `slots` as a stream.

    `limits` (n,) uint16 ascending keys (see `keys16`), `codes` (n + 1,) uint8; `stream` uint8 as of `pack_stream`.
    Returns 1 where a slot is NaN or infinite, else 0.
    """
    found, odd = nearest_codes(slots, dtype, limits, codes)
    pack_stream(found, bits, stream)
    return odd


def nearest_codes(slots: Array, dtype: str, limits: Array, codes: Array) -> tuple[Array, int]:
    """What `nearest16` writes, a byte for each of the slots in their shape, and what it returns."""
    check_length("codes", len(codes), len(limits) + 1)
    check_items("limits", np.append(True, limits[1:] >= limits[:-1])[: len(limits)], "ascending")
    infinity = np.uint16(INFINITIES.get(dtype, 0))
    odd = bool(infinity) and bool((slots & infinity == infinity).any())
    return codes[np.searchsorted(limits, keys16(slots, dtype))], int(odd)


def midpoints(codebook: Array) -> Array:
    """The float64 up to which (inclusive) a value goes to the lower of two neighbours: half + half of both.

    Where that is rounded to the upper neighbour, it is the lower one: an entry always codes itself.
    """
    c = codebook.astype(np.float64)
    middle = 0.5 * c[:-1] + 0.5 * c[1:]
    return np.asarray(np.where(middle < c[1:], middle, c[:-1]))


@kernel
def assign(values: Array, codebook: Array, codes: Array) -> None:
    """Writes the index of the nearest entry of `codebook` for every one of the flat `values` into `codes` uint8.

    Both are float32 or both float64; comparisons are made in float64 with `midpoints`. `codebook` (1..256,) is
    finite and never falls; of equal entries the lowest index is used. NaN goes to index 0.
    """
    check_length("codes", len(codes), len(values))
    if not 1 <= len(codebook) <= 256:
        msg = f"k = {len(codebook)} is not supported"
        raise FormatError(msg)
    check_items(
        "codebook", np.isfinite(codebook) & np.append(True, codebook[1:] >= codebook[:-1]), "finite and ascending"
    )
    entries, lowest = np.unique(codebook, return_index=True)
    code = np.searchsorted(midpoints(entries), values)
    code[np.isnan(values)] = 0
    codes[...] = lowest[code]


@kernel
def decode_lut(codes: Array, table: Array, out: Array) -> None:
    """`out[r, i] = table[r, codes[r, i]]`, items moved by width: `codes` (rows, n) uint8, `table` (rows or 1, 256)."""
    rows, n = codes.shape
    check_length("out", out.size, codes.size)
    check_length("table", table.size, 256 * (1 if len(table) == 1 else rows))
    out[...] = np.take_along_axis(np.broadcast_to(table, (rows, 256)), codes.astype(np.intp), axis=1).reshape(rows, n)
