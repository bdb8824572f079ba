"""Products of a packed tensor with arrays, on either side."""

from typing import TYPE_CHECKING

import numpy as np

from sparsefmt.base.coerce import is_device_array, matrix_shape
from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import FormatError
from sparsefmt.product import multiply
from sparsefmt.tensor.backend import EXPORTS
from sparsefmt.tensor.base import operand

if TYPE_CHECKING:
    from sparsefmt.tensor.sparse import SparseTensor


def left(t: "SparseTensor", x: object) -> Array:
    """`t @ x`."""
    if t.device != "cpu" or is_device_array(x):
        made: Array = EXPORTS["device.matmul"](t, x)
        return made
    x = operand(x)
    fits = x.shape[-2 if x.ndim > 1 else 0] == t.shape[-1] and (t.ndim <= 2 or x.ndim <= 2)
    if not fits:
        msg = f"t @ x: shapes {t.shape} and {x.shape} do not fit"
        raise FormatError(msg)
    out = multiply.matmul(t.structure, t.values, x)
    if t.ndim == 1:
        return out[0] if x.ndim == 1 else out[..., 0, :]
    return out if t.ndim == 2 else out.reshape(*t.shape[:-1], *out.shape[1:])


def right(t: "SparseTensor", x: object) -> Array:
    """`x @ t`; t has rank 1 or 2."""
    if t.device != "cpu" or is_device_array(x):
        made: Array = EXPORTS["device.rmatmul"](t, x)
        return made
    x = operand(x)
    if t.ndim > 2 or x.shape[-1] != t.shape[0]:
        msg = f"x @ t: shapes {x.shape} and {t.shape} do not fit"
        raise FormatError(msg)
    if t.ndim == 1:  # a vector on the right: the one row of the matrix times the last axis of x
        row = multiply.matmul(t.structure, t.values, x.reshape(matrix_shape(x.shape)).T)[0]
        return np.asarray(row.reshape(x.shape[:-1])[()])
    return multiply.rmatmul(t.structure, t.values, x)
