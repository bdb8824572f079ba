"""Definitions of the kernels that compare packed rows with dense ones, bit for bit.

Row blocks: all may be of a block of rows; offsets are then the slice for these rows (one entry more than rows) and hold
absolute positions in the full `slots`. What is wrong with structures behind a difference may not be noticed.
"""

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.kernels.bitmask import bits_to_dense
from sparsefmt.kernels.csr import csr_to_dense
from sparsefmt.kernels.items import same_bytes
from sparsefmt.kernels.nm import nm_decode
from sparsefmt.kernels.registry import kernel


@kernel
def nm_equal(codes: Array, slots: Array, n: int, m: int, want: Array) -> bool:
    """Whether rows of N:M with these slots are `want` (rows, cols)."""
    out = np.empty_like(want)
    nm_decode(codes, slots, n, m, out)
    return same_bytes(out, want)


@kernel
def bits_equal(bits: Array, row_offsets: Array, slots: Array, want: Array) -> bool:
    """Whether the slots of rows at their set bits are `want` (rows, cols)."""
    out = np.empty_like(want)
    bits_to_dense(bits, row_offsets, slots, out)
    return same_bytes(out, want)


@kernel
def csr_equal(indptr: Array, indices: Array, slots: Array, want: Array) -> bool:
    """Whether rows of csr with these slots are `want` (rows, cols)."""
    out = np.empty_like(want)
    csr_to_dense(indptr, indices, slots, out)
    return same_bytes(out, want)
