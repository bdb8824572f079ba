"""CuPy, imported when it is first needed, and the devices that it sees."""

import functools
import importlib
from typing import Any

from sparsefmt.errors import BackendError

MIN_CUPY = 14  # the first that has bfloat16
INSTALL = "pip install 'sparsefmt[cuda13]' (or 'sparsefmt[cuda12]' for a driver of CUDA 12)"

DeviceArray = Any
"""A cupy.ndarray; CuPy brings no types."""


@functools.cache
def _imported() -> Any:  # noqa: ANN401
    return importlib.import_module("cupy")


def cupy() -> Any:  # noqa: ANN401
    """The module.

    Raises:
        BackendError: it is not installed, is too old, or does not load; says what to install.
    """
    try:
        found = _imported()
    except ImportError as e:
        msg = f"CuPy does not load ({e}); {INSTALL}"
        raise BackendError(msg) from e
    if int(found.__version__.split(".")[0]) < MIN_CUPY:
        msg = f"CuPy {found.__version__} is too old, want {MIN_CUPY} or newer; {INSTALL}"
        raise BackendError(msg)
    return found
