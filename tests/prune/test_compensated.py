"""Pruning one layer so that its outputs stay."""

from typing import Any

import numpy as np
import pytest

import sparsefmt as sf
from sparsefmt.prune import CalibrationWarning, Moments, compensated

RNG = np.random.default_rng(2)
X = (RNG.standard_normal((900, 32)) @ RNG.standard_normal((32, 32)) + RNG.standard_normal(32)).astype(np.float32)
W = RNG.standard_normal((16, 32)).astype(np.float32)
B = RNG.standard_normal(16).astype(np.float32)
M = Moments(32).update(X)


def test_it_unpacks_into_four() -> None:
    weight, bias, mask, error = compensated(W, "nm2:4", M, bias=B)
    assert weight.dtype == W.dtype
    assert bias.dtype == B.dtype
    assert mask.dtype == bool
    assert sf.encode(weight, "nm2:4").nnz == mask.sum()
    assert 0 < error < 1


@pytest.mark.parametrize("options", [{"damp": 0}, {}, {"damp": 0.3}, {"codec": "int4:g8"}, {"method": "sparsegpt"}])
def test_the_output_error_is_that_of_the_outputs(options: dict[str, Any]) -> None:
    """Whatever was added to the moments for the fit."""
    done = compensated(W, "nm2:4", M, bias=B, **options)
    assert done.bias is not None
    want = X.astype(np.float64) @ W.T + B
    off = X.astype(np.float64) @ done.weight.T.astype(np.float64) + done.bias - want
    error = np.square(off - off.mean(axis=0)).sum() / np.square(want - want.mean(axis=0)).sum()
    assert done.output_error == pytest.approx(error, rel=1e-4)
    np.testing.assert_allclose(off.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_array_equal(done.shift, 0)


def test_without_a_bias_the_shift_is_told() -> None:
    done = compensated(W, "nm2:4", M)
    assert done.bias is None
    off = X.astype(np.float64) @ (done.weight.astype(np.float64) - W).T
    np.testing.assert_allclose(done.shift, off.mean(axis=0), atol=1e-4)


def test_a_mask_of_ones_own() -> None:
    mask = sf.prune.nm(np.abs(RNG.standard_normal(W.shape)), 2, 4) != 0
    done = compensated(W, "nm2:4", M, mask=mask)
    np.testing.assert_array_equal(done.mask, mask)
    same = compensated(W, mask, M)
    np.testing.assert_array_equal(done.weight, same.weight)
    with pytest.raises(sf.PatternError, match="beyond what nm2:4 allows"):
        compensated(W, "nm2:4", M, mask=np.ones(W.shape, bool))
    with pytest.raises(sf.PatternError, match="want bool of shape"):
        compensated(W, "nm2:4", M, mask=np.ones((2, 2), bool))


def test_dense_outputs_as_target() -> None:
    """Inputs that earlier layers disturbed: fitting the outputs of the undisturbed ones makes up for it."""
    disturbed = X @ (np.eye(32) + 0.1 * RNG.standard_normal((32, 32))).astype(np.float32)
    wanted = X @ W.T + B
    m = Moments(32, outputs=16).update(disturbed, wanted)

    def error(done: sf.prune.Compensated) -> float:
        return float(np.square(disturbed @ done.weight.T + done.bias - wanted).mean())

    own, outputs = compensated(W, "2:4", m, bias=B), compensated(W, "2:4", m, bias=B, target="outputs")
    assert error(outputs) < error(own)
    with pytest.raises(sf.FormatError, match="moments hold no outputs"):
        compensated(W, "2:4", M, target="outputs")
    with pytest.raises(sf.FormatError, match="target = 'inputs'"):
        compensated(W, "2:4", M, target="inputs")


@pytest.mark.parametrize(
    "codec", ["int8", "int4:g8", "int4:g8:asym", "int4:tensor", "int4:f32", "int3:g8", "int2:g8:asym", "kmeans16"]
)
@pytest.mark.parametrize("pattern", ["nm2:4", "dense", "bsr4x4", 0.5, "t2:4", "v4:2:8"])
def test_codes_are_chosen_in_the_same_fit(pattern: object, codec: str) -> None:
    done = compensated(W, pattern, M, codec=codec)
    assert done.tensor is not None
    assert done.tensor.format.split("/")[1].split(":")[0] == codec.split(":")[0]
    np.testing.assert_array_equal(done.tensor.to_dense(), done.weight)
    assert not done.weight[~done.mask].any()
    pruned = compensated(W, pattern, M)
    raw = sf.encode(pruned.weight, done.tensor.format.split("/")[0])
    near = sf.cluster(raw, codec) if codec[0] == "k" else sf.quantize(raw, codec)
    h = M.second
    lost = [np.einsum("ij,jk,ik->", e, h, e) for e in (done.weight - W, near.to_dense() - W)]
    assert lost[0] <= lost[1] * 1.0001


def test_a_codec_behind_a_slash() -> None:
    a, b = compensated(W, "nm2:4/int4:g8", M), compensated(W, "nm2:4", M, codec="int4:g8")
    np.testing.assert_array_equal(a.weight, b.weight)
    with pytest.raises(sf.FormatError, match="the pattern names"):
        compensated(W, "nm2:4/int4", M, codec="int8")
    with pytest.raises(sf.CodecError):
        compensated(W, "nm2:4/raw", M)


def test_float16_weights_stay_float16() -> None:
    done = compensated(W.astype(np.float16), "nm2:4", M)
    assert done.weight.dtype == np.float16


def test_too_few_tokens_warn() -> None:
    with pytest.warns(CalibrationWarning, match="want at least 128"):
        compensated(W, "2:4", Moments(32).update(X[:50]))


@pytest.mark.parametrize(
    ("args", "kwargs", "text"),
    [
        ((W[:, :8], "2:4", M), {}, "moments are of 32 columns"),
        ((W, "2:4", M), {"method": "best"}, "method = 'best'"),
        ((W, "2:4", M.second), {}, "want sf.prune.Moments"),
        ((W, "2:4", M), {"bias": B[:3]}, "bias: want shape"),
        ((W, "2:4", M), {"target": W[:3]}, "target: want shape"),
        ((np.full(W.shape, np.inf), "2:4", M), {}, "want finite numbers"),
        ((W.astype(np.int8), "2:4", M), {}, "want floats, got int8"),
        ((W[0], "2:4", M), {}, "weights have shape"),
    ],
)
def test_bad_arguments(args: tuple[object, ...], kwargs: dict[str, object], text: str) -> None:
    with pytest.raises(sf.FormatError, match=text):
        compensated(*args, **kwargs)  # type: ignore[arg-type]


@pytest.mark.parametrize("codec", ["int8", "int4:g8", "int4:g8:asym", "int4:tensor"])
@pytest.mark.parametrize("structure", ["dense", "nm2:4", "bitmask", "csr", "csc", "coo", "bsr4x4", "nm2:4@64"])
def test_quantizing_with_moments_keeps_slots_and_loses_less(structure: str, codec: str) -> None:
    w = W if structure == "dense" else sf.prune.nm(W, 2, 4)
    t = sf.encode(w, structure)
    near, chosen = sf.quantize(t, codec), sf.quantize(t, codec, moments=M)
    assert chosen.format == near.format
    assert chosen.slots == t.slots
    sf.SparseTensor(chosen.structure, chosen.values, chosen.shape)  # checks the parts
    lost = [np.einsum("ij,jk,ik->", e, M.second, e) for e in (c.to_dense() - w for c in (chosen, near))]
    assert lost[0] <= lost[1] * 1.0001
    if codec == "int4:g8" and structure == "dense":
        assert lost[0] < 0.7 * lost[1]


def test_quantizing_with_moments_of_another_width() -> None:
    with pytest.raises(sf.FormatError, match="moments are of 3 columns"):
        sf.quantize(sf.encode(W, "dense"), "int4", moments=Moments(3).update(np.eye(3)))
    diagonal = Moments(32, full=False).update(X)
    assert sf.quantize(sf.encode(W, "dense"), "int4:g8", moments=diagonal).format == "dense/int4:g8"
    flat = Moments(32).update(np.ones((200, 32)))
    assert sf.equal(
        sf.quantize(sf.encode(W, "dense"), "int4", moments=flat), sf.quantize(sf.encode(W, "dense"), "int4")
    )


@pytest.mark.parametrize("moments", [3, "moments", M.second])
def test_moments_that_are_none(moments: object) -> None:
    with pytest.raises(sf.FormatError, match="moments: want"):
        sf.quantize(sf.encode(W, "dense"), "int4:g8", moments=moments)  # type: ignore[arg-type]


@pytest.mark.parametrize("scale", [1e-100, 1e-25, 1e25, 1e100])
@pytest.mark.parametrize("method", ["admm", "sparsegpt", "wanda"])
def test_the_unit_of_inputs_changes_nothing(scale: float, method: sf.prune.compensate.Method) -> None:
    """The fit is in float32, which holds no squares of these."""
    x = np.random.default_rng(3).standard_normal((200, 8)) @ np.random.default_rng(4).standard_normal((8, 8))
    w = np.random.default_rng(5).standard_normal((4, 8))
    plain = sf.prune.compensated(w, "nm2:4", sf.prune.Moments(8).update(x), method=method)
    other = sf.prune.compensated(w, "nm2:4", sf.prune.Moments(8).update(x * scale), method=method)
    np.testing.assert_allclose(other.weight, plain.weight, rtol=1e-2, atol=1e-3)
    assert other.output_error == pytest.approx(plain.output_error, rel=1e-2)


@pytest.mark.parametrize("scale", [1e-200, 1e-100, 1e100, 1e300])
def test_the_unit_of_weights_changes_nothing(scale: float) -> None:
    x, w = np.random.default_rng(3).standard_normal((200, 8)), np.random.default_rng(5).standard_normal((4, 8))
    m = sf.prune.Moments(8).update(x)
    plain, other = sf.prune.compensated(w, "nm2:4", m), sf.prune.compensated(w * scale, "nm2:4", m)
    np.testing.assert_allclose(other.weight / scale, plain.weight, rtol=1e-3, atol=1e-4)
    assert other.output_error == pytest.approx(plain.output_error, rel=1e-3)


def test_weights_that_outgrow_their_dtype() -> None:
    w = np.full((1, 2), 60000, np.float16)
    x = np.random.default_rng(0).standard_normal((50, 1)) @ np.ones((1, 2))
    with pytest.raises(sf.FormatError, match="which float16 does not hold; give w as float32"):
        sf.prune.compensated(w, "nm1:2", sf.prune.Moments(2).update(x))


@pytest.mark.parametrize("bias", [[0] * 4, np.zeros(4, bool), np.full(4, np.nan), np.zeros(4, complex)])
def test_a_bias_that_takes_no_correction(bias: object) -> None:
    """Rounded to whole numbers it would be lost, and nothing would say so."""
    m = sf.prune.Moments(8).update(np.random.default_rng(0).standard_normal((64, 8)))
    with pytest.raises(sf.FormatError, match="bias: want finite floats"):
        sf.prune.compensated(np.ones((4, 8)), "nm2:4", m, bias=bias)


@pytest.mark.parametrize("damp", [-1, np.nan, np.inf, "x"])
def test_damping_that_is_none(damp: float) -> None:
    m = sf.prune.Moments(8).update(np.random.default_rng(0).standard_normal((64, 8)))
    for call in (sf.prune.compensated, sf.prune.sparsegpt):
        with pytest.raises(sf.FormatError, match=r"damp = .*; want a number >= 0"):
            call(np.ones((4, 8)), "nm2:4", m, damp=damp)
