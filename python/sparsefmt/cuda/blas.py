"""Dense products by cuBLAS, and the element-wise steps around them."""

import ctypes
import importlib
from typing import Any

from sparsefmt.base.dtypes import COMPLEX, DTYPES, Dtype
from sparsefmt.cuda import launch
from sparsefmt.cuda.device import DeviceArray, assign, carrier, clear, cupy, empty

_TYPES = {"float32": 0, "float64": 1, "float16": 2, "int8": 3, "int32": 10, "bfloat16": 14}  # cudaDataType
_COMPUTE = {"float16": 68, "bfloat16": 68, "float32": 68, "float64": 70, "int8": 72}  # cublasComputeType_t
_SCALARS: dict[int, Any] = {68: ctypes.c_float, 70: ctypes.c_double, 72: ctypes.c_int32}
_DEFAULT, _N, _T = -1, 0, 1
ACTIVATIONS = ("relu", "gelu")


def by_gemm(a: Dtype, b: Dtype, result: Dtype) -> bool:
    """Whether cuBLAS multiplies these dtypes as they are: sums are float32, float64 or int32."""
    want = "int32" if a.name == "int8" else a.name
    return a == b and a.name in _COMPUTE and result.name == want


def gemm(w: DeviceArray, x: DeviceArray, out: DeviceArray, low: int = 0) -> None:
    """`out[low : low + len(w)] = w @ x` for w (m, k) row-major, x (k, n) and out (rows, n), each in C or F order.

    int8: all leading dimensions are multiples of 4.
    """
    (m, k), n = w.shape, x.shape[1]
    by_rows, x_rows = out.flags.c_contiguous, x.flags.c_contiguous
    at = out.data.ptr + low * out.strides[0]
    kinds = [_TYPES[a.dtype.name] for a in (w, x, out)]
    compute = _COMPUTE[w.dtype.name]
    one, zero = (_SCALARS[compute](value) for value in (1, 0))
    blas = importlib.import_module("cupy_backends.cuda.libs.cublas")
    handle = cupy().cuda.device.get_cublas_handle()
    # cuBLAS is column-major: a row-major matrix is its transpose there.
    weights, other = (w.data.ptr, kinds[0], k), (x.data.ptr, kinds[1], n if x_rows else k)
    if by_rows:  # out^T (n, m) = x^T w^T
        sizes, first, second = (_N if x_rows else _T, _N, n, m, k), other, weights
    else:
        sizes, first, second = (_T, _T if x_rows else _N, m, n, k), weights, other
    ends = (ctypes.addressof(zero), at, kinds[2], n if by_rows else out.shape[0], compute, _DEFAULT)
    blas.gemmEx(handle, *sizes, ctypes.addressof(one), *first, *second, *ends)


def quads(w: DeviceArray, x: DeviceArray, out: DeviceArray) -> bool:
    """Whether all leading dimensions are multiples of 4, as int8 needs."""
    (_, k), n, by_rows, x_rows = w.shape, x.shape[1], out.flags.c_contiguous, x.flags.c_contiguous
    return all(step % 4 == 0 for step in (k, n if x_rows else k, n if by_rows else out.shape[0]))


def computed_in(dtype: Dtype) -> Dtype:
    """The dtype that `widened` returns."""
    return DTYPES["float64"] if dtype.name in ("float64", "int32", "int64", "uint32", "uint64") else DTYPES["float32"]


def widened(a: DeviceArray, dtype: Dtype, target: Dtype) -> DeviceArray:
    """`a`, whose items mean `dtype`, as float32, float64 or complex `target`, in the same order; itself if it is."""
    if carrier(dtype) == dtype == target:
        return a
    if dtype.name in (*COMPLEX, "bool") or target.name not in ("float32", "float64"):
        return a.astype(target)
    flat = a if a.flags.c_contiguous else a.T
    made = empty(flat.shape, computed_in(dtype), "the widened values")
    macros = {"DTYPE": launch.DTYPE_IDS[dtype.name]}
    launch.run("values", "widen", macros, flat.size, flat, flat.size, made)
    made = made.astype(target, copy=False)
    return made if a.flags.c_contiguous else made.T


def narrowed(a: DeviceArray, out: DeviceArray) -> None:
    """Writes `a`, float32 or float64, to `out` of another float dtype; both C- or both F-contiguous."""
    if computed_in(out.dtype) != a.dtype or out.dtype.name in (*COMPLEX, "bool"):
        out[...] = a.astype(out.dtype)
        return
    launch.run("values", "narrow", {"DTYPE": launch.DTYPE_IDS[out.dtype.name]}, a.size, a, a.size, out)


def epilogue(
    out: DeviceArray, bias: DeviceArray | None, activation: str | None, scale: DeviceArray | None = None
) -> None:
    """`out = activation(out * scale[:, None] + bias[:, None])` in place; scale is float32."""
    if bias is None and activation is None and scale is None:
        return
    if out.dtype.name in COMPLEX:
        out += 0 if bias is None else bias[:, None]
        return
    steps = (out.shape[1], 1) if out.flags.c_contiguous else (1, out.shape[0])
    act = 0 if activation is None else 1 + ACTIVATIONS.index(activation)
    macros = {"DTYPE": launch.DTYPE_IDS[out.dtype.name]}
    launch.run("values", "epilogue", macros, out.size, out, *out.shape, *steps, scale, bias, act)


def fitted(x: DeviceArray, shape: tuple[int, int], order: str) -> DeviceArray:
    """`x` in that order, completed by zeros to `shape`; itself if it is both."""
    right = x.flags.c_contiguous if order == "C" else x.flags.f_contiguous
    if x.shape == shape and right:
        return x
    made: DeviceArray = empty_like(shape, x.dtype, order)
    if x.shape != shape:
        clear(made)
    assign(made[: x.shape[0], : x.shape[1]], x)
    return made


def empty_like(shape: tuple[int, int], dtype: Dtype, order: str) -> DeviceArray:
    """An array of undefined content in "C" or "F" order."""
    return empty(shape, dtype) if order == "C" else empty(shape[::-1], dtype).T
