"""Projections on patterns against brute force."""

import itertools

import numpy as np
import pytest

import sparsefmt as sf
from sparsefmt.prune import Inside, pattern_of
from sparsefmt.prune.patterns import Vnm
from sparsefmt.structures.registry import STRUCTURES

SCORE = np.random.default_rng(3).random((6, 16))


def test_nm_keeps_the_largest_of_every_group() -> None:
    mask = pattern_of("nm2:4").mask(SCORE)
    np.testing.assert_array_equal(mask, sf.prune.nm(SCORE, 2, 4) != 0)
    np.testing.assert_array_equal(pattern_of("2:4/int4:g128").mask(SCORE), mask)


def test_a_density_keeps_the_largest_of_all() -> None:
    np.testing.assert_array_equal(pattern_of(0.3).mask(SCORE), sf.prune.magnitude(SCORE, 0.3) != 0)
    np.testing.assert_array_equal(pattern_of("csr", density=0.3).mask(SCORE), sf.prune.magnitude(SCORE, 0.3) != 0)


def test_blocks_keep_the_heaviest() -> None:
    mask = pattern_of("bsr2x4", density=0.25).mask(np.square(SCORE))
    np.testing.assert_array_equal(mask, sf.prune.block(SCORE, (2, 4), 0.25) != 0)


def test_n_of_m_blocks_of_every_row_of_blocks() -> None:
    mask = pattern_of("bsr3x2:1:4").mask(SCORE)
    sums = SCORE.reshape(2, 3, 8, 2).sum(axis=(1, 3))
    want = np.repeat(np.repeat(pattern_of("1:4").mask(sums), 3, axis=0), 2, axis=1)
    np.testing.assert_array_equal(mask, want)
    pattern_of("bsr3x2:1:4").check(mask)


def test_ragged_shapes() -> None:
    ragged = np.random.default_rng(0).random((5, 7))
    for text in ("nm2:4", "bsr2x3", "v2:2:4", "t2:4", "v3:1:8"):
        pattern = pattern_of(text)
        mask = pattern.mask(ragged)
        assert mask.shape == (5, 7)
        assert mask.any()
        pattern.check(mask)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_vnm_against_all_choices_of_columns(n: int) -> None:
    """The greedy choice of four columns is within five per cent of the best one."""
    score = np.random.default_rng(n).random((4, 8))
    pattern = Vnm(4, n, 8)
    mask = pattern.mask(score)
    pattern.check(mask)
    assert (mask.sum(axis=1) == n).all()
    best = max(np.sort(score[:, list(c)], axis=1)[:, -n:].sum() for c in itertools.combinations(range(8), 4))
    assert score[mask].sum() >= 0.95 * best


def test_masks_inside_masks() -> None:
    outer = pattern_of("2:4").mask(SCORE)
    inner = Inside(pattern_of("1:4"), outer).mask(SCORE)
    assert not (inner & ~outer).any()
    np.testing.assert_array_equal(inner, pattern_of("1:4").mask(SCORE))


def test_a_given_mask_is_itself() -> None:
    mask = SCORE > 0.5
    np.testing.assert_array_equal(pattern_of(mask).mask(SCORE), mask)
    with pytest.raises(sf.FormatError, match="want shape"):
        pattern_of(mask).mask(SCORE[:2])


@pytest.mark.parametrize("text", ["nm2:4", "t2:4", "v2:2:8", "bsr2x2"])
def test_masks_that_are_not_of_the_pattern(text: str) -> None:
    with pytest.raises(sf.PatternError, match="allows"):
        pattern_of(text, density=0.5).check(np.ones((8, 8), bool))


@pytest.mark.parametrize("spec", ["nm5:4", "2", "bsr0x4", None, 1.5, "v0:2:8", "nope", float("nan")])
def test_no_patterns(spec: object) -> None:
    with pytest.raises(sf.FormatError):
        pattern_of(spec)


def test_nan_scores() -> None:
    score = SCORE.copy()
    score[1, 2] = np.nan
    for text in ("2:4", "bsr2x2", "csr", "v2:2:4"):
        with pytest.raises(sf.FormatError, match="NaN"):
            pattern_of(text).mask(score)


@pytest.mark.parametrize("kind", [k for k, s in STRUCTURES.items() if s.keeps_slots])
def test_every_structure_of_free_positions_is_a_free_pattern(kind: str) -> None:
    w = np.where(SCORE > 0.1, SCORE, 0.0)
    np.testing.assert_array_equal(pattern_of(kind, density=0.3).mask(SCORE), pattern_of(0.3).mask(SCORE))
    assert sf.plan.Plan({"w": kind}).apply({"w": w})["w"].format == kind
    m = sf.prune.Moments(SCORE.shape[1]).update(np.eye(SCORE.shape[1]).repeat(5, axis=0))
    made = sf.prune.compensated(w, f"{kind}/int8", m, method="magnitude", codec="int8", density=0.3)
    assert made.tensor is not None
    assert made.tensor.format == f"{kind}/int8"
