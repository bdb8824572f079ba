"""Tensors that are packed along another axis than the last: the one place that knows both orders of axes.

The matrix of such a tensor has a row for every index of the other axes, in their order, and a column for every index
along `axis`: that of `numpy.moveaxis(w, axis, -1)`, leading axes flattened. A convolution (out, in, height, width) that
is packed along its input channels (axis 1) is a matrix of out * height * width rows and `in` columns.
"""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from sparsefmt.base.coerce import matrix_shape, whole
from sparsefmt.base.dtypes import Array, index_dtype
from sparsefmt.base.errors import FormatError
from sparsefmt.codecs.raw import Raw
from sparsefmt.structures.coo import Coo

if TYPE_CHECKING:
    from sparsefmt.tensor.sparse import SparseTensor


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


def is_moved(t: "SparseTensor") -> bool:
    """Whether it is packed along another axis than the last."""
    return t.axis != len(t.shape) - 1


def inner(t: "SparseTensor") -> "SparseTensor":
    """The tensor with its axes in the order of the matrix; it shares everything."""
    return t.replaced(shape=moved(t.shape, t.axis)) if is_moved(t) else t


def outer(t: "SparseTensor", axis: int) -> "SparseTensor":
    """The opposite of `inner`: the last axis of `t` goes to the place `axis`."""
    shape = (*t.shape[:axis], t.shape[-1], *t.shape[axis:-1])
    return t.replaced(shape=shape, axis=axis)


def along_last(t: "SparseTensor") -> "SparseTensor":
    """The same elements packed along the last axis: csr, raw, with the slots that it has; itself if it is that already.

    Raises:
        SizeError: it would be larger than allowed.
    """
    if not is_moved(t):
        return t
    if t.device != "cpu":
        return along_last(t.to("cpu")).to(t.device)
    coo = t.convert("coo")
    s: Any = coo.structure
    wide = np.unravel_index(s.row, moved(t.shape, t.axis)[:-1]) if s.slots else (s.row,) * (t.ndim - 1)
    places = dict(zip(order(t.ndim, t.axis), (*(np.asarray(a) for a in wide), s.col), strict=True))
    rows, cols = matrix_shape(t.shape)
    dtype = index_dtype(rows, cols, s.slots)
    row = np.zeros(s.slots, np.int64)
    for axis in range(t.ndim - 1):
        row = row * t.shape[axis] + places[axis]
    at = np.lexsort((places[t.ndim - 1], row))
    made = Coo(row[at].astype(dtype), places[t.ndim - 1][at].astype(dtype), (rows, cols), check=False)
    values = Raw(coo.values.decode(s).reshape(-1)[at], check=False)
    return t.replaced(made, values, t.shape).convert("csr")


def same(a: Any, b: Any) -> tuple[Any, Any]:  # noqa: ANN401
    """Two arrays or tensors of one shape, with the axes of both in the order of the matrix of the first that is moved.

    Tensors of the same axis keep their structures; one of another axis is packed anew.
    """
    axes = {t.axis for t in (a, b) if hasattr(t, "structure")}
    if not axes or axes == {len(a.shape) - 1} or a.shape != b.shape:
        return a, b
    if len(axes) == 2:
        return along_last(a), along_last(b)
    [axis] = axes
    return tuple(inner(t) if hasattr(t, "structure") else turned(t, axis) for t in (a, b))  # type: ignore[return-value]


def left(t: "SparseTensor", x: object) -> Array:
    """`t @ x`, which sums over the last axis as NumPy does; a matrix by the product of its transpose."""
    if len(t.shape) > 2:
        return along_last(t) @ x
    u = inner(t)
    return u.backend(x).transposed_matmul(u, x)


def right(t: "SparseTensor", x: object) -> Array:
    """`x @ t`."""
    if len(t.shape) > 2:
        return along_last(t).__rmatmul__(x)
    u = inner(t)
    return u.backend(x).matmul_transposed(u, x)


def rows(t: "SparseTensor", low: int, high: int) -> tuple["SparseTensor", int]:
    """A part of `t` along its first axis that holds rows `low..high` of the dense matrix, and the first row of it."""
    per = math.prod(t.shape[1:-1])
    if t.axis == 0 or not per:
        return t, 0
    first, last = low // per, -(-high // per)
    return t[first:last], first * per


def refuse(t: "SparseTensor", what: str) -> None:
    """Raises FormatError where `t` is packed along another axis than the last, which `what` does not know."""
    if is_moved(t):
        msg = f"{what} knows no axis, and the tensor is packed along axis {t.axis} of {len(t.shape)}; "
        raise FormatError(msg + "encode t.to_dense() along the last one")
