"""What callers pass, as what the package works on: arrays, shapes and whole numbers, or an error that names them."""

import math
import numbers
import operator
import os

import numpy as np

from sparsefmt.base.dtypes import Array, Dtype, native
from sparsefmt.base.errors import DtypeError, FormatError
from sparsefmt.base.foreign import foreign_array

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
    if not isinstance(w, (np.ndarray, list, tuple)):
        w = _of_others(w, name)
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


def _of_others(w: object, name: str) -> object:
    """An array of another library as NumPy's, or `w` itself where NumPy is to judge.

    Raises:
        TypeError: what has no elements in memory, is sparse or packed; with the way out.
    """
    found = foreign_array(w, name)
    if found is not None:
        return found
    if hasattr(w, "to_dense") and hasattr(w, "convert"):
        msg = f"{name} is a packed tensor, want an array; use {name}.to_dense()"
    elif hasattr(w, "tocsr"):
        msg = f"{name} is a {type(w).__name__}; use sparsefmt.from_scipy({name}, fmt)"
    elif isinstance(w, bytes | bytearray):
        msg = f"{name} is {type(w).__name__}, want an array; use numpy.frombuffer({name}, dtype)"
    elif isinstance(w, str | os.PathLike):
        msg = f"{name} is {type(w).__name__}, want an array; use sparsefmt.load(path), or numpy.load"
    elif hasattr(w, "read"):
        msg = f"{name} is an open file, want an array; use numpy.load({name}), or sparsefmt.load(path)"
    else:
        return w
    raise TypeError(msg)


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
    made = tuple([n if type(n) is int and 0 <= n <= _INT64_MAX else whole(n, "shape", 0, _INT64_MAX) for n in axes])
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


def is_number(n: object) -> bool:
    """Whether it is a real number, of Python or of NumPy; bools are none."""
    return isinstance(n, numbers.Real) and not isinstance(n, bool)


def magnitudes(a: Array) -> Array:
    """Magnitudes in float64, of whole numbers those that their dtype does not hold too: 128 of int8."""
    return np.asarray(np.abs(a if a.dtype.kind == "c" else a.astype(np.float64)), np.float64)


def plain(a: Array, dtype: Dtype | type) -> Array:
    """`a` C-contiguous, aligned and of that dtype; itself if it is."""
    if a.dtype == dtype and is_plain(a):
        return a
    made = np.require(a, dtype, ("C", "A"))
    return made if is_aligned(made) else made.copy()


def is_plain(a: Array) -> bool:
    """C-contiguous, aligned and in native byte order: what kernels take as it is."""
    flags, dtype = a.flags, a.dtype
    aligned = flags.aligned if dtype.kind != "c" else is_aligned(a)
    return bool(flags.c_contiguous and aligned and dtype.isnative)


def is_aligned(a: Array) -> bool:
    """Whether kernels can see the items in place: as unsigned integers of their width, or pairs of 8 bytes.

    NumPy asks less of complex64: two halves of 4 bytes.
    """
    if a.dtype.kind != "c" or not a.size:
        return bool(a.flags.aligned)
    return bool(a.flags.aligned) and a.__array_interface__["data"][0] % 8 == 0 and not any(n % 8 for n in a.strides)


def frozen(a: Array) -> Array:
    """A read-only view of `a`; the flags of `a` itself stay."""
    view = a.view()
    view.setflags(write=False)
    return view


def without_negative_zeros(data: Array) -> Array:
    """The same values with 0.0 for every -0.0; itself where there is none."""
    if data.dtype.kind in "biu":
        return data
    parts = data.view(f"f{data.dtype.itemsize // 2}") if data.dtype.kind == "c" else data
    odd = (parts == 0) & np.signbit(parts)
    if data.dtype.kind == "c":
        odd &= np.repeat(data == 0, 2, axis=-1)
    if not odd.any():
        return data
    made = parts.copy()
    made[odd] = 0
    return made.view(data.dtype)
