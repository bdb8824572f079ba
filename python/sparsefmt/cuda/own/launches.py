"""Starts the kernels: activations in the form that they read, counters, shared memory."""

import threading
from collections.abc import Callable, Hashable, Mapping
from typing import Any

import numpy as np

from sparsefmt.base.errors import BackendError
from sparsefmt.cuda import module
from sparsefmt.cuda.device import DeviceArray, cupy
from sparsefmt.cuda.own.layout import module_of

KINDS = {"float16": 1, "bfloat16": 2, "float32": 3, "int32": 4}
"""Numbers in memory, as the enum Kind of device.cuh."""

_kernels: dict[tuple[Hashable, ...], module.Launch] = {}
_counters: dict[tuple[int, int, int], DeviceArray] = {}


def address(a: DeviceArray) -> int:
    """Where an array starts."""
    return int(a.ctypes.data if isinstance(a, np.ndarray) else a.data.ptr)


def launch(
    x: DeviceArray,
    source: str,
    function: str,
    key: Hashable,
    defines: Callable[[], Mapping[str, str | int]],
    grid: int,
    threads: int,
    shared: int,
    args: list[Any],
) -> None:
    """Starts a kernel where `x` is; `key` stands for its macros and for the shared memory of a block."""
    device = 0 if isinstance(x, np.ndarray) else int(cupy().cuda.Device().id)
    place = (module.kernel, device, function, key)
    made = _kernels.get(place)
    if made is None:
        try:
            made = module.kernel(source, function, defines(), ())
            made.max_dynamic_shared_size_bytes = max(shared, 48 << 10)  # type: ignore[attr-defined]  # compiles it
        except Exception as e:  # CuPy has classes of its own for compilers and drivers
            msg = f"{function} does not compile or load; it needs CUDA 12.5 or newer: {e}"
            raise BackendError(msg) from e
        _kernels[place] = made
    made((grid,), (threads,), tuple(args), shared_mem=shared)


def staged(x: DeviceArray) -> tuple[DeviceArray, int]:
    """Activations (cols, k) as the kernels read them, and the items from one column to the next; a copy if need be."""
    cols, k = x.shape
    size = x.dtype.itemsize
    if (x.strides[0] == size or cols == 1) and (k == 1 or x.strides[1] % 16 == 0) and address(x) % 16 == 0:
        return x, x.strides[1] // size if k > 1 else 16
    ldx = -(-cols * size // 16) * 16 // size
    room = module_of(x).empty((k, ldx), x.dtype)
    tiles = -(-ldx // 32) * -(-k // 32)
    strides = [np.int64(s // size) for s in x.strides]
    args = [x, *strides, room, np.int32(ldx), np.int32(cols), np.int32(k)]
    grid, shared = min(-(-tiles // 8), 4096), 8 * 32 * 34 * size
    launch(x, "own/stage.cu", "stage_activations", size, lambda: {"BYTES": size}, grid, 256, shared, args)
    return room, ldx


def counters(a: DeviceArray, count: int) -> DeviceArray:
    """Zeros that a kernel leaves as zeros: a few per stream, so that launches at the same time never share them."""
    if isinstance(a, np.ndarray):
        return np.zeros(count, np.uint32)
    xp = cupy()
    key = (int(xp.cuda.Device().id), int(xp.cuda.get_current_stream().ptr), threading.get_ident())
    held = _counters.get(key)
    if held is None or held.size < count:
        held = _counters[key] = xp.zeros(max(count, 4096), np.uint32)
    return held
