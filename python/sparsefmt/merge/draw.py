"""Random masks that are never stored: what is kept depends on the seed, the tensor's name, the model and the place."""

import hashlib
import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import MergeError
from sparsefmt.kernels.merge import keys
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
    rows = np.moveaxis(magnitudes, 1, -1)
    found = np.empty(rows.shape, np.float32)
    found.reshape(-1)[row_order(rows)] = np.broadcast_to(by_rank(cols, density, epsilon), found.shape).reshape(-1)
    return np.moveaxis(found, -1, 1)


def by_rank(cols: int, density: float, epsilon: float) -> Array:
    """The probabilities of a row of so many, smallest magnitude first, in float32."""
    if cols == 1:
        return np.full(1, density, np.float32)
    ranks = np.arange(cols, dtype=np.float32)
    return np.float32(density - epsilon) + ranks / np.float32(cols - 1) * np.float32(2) * np.float32(epsilon)


def row_order(magnitudes: Array) -> Array:
    """Flat places of float32 magnitudes, row after row along the last axis, each ascending; ties keep their order.

    Sorts integers that hold magnitude and place: all of them differ, so that any sort keeps the order of ties.
    """
    cols = magnitudes.shape[-1]
    rows = np.ascontiguousarray(magnitudes).reshape(-1, cols)
    packed = keys(rows).astype(np.uint64)
    packed <<= np.uint64(32)
    packed |= np.arange(cols, dtype=np.uint64)
    packed.sort(axis=1)
    packed &= np.uint64(0xFFFFFFFF)
    packed += (np.arange(len(rows), dtype=np.uint64) * np.uint64(cols))[:, None]
    return packed.reshape(-1).view(np.int64)


def kept_by_rank(magnitudes: Array, density: float, epsilon: float, words: Array) -> tuple[Array, Array]:
    """What is kept of (rows, cols) float32 magnitudes by drawn words, and the probabilities, both flat."""
    rows, cols = magnitudes.shape
    order, chances = row_order(magnitudes), by_rank(cols, density, epsilon)
    found, keep = np.empty(rows * cols, np.float32), np.empty(rows * cols, bool)
    found[order] = np.broadcast_to(chances, (rows, cols)).reshape(-1)
    keep[order] = (words[order].reshape(rows, cols) >= limits_of(chances)).reshape(-1)
    return keep, found


def limits_of(probabilities: Array) -> Array:
    """Words below these drop their elements."""
    return np.floor((1 - probabilities.astype(np.float64)) * ALL).astype(np.uint64)


def drawn(probabilities: Array, seed: int, stream_: int, start: int) -> Array:
    """Which of the flat elements from `start` on are kept, each with its probability."""
    words = np.empty(probabilities.size, np.uint32)
    philox_words(seed, stream_, start, words)
    return np.asarray(words >= limits_of(probabilities.reshape(-1)))


def check_epsilon(densities: Sequence[float], epsilons: Sequence[float]) -> None:
    """Raises MergeError where a probability would leave 0 to 1."""
    for density, epsilon in zip(densities, epsilons, strict=True):
        if 0 < density < 1 and not (epsilon >= 0 and density - epsilon > 0 and density + epsilon < 1):
            msg = (
                f"density {density} with epsilon {epsilon} gives probabilities {density - epsilon:g} to "
                f"{density + epsilon:g}; both must lie between 0 and 1: choose a smaller epsilon"
            )
            raise MergeError(msg)
