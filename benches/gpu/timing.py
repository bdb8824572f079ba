"""Times on a GPU: events, medians, a cache that was emptied, random data."""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

from sparsefmt.cuda.device import cupy

FLUSH = 256 << 20  # bytes, larger than any L2 cache


class Timer:
    """Times what a function puts on the current stream; between runs the cache is overwritten."""

    def __init__(self, repeats: int, flush: int = FLUSH) -> None:
        self._repeats, self._room = repeats, cupy().zeros(flush, np.uint8)

    def seconds(self, run: Callable[[], object]) -> float:
        """The median of a run. The flush keeps the GPU busy while the host is preparing."""
        for _ in range(3):
            run()
        spent = []
        for _ in range(self._repeats):
            first, last = cupy().cuda.Event(), cupy().cuda.Event()
            self._room.data.memset_async(1, self._room.nbytes)
            first.record(cupy().cuda.get_current_stream())
            run()
            last.record(cupy().cuda.get_current_stream())
            last.synchronize()
            spent.append(cupy().cuda.get_elapsed_time(first, last) / 1e3)
        return median(spent)


def host_seconds(run: Callable[[], object], repeats: int) -> float:
    """The median time that the host needs to start a run, in batches that do not fill the queue."""
    for _ in range(10):
        run()
    spent = []
    for _ in range(max(repeats, 3)):
        cupy().cuda.Device().synchronize()
        start = time.perf_counter()
        for _ in range(50):
            run()
        spent.append((time.perf_counter() - start) / 50)
    return median(spent)


def random_values(shape: tuple[int, int], dtype: np.dtype[Any], seed: int) -> np.ndarray:
    """Random weights or activations: the clock of a GPU depends on the data."""
    rng = np.random.default_rng(seed)
    if dtype == np.int8:
        return rng.integers(-127, 128, shape, dtype=np.int8)
    out = np.empty(shape, dtype)
    for row in range(0, shape[0], 1024):
        out[row : row + 1024] = rng.standard_normal((min(1024, shape[0] - row), shape[1]), np.float32)
    return out
