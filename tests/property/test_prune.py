"""Pruning: which values stay, how many, and that the fused way equals the long one."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sparsefmt as sf
from contract import Array, magnitude, matrix, pruned, same
from strategies import DTYPES, LAYOUTS, REAL, arrays, laid_out, make, shapes, zeros

PATTERNS = [(1, 1), (2, 4), (1, 4), (4, 8), (3, 5), (7, 8), (2, 2), (5, 16), (16, 32), (1, 32)]
patterns = st.sampled_from(PATTERNS)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@given(data=st.data(), shape=shapes((1, 3), 300), pattern=patterns)
@settings(max_examples=20)
def test_nm_keeps_the_largest_of_every_group(
    dtype: np.dtype[Any], data: st.DataObject, shape: tuple[int, ...], pattern: tuple[int, int]
) -> None:
    w = data.draw(arrays(st.just(dtype), st.just(shape)))
    before = w.copy()
    with np.errstate(all="ignore"):
        want = pruned(w, *pattern)
    same(sf.prune.nm(w, *pattern), want)
    same(w, before)


@pytest.mark.parametrize("dtype", REAL, ids=str)
@given(data=st.data(), shape=shapes((1, 3), 400), pattern=patterns, zero=zeros, align=st.sampled_from(["", "@64"]))
@settings(max_examples=20)
def test_fused_pruning_equals_prune_then_encode(
    dtype: np.dtype[Any], data: st.DataObject, shape: tuple[int, ...], pattern: tuple[int, int], zero: str, align: str
) -> None:
    w = data.draw(arrays(st.just(dtype), st.just(shape)))
    n, m = pattern
    fused = sf.encode(w, f"nm{n}:{m}{align}", prune=True, zero=zero)
    assert sf.equal(fused, sf.encode(sf.prune.nm(w, n, m), f"nm{n}:{m}{align}", zero=zero))


SCORES = [np.dtype(t) for t in ("f4", "f8", "f2", "i1", "i8", "u8", "?", "u4")]


@given(
    w=arrays(shape=shapes((1, 3), 300)),
    pattern=patterns,
    zero=zeros,
    dtype=st.sampled_from(SCORES),
    seed=st.integers(0, 999),
    layout=st.sampled_from(["c", "fortran", "spread"]),
)
def test_score_decides_in_place_of_the_magnitude(
    w: Array, pattern: tuple[int, int], zero: str, dtype: np.dtype[Any], seed: int, layout: str
) -> None:
    score = make(dtype, w.shape, 0.8, seed)
    score[score != score] = 0
    n, m = pattern
    want = pruned(w, n, m, score)
    same(sf.prune.nm(w, n, m, score=laid_out(score, layout)), want)
    same(sf.prune.nm(w, n, m, score=score.reshape(matrix(w).shape)), want)
    if w.dtype.kind != "c":
        fused = sf.encode(laid_out(w, layout), f"nm{n}:{m}", prune=True, score=score, zero=zero)
        assert sf.equal(fused, sf.encode(want, f"nm{n}:{m}", zero=zero))


@pytest.mark.parametrize("layout", LAYOUTS)
@given(w=arrays(shape=shapes((1, 4), 300)), pattern=patterns)
@settings(max_examples=20)
def test_layout_of_the_input_changes_nothing(layout: str, w: Array, pattern: tuple[int, int]) -> None:
    a = laid_out(w, layout)
    same(sf.prune.nm(a, *pattern), sf.prune.nm(w, *pattern))
    same(sf.prune.magnitude(a, 0.4), sf.prune.magnitude(w, 0.4))
    same(sf.prune.block(a, (2, 3), 0.4), sf.prune.block(w, (2, 3), 0.4))


@pytest.mark.parametrize("dtype", [d for d in REAL if d.kind != "b"], ids=str)
def test_equal_magnitudes_keep_the_lower_column(dtype: np.dtype[Any]) -> None:
    w = np.ones((2, 40), dtype)
    if dtype.kind != "u":
        w[:, ::3] = -w[:, ::3]
    for n, m in PATTERNS:
        kept = sf.prune.nm(w, n, m) != 0
        assert (kept == (np.arange(40) % m < n)).all()


def test_nan_ranks_as_infinity_and_extreme_integers_by_their_size() -> None:
    inf, nan = np.inf, np.nan
    same(sf.prune.nm(np.array([[-inf, nan, 5.0, inf]])), np.array([[-inf, nan, 0.0, 0.0]]))
    same(sf.prune.nm(np.array([[1.0, nan, 5.0, 2.0]])), np.array([[0.0, nan, 5.0, 0.0]]))
    for name in ("i1", "i2", "i4", "i8"):
        low, high = np.iinfo(name).min, np.iinfo(name).max
        w = np.array([[high, low, high - 1, 1]], name)
        same(sf.prune.nm(w, 1, 4), np.array([[0, low, 0, 0]], name))
        same(sf.prune.magnitude(w, 0.25), np.array([[0, low, 0, 0]], name))


def test_complex_goes_by_modulus() -> None:
    w = np.array([[3 + 4j, 4.5, -4.5j, 5.0 + 0j]], np.complex64)
    same(sf.prune.nm(w), np.array([[3 + 4j, 0, 0, 5]], np.complex64))
    same(sf.prune.nm(np.array([[complex("nan"), 1e30, 7j, 2]])), np.array([[complex("nan"), 1e30, 0, 0]]))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@given(data=st.data(), shape=shapes((1, 3), 300), density=st.fractions(0, 1, max_denominator=50))
@settings(max_examples=15)
def test_magnitude_keeps_exactly_the_count_of_the_largest(
    dtype: np.dtype[Any], data: st.DataObject, shape: tuple[int, ...], density: Fraction
) -> None:
    w = data.draw(arrays(st.just(dtype), st.just(shape)))
    rows, cols = matrix(w).shape
    with np.errstate(all="ignore"):
        keys = np.array([magnitude(x) for x in w.reshape(-1)], object).reshape(rows, cols)
    for scope, groups in (("tensor", [keys.reshape(-1)]), ("row", list(keys))):
        keep = []
        for group in groups:
            count = int(density * len(group))
            best = sorted(range(len(group)), key=lambda i, group=group: (-group[i], i))[:count]
            keep.append(np.isin(np.arange(len(group)), best))
        want = w.copy().reshape(-1)
        want[~np.concatenate([*keep, np.zeros(0, bool)])] = 0
        same(sf.prune.magnitude(w, density, scope), want.reshape(w.shape))
        same(sf.prune.magnitude(w, float(density), scope), want.reshape(w.shape))


@given(percent=st.integers(0, 100), size=st.sampled_from([1, 7, 20, 100, 1000]))
def test_decimal_densities_are_exact(percent: int, size: int) -> None:
    w = np.arange(1, size + 1, dtype=np.float32)
    want = percent * size // 100
    for density in (percent / 100, Decimal(percent) / 100, Fraction(percent, 100), np.float64(percent / 100)):
        assert np.count_nonzero(sf.prune.magnitude(w, density)) == want
        assert np.count_nonzero(sf.prune.magnitude(np.tile(w, (3, 1)), density, scope="row")) == 3 * want


@given(
    seed=st.integers(0, 10**6),
    shape=shapes((1, 3), 600),
    block=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    density=st.fractions(0, 1, max_denominator=20),
)
def test_block_keeps_exactly_the_count_of_the_heaviest_blocks(
    seed: int, shape: tuple[int, ...], block: tuple[int, int], density: Fraction
) -> None:
    w = np.random.default_rng(seed).integers(-3, 4, shape).astype(np.float32)
    a, (r, c) = matrix(w), block
    corners = [(top, left) for top in range(0, a.shape[0], r) for left in range(0, a.shape[1], c)]
    weight = {(t, lft): float((a[t : t + r, lft : lft + c] ** 2).sum()) for t, lft in corners}
    keep = sorted(corners, key=lambda at: (-weight[at], at))[: int(density * len(corners))]
    want = np.zeros_like(a)
    for t, lft in keep:
        want[t : t + r, lft : lft + c] = a[t : t + r, lft : lft + c]
    same(sf.prune.block(w, block, density), want.reshape(shape))
    assert sf.encode(sf.prune.block(w, block, density), f"bsr{r}x{c}").slots <= len(keep) * r * c


def test_a_block_with_nan_or_huge_values_is_the_heaviest() -> None:
    w = np.ones((4, 4))
    w[0, 2] = np.nan
    w[2, 2] = 1e200
    got = sf.prune.block(w, (2, 2), 0.5)
    assert np.isnan(got[0, 2])
    assert got[2, 2] == 1e200
    assert (got[:, :2] == 0).all()


def test_pruned_values_are_positive_zero_and_kept_ones_whole() -> None:
    w = np.array([[-1.0, -0.0, -3.0, -0.5]])
    for got in (sf.prune.nm(w, 1, 4), sf.prune.magnitude(w, 0.25), sf.prune.block(w, (1, 1), 0.25)):
        same(got, np.array([[0.0, 0.0, -3.0, 0.0]]))
    same(sf.prune.nm(w, 4, 4), w)
    same(sf.prune.magnitude(w, 1), w)
    same(sf.prune.magnitude(w, 0), np.zeros((1, 4)))


@given(w=arrays(shape=shapes((1, 3), 300)), pattern=patterns)
def test_pruning_twice_is_pruning_once(w: Array, pattern: tuple[int, int]) -> None:
    once = sf.prune.nm(w, *pattern)
    same(sf.prune.nm(once, *pattern), once)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_thread_count_changes_nothing(threads: int) -> None:
    w = np.random.default_rng(1).standard_normal((997, 515)).astype(np.float16)
    want = sf.encode(w, "nm2:4", prune=True)
    kept = sf.prune.nm(w)
    sf.set_num_threads(threads)
    assert sf.equal(sf.encode(w, "nm2:4", prune=True), want)
    same(sf.prune.nm(w), kept)
