"""Products by the plain route, in bounded memory: decode a block of rows and let NumPy multiply, or go by slots."""

from collections.abc import Iterator

import numpy as np

from sparsefmt.base.alloc import cast, empty, zeros
from sparsefmt.base.dtypes import Array, Dtype
from sparsefmt.base.matrix import blocks
from sparsefmt.codecs.base import Codec
from sparsefmt.encoding.routes import restructure
from sparsefmt.kernels.settings import get_num_threads
from sparsefmt.product.dtypes import result_dtypes, summing_dtype
from sparsefmt.structures.base import Structure
from sparsefmt.structures.coo import Coo

BUDGET = 2 << 20  # bytes of decoded rows, or of products of slots, at a time


def by_slots(s: Structure, itemsize: int) -> bool:
    """Whether to multiply slot by slot: where blocks of rows are large or nearly empty. nm and dense have no need."""
    if s.kind in ("dense", "nm", "nm_radix", "nm_rans") or 0 in s.shape:
        return False
    step_bytes = s.row_step * s.shape[1] * itemsize
    return step_bytes > BUDGET or (s.keeps_slots and s.shape[0] * s.shape[1] > 64 * s.slots)


def _decoded(s: Structure, values: Codec, compute: Dtype) -> Iterator[tuple[int, int, Array]]:
    """Blocks of rows in the dtype of the sums; each is valid until the next one is asked for."""
    (rows, cols), room = s.shape, None
    # Few blocks: for a while after each, the threads of BLAS wait for more on the CPUs that decode the next one.
    budget = BUDGET * min(get_num_threads(), 4)
    for low, high in blocks(rows, cols * max(values.dtype.itemsize, compute.itemsize), s.row_step, budget):
        if room is None:  # memory that was used before costs less
            room = empty((high - low, cols), values.dtype, "a block of rows")
        block = room[: high - low]
        values.decode_rows(s, low, high, block)
        yield low, high, block.astype(compute, copy=False)


def _slots(s: Structure, values: Codec, width: int) -> Iterator[tuple[Array, Array, Array]]:
    """Chunks of (row, column, value) in row-major order, whose products with `width` numbers each are bounded."""
    target, slots = restructure(s, values.lift(s), Coo, {})
    assert isinstance(target, Coo)
    decoded = values.lower(target, slots).decode(target)
    step = max(BUDGET // (16 * max(width, 1)), 1)
    for low in range(0, target.slots, step):
        yield target.row[low : low + step], target.col[low : low + step], decoded[low : low + step]


def _runs(keys: Array) -> Array:
    """Where runs of equal keys start."""
    return np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))


def matmul(s: Structure, values: Codec, x: Array) -> Array:
    """`w @ x` for x of shape (..., cols, k) or (cols,).

    NaN and infinities in x pass through nonzero elements of w only.
    """
    vector = x.ndim == 1
    result = result_dtypes(values.dtype, x.dtype, s.shape[1])[0]
    compute = summing_dtype(values.dtype, x.dtype, s.shape[1])
    right = cast(x[:, None] if vector else x, compute, "the right factor")
    out = zeros((*right.shape[:-2], s.shape[0], right.shape[-1]), compute, "the product")
    with np.errstate(all="ignore"):
        if by_slots(s, compute.itemsize):
            for row, col, value in _slots(s, values, out[..., 0, :].size):
                products = value.astype(compute)[:, None] * right[..., col, :]
                starts = _runs(row)
                out[..., row[starts], :] += np.add.reduceat(products, starts, axis=-2)
        elif out.size and s.shape[1]:
            bad = _not_finite(right, -2)
            if len(bad):
                apart, right = right[..., bad, :], right.copy()
                right[..., bad, :] = 0
            for low, high, block in _decoded(s, values, compute):
                part = out[..., low:high, :]
                for at, j in enumerate(bad):
                    w = block[:, j, None]
                    part += np.where(w != 0, w * apart[..., at, None, :], compute.type(0))
                if len(bad):
                    block = block.copy()
                    block[:, bad] = 0
                    part += block @ right
                else:
                    np.matmul(block, right, out=part)
        out = _result(out, result)
    return out[..., 0] if vector else out


def rmatmul(s: Structure, values: Codec, x: Array) -> Array:
    """`x @ w` for x of shape (..., rows) or (rows,)."""
    result = result_dtypes(values.dtype, x.dtype, s.shape[0])[0]
    compute = summing_dtype(values.dtype, x.dtype, s.shape[0])
    left = cast(x, compute, "the left factor")
    out = zeros((*x.shape[:-1], s.shape[1]), compute, "the product")
    with np.errstate(all="ignore"):
        if by_slots(s, compute.itemsize):
            for row, col, value in _slots(s, values, out[..., 0].size):
                order = np.argsort(col, kind="stable")
                products = left[..., row[order]] * value[order].astype(compute)
                starts = _runs(col[order])
                out[..., col[order][starts]] += np.add.reduceat(products, starts, axis=-1)
        elif out.size and s.shape[0]:
            bad = _not_finite(left, -1)
            if len(bad):
                apart, left = left[..., bad], left.copy()
                left[..., bad] = 0
            for low, high, block in _decoded(s, values, compute):
                inside = np.flatnonzero((bad >= low) & (bad < high))
                for at in inside:
                    w = block[bad[at] - low]
                    out += np.where(w != 0, apart[..., at, None] * w, compute.type(0))
                if len(inside):
                    block = block.copy()
                    block[bad[inside] - low] = 0
                out += left[..., low:high] @ block
        return _result(out, result)


def _not_finite(x: Array, axis: int) -> Array:
    """The positions along `axis` where `x` holds NaN or an infinity."""
    if x.dtype.kind not in "fc":
        return np.empty(0, np.intp)
    others = tuple(i for i in range(x.ndim) if i != axis % x.ndim)
    return np.flatnonzero(~np.isfinite(x).all(axis=others))


def _result(out: Array, result: Dtype) -> Array:
    """The sums in the dtype of the result; int32 wraps like any integer of NumPy if 8-bit sums exceed it."""
    if result.kind in "iu" and out.dtype.kind == "f":
        out = out.astype(np.int64)
    return out.astype(result, copy=False)
