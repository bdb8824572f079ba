"""Definitions of the kernels for k-means: the optimal fit, and counts and sums for it.

The fit is a dynamic programme over ascending values. `after[j]`, the least cost of the first j values with one more
cluster, is the minimum over i < j of `before[i] + interval_cost(i, j)`. The best i never falls while j grows, so a
column in the middle bounds the choices left and right of it. All sums run in ascending order (outward from an
anchor where it says so), every minimum takes the lowest i, and no two operations are fused: the bits of the result
are defined.
"""

from itertools import pairwise

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import FormatError
from sparsefmt.kernels.items import check_items, check_length
from sparsefmt.kernels.registry import kernel

LEAF = 8  # columns between two pivots: one register of float64
TINY = float(np.finfo(np.float64).tiny)
Sums = tuple[Array, Array, Array]


def scale_of(a: Array) -> float:
    """A power of two, 2^-1000 to 2^1000, that brings the largest magnitude near 1 when it divides."""
    exponent = int(np.frexp(np.abs(a).max(initial=0.0))[1])
    return 2.0 ** min(max(exponent, -1000), 1000)


def anchored(terms: Array, anchor: int) -> Array:
    """Sums s with s[0 : len + 1], s[anchor] = 0 and s[i + 1] - s[i] = terms[i], added up outward from the anchor."""
    left = np.cumsum(terms[:anchor][::-1])[::-1]
    return np.concatenate([-left, [0.0], np.cumsum(terms[anchor:])])


def sums_of(v: Array, w: Array) -> Sums:
    """Anchored sums of w, w x and w x x, where x = v - median, the anchor is the median's place.

    Near the median, where most of the weight is, sums stay small, whatever outliers there are on either side.
    """
    total = np.cumsum(w)
    anchor = int(np.searchsorted(total, total[-1] / 2))
    x = v - v[anchor]
    return anchored(w, anchor), anchored(w * x, anchor), anchored(w * x * x, anchor)


def interval_cost(sums: Sums, i: Array | int, j: Array) -> Array:
    """The cost of the values i..j as one cluster, at least 0."""
    w, s, q = (a[j] - a[i] for a in sums)
    with np.errstate(over="ignore"):
        return np.asarray(np.maximum(q - s * s / np.maximum(w, TINY), 0.0))


def add_cluster(before: Array, sums: Sums, least: int, low: int) -> tuple[Array, Array]:
    """Costs and choices of the columns `low..n` with one more cluster; choices i start at `least`.

    A run of columns has pivots at every (LEAF + 1)th of them. The middle pivot is solved first and bounds the
    choices of the runs left and right of it. A run without a pivot is solved at once. All runs of a level are
    solved together.
    """
    n = len(before) - 1
    after, choice = np.zeros(n + 1), np.zeros(n + 1, np.int64)
    runs = np.array([[low], [n + 1], [least], [n - 1]])
    while (runs := runs[:, runs[0] < runs[1]]).size:
        lows, highs, firsts, lasts = runs
        pivots = (highs - lows) // (LEAF + 1)
        pivot = lows + pivots // 2 * (LEAF + 1) + LEAF
        begins, ends = np.where(pivots, pivot, lows), np.where(pivots, pivot + 1, highs)
        run, j = _side_by_side(begins, ends)
        column, i = _side_by_side(firsts[run], (np.minimum(lasts, ends - 2) + 1)[run])
        total = np.where(i < j[column], before[i] + interval_cost(sums, i, j[column]), np.inf)
        starts = np.searchsorted(column, np.arange(len(j)))
        after[j] = np.minimum.reduceat(total, starts)
        lowest = np.flatnonzero(total == after[j][column])
        choice[j] = i[lowest[np.searchsorted(lowest, starts)]]
        lows, highs, firsts, lasts, pivot = (a[pivots > 0] for a in (*runs, pivot))
        bounds = choice[pivot]
        runs = np.hstack([[lows, pivot, firsts, bounds], [pivot + 1, highs, bounds, lasts]])
    return after, choice


def _side_by_side(begins: Array, ends: Array) -> tuple[Array, Array]:
    """The numbers of all ranges, one range behind the other, and of which range each is."""
    counts = ends - begins
    which = np.repeat(np.arange(len(counts)), counts)
    return which, np.arange(len(which)) + (begins - np.cumsum(counts) + counts)[which]


def chain(base: Array, sums: Sums, least: int, count: int) -> tuple[list[float], list[Array]]:
    """Adds up to `count` clusters to `base`: the cost of all values after each, and the choices of each.

    Of the last one only the last column is solved.
    """
    n = len(base) - 1
    ends, choices, cost = [float(base[n])], [], base
    for t in range(count):
        cost, choice = add_cluster(cost, sums, least + t, n if t == count - 1 else least + t + 1)
        ends.append(float(cost[n]))
        choices.append(choice)
    return ends, choices


def borders_of(choices: list[Array], n: int) -> list[int]:
    """Where the clusters begin, then n."""
    borders = [n]
    for choice in reversed(choices):
        borders.append(int(choice[borders[-1]]))
    return borders[::-1]


