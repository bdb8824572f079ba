"""Products: which way is the fastest for the matrix at hand, and that way."""

import numpy as np

from sparsefmt import ops
from sparsefmt.arrays import INTEGERS, Array, Dtype, empty
from sparsefmt.codecs.base import Codec
from sparsefmt.kernels import product as kernels
from sparsefmt.kernels.registry import NATIVE
from sparsefmt.structures.base import Structure
from sparsefmt.structures.bitmask import Bitmask
from sparsefmt.structures.bsr import Bsr
from sparsefmt.structures.csr import Csr
from sparsefmt.structures.dense import Dense
from sparsefmt.structures.nm import Nm

_WIDEST = 1 << 18


def _kernel(s: Structure, held: tuple[Array, kernels.How, Array, Array], x: Array, out: Array) -> int:
    match s:
        case Nm():
            return kernels.nm_matmul(s.codes, s.n, s.m, *held, x, out)
        case Bitmask():
            return kernels.bits_matmul(s.bits, s.row_offsets, *held, x, out)
        case Dense():
            return kernels.dense_matmul(*held, x, out)
        case Csr():
            return kernels.csr_matmul(s.indptr, s.indices, *held, x, out)
        case Bsr():
            return kernels.bsr_matmul(s.indptr, s.indices, s.block, *held, x, out)
    return 1


def matmul(s: Structure, values: Codec, x: Array) -> Array:
    """`w @ x` for x of shape (..., cols, k) or (cols,)."""
    result, compute = ops.result_dtypes(values.dtype, x.dtype)
    if compute != np.float32 or x.ndim > 2 or 0 in s.shape or not NATIVE or s.kind not in ("nm", "bitmask", "dense", "csr", "bsr"):
        return ops.matmul(s, values, x)
    held = values.held(s)
    if held is None or s.shape[1] > _WIDEST:
        return ops.matmul(s, values, x)
    right = np.ascontiguousarray(x.reshape(len(x), -1), np.float32)
    out = empty((s.shape[0], right.shape[1]), compute, "the product")
    if _kernel(s, held, right, out):
        return ops.matmul(s, values, x)
    out = out.astype(result, copy=False)
    return out[:, 0] if x.ndim == 1 else out
