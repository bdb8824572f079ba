"""Bytes between the host and devices: large arrays go through two page-locked buffers, one filled while one is sent."""

import functools
import threading
from typing import Any

import numpy as np

from sparsefmt.base.coerce import plain
from sparsefmt.base.dtypes import Array
from sparsefmt.cuda.device import DeviceArray, by_width, carrier, contiguous, cupy, empty

CHUNK = 8 << 20  # bytes of a buffer; smaller arrays go as they are


class Staging:
    """Two page-locked buffers of one device, used by one thread at a time."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        memory = [cupy().cuda.alloc_pinned_memory(CHUNK) for _ in range(2)]
        self.buffers = [np.frombuffer(m, np.uint8, CHUNK) for m in memory]
        self.events = [cupy().cuda.Event(disable_timing=True) for _ in range(2)]
        self._memory = memory

    def upload(self, source: Array, target: int) -> None:
        """Sends flat bytes to an address of the device, in the order of the current stream."""
        runtime, stream = cupy().cuda.runtime, cupy().cuda.get_current_stream()
        with self.lock:
            for turn, low in enumerate(range(0, len(source), CHUNK)):
                buffer, event = self.buffers[turn % 2], self.events[turn % 2]
                event.synchronize()  # what it held before has left
                part = source[low : low + CHUNK]
                buffer[: len(part)] = part
                where = buffer.ctypes.data
                runtime.memcpyAsync(target + low, where, len(part), runtime.memcpyHostToDevice, stream.ptr)
                event.record(stream)

    def download(self, source: int, target: Array) -> None:
        """Fetches flat bytes from an address of the device, after all that the current stream has to do."""
        runtime, stream = cupy().cuda.runtime, cupy().cuda.get_current_stream()
        starts = range(0, len(target), CHUNK)
        with self.lock:
            for event in self.events:
                event.synchronize()
            for turn in range(len(starts) + 1):
                if turn < len(starts):
                    low, count = starts[turn], min(CHUNK, len(target) - starts[turn])
                    where = self.buffers[turn % 2].ctypes.data
                    runtime.memcpyAsync(where, source + low, count, runtime.memcpyDeviceToHost, stream.ptr)
                    self.events[turn % 2].record(stream)
                if turn:
                    low, count = starts[turn - 1], min(CHUNK, len(target) - starts[turn - 1])
                    self.events[(turn - 1) % 2].synchronize()
                    target[low : low + count] = self.buffers[(turn - 1) % 2][:count]


@functools.cache
def _staging(device: int) -> Staging:
    return Staging()


def staging() -> Staging:
    """The buffers of the current device."""
    return _staging(int(cupy().cuda.Device().id))


def to_device(a: Array) -> DeviceArray:
    """A copy on the current device, sent in the order of the current stream; float8 arrives as uint8."""
    a = plain(a, a.dtype.newbyteorder("="))
    if a.nbytes <= CHUNK:
        held = carrier(a.dtype)
        sent = a if a.dtype.isbuiltin != 2 else a.view(np.dtype(f"u{a.dtype.itemsize}"))
        return cupy().asarray(sent).view(held)
    out = empty(a.shape, carrier(a.dtype), "the packed array")
    staging().upload(a.reshape(-1).view(np.uint8), out.data.ptr)
    return out


def to_host(a: DeviceArray, dtype: Any = None) -> Array:  # noqa: ANN401
    """A copy on the host, complete on return; `dtype` is what uint8 carries."""
    a = contiguous(a)
    if a.nbytes <= CHUNK:
        out: Array = cupy().asnumpy(by_width(a)).view(a.dtype)
    else:
        out = np.empty(a.shape, a.dtype)
        staging().download(a.data.ptr, out.reshape(-1).view(np.uint8))
    return out if dtype is None else out.view(dtype)
