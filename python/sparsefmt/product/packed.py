"""Products by kernels, straight from the packed arrays."""

import math
from collections.abc import Iterator

import numpy as np

from sparsefmt.base.alloc import empty, zeros
from sparsefmt.base.dtypes import Array, Dtype, items
from sparsefmt.base.limits import check_size
from sparsefmt.codecs.base import Codec, Held
from sparsefmt.codecs.raw import Raw
from sparsefmt.encoding.routes import restructure
from sparsefmt.kernels import product as kernels
from sparsefmt.product.dtypes import rounded
from sparsefmt.structures.base import Structure
from sparsefmt.structures.bitmask import Bitmask
from sparsefmt.structures.bsr import Bsr
from sparsefmt.structures.coo import Coo
from sparsefmt.structures.csr import Csc, Csr
from sparsefmt.structures.dense import Dense
from sparsefmt.structures.gap import Gap
from sparsefmt.structures.nm import Nm
from sparsefmt.structures.nm_packed import PackedNm


def packed(
    s: Structure, values: Codec, x: Array, out: Array | None, result: Dtype, *, bf16: bool = False
) -> Array | None:
    """By a kernel, in the dtype `result`; None where x is not finite, or no kernel takes the values.

    `bf16`: both are of bfloat16 and `s` is 2:4, which goes to the kernel as it is.
    """
    ready = _held(s, values)
    if ready is None:
        return None
    right = x[:, None] if x.ndim == 1 else x
    lead, (cols, k) = right.shape[:-2], right.shape[-2:]
    shape = (*lead, s.shape[0], k)
    check_size(math.prod(shape) * 4, "the product")
    sums = out if out is not None and out.dtype == np.float32 else empty(shape, np.float32, "the product")
    sums = sums.reshape(shape)
    if not lead:
        done = _as_bf16(s, values, right, sums) if bf16 else 2
        if done == 1 or (done == 2 and run_kernel(*ready, _plain(right), sums)):
            return None
    else:
        for part_of in _batches(lead, k):
            part = right.reshape(-1, cols, k)[part_of]
            wide = _plain(part.transpose(1, 0, 2).reshape(cols, -1))
            made = sums.reshape(-1, *shape[-2:])[part_of]
            room = made[0] if len(part) == 1 else empty((shape[-2], wide.shape[1]), np.float32, "a part of the product")
            if run_kernel(*ready, wide, room):
                return None
            if len(part) > 1:
                made[...] = room.reshape(shape[-2], len(part), k).transpose(1, 0, 2)
    sums = rounded(sums, result)
    return sums[..., 0] if x.ndim == 1 else sums


def _as_bf16(s: Structure, values: Codec, x: Array, out: Array) -> int:
    """Multiplies 2:4 of bfloat16 by bfloat16; 1 where x is not finite, 2 where the CPU has no instruction for it."""
    if not isinstance(s, Nm) or not isinstance(values, Raw):
        return 2
    return kernels.nm24_bf16_matmul(s.codes, items(values.data), items(np.ascontiguousarray(x)), out)


def run_kernel(s: Structure, held: Held, x: Array, out: Array) -> int:
    """Multiplies by the kernel of the structure; nonzero where it does not take the values or x."""
    match s:
        case Nm():
            return kernels.nm_matmul(s.codes, s.n, s.m, *held, x, out)
        case PackedNm():
            return run_kernel(s.to_nm(), held, x, out)
        case Bitmask():
            return kernels.bits_matmul(s.bits, s.row_offsets, *held, x, out)
        case Dense():
            return kernels.dense_matmul(*held, x, out)
        case Bsr():
            return kernels.bsr_matmul(s.indptr, s.indices, s.block, *held, x, out)
        case Csr():
            return kernels.csr_matmul(s.indptr, s.indices, *held, x, out)
    return 1


def _held(s: Structure, values: Codec) -> tuple[Structure, Held] | None:
    """The structure and slots that a kernel takes, converted if need be."""
    if isinstance(s, Coo | Csc | Gap):
        target, slots = restructure(s, values.lift(s), Csr, {})
        s, values = target, values.lower(target, slots)
    held = values.product_slots(s)
    return None if held is None else (s, held)


def _plain(x: Array) -> Array:
    """As contiguous float32."""
    if x.dtype == np.float32 and x.flags.c_contiguous and x.flags.aligned:
        return x
    made = empty(x.shape, np.float32, "the right factor in float32")
    np.copyto(made, x, casting="unsafe")
    return made


def batch_of(k: int) -> int:
    """How many matrices of `k` columns are multiplied in one call: as many as have 64 columns."""
    return max(64 // max(k, 1), 1)


def _batches(lead: tuple[int, ...], k: int) -> Iterator[slice]:
    """The matrices that are multiplied in one call."""
    count, per = math.prod(lead), batch_of(k)
    for first in range(0, count, per):
        yield slice(first, min(first + per, count))


def in_integers(s: Structure, values: Codec, x: Array, result: Dtype) -> Array | None:
    """`w @ x` in `result` for x (cols, k) with every column of x rounded to 8 bits; None where x is not finite."""
    out = zeros((s.shape[0], x.shape[1]), np.float32, "the product")
    held = values.product_slots(s)
    if held is not None and out.size:
        slots, (_, bits, group), scale, point = held
        if run_kernel(s, (slots, ("integers", bits, group), scale, point), np.ascontiguousarray(x, np.float32), out):
            return None
    return out.astype(result, copy=False)
