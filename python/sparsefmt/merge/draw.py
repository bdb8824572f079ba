"""Random masks that are never stored: what is kept depends on the seed, the tensor's name, the model and the place."""

import hashlib
import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import MergeError
from sparsefmt.kernels.philox import philox_words

ALL = 1 << 32


def stream(name: str, model: int) -> int:
    """The stream of a tensor of a model: 64 bits of BLAKE2b over the model's number and the name, low byte first."""
    return int.from_bytes(hashlib.blake2b(f"{model}\0{name}".encode(), digest_size=8).digest(), "little")


def dropped_below(density: float) -> int:
    """The number below which a word of 32 bits drops its element: floor((1 - density) 2^32)."""
    share = 1 - Fraction(repr(float(density)))
    return min(max(math.floor(share * ALL), 0), ALL)


def keep_probabilities(magnitudes: Array, density: float, epsilon: float) -> Array:
    """DELLA: density - epsilon for the smallest of a row to density + epsilon for the largest, by rank, in float32.

    `magnitudes` is (rows, cols, ...): ranks run along axis 1; ties keep their order. A row of one gets the density.

    Source: Deep et al. 2024, arXiv:2406.11617, section 3.1.
    """
    cols = magnitudes.shape[1]
    if cols == 1:
        return np.full(magnitudes.shape, density, np.float32)
    order = np.argsort(magnitudes, axis=1, kind="stable")
    ranks = np.empty(magnitudes.shape, np.float32)
    places = np.arange(cols, dtype=np.float32).reshape(-1, *[1] * (magnitudes.ndim - 2))
    np.put_along_axis(ranks, order, np.broadcast_to(places, magnitudes.shape), axis=1)
    return np.float32(density - epsilon) + ranks / np.float32(cols - 1) * np.float32(2) * np.float32(epsilon)


def drawn(probabilities: Array, seed: int, stream_: int, start: int) -> Array:
    """Which of the flat elements from `start` on are kept, each with its probability."""
    words = np.empty(probabilities.size, np.uint32)
    philox_words(seed, stream_, start, words)
    limits = np.floor((1 - probabilities.reshape(-1).astype(np.float64)) * ALL)
    return np.asarray(words >= limits)


def check_epsilon(densities: Sequence[float], epsilons: Sequence[float]) -> None:
    """Raises MergeError where a probability would leave 0 to 1."""
    for density, epsilon in zip(densities, epsilons, strict=True):
        if 0 < density < 1 and not (epsilon >= 0 and density - epsilon > 0 and density + epsilon < 1):
            msg = (
                f"density {density} with epsilon {epsilon} gives probabilities {density - epsilon:g} to "
                f"{density + epsilon:g}; both must lie between 0 and 1: choose a smaller epsilon"
            )
            raise MergeError(msg)
