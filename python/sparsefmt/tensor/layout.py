"""Tensors that are packed along another axis than the last: with their axes in the order of the matrix, and back."""

from typing import Any

import numpy as np

from sparsefmt.base.coerce import matrix_shape
from sparsefmt.base.dtypes import Array, index_dtype
from sparsefmt.base.errors import FormatError
from sparsefmt.codecs.raw import Raw
from sparsefmt.structures.coo import Coo
from sparsefmt.tensor.axes import moved, order, turned
from sparsefmt.tensor.stored import Stored, T


def is_moved(t: Stored) -> bool:
    """Whether it is packed along another axis than the last."""
    return t.axis != len(t.shape) - 1


def inner(t: T) -> T:
    """The tensor with its axes in the order of the matrix; it shares everything."""
    return t.replaced(shape=moved(t.shape, t.axis)) if is_moved(t) else t


def outer(t: T, axis: int) -> T:
    """The opposite of `inner`: the last axis of `t` goes to the place `axis`."""
    shape = (*t.shape[:axis], t.shape[-1], *t.shape[axis:-1])
    return t.replaced(shape=shape, axis=axis)


def along_last(t: T) -> T:
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
    return tuple(inner(t) if hasattr(t, "structure") else turned(t, axis) for t in (a, b))


def left(t: Stored, x: object) -> Array:
    """`t @ x`, which sums over the last axis as NumPy does; a matrix by the product of its transpose."""
    if len(t.shape) > 2:
        u = along_last(t)
        return u.backend(x).matmul(u, x)
    u = inner(t)
    return u.backend(x).transposed_matmul(u, x)


def right(t: Stored, x: object) -> Array:
    """`x @ t`."""
    if len(t.shape) > 2:
        u = along_last(t)
        return u.backend(x).rmatmul(u, x)
    u = inner(t)
    return u.backend(x).matmul_transposed(u, x)


def refuse(t: Stored, what: str) -> None:
    """Raises FormatError where `t` is packed along another axis than the last, which `what` does not know."""
    if is_moved(t):
        msg = f"{what} knows no axis, and the tensor is packed along axis {t.axis} of {len(t.shape)}; "
        raise FormatError(msg + "encode t.to_dense() along the last one")
