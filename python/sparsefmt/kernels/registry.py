"""The decorator that lets a faster implementation replace a NumPy definition by name."""

import atexit
import functools
import os
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import numpy as np

_SIMPLE = (int, str, tuple)

P = ParamSpec("P")
R = TypeVar("R")

NATIVE = os.environ.get("SPARSEFMT_NATIVE", "1") != "0"
if NATIVE:
    import sparsefmt._native as native

    extension: Any = native
    # Daemon threads inside kernels then end with the process, without a crash.
    atexit.register(native.interpreter_ends)
else:
    extension = None


def native_form(a: object) -> object:
    """Shows a 16-byte item as two 8-byte halves, because the extension knows no 16-byte dtype."""
    if isinstance(a, np.ndarray) and a.dtype.itemsize == 16:
        return a.view(np.uint64).reshape(*a.shape, 2)
    return a


def kernel(definition: Callable[P, R]) -> Callable[P, R]:
    """Replaces `definition` by the function of the same name in the extension, for NumPy arrays.

    The body of the definition is the meaning: every implementation writes its bytes. Arrays other than NumPy's
    (CuPy) are served by the definition itself.
    """
    compiled: Any = getattr(extension, definition.__name__, None)
    if compiled is None:
        return definition

    @functools.wraps(definition)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        wide = False
        for a in args:
            if type(a) is np.ndarray:
                wide |= a.itemsize == 16
            elif isinstance(a, np.ndarray):
                wide = True
            elif not isinstance(a, _SIMPLE):
                return definition(*args, **kwargs)
        result: R = compiled(*map(native_form, args)) if wide else compiled(*args)
        return result

    return call
