"""The dtypes there are, and items seen as unsigned integers of their width."""

import functools
from typing import Any, TypeAlias

import ml_dtypes
import numpy as np

from sparsefmt.base.errors import DtypeError, FormatError

Array: TypeAlias = np.ndarray[Any, Any]
Dtype: TypeAlias = np.dtype[Any]

INTEGERS = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
FLOATS = ("float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "float32", "float64")
COMPLEX = ("complex64", "complex128")
INFINITIES = {
    "float16": 0x7C00,
    "bfloat16": 0x7F80,
    "float8_e4m3fn": 0x7F,
    "float8_e5m2": 0x7C,
    "float32": 0x7F800000,
    "float64": 0x7FF0000000000000,
}
"""The bits of the infinity of each float, of the NaN of float8_e4m3fn, which has none."""
DTYPES: dict[str, Dtype] = {
    name: np.dtype(getattr(ml_dtypes, name) if hasattr(ml_dtypes, name) else name)
    for name in INTEGERS + FLOATS + COMPLEX
}
_UNSIGNED: dict[int, Dtype] = {
    1: np.dtype("u1"),
    2: np.dtype("u2"),
    4: np.dtype("u4"),
    8: np.dtype("u8"),
    16: np.dtype("c16"),
}
_INT32, _INT64 = np.dtype(np.int32), np.dtype(np.int64)


@functools.lru_cache(256)
def native(dtype: Dtype) -> Dtype:
    """The dtype in the byte order of this machine.

    Raises:
        DtypeError: no format holds it.
    """
    found: Dtype | None = DTYPES.get(dtype.name)
    if found is None:
        msg = f"dtype {dtype} is not supported; have {', '.join(DTYPES)}"
        raise DtypeError(msg)
    return found


def dtype_of(given: Any) -> Dtype:  # noqa: ANN401
    """What NumPy takes for a dtype (a name, a code such as "<f4", a type), in the byte order of this machine.

    Raises:
        DtypeError: there is none, or no format holds it.
    """
    text = given.decode("latin1") if isinstance(given, bytes) else given
    if isinstance(text, str) and has_divisor(text):
        return dtype_named(text)
    try:
        found = np.dtype(given)
    except (TypeError, ValueError, SyntaxError, OverflowError):  # a text that NumPy cannot parse is one of these
        return dtype_named(given)
    return native(found)


def has_divisor(text: str) -> bool:
    """Whether a text may say a time in parts of a unit, "m8[s/2]"; NumPy divides by them, and /0 ends the process."""
    return "/" in text.partition("[")[2]


@functools.lru_cache(256)
def name_of(dtype: Dtype) -> str:
    """`dtype.name`, which NumPy puts together anew every time."""
    return dtype.name


def dtype_named(name: object) -> Dtype:
    """The dtype of that name.

    Raises:
        DtypeError: there is none.
    """
    if not isinstance(name, str) or name not in DTYPES:
        msg = f"dtype {name!r} is unknown; have {', '.join(DTYPES)}"
        raise DtypeError(msg)
    return DTYPES[name]


def item_dtype(dtype: Dtype) -> Dtype:
    """The unsigned integer that carries an item of `dtype`; complex128 carries 16 bytes."""
    return _UNSIGNED[dtype.itemsize]


def items(a: Array) -> Array:
    """`a` seen as unsigned integers of the same width, in place."""
    return a.view(item_dtype(a.dtype))


def zero_mask(dtype: Dtype, rule: str) -> int:
    """The bits that make an item nonzero: all for "bits", all but the signs for "value"."""
    if rule not in ("value", "bits"):
        msg = f'zero = {rule!r} is unknown; allowed "value" (-0.0 is a zero) and "bits" (only +0 is a zero)'
        raise FormatError(msg)
    return _zero_mask(dtype, rule)


@functools.lru_cache(256)
def _zero_mask(dtype: Dtype, rule: str) -> int:
    size = min(dtype.itemsize, 8)
    full = (1 << (8 * size)) - 1
    if rule == "bits" or name_of(dtype) in INTEGERS:
        return full
    if name_of(dtype) == "complex64":
        return 0x7FFFFFFF_7FFFFFFF
    return full >> 1


def index_dtype(*bounds: int) -> Dtype:
    """int32 if every bound fits, else int64, as SciPy chooses."""
    return _INT32 if max(bounds) <= 2**31 - 1 else _INT64
