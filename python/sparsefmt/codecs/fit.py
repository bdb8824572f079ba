"""Codebooks that are optimal for the stored values: one-dimensional k-means has an exact optimum."""

from collections.abc import Callable

import numpy as np

from sparsefmt.base.alloc import empty
from sparsefmt.base.dtypes import Array, Dtype, items
from sparsefmt.codecs.scales import PIECE
from sparsefmt.kernels.kmeans import histogram16, kmeans_fit, range_sums, sort_f32

BINS = 1 << 16  # distinct values that are fitted exactly
_RUNS = 1 << 10  # runs of equally many values, per entry
_KEPT_BITS = {4: 16, 8: 19}  # of floats by item size: sign, exponent, and 7 of the significand
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
        return merged(found.astype(np.float64), number.astype(np.float64))
    found, inverse = np.unique(values, return_inverse=True)
    # Of nothing, bincount counts in integers.
    return merged(found.astype(np.float64), np.bincount(inverse, weights, len(found)).astype(np.float64, copy=False))


def merged(values: Array, weights: Array) -> tuple[Array, Array]:
    """Adds the weights of what is one value: -0.0 and 0.0, and integers of 64 bits that float64 does not tell apart."""
    if not len(values):
        return values, weights
    starts = np.flatnonzero(np.concatenate(([True], values[1:] != values[:-1])))
    return values[starts] + 0.0, np.add.reduceat(weights, starts)


def fit(values: Array, weights: Array | None, k: int, zero: bool) -> Array:
    """The codebook (k,) float64, ascending, that minimises the weighted squared error; unused entries repeat the last.

    Exact for up to 65,536 distinct values, so for all dtypes of 16 bits and fewer. Beyond that: the exact optimum for
    the means of up to 65,536 runs of neighbouring values (see `run_starts`), then Lloyd's rounds on all values, which
    never make it worse. With `zero`, 0.0 is one of the entries and the optimum is under that constraint.
    """
    if weights is None and values.dtype == np.float32 and values.size > BINS:
        return _fit_singles(values.reshape(-1), k, zero)
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
    edges = run_starts(found, k)
    mass = np.add.reduceat(weight, edges)
    kmeans_fit(np.add.reduceat(weight * found, edges) / mass, mass, k, int(zero), codebook)
    masses = np.concatenate(([0.0], np.cumsum(weight)))
    moments = np.concatenate(([0.0], np.cumsum(weight * found)))
    return lloyd(found, masses.__getitem__, moments.__getitem__, codebook, zero)


def _fit_singles(values: Array, k: int, zero: bool) -> Array:
    """`fit` of many float32, which are sorted once and never widened."""
    found = empty(values.shape, np.float32, "sorted values")
    sort_f32(items(values), items(found))
    starts = steps(found)
    if len(starts) <= BINS:
        return _fit(found[starts].astype(np.float64), np.diff(starts, append=len(found)).astype(np.float64), k, zero)
    starts = run_starts(found, k)
    stops, sums, codebook = np.append(starts[1:], len(found)), np.empty(len(starts)), np.zeros(k)
    range_sums(found, starts, stops, sums)
    mass = (stops - starts).astype(np.float64)
    kmeans_fit(np.clip(sums / mass, found[starts], found[stops - 1]), mass, k, int(zero), codebook)
    before = np.concatenate(([0.0], np.cumsum(sums)))

    def moment(at: Array) -> Array:
        run = np.searchsorted(starts, at, side="right") - 1
        rest = np.empty(len(at))
        range_sums(found, starts[run], at, rest)
        return np.asarray(before[run] + rest)

    return lloyd(found, lambda at: at.astype(np.float64), moment, codebook, zero)


def steps(found: Array) -> Array:
    """Where values of the ascending `found` begin, int64: all, or the first of more than `BINS`."""
    starts, count = [np.zeros(1, np.int64)], 1
    for i in range(0, len(found) - 1, PIECE):
        end = min(i + PIECE, len(found) - 1)
        starts.append(np.flatnonzero(found[i + 1 : end + 1] != found[i:end]) + i + 1)
        count += len(starts[-1])
        if count > BINS:
            break
    return np.concatenate(starts)


def run_starts(found: Array, k: int) -> Array:
    """Where runs of the ascending float32 or float64 `found` begin, int64; equal values are in one run.

    A run has at most one value in `1024 k` (32,768 where that is less), so that there are many in every cluster; and
    its values agree in sign, exponent and 7 bits of the significand (fewer where there would be more than 32,768 such
    runs), so that the few far out are apart as well.
    """
    unsigned, size = items(found), 8 * found.itemsize
    top, shift = 1 << (size - 1), size - _KEPT_BITS[found.itemsize]
    low, high = (~a & (2 * top - 1) if a & top else a | top for a in (int(unsigned[0]), int(unsigned[-1])))
    cells = np.empty(BINS, np.int64)
    while len(cells) > BINS // 2:
        keys = np.arange(low >> shift, (high >> shift) + 1, dtype=unsigned.dtype) << shift
        border = np.where(keys >> (size - 1), keys ^ unsigned.dtype.type(top), ~keys).view(found.dtype)
        cells = np.unique(np.searchsorted(found, border[1:]))
        shift += 1
    every = np.linspace(0, len(found), min(BINS // 2, _RUNS * k) + 1).astype(np.intp)[:-1]
    starts = np.unique(np.concatenate([cells, np.searchsorted(found, found[every])]))
    return starts.astype(np.int64)


def floors(limits: Array, dtype: Dtype) -> Array:
    """The largest numbers of `dtype` that are not above `limits`: a number is above both or neither."""
    near = limits.astype(dtype)
    return np.asarray(np.where(near > limits, np.nextafter(near, dtype.type(-np.inf)), near))


def lloyd(
    found: Array, mass: Callable[[Array], Array], moment: Callable[[Array], Array], codebook: Array, zero: bool
) -> Array:
    """Moves entries to the mean of the values that they are nearest to, until that changes nothing.

    `mass` and `moment` give the sums of weights, and of weighted values, of the first so many of `found`.
    """
    for _ in range(_ROUNDS):
        edges = np.searchsorted(found, floors((codebook[1:] + codebook[:-1]) / 2, found.dtype), side="right")
        at = np.concatenate(([0], edges, [len(found)]))
        held, sums = np.diff(mass(at)), np.diff(moment(at))
        moved = np.where(held > 0, sums / np.where(held > 0, held, 1), codebook)
        if zero:
            moved[codebook == 0] = 0.0
        if np.array_equal(moved, codebook):
            break
        codebook = moved
    return codebook


def rounded(codebook: Array, dtype: Dtype) -> Array:
    """The entries in `dtype`, ascending, +0 for zero."""
    if dtype.kind not in "iu":
        return np.asarray(codebook.astype(dtype) + dtype.type(0))
    most, whole = np.iinfo(dtype).max, np.rint(codebook)
    beyond = whole >= float(most)  # the float of a maximum of 64 bits is one more, which no integer holds
    return np.where(beyond, dtype.type(most), np.where(beyond, 0, whole).astype(dtype))
