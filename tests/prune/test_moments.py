"""Moments of inputs, gathered in a stream."""

import numpy as np
import pytest

import sparsefmt as sf
from sparsefmt.prune import CalibrationWarning, Moments, calibrate


def inputs(tokens: int = 300, cols: int = 7) -> np.ndarray:
    rng = np.random.default_rng(0)
    return (rng.standard_normal((tokens, cols)) @ rng.standard_normal((cols, cols)) + 100).astype(np.float32)


@pytest.mark.parametrize("cuts", [[], [1], [100, 101, 250]])
def test_a_stream_gives_the_moments_of_the_whole(cuts: list[int]) -> None:
    x = inputs()
    m = Moments(7)
    for part in np.split(x, cuts):
        m.update(part)
    wide = x.astype(np.float64)
    assert m.count == 300
    np.testing.assert_allclose(m.mean, wide.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(m.second, np.cov(wide.T, bias=True), rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(m.second, m.second.T)
    np.testing.assert_array_equal(m.diagonal, np.diagonal(m.second))


def test_a_large_mean_costs_no_digits() -> None:
    x = inputs() + np.float32(1e4)
    wide = x.astype(np.float64)
    np.testing.assert_allclose(Moments(7).update(x).second, np.cov(wide.T, bias=True), rtol=1e-6)


def test_leading_axes_are_tokens_and_dtypes_may_differ() -> None:
    x = np.arange(24).reshape(2, 3, 4)
    a, b = Moments(4).update(x), Moments(4).update(x.reshape(-1, 4).astype(np.float16))
    np.testing.assert_array_equal(a.second, b.second)


def test_beyond_8192_columns_only_the_diagonal_is_held() -> None:
    x = np.random.default_rng(0).standard_normal((5, 8200))
    m = Moments(8200).update(x)
    assert m.second.shape == (8200,)
    np.testing.assert_allclose(m.second, x.var(axis=0), rtol=1e-12)


def test_outputs_are_gathered_with_inputs() -> None:
    x = inputs()
    y = np.stack([x[:, 0] - x[:, 1], x[:, 2]], axis=1)
    m = Moments(7, outputs=2).update(x[:10], y[:10]).update(x[10:], y[10:])
    a, b = (
        x.astype(np.float64) - x.mean(axis=0, dtype=np.float64),
        y.astype(np.float64) - y.mean(axis=0, dtype=np.float64),
    )
    np.testing.assert_allclose(m.cross, b.T @ a / 300, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(m.output_mean, y.mean(axis=0, dtype=np.float64))
    np.testing.assert_allclose(m.output_variance, b.var(axis=0), rtol=1e-6)


@pytest.mark.parametrize(
    ("x", "text"),
    [
        (np.ones((2, 3)), r"want \(\.\.\., 4\), got shape \(2, 3\)"),
        (np.array([[1, 2, np.nan, 4]]), "token 0, column 2 holds nan"),
        (np.array([[1, 2, 3, 4], [np.inf, 1, 1, 1]]), "token 1, column 0 holds inf"),
        (5.0, "got shape"),
    ],
)
def test_bad_activations_are_refused_and_nothing_is_added(x: object, text: str) -> None:
    m = Moments(4).update(np.eye(4))
    before = m.second.copy()
    with pytest.raises(sf.FormatError, match=text):
        m.update(x)
    assert m.count == 4
    np.testing.assert_array_equal(m.second, before)


def test_complex_activations_and_no_tokens() -> None:
    with pytest.raises(sf.DtypeError, match="complex128"):
        Moments(2).update(np.ones((2, 2), complex))
    with pytest.raises(sf.FormatError, match="no token was seen"):
        _ = Moments(2).second
    with pytest.raises(sf.FormatError, match="outputs were not gathered"):
        _ = Moments(2).update(np.eye(2)).cross
    with pytest.raises(sf.FormatError, match="outputs are wanted"):
        Moments(2).update(np.eye(2), np.eye(2))
    with pytest.raises(sf.FormatError, match="cols"):
        Moments(0)


def test_too_few_tokens_warn_with_the_number_wanted() -> None:
    with pytest.warns(CalibrationWarning, match="10 tokens for 7 columns; want at least 28"):
        assert not Moments(7).update(inputs(10)).enough()
    assert Moments(7).update(inputs(28)).enough()


def test_threads_do_not_change_a_bit() -> None:
    x = np.random.default_rng(1).standard_normal((2000, 800)).astype(np.float32)
    made = []
    for threads in (1, 2, 3):
        sf.set_num_threads(threads)
        made.append(Moments(800).update(x).second)
    np.testing.assert_array_equal(made[0], made[1])
    np.testing.assert_array_equal(made[0], made[2])


def test_calibrate_takes_arrays_mappings_and_models() -> None:
    x = inputs()
    assert isinstance(calibrate(x), Moments)
    by_layer = calibrate({"up": x})
    assert isinstance(by_layer, dict)
    np.testing.assert_array_equal(by_layer["up"].second, Moments(7).update(x).second)
    both = calibrate(lambda batch: {"up": batch, "down": batch * 2}, [x[:9], x[9:]], layers=["down"])
    assert isinstance(both, dict)
    assert list(both) == ["down"]
    assert both["down"].count == 300


def test_calibrate_refuses_what_never_came() -> None:
    with pytest.raises(sf.FormatError, match="no activations came for 'gate'"):
        calibrate({"up": inputs()}, layers=["gate"])
    with pytest.raises(sf.FormatError, match="no activations came"):
        calibrate(lambda batch: {}, [1])
    with pytest.raises(sf.FormatError, match="batches: want what"):
        calibrate(lambda batch: {})
    with pytest.raises(sf.FormatError, match="batches: they are for"):
        calibrate(inputs(), [1])
