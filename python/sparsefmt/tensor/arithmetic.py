"""Arithmetic that keeps zeros zero: casts, signs and scalars. Coded values are decoded first: the results are raw."""

import numbers
from collections.abc import Callable
from typing import Any

import numpy as np

from sparsefmt.base.dtypes import DTYPES, Array, dtype_of, items, native
from sparsefmt.base.errors import BackendError, DtypeError, FormatError, SizeError, SparsefmtError
from sparsefmt.codecs import streams
from sparsefmt.codecs.raw import Raw
from sparsefmt.structures.nm import Nm
from sparsefmt.tensor.stored import Stored, T


def decoded(t: Stored) -> Array:
    """The values of all slots.

    Raises:
        BackendError: they are on a GPU.
    """
    if t.device != "cpu":
        msg = f'this runs on the CPU, and the tensor is on {t.device}; move it first: t.to("cpu")'
        raise BackendError(msg)
    return t.values.decode(t.structure)


def _with(t: T, before: Array, after: Array) -> T:
    """The tensor with other values; what was +0 stays +0, as slots outside the shape must."""
    dtype = native(after.dtype)
    if isinstance(t.structure, Nm) and dtype.kind == "c":
        msg = f"nm does not hold {dtype}; convert to csr first"
        raise DtypeError(msg)
    after = np.array(after, dtype, order="C")
    empty = items(before) == 0
    if empty.any():
        after[empty] = 0
    if t.structure.padded:  # to a width that depends on that of items
        after = streams.widened(t.structure, np.ascontiguousarray(t.structure.body(after)), 8 * dtype.itemsize)
    return t.replaced(values=Raw(after))


def _changed(t: T, f: Callable[[Array], Array]) -> T:
    """The tensor with `f` of its values.

    Raises:
        SizeError: they need more room: without a slot, too, where a block is too large to be counted in other items.
    """
    before = decoded(t)
    try:
        with np.errstate(all="ignore"):
            return _with(t, before, np.asarray(f(before)))
    except (MemoryError, ValueError) as e:
        if isinstance(e, SparsefmtError):
            raise
        msg = f"values of shape {before.shape} cannot be made: {e}"
        raise SizeError(msg) from e


def astype(t: T, dtype: Any, casting: Any, copy: bool) -> T:  # noqa: ANN401
    """See `SparseTensor.astype`."""
    target = dtype_of(dtype)
    if target == t.dtype:
        return copied(t) if copy else t
    if not np.can_cast(t.dtype, target, casting):
        msg = f"astype: {t.dtype} cannot become {target} under casting={casting!r}"
        raise DtypeError(msg)
    if t.dtype.kind == "c" and target.kind != "c":
        msg = f"astype: {t.dtype} has an imaginary part, {target} has none; use abs(t) or t.to_dense().real"
        raise DtypeError(msg)
    return _changed(t, lambda before: before.astype(target))


def copied(t: T) -> T:
    """The same in memory of its own."""
    return t.replaced(t.structure.map(lambda a: a.copy()), t.values.map(lambda a: a.copy()))


def absolute(t: T) -> T:
    """Magnitudes."""
    return _changed(t, np.abs)


def negative(t: T) -> T:
    """Every sign changed."""
    if t.dtype.kind == "b":
        msg = "bool has no negative; use t.astype(numpy.int8)"
        raise DtypeError(msg)
    return _changed(t, np.negative)


def is_scalar(x: object) -> bool:
    """Whether it is a number: Python's, NumPy's, or an array of rank 0."""
    return isinstance(x, numbers.Number | np.generic) or (isinstance(x, np.ndarray) and x.ndim == 0)


def scaled(t: T, x: Any, *, divide: bool = False) -> T:  # noqa: ANN401
    """`t * x` or `t / x` for a scalar.

    Raises:
        TypeError: a number that NumPy has no dtype for, or what is none.
        DtypeError: a dtype that no format holds, or a Python integer that is out of its range.
        FormatError: the result would not be zero where t is.
    """
    x = x[()] if isinstance(x, np.ndarray) else x
    dtype = np.dtype(type(x)) if isinstance(x, bool | int | float | complex) else getattr(x, "dtype", np.dtype(object))
    if dtype.kind not in "biufc" and dtype.name not in DTYPES:
        way = "use a number of Python or NumPy, such as float(x)"
        msg = f"a packed tensor and a {type(x).__name__} have no product or quotient; {way}"
        raise TypeError(msg)
    if not (isinstance(x, int) or np.isfinite(x)) or (divide and x == 0):
        what = f"t {'/' if divide else '*'} {x}"
        msg = f"{what} is not zero where t holds nothing; use t.to_dense()"
        raise FormatError(msg)
    try:
        return _changed(t, lambda before: before / x if divide else before * x)
    except (OverflowError, TypeError) as e:
        if isinstance(e, SparsefmtError):
            raise
        msg = f"{t.dtype} {'/' if divide else '*'} {type(x).__name__}: {e}; cast first: t.astype(...)"
        raise DtypeError(msg) from e
