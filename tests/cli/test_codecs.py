"""Codecs on the command line, from pack to inspect and verify."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sparsefmt as sf
from commandline import Cli

FORMATS = ["nm2:4/int4:g128", "nm2:4/int8:g16:asym:f32", "nm2:4/kmeans16", "bitmask/int8", "csr/int8:tensor"]


@pytest.fixture
def pruned(weights: dict[str, np.ndarray], tmp_path: Path) -> Path:
    """The model with 2:4 weights."""
    path = tmp_path / "pruned.safetensors"
    sf.save(path, {n: sf.prune.nm(w) if w.ndim == 2 and w.dtype.kind == "f" else w for n, w in weights.items()})
    return path


def report(cli: Cli, *args: object) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(cli.ok("inspect", "--json", *args))
    return {"tensors": {t["name"]: t for t in made["tensors"]}, **{k: v for k, v in made.items() if k != "tensors"}}


@pytest.mark.parametrize("fmt", FORMATS)
def test_pack_inspect_verify_unpack(cli: Cli, pruned: Path, tmp_path: Path, fmt: str) -> None:
    out, dense = tmp_path / "q.safetensors", tmp_path / "dense.safetensors"
    assert cli.ok("pack", pruned, out, "--format", fmt).startswith(f"packed 3 of 7 tensors as {fmt}: ")
    t, w = sf.load(out)["a.weight"], sf.load(pruned)["a.weight"]
    assert sf.equal(t, sf.encode(w, fmt))
    assert t.format == fmt
    want = sf.compare(t, w)

    found = report(cli, out, "--against", pruned)["tensors"]["a.weight"]
    assert (found["codec"], found["format"]) == (fmt.split("/")[1], fmt)
    kind = "codebook" if "kmeans" in fmt else "scale"
    a = t.values.arrays()[kind]
    assert found["entries"] == {
        "kind": kind, "shape": list(a.shape), "dtype": a.dtype.name, "low": a.min(), "high": a.max(),
        "asymmetric": "asym" in fmt,
    }  # fmt: skip
    assert found["error"]["status"] == "quantized"
    assert found["error"]["relative_frobenius_error"] == pytest.approx(want.rel_frobenius)
    assert found["error"]["max_abs_error"] == pytest.approx(want.max_abs)
    assert found["error"]["snr_db"] == pytest.approx(want.snr_db)

    cli.ok("unpack", out, dense)
    assert np.array_equal(sf.load(dense)["a.weight"], t.to_dense())


def test_inspect_shows_codec_scales_and_errors(cli: Cli, pruned: Path, tmp_path: Path) -> None:
    out = tmp_path / "q.safetensors"
    cli.ok("pack", pruned, out, "--format", "nm2:4/int4:g16:asym", "--exclude", "embed*")
    plain = cli.ok("inspect", out).splitlines()
    assert plain[0].split()[-2:] == ["codec", "scales"]
    line = next(line for line in plain if line.startswith("a.weight"))
    scale = sf.load(out)["a.weight"].values.scale
    want = f"int4:g16:asym 64x3 float16 {scale.min():.3g}..{scale.max():.3g} and zero points"
    assert " ".join(line.split()).endswith(want)
    against = cli.ok("inspect", out, "--against", pruned).splitlines()
    assert against[0].endswith("rel. error  worst group  max abs error  SNR dB")
    errors = sf.compare(sf.load(out)["a.weight"], sf.load(pruned)["a.weight"])
    cells = next(line.split() for line in against if line.startswith("a.weight"))
    assert cells[-4] == f"{errors.rel_frobenius:.3g}"
    assert errors.worst_group is not None
    assert cells[-3:] == [f"{errors.worst_group.rel_frobenius:.3g}", f"{errors.max_abs:.3g}", f"{errors.snr_db:.2f}"]
    cells = next(line.split() for line in against if line.startswith("a.bias"))
    assert cells[-5:] == ["raw", "0", "0", "0", "inf"]
    assert "codec" not in cli.ok("inspect", pruned).splitlines()[0]  # only where one is used


def test_inspect_against_another_model(cli: Cli, pruned: Path, tmp_path: Path) -> None:
    out = tmp_path / "q.safetensors"
    tensors = sf.load(pruned, mmap=False)
    tensors["more"] = tensors.pop("small")
    tensors["a.bias"] = np.zeros(3)
    sf.save(out, tensors)
    found = report(cli, out, "--against", pruned)
    assert found["missing"] == ["small"]
    assert found["tensors"]["more"]["error"] == {"status": "extra"}
    assert found["tensors"]["a.bias"]["error"]["status"].startswith("other shape or dtype")
    assert found["tensors"]["a.weight"]["error"]["snr_db"] == "inf"
    text = cli.ok("inspect", out, "--against", pruned)
    assert text.endswith(f"only in {pruned}: small\n")
    assert "No such file" in cli.fails(4, "inspect", out, "--against", tmp_path / "no.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"{}")
    assert "bad.safetensors" in cli.fails(3, "inspect", out, "--against", tmp_path / "bad.safetensors")


def test_inspect_against_a_file_of_one_array(cli: Cli, tmp_path: Path) -> None:
    w = np.random.default_rng(0).standard_normal((64, 32)).astype(np.float32)
    np.save(tmp_path / "w.npy", w)
    cli.ok("pack", tmp_path / "w.npy", tmp_path / "other.safetensors", "--format", "dense/int8")
    (found,) = report(cli, tmp_path / "other.safetensors", "--against", tmp_path / "w.npy")["tensors"].values()
    assert 0 < found["error"]["relative_frobenius_error"] < 0.01


def test_max_rel_error_decides(cli: Cli, pruned: Path, tmp_path: Path) -> None:
    out, dense = tmp_path / "q.safetensors", tmp_path / "dense.safetensors"
    cli.ok("pack", pruned, out, "--format", "nm2:4/int4:g16")
    cli.ok("unpack", out, dense)
    originals, packed = sf.load(pruned), sf.load(out)
    worst = max(
        sf.compare(t, originals[name]).rel_frobenius for name, t in packed.items() if isinstance(t, sf.SparseTensor)
    )
    for file in (out, dense):  # quantized, or just different
        text = cli.ok("verify", pruned, file, "--max-rel-error", worst * 1.001)
        assert text.endswith("verified\n")
        failing = cli.run("verify", pruned, file, "--max-rel-error", worst * 0.999)
        assert failing.exit_code == 1
        assert "FAILED for 1 of 7 tensors" in failing.stdout
    assert cli.run("verify", pruned, dense).exit_code == 1
    assert cli.run("verify", pruned, out, "--max-rel-error", 0).exit_code == 1
    cli.ok("verify", pruned, pruned, "--max-rel-error", 0)


def test_max_rel_error_holds_for_pruned_tensors_and_excuses_no_missing_one(
    cli: Cli, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "p.safetensors"
    cli.ok("pack", model, out, "--format", "nm2:4", "--prune")
    cli.ok("verify", model, out)
    assert cli.run("verify", model, out, "--max-rel-error", 0.1).exit_code == 1
    cli.ok("verify", model, out, "--max-rel-error", 0.9)
    tensors = sf.load(out, mmap=False)
    del tensors["small"]
    sf.save(out, tensors)
    assert cli.run("verify", model, out, "--max-rel-error", 1e9).exit_code == 1


def test_max_rel_error_never_accepts_nan(cli: Cli, tmp_path: Path) -> None:
    w = np.ones((4, 4), np.float32)
    np.save(tmp_path / "a.npy", w)
    w[0, 0] = np.nan
    np.save(tmp_path / "b.npy", w)
    assert cli.run("verify", tmp_path / "a.npy", tmp_path / "b.npy", "--max-rel-error", 1e30).exit_code == 1


@pytest.mark.parametrize("limit", ["-0.1", "nan", "x", ""])
def test_max_rel_error_is_a_number(cli: Cli, model: Path, limit: str) -> None:
    assert "--max-rel-error" in cli.fails(2, "verify", model, model, "--max-rel-error", limit)


def test_strict_and_max_rel_error_exclude_each_other(cli: Cli, model: Path) -> None:
    assert "leave out one" in cli.fails(2, "verify", model, model, "--strict", "--max-rel-error", "0.1")


@pytest.mark.parametrize(
    ("fmt", "text"),
    [
        ("nm2:4/int4:g0", ":g0 is unknown; have :gK"),
        ("nm2:4/int4:g-1", "g-1"),
        ("nm2:4/int4:g4:row", "says again"),
        ("nm2:4/int9", "int9"),
        ("nm2:4/kmeans1", "K = 1; want an integer in 2..256"),
        ("nm2:4/kmeans257", "2..256"),
        ("nm2:4/kmeans16:g4", ":g4"),
        ("nm2:4/int8/int4", "int8/int4"),
    ],
)
def test_codecs_that_make_no_sense(cli: Cli, model: Path, tmp_path: Path, fmt: str, text: str) -> None:
    out = tmp_path / "out.safetensors"
    assert text in cli.fails(2, "pack", model, out, "--format", fmt, "--prune")
    assert not out.exists()


@pytest.mark.parametrize("codec", ["int8", "int4:g16", "kmeans4"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(cli: Cli, tmp_path: Path, codec: str, bad: float) -> None:
    w = np.ones((64, 64), np.float32)
    w[3, 5] = bad
    sf.save(tmp_path / "m.safetensors", {"good": np.ones((64, 64), np.float32), "w": w})
    out = tmp_path / "out.safetensors"
    line = cli.fails(3, "pack", tmp_path / "m.safetensors", out, "--format", f"nm2:4/{codec}", "--prune")
    assert "w: row 3, column 5 holds" in line
    assert not out.exists()


def test_values_without_codes(cli: Cli, tmp_path: Path) -> None:
    m, out = tmp_path / "m.npy", tmp_path / "out.safetensors"
    np.save(m, np.full((8, 8), 3e7, np.float32))
    assert ":f32" in cli.fails(3, "pack", m, out, "--format", "dense/int8")
    cli.ok("pack", m, out, "--format", "dense/int8:f32")
    np.save(m, np.full((8, 8), 300, np.int32))
    assert "magnitude of 300" in cli.fails(3, "pack", m, out, "--format", "dense/int8", "--include", "*", "--force")
    np.save(m, np.ones((8, 8), np.complex64))
    assert "complex64" in cli.fails(3, "pack", m, out, "--format", "dense/int8", "--force")
    np.save(m, np.ones((8, 8), np.float32))
    assert "hold 4 nonzeros" in cli.fails(3, "pack", m, out, "--format", "nm2:4/int8", "--force")
