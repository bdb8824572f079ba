"""Starts kernels: grids, arguments, macros."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from sparsefmt.base.dtypes import Dtype
from sparsefmt.cuda.device import DeviceArray, cupy, zeros
from sparsefmt.cuda.module import kernel

BLOCK = 256
_WAVES = 32  # blocks per multiprocessor at most; threads go round for more
DTYPE_IDS = {
    name: i
    for i, name in enumerate(
        (
            *("float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "float32", "float64"),
            *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
        )
    )
}
"""The macro DTYPE of the sources."""

_processors: dict[int, int] = {}


def processors() -> int:
    """Multiprocessors of the current device."""
    device = cupy().cuda.Device()
    if device.id not in _processors:
        _processors[device.id] = int(device.attributes["MultiProcessorCount"])
    return _processors[device.id]


def run(source: str, function: str, defines: Mapping[str, str | int], threads: int, *args: Any) -> None:  # noqa: ANN401
    """Starts a kernel of `sparsefmt/cuda/src` with about that many threads; with none, nothing.

    Arguments are arrays, None (a null pointer), and integers, which become 64 bits wide.
    """
    if threads <= 0:
        return
    grid = min(-(-threads // BLOCK), processors() * _WAVES)
    words = tuple(_word(a) for a in args)
    kernel(f"src/{source}.cu", function, defines)((grid,), (BLOCK,), words)


def _word(a: object) -> object:
    if a is None:
        return np.int64(0)
    if isinstance(a, int):
        return np.uint64(a) if a > np.iinfo(np.int64).max else np.int64(a)
    return a


def wide(indices: DeviceArray) -> dict[str, str | int]:
    """The macro of indices of 64 bits, where these are."""
    return {"WIDE_INDEX": 1} if indices.dtype.itemsize == 8 else {}


def item(dtype: Dtype) -> dict[str, str | int]:
    """The macro of the item size."""
    return {"ITEM": dtype.itemsize}


def size(shape: tuple[int, ...]) -> int:
    """How many items."""
    return math.prod(shape)


def counter() -> DeviceArray:
    """A count on the device, 0."""
    return zeros(1, np.uint64)
