"""Sums, counts and norms, by slots: nothing dense is made but the result."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from sparsefmt.base.alloc import reshaped, zeros
from sparsefmt.base.dtypes import DTYPES, Array, Dtype
from sparsefmt.base.errors import FormatError
from sparsefmt.tensor.arithmetic import decoded
from sparsefmt.tensor.axes import order
from sparsefmt.tensor.layout import inner
from sparsefmt.tensor.rows import check_axis
from sparsefmt.tensor.stored import Stored


def _axes(axis: Any, ndim: int) -> tuple[int, ...]:  # noqa: ANN401
    """The axes that are summed over, ascending."""
    if axis is None:
        return tuple(range(ndim))
    found = [check_axis(a, ndim) for a in (axis if isinstance(axis, tuple) else (axis,))]
    if len(set(found)) != len(found):
        msg = f"axis = {axis!r} names one axis twice"
        raise FormatError(msg)
    return tuple(sorted(found))


def _windows(t: Stored, keep: list[int]) -> Iterator[tuple[Array, Array]]:
    """Values of slots, and their places in the flat result that has the axes `keep`."""
    values, lead = t.structure.body(decoded(t)), t.shape[:-1]
    for w in t.structure.windows():
        some = np.ascontiguousarray(values[w.start : w.stop]).reshape(-1)
        row, col = (np.broadcast_to(a, values[w.start : w.stop].shape).reshape(-1) for a in w.part.coords())
        row, col = row.astype(np.int64) + w.row, col.astype(np.int64) + w.col
        at, left = np.zeros(len(some), np.int64), row
        step = 1
        if t.ndim - 1 in keep:
            at, step = col, t.shape[-1]
        for axis in range(t.ndim - 2, -1, -1):
            left, here = np.divmod(left, max(lead[axis], 1)) if axis else (left, left)
            if axis in keep:
                at = at + here * step
                step *= t.shape[axis]
        yield some, at


def _reduced(t: Stored, axis: Any, keepdims: bool, dtype: Dtype, f: Callable[[Array], Array]) -> Any:  # noqa: ANN401
    gone, places = _axes(axis, t.ndim), order(t.ndim, t.axis)
    shown, t = t, inner(t)
    keep = [i for i, a in enumerate(places) if a not in gone]
    shape = tuple(t.shape[i] for i in keep)
    out = zeros(math.prod(shape), dtype, "the sums")
    with np.errstate(all="ignore"):
        for some, at in _windows(t, keep):
            values = f(some)
            if not keep:
                out[0] += values.sum(dtype=dtype)
            elif dtype == np.float64:
                _add(out, at, values)
            else:
                np.add.at(out, at, values.astype(dtype, copy=False))
    made = reshaped(out, shape, "the sums").transpose(np.argsort([places[i] for i in keep]).tolist())
    if keepdims:
        made = reshaped(made, tuple(1 if a in gone else n for a, n in enumerate(shown.shape)), "the sums")
    return made if made.ndim else made[()]


def _add(out: Array, at: Array, values: Array) -> None:
    """Adds values at places, those of one place in order."""
    places, inverse = (at, None) if len(out) <= 4 * len(at) + 1024 else np.unique(at, return_inverse=True)
    if inverse is None:
        out += np.bincount(places, values, len(out))
    else:
        out[places] += np.bincount(inverse, values, len(places))


def total(t: Stored, axis: Any, keepdims: bool) -> Any:  # noqa: ANN401
    """See `SparseTensor.sum`."""
    kind = t.dtype.kind
    wide = {"b": "int64", "i": "int64", "u": "uint64", "c": "complex128"}.get(kind, "float64")
    found = _reduced(t, axis, keepdims, DTYPES[wide], lambda values: values.astype(DTYPES[wide], copy=False))
    with np.errstate(all="ignore"):
        return found.astype(t.dtype) if kind not in "biu" else found


def count_nonzero(t: Stored, axis: Any, keepdims: bool) -> Any:  # noqa: ANN401
    """See `SparseTensor.count_nonzero`."""
    if axis is None and not keepdims:
        return t.nnz
    return _reduced(t, axis, keepdims, DTYPES["int64"], lambda values: values != 0)


def norm(t: Stored, order: Any) -> float:  # noqa: ANN401
    """See `SparseTensor.norm`."""
    if not t.slots:
        return 0.0
    if order is None or order == "fro":
        size = np.abs(decoded(t)).astype(np.float64)
        peak = float(size.max(initial=0.0))
        if peak == 0 or not math.isfinite(peak):
            return peak if not np.isnan(size).any() else math.nan
        scale = 2.0 ** -min(max(math.frexp(peak)[1], -1000), 1000)
        scaled = size * scale
        return math.sqrt(float(np.square(scaled).sum())) / scale
    if order in (1, np.inf) and t.ndim == 2:

        def f(values: Array) -> Array:
            return np.abs(values).astype(np.float64)

        sums: Array = _reduced(t, 0 if order == 1 else 1, False, DTYPES["float64"], f)
        return float(sums.max(initial=0.0))
    msg = f'norm: ord = {order!r} of rank {t.ndim}; want None, "fro", and for rank 2 also 1 and numpy.inf'
    raise FormatError(msg)
