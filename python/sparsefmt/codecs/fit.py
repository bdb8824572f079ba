"""Codebooks that are optimal for the stored values: one-dimensional k-means has an exact optimum."""

import numpy as np

from sparsefmt.arrays import Array, Dtype, items
from sparsefmt.kernels.kmeans import histogram16, kmeans_fit

BINS = 1 << 16  # distinct values that are fitted exactly
_ROUNDS = 100


def count(values: Array) -> Array:
    """How often each pattern of bits occurs in values of 8 or 16 bits, int64."""
    counts = np.empty(1 << (8 * values.itemsize), np.int64)
    histogram16(items(values).reshape(-1), counts)
    return counts


def ascending(dtype: Dtype) -> Array:
    """All patterns of bits of a dtype of 8 or 16 bits, by their value; -0.0 before 0.0."""
    half = 1 << (8 * dtype.itemsize - 1)
    low, high = np.arange(half), np.arange(half, 2 * half)
    if dtype.kind == "u":
        return np.concatenate([low, high])
    return np.concatenate([high if dtype.kind == "i" else high[::-1], low])


def counted(counts: Array, dtype: Dtype) -> tuple[Array, Array]:
    """The distinct values, ascending, in float64, and the weight of each, from the counts of their bits."""
    order = ascending(dtype)
    weight = counts[order]
    present = np.flatnonzero(weight)
    found = order[present].astype(f"u{dtype.itemsize}").view(dtype).astype(np.float64)
    return merged(found, weight[present].astype(np.float64))


def distinct(values: Array, weights: Array | None) -> tuple[Array, Array]:
    """The distinct values, ascending, in float64, and the weight of each."""
    if weights is None and values.dtype.itemsize <= 2:
        return counted(count(values), values.dtype)
    if weights is None:
        found, number = np.unique(values, return_counts=True)
        return found.astype(np.float64), number.astype(np.float64)
    found, inverse = np.unique(values, return_inverse=True)
    # Of nothing, bincount counts in integers.
    return found.astype(np.float64), np.bincount(inverse, weights, len(found)).astype(np.float64, copy=False)


def merged(values: Array, weights: Array) -> tuple[Array, Array]:
    """Adds the weights of -0.0 and 0.0, which are one value."""
    if not len(values):
        return values, weights
    starts = np.flatnonzero(np.concatenate(([True], values[1:] != values[:-1])))
    return values[starts] + 0.0, np.add.reduceat(weights, starts)


def fit(values: Array, weights: Array | None, k: int, zero: bool) -> Array:
    """The codebook (k,) float64, ascending, that minimises the weighted squared error; unused entries repeat the last.

    Exact for up to 65,536 distinct values, so for all dtypes of 16 bits and fewer. Beyond that: the exact optimum
    for the means of 65,536 runs of neighbouring values, then Lloyd's rounds on all values, which never make it worse.
    With `zero`, 0.0 is one of the entries and the optimum is under that constraint.
    """
    return _fit(*distinct(values, weights), k, zero)


def fit_counted(counts: Array, dtype: Dtype, k: int, zero: bool) -> Array:
    """The same for values of 8 or 16 bits, from the counts of their bits."""
    return _fit(*counted(counts, dtype), k, zero)


def _fit(found: Array, weight: Array, k: int, zero: bool) -> Array:
    used = weight > 0
    found, weight = found[used], weight[used]
    codebook = np.zeros(k, np.float64)
    if len(found) <= BINS:
        kmeans_fit(found, weight, k, int(zero), codebook)
        return codebook
    edges = np.linspace(0, len(found), BINS + 1).astype(np.intp)[:-1]
    mass = np.add.reduceat(weight, edges)
    kmeans_fit(np.add.reduceat(weight * found, edges) / mass, mass, k, int(zero), codebook)
    return lloyd(found, weight, codebook, zero)


def lloyd(found: Array, weight: Array, codebook: Array, zero: bool) -> Array:
    """Moves entries to the mean of the values that they are nearest to, until that changes nothing."""
    mass = np.concatenate(([0.0], np.cumsum(weight)))
    moment = np.concatenate(([0.0], np.cumsum(weight * found)))
    for _ in range(_ROUNDS):
        edges = np.searchsorted(found, (codebook[1:] + codebook[:-1]) / 2, side="right")
        low, high = np.concatenate(([0], edges)), np.concatenate((edges, [len(found)]))
        held = mass[high] - mass[low]
        moved = np.where(held > 0, (moment[high] - moment[low]) / np.where(held > 0, held, 1), codebook)
        if zero:
            moved[codebook == 0] = 0.0
        if np.array_equal(moved, codebook):
            break
        codebook = moved
    return codebook


def rounded(codebook: Array, dtype: Dtype) -> Array:
    """The entries in `dtype`, ascending, +0 for zero."""
    if dtype.kind in "iu":
        codebook = np.rint(codebook)
    return np.asarray(codebook.astype(dtype) + dtype.type(0))
