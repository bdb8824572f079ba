"""Weights that are kept as (in, out), and convolutions: `axis` says where the columns are, as for `encode`."""

import numpy as np
import pytest

import sparsefmt as sf

rng = np.random.default_rng(3)
W = rng.standard_normal((24, 32)).astype(np.float32)
X = rng.standard_normal((400, 32)) @ rng.standard_normal((32, 32))
M = sf.prune.Moments(32).update(X)


@pytest.mark.parametrize("axis", [0, -2])
@pytest.mark.parametrize("pattern", ["nm2:4", "nm2:4/int8", "bsr4x8", 0.3, "t2:4"])
def test_compensated_of_the_other_form_is_the_transpose(axis: int, pattern: object) -> None:
    bias = rng.standard_normal(24)
    want = sf.prune.compensated(W, pattern, M, bias=bias)
    got = sf.prune.compensated(np.ascontiguousarray(W.T), pattern, M, bias=bias, axis=axis)
    assert np.array_equal(got.weight, want.weight.T)
    assert np.array_equal(got.mask, want.mask.T)
    assert got.bias is not None
    assert want.bias is not None
    assert np.array_equal(got.bias, want.bias)
    assert got.output_error == want.output_error
    if want.tensor is not None:
        assert got.tensor is not None
        assert got.tensor.shape == (32, 24)
        assert np.array_equal(got.tensor.to_dense(), got.weight)
        assert sf.encode(got.weight, "nm2:4", axis=axis).nbytes > got.tensor.nbytes


def test_masks_and_targets_are_of_the_form_of_the_weight() -> None:
    mask = sf.prune.nm(W) != 0
    target = W * 1.5
    want = sf.prune.compensated(W, "nm2:4", M, mask=mask, target=target)
    got = sf.prune.compensated(W.T, "nm2:4", M, mask=mask.T, target=target.T, axis=0)
    assert np.array_equal(got.weight, want.weight.T)
    assert np.array_equal(sf.prune.compensated(W.T, mask.T, M, axis=0).mask, mask.T)


@pytest.mark.parametrize("axis", [0, 1, -1, -2])
def test_transposable_masks_run_along_the_axis(axis: int) -> None:
    found = sf.prune.transposable(W, 2, 4, certificate=True, axis=axis)
    assert found.mask.shape == W.shape
    assert found.value == pytest.approx(float((W.astype(np.float64) ** 2)[found.mask].sum()))
    assert found.value <= found.bound * (1 + 1e-12)
    sf.encode(W * found.mask, "nm2:4", axis=0)
    sf.encode(W * found.mask, "nm2:4", axis=1)


def test_transposable_of_a_convolution() -> None:
    w = rng.standard_normal((8, 12, 3, 3))
    mask = sf.prune.transposable(w, 2, 4, axis=1)
    assert mask.shape == w.shape
    assert mask.sum() == w.size // 2
    sf.encode(w * mask, "nm2:4", axis=1)
    flat = np.moveaxis(w, 1, -1).reshape(-1, 12)
    assert np.array_equal(np.moveaxis(mask, 1, -1).reshape(-1, 12), sf.prune.transposable(flat, 2, 4))


def test_permuted_rows_and_channels() -> None:
    want = sf.prune.permute(W, tries=500)
    got = sf.prune.permute(W.T, tries=500, axis=0)
    assert np.array_equal(got.order, want.order)
    assert got[1:] == want[1:]
    w = rng.standard_normal((8, 12, 3, 3)).astype(np.float32)
    found = sf.prune.permute(w, tries=500, axis=1)
    kept = sf.prune.nm(np.take(w, found.order, 1), axis=1)
    assert found.kept == pytest.approx(np.square(kept).sum() / np.square(w).sum(), rel=1e-5)


@pytest.mark.parametrize("axis", [2, -3, 0.5, None])
def test_an_axis_that_is_not_there(axis: object) -> None:
    for call in (
        lambda: sf.prune.compensated(W, "nm2:4", M, axis=axis),  # type: ignore[arg-type]
        lambda: sf.prune.transposable(W, axis=axis),  # type: ignore[call-overload]
        lambda: sf.prune.permute(W, axis=axis),  # type: ignore[arg-type]
    ):
        with pytest.raises(sf.FormatError, match="axis"):
            call()


@pytest.mark.parametrize("shape", [(0, 8), (8, 0), (4,), (0, 4, 2)])
def test_shapes_without_a_matrix(shape: tuple[int, ...]) -> None:
    w = np.zeros(shape, np.float32)
    if len(shape) == 1:
        with pytest.raises(sf.FormatError, match="rows, cols"):
            sf.prune.transposable(w, axis=0)
    else:
        assert sf.prune.transposable(w, axis=0).shape == shape
