"""Axes of a tensor that is packed along one of them: shapes and arrays in the order of its matrix, and back.

The matrix of such a tensor has a row for every index of the other axes, in their order, and a column for every index
along `axis`: that of `numpy.moveaxis(w, axis, -1)`, leading axes flattened. A convolution (out, in, height, width) that
is packed along its input channels (axis 1) is a matrix of out * height * width rows and `in` columns.
"""

from typing import Any

import numpy as np

from sparsefmt.base.coerce import matrix_shape, whole
from sparsefmt.base.errors import FormatError

_MOST = 2**63 - 1


def checked_axis(axis: object, ndim: int) -> int:
    """The axis, counted from the front.

    Raises:
        FormatError: there is no such axis.
    """
    return whole(axis, "axis", -ndim, ndim - 1) % ndim


def order(ndim: int, axis: int) -> tuple[int, ...]:
    """The axes in the order of the matrix: `axis` last."""
    return (*(a for a in range(ndim) if a != axis), axis)


def moved(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    """A shape in the order of the matrix.

    >>> moved((8, 3, 5, 5), 1)
    (8, 5, 5, 3)
    """
    return (*shape[:axis], *shape[axis + 1 :], shape[axis])


def matrix_of(shape: tuple[int, ...], axis: int) -> tuple[int, int]:
    """(rows, cols) of a tensor that is packed along that axis.

    Raises:
        FormatError: more rows than int64 can count.
    """
    found = matrix_shape(moved(shape, axis))
    if found[0] > _MOST:
        msg = f"shape {shape} has more than {_MOST} rows along axis {axis}"
        raise FormatError(msg)
    return found


def turned(a: Any, axis: int) -> Any:  # noqa: ANN401
    """An array of NumPy or CuPy as a view in the order of the matrix."""
    return a if axis == a.ndim - 1 else a.transpose(order(a.ndim, axis))


def back(a: Any, axis: int) -> Any:  # noqa: ANN401
    """The opposite of `turned`."""
    return a if axis == a.ndim - 1 else a.transpose(tuple(np.argsort(order(a.ndim, axis)).tolist()))
