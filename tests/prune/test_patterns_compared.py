"""Permutations, patterns side by side, and sensitivities against finite differences."""

import numpy as np
import pytest

import sparsefmt as sf
from sparsefmt.prune import Moments, compare_patterns, fold, permute, sensitivity

RNG = np.random.default_rng(7)
W = RNG.standard_normal((24, 64)) * np.exp(RNG.standard_normal(64))


def energy(w: np.ndarray) -> float:
    return float(np.square(sf.prune.nm(w, 2, 4)).sum() / np.square(w).sum())


def test_a_permutation_keeps_more_and_tells_how_much() -> None:
    p = permute(W, tries=3000)
    assert np.sort(p.order).tolist() == list(range(64))
    assert p.before == pytest.approx(energy(W), rel=1e-5)
    assert p.kept == pytest.approx(energy(W[:, p.order]), rel=1e-5)
    assert p.before < p.kept <= p.free
    assert (p.kept - p.before) / (p.free - p.before) > 0.3
    np.testing.assert_array_equal(p.order, permute(W, tries=3000).order)


def test_exchanges_never_lose() -> None:
    kept = [permute(W, 1, 4, tries=tries).kept for tries in (0, 100, 1000)]
    assert kept == sorted(kept)
    assert permute(W, 4, 4).kept == pytest.approx(1)
    assert permute(W[:, :4]).order.tolist() == [0, 1, 2, 3] or energy(W[:, :4]) == pytest.approx(permute(W[:, :4]).kept)


def test_a_folded_permutation_changes_no_output() -> None:
    before, bias = RNG.standard_normal((64, 8)), RNG.standard_normal(64)
    x = RNG.standard_normal((5, 8))
    order = permute(W, tries=500).order
    rows, moved = fold(order, before, bias)
    assert moved is not None
    want = np.maximum(x @ before.T + bias, 0) @ W.T
    np.testing.assert_allclose(np.maximum(x @ rows.T + moved, 0) @ W[:, order].T, want)


def test_bad_permutations() -> None:
    for call in (
        lambda: permute(W[:, :63]),
        lambda: permute(W * np.nan),
        lambda: permute(W[0]),
        lambda: permute(W, tries=-1),
        lambda: fold([0, 0], np.ones((2, 2))),
    ):
        with pytest.raises(sf.FormatError):
            call()


def test_patterns_side_by_side() -> None:
    x = RNG.standard_normal((400, 64)) * np.exp(RNG.standard_normal(64))
    patterns = ["dense", "nm2:4", "nm4:8", "nm1:4", "t2:4", "bsr4x4", 0.5]
    rows = compare_patterns(W.astype(np.float32), patterns, moments=Moments(64).update(x), batch=4, seconds=0.01)
    by = {r.pattern: r for r in rows}
    assert by["nm2:4"].nbytes == sf.encode(sf.prune.nm(W.astype(np.float32)), "nm2:4").nbytes
    assert by["nm2:4"].index_bits == 0.75
    assert by["nm2:4"].index_bound == pytest.approx(np.log2(6) / 4)
    assert by["t2:4"].index_bound == pytest.approx(np.log2(90) / 16)
    assert by["nm1:4"].energy < by["nm2:4"].energy < by["nm4:8"].energy < by["density 0.5"].energy < 1.0
    assert by["t2:4"].energy < by["nm2:4"].energy
    assert rows[0].output_error == 0
    for r in rows:
        assert r.products_per_second is not None
        assert r.products_per_second > 0
        assert r.output_error is not None
    assert compare_patterns(W, ["2:4"])[0].products_per_second is None
    with pytest.raises(sf.FormatError, match="moments are of 3 columns"):
        compare_patterns(W, ["2:4"], moments=Moments(3).update(np.eye(3)))


X = RNG.standard_normal((200, 6)) @ RNG.standard_normal((6, 6))
V = RNG.standard_normal((3, 6))
Y = X @ RNG.standard_normal((6, 3))


def loss(w: np.ndarray) -> float:
    return float(np.square(X @ w.T - Y).sum() / len(X) / 2)


def test_first_order_is_the_slope() -> None:
    gradient = (X @ V.T - Y).T @ X / len(X)
    step = 1e-6 * RNG.standard_normal(V.shape)
    got = sensitivity(V, gradient=gradient, change=step).sum()
    assert got == pytest.approx(loss(V + step) - loss(V), rel=1e-3)


def test_second_order_is_exact_for_a_quadratic() -> None:
    gradient = (X @ V.T - Y).T @ X / len(X)
    curve = np.broadcast_to(np.square(X).mean(axis=0), V.shape)
    got = sensitivity(V, gradient=gradient, hessian=curve)
    for at in np.ndindex(*V.shape):
        without = V.copy()
        without[at] = 0
        assert got[at] == pytest.approx(loss(without) - loss(V), rel=1e-9)


def test_fisher_takes_the_place_of_the_hessian() -> None:
    squares = np.abs(RNG.standard_normal(V.shape))
    np.testing.assert_array_equal(sensitivity(V, fisher=squares), sensitivity(V, hessian=squares))


def test_obs_is_what_is_left_after_the_others_make_up() -> None:
    h = X.T @ X / len(X)
    got = sensitivity(V, moments=h, damp=0)
    for r, c in np.ndindex(*V.shape):
        keep = np.arange(6) != c
        moved = V[r].copy()
        moved[c] = 0
        moved[keep] = np.linalg.solve(h[np.ix_(keep, keep)], h[keep] @ V[r])
        assert got[r, c] == pytest.approx((moved - V[r]) @ h @ (moved - V[r]) / 2, rel=1e-6)


def test_sensitivities_that_lack_something() -> None:
    for kwargs, text in (
        ({}, "gradient"),
        ({"kind": "obs"}, "moments: wanted"),
        ({"kind": "second"}, "moments: wanted"),
        ({"kind": "third"}, "kind = 'third'"),
        ({"gradient": V[:2]}, r"gradient: want shape \(3, 6\), got"),
        ({"gradient": V * np.nan}, r"gradient: nan at \[0, 0\]; want finite"),
        ({"moments": np.eye(3)}, "moments are of 3 columns"),
    ):
        with pytest.raises(sf.FormatError, match=text):
            sensitivity(V, **kwargs)  # type: ignore[arg-type]


@pytest.mark.parametrize("scale", [2.0**-660, 2.0**-100, 2.0**100, 2.0**660])
def test_the_unit_of_weights_changes_no_share(scale: float) -> None:
    """Squares of these are beyond float32, or float64."""
    w = np.random.default_rng(6).standard_normal((8, 16))
    np.testing.assert_array_equal(permute(w * scale, tries=50).order, permute(w, tries=50).order)
    assert permute(w * scale, tries=50)[1:] == pytest.approx(permute(w, tries=50)[1:])
    assert compare_patterns(w * scale, ["nm2:4"])[0].energy == pytest.approx(compare_patterns(w, ["nm2:4"])[0].energy)


def test_orders_and_biases_of_other_layers() -> None:
    for order, bias in (([1.0, 0.0], None), ([1, 0], np.ones(1)), ([1, 0], np.ones(5))):
        with pytest.raises(sf.FormatError, match="want"):
            sf.prune.fold(order, np.eye(2), bias)
    for seed in (-1, None, "x"):
        with pytest.raises(sf.FormatError, match="seed = "):
            permute(np.ones((2, 8)), seed=seed)  # type: ignore[arg-type]
    with pytest.raises(sf.FormatError, match="want a finite real matrix"):
        compare_patterns(np.full((2, 8), np.inf), ["nm2:4"])
