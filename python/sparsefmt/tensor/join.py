"""Packed tensors side by side: what `numpy.concatenate` makes of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sparsefmt.base.coerce import matrix_shape
from sparsefmt.base.dtypes import index_dtype
from sparsefmt.base.errors import DtypeError, FormatError
from sparsefmt.codecs.raw import Raw
from sparsefmt.structures.coo import Coo
from sparsefmt.tensor.arithmetic import decoded
from sparsefmt.tensor.axes import order
from sparsefmt.tensor.layout import inner, is_moved, outer
from sparsefmt.tensor.rows import check_axis
from sparsefmt.tensor.stored import T


def concatenate(tensors: Sequence[T], axis: int = 0) -> T:
    """Puts packed tensors side by side, in the structure of the first; exactly.

    Args:
        tensors: one or more, of one dtype, and of one shape but along `axis`.
        axis: the first or the last one.

    Returns:
        A packed tensor. Coded values are decoded, for scales and codebooks do not join; raw ones keep their bits.

    Raises:
        TypeError: something is no packed tensor.
        FormatError: the shapes do not fit, or the axis is another one.
        DtypeError: the dtypes differ.
        PatternError: the structure does not hold the result, e.g. 2:4 where columns are no multiple of four.
    """
    found = list(tensors)
    first = found[0]
    if not all(isinstance(t, type(first)) for t in found):
        kinds = ", ".join(sorted({type(t).__name__ for t in found}))
        msg = f"concatenate: want packed tensors, got {kinds}; encode all of them, or decode all"
        raise TypeError(msg)
    if len(found) == 1:
        return first
    at = check_axis(axis, first.ndim) if is_moved(first) else checked_axis(axis, first.ndim)
    for i, t in enumerate(found):
        if t.dtype != first.dtype:
            msg = f"concatenate: tensor {i} has dtype {t.dtype}, the first one {first.dtype}; use t.astype(...)"
            raise DtypeError(msg)
        others = [s[:at] + s[at + 1 :] for s in (t.shape, first.shape)]
        if t.ndim != first.ndim or others[0] != others[1]:
            msg = (
                f"concatenate: tensor {i} has shape {t.shape}, the first {first.shape}; want the same but for axis {at}"
            )
            raise FormatError(msg)
    if is_moved(first) or any(map(is_moved, found)):
        if len({t.axis for t in found}) > 1:
            msg = f"concatenate: tensors are packed along axes {[t.axis for t in found]}; want one axis"
            raise FormatError(msg)
        place = order(first.ndim, first.axis).index(at)
        return outer(concatenate([inner(t) for t in found], checked_axis(place, first.ndim)), first.axis)
    shape = tuple(sum(t.shape[k] for t in found) if k == at else n for k, n in enumerate(first.shape))
    sideways = at == first.ndim - 1
    raw = (t if t.values.kind == "raw" else t.replaced(values=Raw(decoded(t), check=False)) for t in found)
    coordinates = [t.convert("coo") for t in raw]
    rows, cols = matrix_shape(shape)
    dtype = index_dtype(rows, cols, sum(t.structure.slots for t in coordinates))
    row, col, data, start = [], [], [], 0
    for t in coordinates:
        parts: Any = t.structure
        row.append(parts.row.astype(dtype) + dtype.type(0 if sideways else start))
        col.append(parts.col.astype(dtype) + dtype.type(start if sideways else 0))
        data.append(decoded(t))
        start += parts.shape[1] if sideways else parts.shape[0]
    merged = [np.concatenate(a) for a in (row, col, data)]
    if sideways:
        by_row = np.argsort(merged[0], kind="stable")  # columns rise already
        merged = [a[by_row] for a in merged]
    made = Coo(merged[0], merged[1], (rows, cols), check=False)
    return first.replaced(made, Raw(merged[2]), shape).convert(first.structure.text)


def checked_axis(axis: object, ndim: int) -> int:
    """The axis, not negative.

    Raises:
        FormatError: it is neither the first nor the last.
    """
    at = check_axis(axis, ndim)
    if at not in (0, ndim - 1):
        msg = f"concatenate: axis = {axis} of a tensor of rank {ndim}; packed ones join along the first or last"
        raise FormatError(msg)
    return at
