"""Products of a packed tensor on the CPU with arrays, on either side, and of its transpose."""

import numpy as np

from sparsefmt.base.coerce import matrix_shape
from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import FormatError
from sparsefmt.product import multiply
from sparsefmt.tensor.base import operand
from sparsefmt.tensor.stored import Stored


def left(t: Stored, x: object) -> Array:
    """`t @ x`."""
    x = operand(x)
    fits = x.shape[-2 if x.ndim > 1 else 0] == t.shape[-1] and (t.ndim <= 2 or x.ndim <= 2)
    if not fits:
        msg = f"t @ x: shapes {t.shape} and {x.shape} do not fit"
        raise FormatError(msg)
    out = multiply.matmul(t.structure, t.values, x)
    if t.ndim == 1:
        return out[0] if x.ndim == 1 else out[..., 0, :]
    return out if t.ndim == 2 else out.reshape(*t.shape[:-1], *out.shape[1:])


def right(t: Stored, x: object) -> Array:
    """`x @ t`; t has rank 1 or 2."""
    x = operand(x)
    if t.ndim > 2 or x.shape[-1] != t.shape[0]:
        msg = f"x @ t: shapes {x.shape} and {t.shape} do not fit"
        raise FormatError(msg)
    if t.ndim == 1:  # a vector on the right: the one row of the matrix times the last axis of x
        row = multiply.matmul(t.structure, t.values, x.reshape(matrix_shape(x.shape)).T)[0]
        return np.asarray(row.reshape(x.shape[:-1])[()])
    return multiply.rmatmul(t.structure, t.values, x)


def turned_left(t: Stored, x: object) -> Array:
    """`t.T @ x`; t has rank 2."""
    x = operand(x)
    _check_rank(t)
    if x.shape[-2 if x.ndim > 1 else 0] != t.shape[0]:
        msg = f"t.T @ x: shapes {t.shape[::-1]} and {x.shape} do not fit"
        raise FormatError(msg)
    if x.ndim == 1:
        return multiply.rmatmul(t.structure, t.values, x)
    return np.swapaxes(multiply.rmatmul(t.structure, t.values, np.swapaxes(x, -1, -2)), -1, -2)


def turned_right(t: Stored, x: object) -> Array:
    """`x @ t.T`; t has rank 2."""
    x = operand(x)
    _check_rank(t)
    if x.shape[-1] != t.shape[1]:
        msg = f"x @ t.T: shapes {x.shape} and {t.shape[::-1]} do not fit"
        raise FormatError(msg)
    if x.ndim == 1:
        return multiply.matmul(t.structure, t.values, x)
    return np.swapaxes(multiply.matmul(t.structure, t.values, np.swapaxes(x, -1, -2)), -1, -2)


def _check_rank(t: Stored) -> None:
    if t.ndim != 2:
        msg = f"the product with a transpose wants rank 2, got {t.ndim}"
        raise FormatError(msg)
