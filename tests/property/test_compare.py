"""The measure of error: against exact rational sums, at every magnitude, dtype, and shape."""

import itertools
from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import sparsefmt as sf
from sparsefmt.codecs.raw import Raw
from sparsefmt.structures.coo import Coo
from sparsefmt.structures.registry import STRUCTURES

Array = np.ndarray[Any, Any]
HUGE = 2**62


def exact(x: Array, y: Array) -> tuple[float, float]:
    """Relative error and cosine of finite numbers, from exact sums."""
    a, b = ([Fraction(float(v)) for v in w.reshape(-1)] for w in (x, y))
    noise, signal = sum((p - q) ** 2 for p, q in zip(a, b, strict=True)), sum(q * q for q in b)
    packed, both = sum(p * p for p in a), sum(p * q for p, q in zip(a, b, strict=True))
    relative = root(Fraction(noise, signal)) if signal else (np.inf if noise else 0.0)
    if not signal or not packed:
        return relative, float(signal == packed)
    return relative, float(np.copysign(root(Fraction(both * both, signal * packed)), float(np.sign(both))))


def root(a: Fraction) -> float:
    """The square root of a fraction of any size."""
    if a == 0:
        return 0.0
    shift = (a.denominator.bit_length() - a.numerator.bit_length()) // 2
    with np.errstate(over="ignore"):
        return float(np.ldexp(np.sqrt(float(a * Fraction(4) ** shift)), -shift))


def coo(row: list[int], col: list[int], data: list[float]) -> sf.SparseTensor:
    """A matrix with more positions than int64 counts."""
    index = (np.array(i, np.int64) for i in (row, col))
    return sf.SparseTensor(Coo(*index, (HUGE, HUGE)), Raw(np.array(data, np.float64)), (HUGE, HUGE))


@pytest.mark.parametrize(
    ("packed", "original", "relative"),
    [
        ([[1.5e154]], [[2e154]], 0.25),
        ([[5e-170]], [[1e-170]], 4.0),
        ([[5e-170, 3e-170]], [[1e-170, 0]], 5.0),
        ([[-1.7e308]], [[1.7e308]], 2.0),
        ([[5e-324]], [[1e-323]], 0.5),
        ([[1e200, 1e-200]], [[1e200, 3e-200]], 0.0),
    ],
)
def test_squares_neither_overflow_nor_underflow(
    packed: list[list[float]], original: list[list[float]], relative: float
) -> None:
    w, x = np.array(original), np.array(packed)
    for t, u in itertools.product((x, sf.encode(x, "csr")), (w, sf.encode(w, "coo"))):
        found = sf.compare(t, u)
        assert found.rel_frobenius == pytest.approx(relative, rel=1e-12, abs=1e-300)
        assert relative == 0 or found.snr_db == pytest.approx(-20 * np.log10(relative))
        assert found.status == "differs"


def test_an_exact_tensor_has_cosine_one_at_every_magnitude() -> None:
    for size in (1e200, 1e-200, 1.0, 5e-324, 1.7e308):
        w = np.array([[size, -size / 3]])
        found = sf.compare(sf.encode(w, "csr"), w)
        assert (found.cosine, found.rel_frobenius, found.max_abs, found.status) == (1, 0, 0, "exact")


numbers = st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=200, deadline=None)
@given(hnp.arrays(np.float64, (2, 3, 5), elements=numbers))
@example(np.array([1e300, 1e-300, -1e300] * 10).reshape(2, 3, 5))
def test_sums_are_those_of_exact_fractions(both: Array) -> None:
    x, y = both
    found = sf.compare(x, y)
    relative, cosine = exact(x, y)
    assert found.rel_frobenius == pytest.approx(relative, rel=1e-12)
    assert found.cosine == pytest.approx(cosine, abs=1e-12)


@settings(max_examples=100, deadline=None)
@given(hnp.arrays(np.float64, (2, 2, 9), elements=numbers), st.sampled_from([1, 4, 9]))
def test_the_worst_group_is_the_worst(both: Array, group: int) -> None:
    from sparsefmt.api.difference import Difference

    x, y = both
    made = Difference(x.dtype, y.dtype, 9, group)
    made.add_rows(3, x, y)
    cuts = [(row, low) for row in range(2) for low in range(0, 9, group)]
    errors = [exact(x[row, low : low + group], y[row, low : low + group])[0] for row, low in cuts]
    if (x == y).all():
        assert made.worst is None
    else:
        assert made.worst is not None
        assert made.worst.rel_frobenius == pytest.approx(max(errors), rel=1e-12)
        at = (made.worst.row - 3, made.worst.cols[0])
        assert errors[cuts.index(at)] == pytest.approx(max(errors), rel=1e-12)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float8_e5m2", "float32", "float64", "complex128"])
