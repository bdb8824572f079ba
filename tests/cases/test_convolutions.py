"""Weights of rank 3 and 4 in checkpoints: groups of N:M lie along the input channels, and files get smaller."""

from pathlib import Path

import numpy as np
import pytest

import sparsefmt as sf
from commandline import Cli, same_bits

CASE = Path(__file__).parent.parent / "data" / "cases" / "checkpoints" / "conv_1x1.safetensors"
SHAPES = {"conv1.weight": (16, 32, 1, 1), "conv2.weight": (16, 24, 3, 3), "conv3.weight": (32, 64, 5)}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    weights = {name: rng.standard_normal(shape).astype(np.float16) for name, shape in SHAPES.items()}
    path = tmp_path / "model.safetensors"
    sf.save(path, {**weights, "fc.weight": rng.standard_normal((64, 48)).astype(np.float32)})
    return path


def test_one_by_one_of_the_field(tmp_path: Path) -> None:
    [(name, w)] = sf.load(CASE).items()
    out = tmp_path / "out.safetensors"
    Cli().ok("pack", CASE, out, "--format", "nm2:4", "--prune", "--include", "*")
    t = sf.load(out)[name]
    assert isinstance(t, sf.SparseTensor)
    assert (t.shape, t.axis, t.bits_per_weight) == (w.shape, 1, 9.0)
    assert same_bits(t.to_dense(), sf.prune.nm(w, axis=1))
    assert np.count_nonzero(t.to_dense()) * 2 == w.size


@pytest.mark.parametrize("fmt", ["nm2:4", "nm2:4/int4:g16", "nm2:4@64"])
def test_pack_verify_convert_unpack(model: Path, fmt: str, tmp_path: Path) -> None:
    cli, out, again, plain = Cli(), *(tmp_path / f"{n}.safetensors" for n in ("out", "again", "plain"))
    cli.ok("pack", model, out, "--format", fmt, "--prune", "--include", "*")
    packed, original = sf.load(out), sf.load(model)
    for name, t in packed.items():
        assert isinstance(t, sf.SparseTensor)
        assert t.axis == 1
        want = sf.encode(original[name], fmt, prune=True, axis=1)
        assert sf.equal(t, want)
    assert "verified" in cli.ok("verify", model, out)
    assert cli.run("verify", model, out, "--strict").exit_code == 1
    cli.ok("convert", out, again, "--format", "csr")
    assert {t.axis for t in sf.load(again).values()} == {1}
    cli.ok("unpack", again, plain)
    for name, w in sf.load(plain).items():
        assert same_bits(np.asarray(w), packed[name].to_dense())
    assert "nm2:4" in cli.ok("inspect", out)
    assert "nm2:4" in cli.ok("inspect", out, "--against", model)


def test_the_axis_is_a_choice(model: Path, tmp_path: Path) -> None:
    cli, out = Cli(), tmp_path / "out.safetensors"
    cli.ok("pack", model, out, "--format", "nm2:4", "--prune", "--include", "*", "--conv-axis", "-1")
    assert {t.axis for t in sf.load(out).values()} == {1, 2, 3}
    cli.ok("pack", model, out, "--format", "nm2:4", "--prune", "--include", "*", "--conv-axis", "0", "--force")
    assert {n: t.axis for n, t in sf.load(out).items()} == {**dict.fromkeys(SHAPES, 0), "fc.weight": 1}
    assert "verified" in cli.ok("verify", model, out)
    assert cli.run("pack", model, out, "--format", "csr", "--conv-axis", "4").exit_code == 2
    assert "input channels" in cli.ok("pack", "--help")


def test_packed_input_keeps_its_axis(model: Path, tmp_path: Path) -> None:
    cli, first, second = Cli(), tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    cli.ok("pack", model, first, "--format", "nm4:8", "--prune", "--include", "*")
    cli.ok("pack", first, second, "--format", "nm1:4", "--prune", "--include", "*")
    for name, t in sf.load(second).items():
        assert isinstance(t, sf.SparseTensor)
        assert sf.equal(t, sf.encode(sf.load(first)[name].to_dense(), "nm1:4", prune=True, axis=1))
    cli.ok("convert", first, second, "--quantize", "int8:g32", "--force")
    assert {(t.format, t.axis) for t in sf.load(second).values()} == {("nm4:8/int8:g32", 1)}
    assert "verified" in cli.ok("verify", first, second)


@pytest.mark.parametrize("axis", ["1", "-1", "0"])
def test_a_plan_prunes_along_the_axis(model: Path, tmp_path: Path, axis: str) -> None:
    cli, out, plan = Cli(), tmp_path / "out.safetensors", tmp_path / "plan.json"
    sf.plan.Plan({"conv2": "nm2:4", "conv3.weight": "nm2:4/int8", "fc": "nm2:4"}).save(plan)
    cli.ok("pack", model, out, "--plan", plan, *(() if axis == "1" else ("--conv-axis", axis)))
    weights = sf.load(model)
    for name, fmt in (("conv2.weight", "nm2:4"), ("conv3.weight", "nm2:4/int8")):
        t = sf.load(out)[name]
        assert isinstance(t, sf.SparseTensor)
        assert sf.equal(t, sf.encode(weights[name], fmt, prune=True, axis=int(axis)))
    assert sf.equal(sf.load(out)["fc.weight"], sf.encode(weights["fc.weight"], "nm2:4", prune=True))  # type: ignore[arg-type]


def test_steps_and_their_ranges_of_rows(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of a few rows, which lie across the axis, change nothing."""
    monkeypatch.setattr("sparsefmt.checkpoint.transform_run.CHUNK", 1 << 10)
    out, plain = tmp_path / "out.safetensors", tmp_path / "plain.safetensors"
    step = sf.checkpoint.pack("nm2:4", prune=True, conv_axis=1)
    sf.transform(model, out, step, select="*")
    for name, w in sf.load(model).items():
        assert sf.equal(sf.load(out)[name], sf.encode(w, "nm2:4", prune=True, axis=1))  # type: ignore[arg-type]
    sf.transform(out, plain, sf.checkpoint.unpack())
    for name, w in sf.load(plain).items():
        assert same_bits(np.asarray(w), sf.load(out)[name].to_dense())
    sf.transform(model, plain, sf.checkpoint.pack("nm2:4", prune=True), select="*", overwrite=True)
    assert [t.axis for n, t in sf.load(plain).items() if n in SHAPES] == [3, 3, 2]
