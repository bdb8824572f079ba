"""Definitions of the kernels that do N:M and codebooks in one pass over the matrix."""

import numpy as np

from sparsefmt.base.dtypes import Array, item_dtype
from sparsefmt.kernels.codebook import decode_lut, nearest16
from sparsefmt.kernels.nm import nm_decode, raw_slots
from sparsefmt.kernels.registry import kernel
from sparsefmt.kernels.stream import unpack_stream


@kernel
def nm_nearest_encode(
    w: Array,
    zero: int,
    prune: int,
    dtype: str,
    n: int,
    m: int,
    limits: Array,
    names: Array,
    bits: int,
    codes: Array,
    values: Array,
) -> int:
    """`nm_encode` (with `prune` 1: `nm_prune_encode`) of 16-bit items, then `nearest16` of the slots of each row.

    `values` (rows, bytes) uint8 has a stream of `bits` per code in each row; then zeros.

    Returns the sum of 1 where a group has too many nonzeros or a value is not finite (the arrays are unspecified
    then) and 2 where a slot is all zero bits (which counts only without 1).
    """
    slots = raw_slots(w, zero, bool(prune), dtype, n, m, codes)
    if slots is None:
        return 1
    values[...] = 0
    used = -(-slots.shape[1] * bits // 8)
    odd = [nearest16(row, dtype, limits, names, bits, stream[:used]) for row, stream in zip(slots, values, strict=True)]
    return int(any(odd)) + 2 * int((slots == 0).any())


@kernel
def nm_lut_decode(codes: Array, values: Array, n: int, m: int, bits: int, table: Array, out: Array) -> None:
    """Fills `out` with the items of N:M whose slots in `values`, as above, are codes into `table` (rows or 1, 256)."""
    count = -(-out.shape[1] // m) * n
    stored, slots = np.empty((len(out), count), np.uint8), np.empty((len(out), count), item_dtype(out.dtype))
    for row, stream in zip(stored, values, strict=True):
        unpack_stream(stream[: -(-count * bits // 8)], bits, row)
    decode_lut(stored, table, slots)
    nm_decode(codes, slots, n, m, out)