def test_equal_bits_of_nan_are_equal_and_others_are_not(dtype: str) -> None:
    kind = np.dtype(getattr(ml_dtypes, dtype, None) or dtype)
    w = np.array([[np.nan, np.inf, 1, 0]]).astype(kind)
    t = sf.encode(w, "dense")
    found = sf.compare(t, w)
    assert (found.status, found.rel_frobenius, found.cosine, found.unequal) == ("exact", 0, 1, 0)
    other = w.copy()
    other[0, 0] = 2
    found = sf.compare(t, other)
    assert (found.max_abs, found.rel_frobenius, found.snr_db, found.unequal) == (np.inf, np.inf, -np.inf, 1)
    assert found.worst_group is not None
    assert found.worst_group.rel_frobenius == np.inf
    pruned = w.copy()
    pruned[0, 2] = 0
    found = sf.compare(pruned, w)
    assert (found.status, found.max_abs, found.rel_frobenius) == ("pruned", 1, 1)


def test_integers_beyond_the_digits_of_float64() -> None:
    w = np.array([[2**62, 2**62 + 1, -(2**63), 2**63 - 1]])
    x = np.array([[2**62 + 1, 2**62 + 1, 2**63 - 1, 2**63 - 1]])
    found = sf.compare(x, w)
    assert (found.unequal, found.max_abs) == (2, float(2**64 - 1))
    assert sf.compare(x[:, :2], w[:, :2]).max_abs == 1
    u = np.array([[2**64 - 1, 0]], np.uint64)
    assert sf.compare(u, u[:, ::-1]).max_abs == float(2**64 - 1)


def test_other_dtypes_are_compared_by_value() -> None:
    w = np.array([[1.5, 0.0, 3.0, np.nan]], np.float32)
    assert sf.compare(sf.encode(w.astype(np.float16), "csr"), w).status == "exact"
    assert sf.compare(w.astype(np.float16), w + np.float32(1e-4)).unequal == 3


FORMATS = [s.examples()[0] for s in STRUCTURES.values()]


@pytest.mark.parametrize("pair", list(itertools.product(FORMATS, repeat=2)))
def test_two_packed_tensors_give_what_arrays_give(pair: tuple[str, str]) -> None:
    rng = np.random.default_rng(7)
    w = sf.prune.nm(rng.standard_normal((3, 10, 40)), 2, 4)
    x = np.where(rng.random(w.shape) < 0.9, w, 0) * np.where(rng.random(w.shape) < 0.1, 1.5, 1)
    found = sf.compare(sf.encode(x, pair[0]), sf.encode(w, pair[1]))
    assert found == sf.compare(x, w)
    assert found.unequal == int((x != w).sum())


def test_nearly_empty_ones_are_compared_by_slots() -> None:
    """As arrays of the same numbers are, but for the order of the sums."""
    rng = np.random.default_rng(3)
    w = rng.standard_normal((300, 500)) * (rng.random((300, 500)) < 0.004)
    x = np.where(rng.random(w.shape) < 0.2, 0, w)
    x[7, 130] = 3
    dense = sf.compare(x, w)
    for a, b in itertools.product(("csr", "coo", "csc"), repeat=2):
        found = sf.compare(sf.encode(x, a), sf.encode(w, b))
        assert found.rel_frobenius == pytest.approx(dense.rel_frobenius, rel=1e-14)
        assert (found.worst_group, found.unequal, found.zeroed) == (dense.worst_group, dense.unequal, dense.zeroed)


def test_shapes_beyond_int64_cost_their_slots() -> None:
    last = HUGE - 1
    t, u = coo([0, 5, last], [3, last, last], [1, 2, 3]), coo([0, 5, last], [3, 0, last], [1, 2, 3])
    assert sf.compare(t, t).status == "exact"
    found = sf.compare(t, u)
    assert (found.unequal, found.zeroed, found.max_abs) == (2, 1, 2)
    assert found.rel_frobenius == pytest.approx(np.sqrt(8 / 14))
    assert found.elements == HUGE * HUGE
    empty = coo([], [], [])
    assert sf.compare(empty, empty).cosine == 1
    assert sf.compare(empty, u).status == "pruned"


def test_a_strided_original_and_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    w = rng.standard_normal((40, 70)).astype(np.float32)
    t = sf.quantize(sf.encode(w, "dense"), "int8:g32")
    want = sf.compare(t, w)
    assert want.worst_group is not None
    assert want.worst_group.cols[1] - want.worst_group.cols[0] in (32, 6)
    assert sf.compare(t, np.asfortranarray(w)) == want
    assert sf.compare(t, w.astype(">f4")) == want
    monkeypatch.setattr("sparsefmt.api.compare._BUDGET", 8 * 70 * 3)
    found = sf.compare(t, w)
    assert found.rel_frobenius == pytest.approx(want.rel_frobenius, rel=1e-14)
    assert found.worst_group == want.worst_group


def test_scalars_and_empty_arrays() -> None:
    assert sf.compare(np.float32(2), np.float32(3)).rel_frobenius == pytest.approx(1 / 3)
    for shape in [(0,), (0, 4), (4, 0)]:
        found = sf.compare(np.ones(shape), np.ones(shape))
        assert (found.status, found.cosine, found.elements) == ("exact", 1, 0)


def test_shapes_that_do_not_fit_are_named() -> None:
    with pytest.raises(sf.FormatError, match=r"compare: shapes \(1, 2\) and \(2, 1\)"):
        sf.compare(sf.encode(np.ones((1, 2)), "csr"), np.ones((2, 1)))
