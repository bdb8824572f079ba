"""The decorator that lets a faster implementation replace a NumPy definition by name."""

import functools
import os
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import numpy as np

P = ParamSpec("P")
R = TypeVar("R")

NATIVE = os.environ.get("SPARSEFMT_NATIVE", "1") != "0"
if NATIVE:
    from sparsefmt import _native

    extension: Any = _native
else:
    extension = None


def native_form(a: object) -> object:
    """Shows a 16-byte item as two 8-byte halves, because the extension knows no 16-byte dtype."""
    if isinstance(a, np.ndarray) and a.dtype.itemsize == 16:
        return a.view(np.uint64).reshape(*a.shape, 2)
    return a


def kernel(definition: Callable[P, R]) -> Callable[P, R]:
    """Replaces `definition` by the function of the same name in the extension, for NumPy arrays.

    The body of the definition is the meaning: every implementation gives its bytes. Arrays other than NumPy's
    (CuPy) are served by the definition itself.
    """
    compiled: Any = getattr(extension, definition.__name__, None)
    if compiled is None:
        return definition

    @functools.wraps(definition)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        if all(isinstance(a, np.ndarray | int | str | tuple) for a in args):
            result: R = compiled(*map(native_form, args))
            return result
        return definition(*args, **kwargs)

    return call
