"""Definitions of the kernels for products: `out = w @ x` in float32, for packed `w`, straight from what is stored.

`x` is (cols, k) float32, `out` (rows, k) float32. Every kernel returns 0, or 1 and leaves `out` alone where `x` holds
NaN or an infinity, because leaving zeros out has a meaning for finite numbers only. Sums of floats have no exact
meaning: an implementation may add in any order that does not depend on the number of threads, so that it is off by at
most (slots of the row + 2) * eps(float32) * sum of absolute products.

Slots come with `how`, `scale` and `zero_point`. `how` is (dtype, bits, group): bits 0 for items of that dtype as they
are; else codes in a stream of so many bits (LSB first; 8: bytes), and value = (code - zero point) * scale in float32,
with `scale[row, column // group]` (one row, or one entry in a row, serve all) and no zero points where `zero_point` is
empty: codes are two's complement then. The product is not rounded to the dtype of the tensor. With group 0, `scale`
(books, 256) float32 holds tables, one for each row or for all. The dtype "integers" (nm, bits, dense; symmetric codes
whose scales serve multiples of 64 columns) rounds every column of `x` to 8 bits first: with s = max|x| / 127, or 1, it
becomes s * rint(x / s).
"""

import math
from collections.abc import Callable

import numpy as np

from sparsefmt.base.dtypes import DTYPES, Array
from sparsefmt.kernels.affine import spread
from sparsefmt.kernels.bitmask import bits_to_dense
from sparsefmt.kernels.bsr import bsr_to_dense
from sparsefmt.kernels.csr import csr_to_dense
from sparsefmt.kernels.nm import nm_decode
from sparsefmt.kernels.registry import kernel
from sparsefmt.kernels.stream import unpack_stream

DEPTH = 64  # columns of the matrix that are worked on at once where there are many columns of x
How = tuple[str, int, int]
Place = Callable[[Array], Array]
"""Puts slots, as unsigned items, into a dense matrix of zeros."""


def codes_of(slots: Array, bits: int, shape: tuple[int, ...]) -> Array:
    """The codes of slots of that shape, one byte each. A 2-d array of slots has rows, which may be padded."""
    rows = slots.reshape(shape[0], -1) if slots.ndim == 2 else slots.reshape(1, -1)
    out = np.zeros((len(rows), math.prod(shape) // max(len(rows), 1)), np.uint8)
    for row, codes in zip(rows, out, strict=True):
        unpack_stream(np.ascontiguousarray(row[: -(-len(codes) * bits // 8)]), bits, codes)
    return out.reshape(shape)


def dense_of(
    place: Place,
    shape: tuple[int, int],
    slot_shape: tuple[int, ...],
    slots: Array,
    how: How,
    scale: Array,
    zero_point: Array,
) -> Array:
    """The dense matrix in float32."""
    dtype, bits, group = how
    with np.errstate(all="ignore"):
        if bits == 0:
            held = slots.view(DTYPES[dtype]).astype(np.float32)
            return place(held.view(np.uint32)).view(np.float32)
        stored = place(np.ones(slot_shape, np.uint8)) != 0
        codes = place(codes_of(slots, bits, slot_shape))
        if group == 0:
            book = np.arange(shape[0])[:, None] if len(scale) > 1 else 0
            values = scale[book, codes]
        else:
            if zero_point.size:
                steps = codes.astype(np.float32) - spread(zero_point, group, shape)
            else:
                steps = ((codes << (8 - bits)).view(np.int8) >> (8 - bits)).astype(np.float32)
            values = steps * spread(scale, group, shape).astype(np.float32)
        return np.where(stored, values, np.float32(0))


def rounded(x: Array) -> Array:
    """`x` with every column rounded to 8 bits by its largest magnitude."""
    step = np.abs(x).max(axis=0, initial=0) / np.float32(127)
    step = np.where(step > 0, step, np.float32(1))
    return np.asarray(np.rint(x / step) * step)


def product(dense: Callable[[], Array], how: How, x: Array, out: Array) -> int:
    """Writes `dense() @ x` if x is finite."""
    if not np.isfinite(x).all():
        return 1
    with np.errstate(all="ignore"):
        x = rounded(x) if how[0] == "integers" else x
        out[...] = dense() @ x
    return 0


@kernel
def nm_matmul(
    codes: Array, n: int, m: int, slots: Array, how: How, scale: Array, zero_point: Array, x: Array, out: Array
) -> int:
    """Multiplies N:M. Slots are (rows, groups * n), rows perhaps padded, or one stream of codes."""
    shape = len(out), len(x)
    count = -(-shape[1] // m) * n

    def place(items: Array) -> Array:
        dense = np.zeros(shape, items.dtype)
        nm_decode(codes, np.ascontiguousarray(items[:, :count]), n, m, dense)
        return dense

    return product(lambda: dense_of(place, shape, (shape[0], count), slots, how, scale, zero_point), how, x, out)


@kernel
def bits_matmul(
    bits: Array, row_offsets: Array, slots: Array, how: How, scale: Array, zero_point: Array, x: Array, out: Array
) -> int:
    """Multiplies a bit per element; slots are flat."""
    shape = len(out), len(x)

    def place(items: Array) -> Array:
        dense = np.zeros(shape, items.dtype)
        bits_to_dense(bits, row_offsets, items, dense)
        return dense

    count = (int(row_offsets[-1]),)
    return product(lambda: dense_of(place, shape, count, slots, how, scale, zero_point), how, x, out)


@kernel
def dense_matmul(slots: Array, how: How, scale: Array, zero_point: Array, x: Array, out: Array) -> int:
    """Multiplies where every element is stored; slots are (rows, cols), or one stream of codes."""
    shape = len(out), len(x)
    return product(lambda: dense_of(lambda items: items, shape, shape, slots, how, scale, zero_point), how, x, out)


@kernel
def csr_matmul(
    indptr: Array, indices: Array, slots: Array, how: How, scale: Array, zero_point: Array, x: Array, out: Array
) -> int:
    """Multiplies compressed rows; slots are flat."""
    shape = len(out), len(x)

    def place(items: Array) -> Array:
        dense = np.zeros(shape, items.dtype)
        csr_to_dense(indptr, indices, items, dense)
        return dense

    return product(lambda: dense_of(place, shape, indices.shape, slots, how, scale, zero_point), how, x, out)


@kernel
def bsr_matmul(
    indptr: Array,
    indices: Array,
    block: tuple[int, int],
    slots: Array,
    how: How,
    scale: Array,
    zero_point: Array,
    x: Array,
    out: Array,
) -> int:
    """Multiplies blocks; slots are (blocks, R, C), or one stream of codes."""
    shape = len(out), len(x)

    def place(items: Array) -> Array:
        dense = np.zeros(shape, items.dtype)
        bsr_to_dense(indptr, indices, items, dense)
        return dense

    count = (len(indices), *block)
    return product(lambda: dense_of(place, shape, count, slots, how, scale, zero_point), how, x, out)


@kernel
def nm24_bf16_matmul(codes: Array, slots: Array, x: Array, out: Array) -> int:
    """Multiplies 2:4 of bfloat16 (items of 2 bytes) by `x` (cols, k) of bfloat16 (items too), in float32.

    Returns 2, and leaves `out` alone, where that is not faster than `nm_matmul`; this definition never is. Subnormal
    numbers may count as zeros. Codes are not checked.
    """
    return 2
