"""Masks and least squares against direct solutions."""

import itertools
import warnings

import numpy as np
import pytest

import sparsefmt as sf
from sparsefmt.prune import Moments, admm, pattern_of, refit, sparsegpt, wanda
from sparsefmt.prune.fit import output_energy

METHODS = ("magnitude", "wanda", "sparsegpt", "admm")


def layer(rows: int = 24, cols: int = 32, tokens: int = 600) -> tuple[np.ndarray, Moments]:
    """Weights, and moments of inputs that go together."""
    rng = np.random.default_rng(0)
    mix = rng.standard_normal((cols, cols)) * np.exp(rng.standard_normal(cols))
    return rng.standard_normal((rows, cols)), Moments(cols).update(rng.standard_normal((tokens, cols)) @ mix + 1)


def test_refit_is_least_squares_on_the_mask() -> None:
    w, m = layer()
    h, mask = m.second, np.random.default_rng(1).random(w.shape) < 0.5
    got = refit(mask, w, m, steps=500, tol=1e-7)
    assert not got[~mask].any()
    for row, keep, t in zip(got, mask, w, strict=True):
        want = np.linalg.solve(h[np.ix_(keep, keep)], (h @ t)[keep])
        np.testing.assert_allclose(row[keep], want, rtol=2e-3, atol=2e-4 * abs(want).max())


def test_refit_with_all_kept_or_none() -> None:
    w, m = layer()
    np.testing.assert_allclose(refit(np.ones(w.shape, bool), w, m), w, rtol=1e-5)
    assert not refit(np.zeros(w.shape, bool), w, m).any()


