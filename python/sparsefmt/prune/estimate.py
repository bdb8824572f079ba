"""How long a run will take, and what memory it holds, before it starts."""

import time
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from sparsefmt.kernels.blas import matmul

_ADMM, _FIT, _EIGEN = 2 * 40, 40, 12


class Estimate(NamedTuple):
    """What `estimate` gives."""

    seconds: float
    nbytes: int
    """The most that is held at once for one layer, beside what the model itself holds."""


def estimate(
    shapes: Iterable[tuple[int, int]], tokens: int, *, method: str = "admm", speed: float | None = None
) -> Estimate:
    """Seconds and bytes for layers of (rows, cols), by counting multiplications; the speed is measured here and now.

    Args:
        shapes: of the weights.
        tokens: of the calibration text.
        method: how masks are chosen.
        speed: products of float32 per second, instead of a measurement.

    >>> estimate([(384, 384)], 1000, speed=1e9).nbytes
    13221888
    """
    rate = speed or measured_speed()
    work, most = 0.0, 0
    for rows, cols in shapes:
        fit = rows * cols * cols * _FIT
        choose = rows * cols * cols * _ADMM if method == "admm" else rows * cols * cols
        moments = 2 * tokens * cols * (cols + 2 * rows)  # in float64, at half the speed
        run = 4 * tokens * rows * cols
        work += fit + choose + moments + run + _EIGEN * cols**3
        most = max(most, 4 * tokens * (2 * cols + 2 * rows) + 8 * (3 * cols * cols + rows * cols) + 16 * rows * cols)
    return Estimate(work / rate, most)


def measured_speed(size: int = 384) -> float:
    """Multiplications of float32 per second in a product of square matrices."""
    a = np.ones((size, size), np.float32)
    matmul(a, a)
    best = min(_timed(a) for _ in range(5))
    return size**3 / best


def _timed(a: np.ndarray) -> float:
    start = time.perf_counter()
    matmul(a, a)
    return max(time.perf_counter() - start, 1e-9)