def means(v: Array, w: Array, borders: list[int]) -> list[float]:
    """The weighted mean of each cluster, never outside its values."""
    centres = []
    for i, j in pairwise(borders):
        shift = np.cumsum(w[i:j] * (v[i:j] - v[i]))[-1] / np.cumsum(w[i:j])[-1]
        centres.append(min(float(v[i] + shift), float(v[j - 1])))
    return centres


def fit_free(v: Array, w: Array, k: int) -> tuple[list[float], list[int]]:
    """Centres and sizes of the min(k, len(v)) clusters."""
    n = len(v)
    sums = sums_of(v, w)
    _, choices = chain(interval_cost(sums, 0, np.arange(n + 1)), sums, 1, min(k, n) - 1)
    borders = [0, *borders_of(choices, n)]
    return means(v, w, borders), [int(size) for size in np.diff(borders)]


def side(v: Array, w: Array, count: int) -> tuple[list[float], list[Array]]:
    """`chain` for ascending positive values, the first of which go to the entry 0.0."""
    base = np.concatenate([[0.0], np.cumsum(w * v * v)])
    return chain(base, sums_of(v, w), 0, min(count, len(v))) if len(v) else ([0.0], [])


def fit_zero(v: Array, w: Array, k: int) -> tuple[list[float], list[int]]:
    """Like `fit_free`, with 0.0 among the centres: the best split of the other k - 1 between the two sides."""
    low, high = v < 0, v > 0
    vn, wn, vp, wp = -v[low][::-1], w[low][::-1], v[high], w[high]
    (ends_n, choices_n), (ends_p, choices_p) = side(vn, wn, k - 1), side(vp, wp, k - 1)
    counts = [
        (m, min(k - 1 - m, len(vp))) for m in range(min(len(vn), max(0, k - 1 - len(vp))), min(k - 1, len(vn)) + 1)
    ]
    total = [ends_n[m] + ends_p[p] for m, p in counts]
    m, p = counts[total.index(min(total))]
    borders_n, borders_p = borders_of(choices_n[:m], len(vn)), borders_of(choices_p[:p], len(vp))
    centres = [-c for c in means(vn, wn, borders_n)[::-1]] + [0.0] + means(vp, wp, borders_p)
    middle = len(v) - (len(vn) - borders_n[0]) - (len(vp) - borders_p[0])
    return centres, [*map(int, np.diff(borders_n)[::-1]), middle, *map(int, np.diff(borders_p))]


@kernel
def kmeans_fit(values: Array, weights: Array, k: int, zero: int, codebook: Array) -> float:
    """Writes the k entries, ascending, that minimise the sum of weights * (value - nearest entry)^2; returns the sum.

    `values` (D,) float64: finite, strictly ascending; `weights` (D,) float64: finite, >= 0; `codebook` (k,) float64,
    k in 1..256. The optimum is global up to the rounding of float64 (sums of squares are taken from the weighted
    median). `zero` = 1: 0.0 is one of the entries, and the optimum is the one under that constraint. Values of
    weight 0 are ignored; unused entries repeat the last; without any weight all entries are 0.0.
    """
    check_length("weights", len(weights), len(values))
    check_length("codebook", len(codebook), k)
    if not 1 <= k <= 256:
        msg = f"k = {k} is not supported"
        raise FormatError(msg)
    check_items(
        "values", np.isfinite(values) & np.append(True, values[1:] > values[:-1])[: len(values)], "finite and ascending"
    )
    check_items("weights", np.isfinite(weights) & (weights >= 0), "finite and not negative")
    unit, heft = scale_of(values), scale_of(weights)
    v, w = values / unit, weights / heft
    v, w = v[w > 0], w[w > 0]
    codebook[...] = 0.0
    if len(v) == 0:
        return 0.0
    centres, sizes = fit_zero(v, w, k) if zero else fit_free(v, w, k)
    codebook[: len(centres)] = np.array(centres) * unit
    codebook[len(centres) :] = centres[-1] * unit
    off = v - np.repeat(centres, sizes)
    return float(np.cumsum(w * off * off)[-1]) * unit * unit * heft


@kernel
def histogram16(slots: Array, counts: Array) -> None:
    """Counts how often each value occurs in the flat uint16 (or uint8) `slots` into `counts` (65536 or 256,) int64."""
    check_length("counts", len(counts), 1 << (8 * slots.dtype.itemsize))
    counts[...] = np.bincount(slots, minlength=len(counts))


@kernel
def sort_f32(values: Array, out: Array) -> None:
    """Writes the finite float32 of the flat `values`, given by their bits (uint32), to `out` ascending; -0.0 as 0.0."""
    check_length("out", len(out), len(values))
    out.view(np.float32)[...] = np.sort(values.view(np.float32) + np.float32(0))


@kernel
def range_sums(values: Array, starts: Array, stops: Array, sums: Array) -> None:
    """Writes the sum of `values[starts[i]:stops[i]]`, from left to right in float64, to `sums[i]`."""
    for name, a in (("stops", stops), ("sums", sums)):
        check_length(name, len(a), len(starts))
    if ((starts < 0) | (starts > stops) | (stops > len(values))).any():
        msg = f"starts, stops: want ranges within 0..{len(values)}"
        raise FormatError(msg)
    for i, (start, stop) in enumerate(zip(starts, stops, strict=True)):
        sums[i] = np.cumsum(values[start:stop], dtype=np.float64)[-1] if stop > start else 0.0