def test_refit_with_inputs_that_never_vary() -> None:
    """H is singular: its rank is 3 of 8, and one input is always 0."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((100, 3)) @ rng.standard_normal((3, 8))
    x[:, 5] = 0
    w, m = rng.standard_normal((4, 8)), Moments(8).update(x)
    mask = pattern_of("2:4").mask(np.abs(w))
    got = refit(mask, w, m)
    assert np.isfinite(got).all()
    before, after = (output_energy(v - w, m.second) for v in (np.where(mask, w, 0), got))
    assert after < before
    for method in METHODS:
        done = sf.prune.compensated(w, "2:4", m, method=method)  # type: ignore[arg-type]
        assert np.isfinite(done.weight).all()


def test_no_variance_at_all_is_pruned_by_magnitude() -> None:
    w, _ = layer(4, 8)
    m = Moments(8).update(np.ones((64, 8)))
    for method in METHODS:
        done = sf.prune.compensated(w, "2:4", m, method=method)  # type: ignore[arg-type]
        np.testing.assert_array_equal(done.mask, pattern_of("2:4").mask(np.abs(w)))


@pytest.mark.parametrize("method", METHODS)
def test_methods_are_ordered_by_the_output_error(method: str) -> None:
    w, m = layer()
    fitted = sf.prune.compensated(w, "nm2:4", m, method=method)  # type: ignore[arg-type]
    plain = sf.prune.compensated(w, "nm2:4", m, method=method, refit=False)  # type: ignore[arg-type]
    assert fitted.output_error <= plain.output_error * (1 + 1e-9)
    best = sf.prune.compensated(w, "nm2:4", m).output_error
    assert best <= fitted.output_error * 1.02


def test_admm_is_near_the_best_mask_of_small_layers() -> None:
    w, m = layer(6, 8)
    h = m.second + 0.01 * np.trace(m.second) / 8 * np.eye(8)
    got = sf.prune.compensated(w, "2:4", m)
    for row, mask in zip(w, got.mask, strict=True):
        errors = {}
        for a in itertools.combinations(range(4), 2):
            for b in itertools.combinations(range(4, 8), 2):
                keep = np.isin(np.arange(8), (*a, *b))
                v = np.zeros(8)
                v[keep] = np.linalg.solve(h[np.ix_(keep, keep)], (h @ row)[keep])
                errors[tuple(keep)] = (v - row) @ h @ (v - row)
        rank = sorted(errors.values()).index(errors[tuple(mask)])
        assert rank < 8  # of 36


def test_wanda_vector() -> None:
    w = np.array([[1.0, 2.0, -3.0, 4.0], [-4.0, 3.0, 2.0, -1.0]])
    norms = np.array([8.0, 1.0, 2.0, 0.5])
    np.testing.assert_array_equal(wanda(w, "2:4", np.diag(norms**2)).astype(int), [[1, 0, 1, 0], [1, 0, 1, 0]])


def test_sparsegpt_against_its_definition() -> None:
    """Column by column, with the inverse of what is left recomputed each time."""
    w, m = layer(5, 8)
    h = m.second + 0.01 * np.trace(m.second) / 8 * np.eye(8)
    got, mask = sparsegpt(w, "2:4", m)
    want, keep, left = w.copy(), np.zeros(w.shape, bool), np.linalg.inv(h)
    for j in range(8):
        if j % 4 == 0:
            ahead, scores = left.copy(), []
            for k in range(4):
                scores.append(want[:, j + k] ** 2 / ahead[0, 0])
                ahead = (ahead - np.outer(ahead[:, 0], ahead[0]) / ahead[0, 0])[1:, 1:]
            keep[:, j : j + 4] = pattern_of("2:4").mask(np.stack(scores, axis=1))
        lost = np.where(keep[:, j], 0, want[:, j])
        want[:, j:] -= np.outer(lost / left[0, 0], left[0])
        left = (left - np.outer(left[:, 0], left[0]) / left[0, 0])[1:, 1:]
    np.testing.assert_array_equal(mask, keep)
    np.testing.assert_allclose(got, np.where(keep, want, 0), atol=1e-9)


@pytest.mark.parametrize("pattern", ["nm2:4", "nm4:8", "t2:4", "v8:2:8", "bsr4x4", "bsr4x4:2:4", 0.5])
def test_every_method_gives_every_pattern(pattern: object) -> None:
    w, m = layer()
    for method in METHODS:
        done = sf.prune.compensated(w, pattern, m, method=method)  # type: ignore[arg-type]
        if method != "sparsegpt" or (isinstance(pattern, str) and pattern[0] == "n"):
            pattern_of(pattern, density=0.5).check(done.mask)
        assert not done.weight[~done.mask].any()
        assert 0.4 <= done.mask.mean() <= 0.51 or pattern == "v8:2:8"


def test_with_the_diagonal_alone_it_is_wanda() -> None:
    w, _ = layer()
    rng = np.random.default_rng(5)
    m = Moments(32, full=False).update(rng.standard_normal((600, 32)) * np.arange(1, 33))
    done = sf.prune.compensated(w, "2:4", m, damp=0)
    np.testing.assert_array_equal(done.mask, wanda(w, "2:4", m))
    np.testing.assert_allclose(done.weight, np.where(done.mask, w, 0))


def test_threads_do_not_change_a_bit() -> None:
    w, m = layer(300, 64)
    made = []
    for threads in (1, 2, 3):
        sf.set_num_threads(threads)
        made.append(sf.prune.compensated(w, "2:4", m, codec="int4:g32").weight)
    np.testing.assert_array_equal(made[0], made[1])
    np.testing.assert_array_equal(made[0], made[2])


@pytest.mark.parametrize(
    ("kwargs", "text"),
    [({"steps": 0}, "steps = 0"), ({"rho": 0.0}, "rho = 0"), ({"growth": 0.5}, "growth"), ({"damp": -1.0}, "damp")],
)
def test_numbers_of_admm_out_of_range(kwargs: dict[str, float], text: str) -> None:
    w, m = layer()
    with pytest.raises(sf.FormatError, match=text):
        admm(w, "2:4", m, **kwargs)  # type: ignore[arg-type]


def test_moments_of_another_width_and_bad_weights() -> None:
    w, m = layer()
    for call in (lambda: wanda(w[:, :5], "2:4", m), lambda: refit(np.ones((2, 5), bool), np.ones((2, 5)), m)):
        with pytest.raises(sf.FormatError, match="moments are of 32 columns"):
            call()
    with pytest.raises(sf.FormatError, match=r"nan at \[0, 0\]"):
        admm(np.full((2, 32), np.nan), "2:4", m)
    with pytest.raises(sf.FormatError, match="mask: want bool"):
        refit(np.ones(w.shape), w, m)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(sf.FormatError, match=r"want Moments or \(cols, cols\)"):
            wanda(w, "2:4", np.ones((3, 4)))


@pytest.mark.parametrize("pattern", ["t3:5", "v4:2:6", "bsr3x3:1:2", "nm3:7", "t2:4"])
@pytest.mark.parametrize("block", [1, 6, 128])
def test_blocks_of_sparsegpt_cut_no_group(pattern: str, block: int) -> None:
    w = np.random.default_rng(1).standard_normal((12, 150))
    h = np.cov(np.random.default_rng(2).standard_normal((150, 400)))
    pattern_of(pattern).check(sf.prune.sparsegpt(w, pattern, h, block=block)[1])


@pytest.mark.parametrize("block", [0, -4, 1.5, "x"])
def test_blocks_that_are_none(block: int) -> None:
    with pytest.raises(sf.FormatError, match=r"block = .*; want an integer"):
        sf.prune.sparsegpt(np.ones((2, 8)), "nm2:4", np.eye(8), block=block)


def test_numbers_that_are_not_real_or_not_finite() -> None:
    w, keep = np.ones((2, 8)) * (1 + 1j), np.ones((2, 8), bool)
    for call in (
        lambda: sf.prune.refit(keep, w, np.eye(8)),
        lambda: sf.prune.wanda(w, "nm2:4", np.eye(8)),
        lambda: sf.prune.admm(w, "nm2:4", np.eye(8)),
        lambda: sf.prune.sparsegpt(w, "nm2:4", np.eye(8)),
        lambda: sf.prune.sensitivity(w, gradient=w.real),
        lambda: sf.prune.wanda(w.real, "nm2:4", np.eye(8) * 1j),
    ):
        with pytest.raises(sf.DtypeError, match="want real numbers, got complex128"):
            call()
    with pytest.raises(sf.FormatError, match=r"w: nan at \[0, 0\]"):
        sf.prune.sensitivity(w.real * np.nan, gradient=w.real)
    with pytest.raises(sf.FormatError, match=r"moments: -1\.0 on the diagonal"):
        sf.prune.wanda(w.real, "nm2:4", -np.eye(8))
    with pytest.raises(sf.FormatError, match="beyond float32"):
        sf.prune.refit(keep, w.real * 1e300, np.eye(8))


def test_admm_of_many_steps_and_any_pattern_stays_finite() -> None:
    w = np.random.default_rng(1).standard_normal((4, 8))
    for pattern in ("nm2:4", 0.5):
        assert sf.prune.admm(w, pattern, np.eye(8), steps=2000).sum() == 16
