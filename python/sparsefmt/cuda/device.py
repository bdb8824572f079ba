"""CuPy, imported when it is first needed, and the devices that it sees."""

import contextlib
import functools
import importlib
from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np

from sparsefmt.base.dtypes import Dtype
from sparsefmt.base.errors import BackendError

MIN_CUPY = 14  # the first that has bfloat16
INSTALL = "pip install 'sparsefmt[cuda13]' (or 'sparsefmt[cuda12]' for a driver of CUDA 12)"

DeviceArray: TypeAlias = Any
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


def parse(name: object) -> int:
    """The number of a device: "cuda" is the current one, "cuda:1" the second.

    Raises:
        BackendError: the name is another one, or there is no such device.
    """
    kind, colon, number = name.partition(":") if isinstance(name, str) else ("", "", "")
    if kind != "cuda" or (colon and not (number.isascii() and number.isdigit())):
        msg = f'device {name!r} is unknown; have "cpu", "cuda" (the current one), "cuda:0", "cuda:1" and so on'
        raise BackendError(msg)
    try:
        count = device_count()
    except BackendError as e:
        msg = f'device {name!r} is not available, only "cpu" is: {e}'
        raise BackendError(msg) from e
    if not colon:
        return int(cupy().cuda.Device().id)
    if int(number) >= count:
        msg = f'device {name!r} is not there; {count} found: "cuda:0"' + (f'..."cuda:{count - 1}"' if count > 1 else "")
        raise BackendError(msg)
    return int(number)


def device_count() -> int:
    """How many devices there are; at least one.

    Raises:
        BackendError: CuPy is missing, there is no driver, or no device.
    """
    try:
        count = int(cupy().cuda.runtime.getDeviceCount())
    except RuntimeError as e:
        if isinstance(e, BackendError):
            raise
        msg = f"no CUDA driver answers ({e}); install NVIDIA's driver, or use the CPU"
        raise BackendError(msg) from e
    if not count:
        msg = "the CUDA driver sees no device (is CUDA_VISIBLE_DEVICES empty?)"
        raise BackendError(msg)
    return count


def on(a: DeviceArray) -> Any:  # noqa: ANN401
    """A context in which the device of `a` is the current one."""
    return cupy().cuda.Device(a.device.id)


def carrier(dtype: Dtype) -> Dtype:
    """The dtype that carries `dtype` in CuPy, which has no float8: bytes do."""
    return np.dtype(np.uint8) if dtype.name.startswith("float8") else dtype


@contextlib.contextmanager
def memory_errors(what: str) -> Iterator[None]:
    """Tells of memory that runs out as BackendError."""
    try:
        yield
    except MemoryError as e:
        msg = f"{what} does not fit into the memory of the device ({e}); free some, or work on a part"
        raise BackendError(msg) from e


def empty(shape: int | tuple[int, ...], dtype: Dtype | type, what: str = "the result") -> DeviceArray:
    """An array of undefined content on the current device.

    Raises:
        BackendError: its memory does not hold it.
    """
    with memory_errors(what):
        return cupy().empty(shape, np.dtype(dtype))


def zeros(shape: int | tuple[int, ...], dtype: Dtype | type, what: str = "the result") -> DeviceArray:
    """An array of zeros on the current device.

    Raises:
        BackendError: its memory does not hold it.
    """
    with memory_errors(what):
        return cupy().zeros(shape, np.dtype(dtype))


def by_width(a: DeviceArray) -> DeviceArray:
    """`a` seen as unsigned integers where its dtype is none of NumPy's own: CuPy's kernels may not know those."""
    return a if a.dtype.isbuiltin != 2 else a.view(np.dtype(f"u{a.dtype.itemsize}"))


def contiguous(a: DeviceArray) -> DeviceArray:
    """`a` in C order; itself if it is."""
    return a if a.flags.c_contiguous else cupy().ascontiguousarray(by_width(a)).view(a.dtype)


def assign(target: DeviceArray, source: DeviceArray) -> None:
    """Copies between arrays of the same shape and dtype, of any strides."""
    by_width(target)[...] = by_width(source)


def clear(a: DeviceArray) -> None:
    """Sets all bytes of a C- or F-contiguous array to 0."""
    a.data.memset_async(0, a.nbytes)
