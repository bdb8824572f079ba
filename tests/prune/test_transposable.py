"""Masks along both axes, against every mask and against a linear programme."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
from scipy.optimize import linprog

import sparsefmt as sf
from sparsefmt.prune import transposable

DATA = json.loads((Path(__file__).parents[1] / "data" / "reference" / "pruning.json").read_text())["transposable"]


def linear_programme(score: np.ndarray, n: int) -> float:
    m = len(score)
    rows, cols = np.kron(np.eye(m), np.ones(m)), np.kron(np.ones(m), np.eye(m))
    constraints = scipy.sparse.csr_array(np.concatenate([rows, cols]))
    return float(-linprog(-score.ravel(), A_eq=constraints, b_eq=np.full(2 * m, n), bounds=(0, 1)).fun)


def scores(m: int, count: int = 4) -> np.ndarray:
    return np.square(np.random.default_rng(m).standard_normal((count, m, m)))


@pytest.mark.parametrize("name", ["example", "greedy_underfill"])
def test_vectors(name: str) -> None:
    case = DATA[name]
    w = np.array(case["W"])
    found = transposable(w, 2, 4, score=w, certificate=True)
    want = case.get("best_value", case.get("exact_value"))
    assert found.value == found.bound == want
    assert found.mask.astype(int).tolist() in case.get("best_masks", case.get("exact_masks"))


@pytest.mark.parametrize("n", [1, 2, 3])
def test_four_by_four_is_the_best_of_all(n: int) -> None:
    rows = [r for r in itertools.product((0, 1), repeat=4) if sum(r) == n]
    masks = [p for p in itertools.product(rows, repeat=4) if (np.sum(p, axis=0) == n).all()]
    assert len(masks) == DATA["counts"][f"{n}:4"]
    for score in scores(4):
        got = transposable(score, n, 4, score=score)
        assert score[got].sum() == pytest.approx(max((score * p).sum() for p in map(np.array, masks)))


@pytest.mark.parametrize(("n", "m"), [(2, 4), (3, 8), (4, 8), (8, 16), (5, 7), (16, 32), (1, 12)])
def test_it_is_the_optimum_and_proves_it(n: int, m: int) -> None:
    for score in scores(m):
        found = transposable(score, n, m, score=score, certificate=True)
        assert (found.mask.sum(axis=0) == n).all()
        assert (found.mask.sum(axis=1) == n).all()
        want = linear_programme(score, n)
        assert found.value == pytest.approx(want, rel=1e-9)
        assert found.bound == pytest.approx(want, rel=1e-9)


def test_the_bound_holds_for_many_blocks_and_huge_scores() -> None:
    w = np.random.default_rng(0).standard_normal((64, 80))
    for score in (np.square(w), np.square(w) * 1e300, np.square(w) * 1e-300, np.rint(np.square(w))):
        found = transposable(w, 8, 16, score=score, certificate=True)
        assert found.value <= found.bound <= found.value * (1 + 1e-9)


def test_ragged_edges_zeros_and_all_kept() -> None:
    w = np.random.default_rng(0).standard_normal((6, 9))
    mask = transposable(w, 2, 4)
    for axis in (0, 1):
        assert (np.add.reduceat(mask, range(0, mask.shape[axis], 4), axis=axis) <= 2).all()
    assert (transposable(np.zeros((8, 8)), 4, 8).sum(axis=0) == 4).all()
    assert transposable(w[:4, :4], 4, 4).all()
    assert transposable(np.zeros((0, 4)), 2, 4).shape == (0, 4)


def test_threads_do_not_change_a_bit() -> None:
    w = np.random.default_rng(0).standard_normal((256, 256))
    made = []
    for threads in (1, 2):
        sf.set_num_threads(threads)
        made.append(transposable(w, 4, 8))
    np.testing.assert_array_equal(made[0], made[1])


def test_bad_arguments() -> None:
    w = np.ones((4, 4))
    for call in (
        lambda: transposable(w, 5, 4),
        lambda: transposable(w, 2, 4, score=-w),
        lambda: transposable(w, 2, 4, score=w[:2]),
        lambda: transposable(w * np.nan, 2, 4),
        lambda: transposable(w[0], 2, 4),
    ):
        with pytest.raises(sf.FormatError):
            call()
    with pytest.raises(sf.DtypeError):
        transposable(w.astype(complex), 2, 4)


def test_errors_say_what_is_wrong() -> None:
    """All said the shape that was wanted, and that it was there."""
    large, below = np.ones((4, 4)), np.ones((4, 4))
    large[1, 2], below[3, 0] = -1e200, -2
    for call, said in (
        (lambda: transposable(large[0], 2, 4), r"w: want \(rows, cols\), or more axes, got shape \(4,\)"),
        (lambda: transposable(large, 2, 4), r"got w\[1, 2\] = -1e\+200, whose square is infinite; give score="),
        (lambda: transposable(large, 2, 4, score=below), r"got -2\.0 at \[3, 0\]"),
        (lambda: transposable(large, 2, 4, score=below[:2]), r"score: want shape \(4, 4\), got \(2, 4\)"),
    ):
        with pytest.raises(sf.FormatError, match=said):
            call()
    assert transposable(large, 2, 4, score=abs(large))[1, 2]


def test_the_optimum_is_among_masks_that_keep_exactly_n() -> None:
    """Seven of these sixteen would hold more than the best eight that fill every row and column."""
    w = np.array([[8, 83, 79, 24], [88, 6, 34, 15], [45, 80, 23, 5], [40, 20, 9, 58]])
    found = sf.prune.transposable(w, certificate=True)
    assert found.mask.sum(0).tolist() == found.mask.sum(1).tolist() == [2, 2, 2, 2]
    assert found.value == pytest.approx(found.bound)
    fewer = np.array([[0, 1, 1, 0], [1, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 1]])
    assert fewer.sum(0).max() == fewer.sum(1).max() == 2
    assert (np.square(w) * fewer).sum() > found.value
