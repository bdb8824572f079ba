"""The dtypes of the container, and what NumPy calls them."""

import functools

import ml_dtypes
import numpy as np

from sparsefmt.base.dtypes import DTYPES, Array, Dtype, name_of
from sparsefmt.base.errors import DtypeError

CONTAINER: dict[str, str] = {
    "BOOL": "bool",
    **{f"I{bits}": f"int{bits}" for bits in (8, 16, 32, 64)},
    **{f"U{bits}": f"uint{bits}" for bits in (8, 16, 32, 64)},
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F32": "float32",
    "F64": "float64",
    "C64": "complex64",
}
"""Container dtype -> dtype of this package. complex128 is F64 with a trailing axis of 2."""

PASSED: dict[str, Dtype] = {
    "F8_E8M0": np.dtype(ml_dtypes.float8_e8m0fnu),
    "F8_E4M3FNUZ": np.dtype(ml_dtypes.float8_e4m3fnuz),
    "F8_E5M2FNUZ": np.dtype(ml_dtypes.float8_e5m2fnuz),
}
"""Container dtypes of plain arrays that pass through files but cannot be packed."""

VIEWS: dict[str, Dtype] = {**{stored: DTYPES[name] for stored, name in CONTAINER.items()}, **PASSED}
PAIRED = "complex128"
_STORED = {dtype.name: stored for stored, dtype in VIEWS.items()} | {PAIRED: "F64"}


@functools.lru_cache(256)
def stored_as(dtype: Dtype) -> tuple[str, Dtype]:
    """The container's name of a dtype, and the dtype in native byte order.

    Raises:
        DtypeError: the container has none.
    """
    stored = _STORED.get(name_of(dtype))
    if stored is None:
        msg = f"dtype {dtype} cannot be saved; have {', '.join(_STORED)}"
        raise DtypeError(msg)
    return stored, DTYPES[PAIRED] if name_of(dtype) == PAIRED else VIEWS[stored]


def is_stored(name: str) -> bool:
    """Whether the container has a dtype of this name."""
    return name in _STORED


def is_paired(dtype: Dtype) -> bool:
    """Whether it is complex128, of which the container has only pairs."""
    return dtype.kind == "c" and dtype.itemsize == 16


def has_odd_bools(a: Array) -> bool:
    """Whether a bool array holds a byte other than 0 and 1, which NumPy counts wrongly."""
    return a.dtype == np.bool_ and a.size > 0 and int(a.view(np.uint8).max()) > 1
