"""How long a run will take, and what memory it holds, before it starts."""

import time
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from sparsefmt.kernels.blas import matmul
from sparsefmt.prune.layerwise import CHUNK as _CHUNK

_ADMM, _FIT, _EIGEN = 2 * 40, 40, 12
_SQUARES = 8  # matrices of float64 like H that a fit holds: H, damped and scaled, its eigenvectors and their work
_MATRICES = 80  # bytes per weight of a fit: targets and weights in float64, the steps of ADMM in float32
_MADE = 6  # bytes per weight of a result: the weight, its mask, and packed


class Estimate(NamedTuple):
    """What `estimate` gives."""

    seconds: float
    nbytes: int
    """The most that is held at once, beside what the model itself holds: for one layer, and the results."""


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
    36765696
    """
    rate = speed or measured_speed()
    work, most, made = 0.0, 0, 0
    some = min(tokens, _CHUNK)
    for rows, cols in shapes:
        fit = rows * cols * cols * _FIT
        choose = rows * cols * cols * _ADMM if method == "admm" else rows * cols * cols
        moments = 2 * tokens * cols * (cols + 2 * rows)  # in float64, at half the speed
        run = 4 * tokens * rows * cols
        work += fit + choose + moments + run + _EIGEN * cols**3
        # The dense and the pruned model each hold what the layer takes in and the stream, padded and not.
        held = 2 * 4 * tokens * 2 * (cols + rows) + 8 * (cols * cols + rows * cols)
        gathered = 16 * some * (cols + rows)  # in float64, about their mean
        fitted = 8 * _SQUARES * cols * cols + _MATRICES * rows * cols
        most = max(most, held + max(gathered, fitted))
        made += _MADE * rows * cols
    return Estimate(work / rate, most + made)


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
