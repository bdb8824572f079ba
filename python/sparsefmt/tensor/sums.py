"""Sums, counts and norms, by slots: nothing dense is made but the result."""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

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


class _Frame(NamedTuple):
    """Where the axes that stay stand in a result."""

    t: Stored
    """Without moved axes."""
    keep: list[int]
    turned: list[int]
    kept_dims: tuple[int, ...]

    @classmethod
    def of(cls, t: Stored, axis: Any) -> "_Frame":  # noqa: ANN401
        gone, places = _axes(axis, t.ndim), order(t.ndim, t.axis)
        keep = [i for i, a in enumerate(places) if a not in gone]
        turned = np.argsort([places[i] for i in keep]).tolist()
        return cls(inner(t), keep, turned, tuple(1 if a in gone else n for a, n in enumerate(t.shape)))

    @property
    def shape(self) -> tuple[int, ...]:
        """The axes that stay, in their order in memory."""
        return tuple(self.t.shape[i] for i in self.keep)

    def start(self, dtype: Dtype) -> Array:
        """A flat result of zeros."""
        return zeros(math.prod(self.shape), dtype, "the sums")

    def shown(self, flat: Array, keepdims: bool) -> Any:  # noqa: ANN401
        """A flat result as the caller sees it."""
        made = reshaped(flat, self.shape, "the sums").transpose(self.turned)
        if keepdims:
            made = reshaped(made, self.kept_dims, "the sums")
        return made if made.ndim else made[()]


def _sums(frame: _Frame, dtype: Dtype, f: Callable[[Array], Array]) -> Array:
    """The flat sums of `f` of the values."""
    out = frame.start(dtype)
    with np.errstate(all="ignore"):
        for some, at in _windows(frame.t, frame.keep):
            values = f(some)
            if not frame.keep:
                out[0] += values.sum(dtype=dtype)
            elif dtype == np.float64:
                _add(out, at, values)
            else:
                np.add.at(out, at, values.astype(dtype, copy=False))
    return out


def _reduced(t: Stored, axis: Any, keepdims: bool, dtype: Dtype, f: Callable[[Array], Array]) -> Any:  # noqa: ANN401
    frame = _Frame.of(t, axis)
    return frame.shown(_sums(frame, dtype, f), keepdims)


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


def _sizes(values: Array) -> Array:
    """Magnitudes in float64: widened first, as the least integer and large complex64 have none in their own dtype."""
    wide = np.complex128 if values.dtype.kind == "c" else np.float64
    return np.asarray(np.abs(values.astype(wide, copy=False)))


def _peaks(frame: _Frame) -> Array:
    """The largest magnitudes, flat; NaN where there is one."""
    out = frame.start(DTYPES["float64"])
    with np.errstate(all="ignore"):
        for some, at in _windows(frame.t, frame.keep):
            sizes = _sizes(some)
            if frame.keep:
                np.maximum.at(out, at, sizes)
            else:
                out[0] = np.maximum(out[0], sizes.max(initial=0.0))
    return out


def _lengths(frame: _Frame) -> Array:
    """Euclidean lengths, flat, each scaled by its own power of two: no square over- or underflows."""
    peaks = _peaks(frame)
    scale = np.ldexp(1.0, -np.clip(np.frexp(np.where(np.isfinite(peaks), peaks, 1.0))[1], -1000, 1000))
    out = frame.start(DTYPES["float64"])
    with np.errstate(all="ignore"):
        for some, at in _windows(frame.t, frame.keep):
            _add(out, at, np.square(_sizes(some) * scale[at]))
        return np.where(np.isfinite(peaks), np.sqrt(out) / scale, peaks)


def norm(t: Stored, order: Any, axis: Any, keepdims: bool) -> Any:  # noqa: ANN401
    """See `SparseTensor.norm`."""
    flat = _axes(axis, t.ndim)
    by_vector = len(flat) == 1 or (axis is None and order in (None, "fro"))
    frame = _Frame.of(t, axis)
    if by_vector and (order in (None, 2) or (order == "fro" and axis is None)):
        return frame.shown(_lengths(frame), keepdims)
    if by_vector and order in (0, 1):
        f = (lambda values: (values != 0).astype(np.float64)) if order == 0 else _sizes
        return frame.shown(_sums(frame, DTYPES["float64"], f), keepdims)
    if by_vector and order == np.inf:
        return frame.shown(_peaks(frame), keepdims)
    if len(flat) == 2 and order in (None, "fro"):
        return frame.shown(_lengths(frame), keepdims)
    if len(flat) == 2 and t.ndim == 2 and order in (1, np.inf):
        sums: Array = _reduced(t, 0 if order == 1 else 1, False, DTYPES["float64"], _sizes)
        return frame.shown(np.full(1, sums.max(initial=0.0)), keepdims)
    msg = (
        f'norm: ord = {order!r} of rank {t.ndim}, axis = {axis!r}; want None or "fro", of vectors (one axis) also '
        "0, 1, 2 and numpy.inf, of matrices also 1 and numpy.inf; or use numpy.linalg.norm(t.to_dense(), ...)"
    )
    raise FormatError(msg)
