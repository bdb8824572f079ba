"""Definitions of the kernels that do N:M and codebooks in one pass over the matrix."""

import numpy as np

from sparsefmt.base.dtypes import Array, item_dtype
from sparsefmt.kernels.codebook import decode_lut, nearest_codes
from sparsefmt.kernels.nm import nm_decode, pack_codes, raw_slots, unpack_codes
from sparsefmt.kernels.registry import kernel


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
    found, odd = nearest_codes(slots, dtype, limits, names)
    pack_codes(found, bits, values)
    return odd + 2 * int((slots == 0).any())


@kernel
def nm_lut_decode(codes: Array, values: Array, n: int, m: int, bits: int, table: Array, out: Array) -> None:
    """Fills `out` with the items of N:M whose slots in `values`, as above, are codes into `table` (rows or 1, 256)."""
    count = -(-out.shape[1] // m) * n
    slots = np.empty((len(out), count), item_dtype(out.dtype))
    decode_lut(unpack_codes(values, bits, count).astype(np.uint8), table, slots)
    nm_decode(codes, slots, n, m, out)
