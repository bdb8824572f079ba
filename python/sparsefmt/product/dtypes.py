"""The dtypes of products: of the result, and of the sums."""

import functools

import numpy as np

from sparsefmt.base.dtypes import COMPLEX, DTYPES, INTEGERS, Array, Dtype, native

_INT32_MAX = 2**31 - 1


@functools.lru_cache(1024)
def result_dtypes(a: Dtype, b: Dtype, length: int = 1) -> tuple[Dtype, Dtype]:
    """The dtype of a product of `length` terms and the dtype it is summed in.

    Float with float: `numpy.result_type`, or float32 where NumPy refuses the pair (bfloat16 with float16). Integer
    with integer: int32 if both have 8 bits (bool counts as one of them) and so many terms cannot exceed it (33,025 of
    uint8 with uint8, 131,071 of int8 with int8), else int64, uint64 if both have more and are unsigned.
    Float with integer: the float's dtype, at least float32; float64 for integers of 32 bits and more.
    Sums are taken in float32 for floats of 16 bits and fewer, else in the dtype of the result.
    """
    a, b = native(a), native(b)
    whole = [d for d in (a, b) if d.name in INTEGERS]
    if len(whole) == 2:
        if max(a.itemsize, b.itemsize) == 1:
            fits = length * _largest(a) * _largest(b) <= _INT32_MAX
            return DTYPES["int32" if fits else "int64"], DTYPES["int64"]
        unsigned = all(d.kind in "ub" for d in whole)
        return (DTYPES["uint64"],) * 2 if unsigned else (DTYPES["int64"],) * 2
    if len(whole) == 1:
        other = b if whole[0] is a else a
        result = np.result_type(_at_least_float32(other), np.float64 if whole[0].itemsize >= 4 else np.float32)
    else:
        try:
            result = np.result_type(a, b)
        except TypeError:
            result = DTYPES["float32"]
        result = DTYPES.get(result.name, DTYPES["float32"])
    return result, _at_least_float32(result)


def _largest(dtype: Dtype) -> int:
    """The largest magnitude of an 8-bit integer, or of a bool."""
    return {"b": 1, "i": 128}.get(dtype.kind, 255)


def _at_least_float32(dtype: Dtype) -> Dtype:
    return dtype if dtype.name in (*COMPLEX, "float64") else DTYPES["float32"]


def summing_dtype(a: Dtype, b: Dtype, length: int) -> Dtype:
    """The dtype that a product of integers is summed in: float64, for BLAS, where that is exact; else the result's."""
    result, compute = result_dtypes(a, b, length)
    largest = 2 ** (8 * (a.itemsize + b.itemsize)) * max(length, 1)
    exact = result.kind in "iu" and largest < 2**53
    return DTYPES["float64"] if exact else compute


def rounded(sums: Array, result: Dtype) -> Array:
    """In the dtype of the result, in which large sums may be infinite."""
    if sums.dtype == result:
        return sums
    with np.errstate(all="ignore"):
        return sums.astype(result)
