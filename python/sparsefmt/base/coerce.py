"""What callers pass, as what the package works on: arrays, shapes and whole numbers, or an error that names them."""

import math
import operator

import numpy as np

from sparsefmt.base.dtypes import Array, Dtype, native
from sparsefmt.base.errors import DtypeError, FormatError

_INT64_MAX = 2**63 - 1


def as_array(w: object, name: str = "w") -> Array:
    """`w`, called `name` in errors, as an array of rank 1 or more of a supported dtype; order and strides stay.

    Raises:
        DtypeError: object, datetime, longdouble, text or masked arrays.
        FormatError: a scalar, or a ragged list.
        TypeError: a sparse tensor or sparse matrix.
    """
    if type(w) is not np.ndarray and isinstance(w, np.ma.MaskedArray):
        msg = f"{name}: masked arrays are not supported; fill them first: {name}.filled(0)"
        raise DtypeError(msg)
    if not isinstance(w, np.ndarray) and hasattr(w, "tocsr"):
        msg = f"{name} is a {type(w).__name__}; use sparsefmt.from_scipy({name}, fmt)"
        raise TypeError(msg)
    try:
        a = np.asarray(w)
    except ValueError as e:
        msg = f"{name} is no array: {str(e).rstrip('.')}"
        raise FormatError(msg) from e
    native(a.dtype)
    if a.ndim == 0:
        msg = f"{name} is a scalar; want an array of rank 1 or more"
        raise FormatError(msg)
    return a


def is_device_array(a: object) -> bool:
    """Whether `a` lies in the memory of a GPU: CuPy's arrays, and those of others that say so."""
    return not isinstance(a, np.ndarray) and hasattr(a, "__cuda_array_interface__")


def matrix_shape(shape: tuple[int, ...]) -> tuple[int, int]:
    """(rows, cols): leading axes flattened; rank 1 is one row."""
    return math.prod(shape[:-1]), shape[-1]


def checked_shape(shape: object, ranks: tuple[int, int] = (1, 64)) -> tuple[int, ...]:
    """`shape` as a tuple of ints; as many rows as int64 can count.

    Raises:
        FormatError: it is no shape, or has fewer or more axes than `ranks` allow.
    """
    axes = shape if isinstance(shape, tuple | list) else ()
    if not ranks[0] <= len(axes) <= ranks[1]:
        msg = f"shape = {shape!r}; want a tuple of {ranks[0]}..{ranks[1]} integers"
        raise FormatError(msg)
    made = tuple(whole(n, "shape", 0, _INT64_MAX) for n in axes)
    if math.prod(made[:-1]) > _INT64_MAX:
        msg = f"shape {made} has more than {_INT64_MAX} rows"
        raise FormatError(msg)
    return made


def whole(n: object, what: str, low: int, high: int) -> int:
    """`n` as an int between `low` and `high`, both allowed.

    Raises:
        FormatError: it is not.
    """
    try:
        value = operator.index(n)  # type: ignore[arg-type]
    except TypeError:
        value = low - 1
    if isinstance(n, bool) or not low <= value <= high:
        msg = f"{what} = {n!r}; want an integer in {low}..{high}"
        raise FormatError(msg)
    return value


def plain(a: Array, dtype: Dtype | type) -> Array:
    """`a` C-contiguous, aligned and of that dtype; itself if it is."""
    return np.require(a, dtype, ("C", "A"))


def is_plain(a: Array) -> bool:
    """C-contiguous, aligned and in native byte order: what kernels take as it is."""
    return bool(a.flags.c_contiguous and a.flags.aligned and a.dtype.isnative)


def frozen(a: Array) -> Array:
    """A read-only view of `a`; the flags of `a` itself stay."""
    view = a.view()
    view.setflags(write=False)
    return view
