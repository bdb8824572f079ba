"""cuBLAS and cuSPARSE of the fake CuPy: the same arguments over the same memory."""

import ctypes
from typing import Any

import ml_dtypes
import numpy as np
from fake_arrays import ndarray, outer

TYPES = {0: np.float32, 1: np.float64, 2: np.float16, 3: np.int8, 10: np.int32, 14: ml_dtypes.bfloat16}
CALLS: list[tuple[Any, ...]] = []


def _matrix(ptr: int, kind: int, rows: int, cols: int, ld: int) -> np.ndarray:
    """A column-major matrix in memory, as a view."""
    dtype = np.dtype(TYPES[kind])
    assert ld >= rows
    count = (cols - 1) * ld + rows
    flat = np.frombuffer((ctypes.c_ubyte * (count * dtype.itemsize)).from_address(ptr), dtype)
    return np.lib.stride_tricks.as_strided(flat, (rows, cols), (dtype.itemsize, ld * dtype.itemsize))


def gemm_ex(
    handle: int, op_a: int, op_b: int, m: int, n: int, k: int, alpha: int, a: int, a_type: int, lda: int,
    b: int, b_type: int, ldb: int, beta: int, c: int, c_type: int, ldc: int, compute: int, algorithm: int,
) -> None:  # fmt: skip
    """`cupy_backends.cuda.libs.cublas.gemmEx`: C = alpha op(A) op(B) + beta C, column-major."""
    CALLS.append((op_a, op_b, m, n, k, a_type, c_type, compute))
    scalar = {68: ctypes.c_float, 70: ctypes.c_double, 72: ctypes.c_int}[compute]
    alpha_value, beta_value = (scalar.from_address(p).value for p in (alpha, beta))
    left = _matrix(a, a_type, *((m, k) if op_a == 0 else (k, m)), lda)
    right = _matrix(b, b_type, *((k, n) if op_b == 0 else (n, k)), ldb)
    left, right = left.T if op_a else left, right.T if op_b else right
    if a_type == 3:
        assert lda % 4 == ldb % 4 == ldc % 4 == 0, "cuBLAS wants multiples of 4 for int8"
        assert compute == 72
        assert c_type == 10
    wide = np.int64 if compute == 72 else np.float64 if compute == 70 else np.float32
    with np.errstate(all="ignore"):
        product = alpha_value * (left.astype(wide) @ right.astype(wide))
    out = _matrix(c, c_type, m, n, ldc)
    if beta_value:
        product = product + beta_value * out.astype(wide)
    out[...] = product.astype(out.dtype)


class CsrMatrix:
    """`cupyx.scipy.sparse.csr_matrix` of float32 and float64."""

    def __init__(self, parts: tuple[ndarray, ndarray, ndarray], shape: tuple[int, int]) -> None:
        import scipy.sparse

        assert parts[0].dtype in (np.float32, np.float64)
        assert parts[1].dtype == np.int32
        data, indices, indptr = (p.a for p in parts)
        self.matrix, self.device = scipy.sparse.csr_array((data, indices, indptr), shape), parts[0].device_id

    def __matmul__(self, x: ndarray) -> Any:
        assert x.dtype == self.matrix.dtype
        return outer(np.asfortranarray(self.matrix @ x.a), self.device)
