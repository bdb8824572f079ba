"""`sparsefmt unpack`, `convert`, `inspect` and `formats`."""

import json
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import scipy.io
import scipy.sparse

import sparsefmt as sf
from commandline import Cli, same_bits
from sparsefmt.cli.app import COMMANDS
from sparsefmt.io.read import read_metadata


@pytest.fixture
def packed(cli: Cli, model: Path, tmp_path: Path) -> Path:
    path = tmp_path / "packed.safetensors"
    cli.ok("pack", model, path, "--format", "nm2:4", "--prune")
    return path


def test_unpack_to_safetensors_and_npz(
    cli: Cli, packed: Path, model: Path, tmp_path: Path, weights: dict[str, np.ndarray]
) -> None:
    for suffix in ("safetensors", "npz"):
        out = tmp_path / f"back.{suffix}"
        assert cli.ok("unpack", packed, out) == f"unpacked 3 of 7 tensors, copied 4 that are not packed; wrote {out}\n"
        found = sf.load(out) if suffix == "safetensors" else dict(np.load(out))
        for name, w in weights.items():
            assert same_bits(found[name], sf.prune.nm(w) if name.endswith("weight") else w)
        cli.ok("verify", packed, out)
    cli.ok("verify", model, tmp_path / "back.safetensors")  # it still knows what was pruned
    assert read_metadata(tmp_path / "back.safetensors")["format"] == "pt"


def test_unpack_one_tensor(cli: Cli, packed: Path, tmp_path: Path, weights: dict[str, np.ndarray]) -> None:
    want = sf.prune.nm(weights["a.weight"])
    cli.ok("unpack", packed, tmp_path / "a.npy", "--include", "a.weight")
    assert same_bits(np.load(tmp_path / "a.npy"), want)
    cli.ok("verify", tmp_path / "a.npy", tmp_path / "a.npy")
    cli.ok("unpack", packed, tmp_path / "a.mtx", "--include", "a.weight")
    m = scipy.io.mmread(tmp_path / "a.mtx")
    assert m.nnz == want.size // 2
    assert same_bits(m.toarray().astype(np.float32), want)
    cli.ok("unpack", packed, tmp_path / "bias.npy", "--include", "*bias")
    cli.ok("unpack", packed, tmp_path / "small.mtx", "--include", "small")
    assert isinstance(scipy.io.mmread(tmp_path / "small.mtx"), np.ndarray)


def test_a_file_of_no_tensor(cli: Cli, tmp_path: Path) -> None:
    """The error said to choose some of its none."""
    sf.save(tmp_path / "none.safetensors", {})
    for command in (["unpack"], ["pack", "--format", "csr"]):
        told = cli.fails(3, *command, tmp_path / "none.safetensors", tmp_path / "out.safetensors")
        assert "the file holds no tensor" in told
        assert "--include" not in told


def test_texts_are_left_out_and_said(cli: Cli, tmp_path: Path) -> None:
    """`unpack` failed for an archive of numbers and texts."""
    np.savez(tmp_path / "m.npz", w=np.eye(64), names=np.array(["a", "b"]))
    told = cli.ok("unpack", tmp_path / "m.npz", tmp_path / "out.npz")
    assert "not copied: names (str32, for which .npz has no place)" in told
    assert list(np.load(tmp_path / "out.npz")) == ["w"]
    assert "do not hold str32" in cli.fails(3, "unpack", tmp_path / "m.npz", tmp_path / "o.npz", "--include", "names")


def test_npz_takes_any_name_and_order(cli: Cli, tmp_path: Path) -> None:
    tensors = {name: np.full(3, i) for i, name in enumerate(["file", "allow_pickle", "a/b", "ü"])}
    tensors["fortran"] = np.asfortranarray(np.arange(6).reshape(2, 3))
    sf.save(tmp_path / "m.safetensors", tensors)
    cli.ok("unpack", tmp_path / "m.safetensors", tmp_path / "m.npz")
    cli.ok("verify", tmp_path / "m.safetensors", tmp_path / "m.npz")


@pytest.mark.parametrize("suffix", ["npy", "mtx"])
def test_unpack_many_into_a_file_for_one(cli: Cli, packed: Path, tmp_path: Path, suffix: str) -> None:
    line = cli.fails(3, "unpack", packed, tmp_path / f"o.{suffix}")
    assert "holds one tensor, and 7 are to be written; choose one with --include" in line
    assert "matches none" in cli.fails(2, "unpack", packed, tmp_path / f"o.{suffix}", "--include", "x")
    assert "none of the 7" in cli.fails(3, "unpack", packed, tmp_path / f"o.{suffix}", "--exclude", "*")


@pytest.mark.parametrize("suffix", ["npy", "npz", "mtx"])
def test_dtypes_that_other_files_do_not_hold(cli: Cli, tmp_path: Path, suffix: str) -> None:
    sf.save(tmp_path / "m.safetensors", {"w": sf.encode(np.eye(4, dtype=ml_dtypes.bfloat16), "csr")})
    assert "w: " in cli.fails(3, "unpack", tmp_path / "m.safetensors", tmp_path / f"o.{suffix}")
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]


@pytest.mark.parametrize("dtype", ["int8", "uint64", "float16", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("fmt", ["csr", "dense", "plain"])
def test_matrix_market_round_trip(cli: Cli, tmp_path: Path, dtype: str, fmt: str) -> None:
    w = (
        (np.random.default_rng(0).standard_normal((5, 7)) * 9)
        .astype(dtype if dtype != "uint64" else "u1")
        .astype(dtype)
    )
    sf.save(tmp_path / "m.safetensors", {"w": w if fmt == "plain" else sf.encode(w, fmt)})
    cli.ok("unpack", tmp_path / "m.safetensors", tmp_path / "w.mtx")
    m = scipy.io.mmread(tmp_path / "w.mtx")
    assert same_bits((m.toarray() if scipy.sparse.issparse(m) else m).astype(dtype), w)


def test_convert(cli: Cli, packed: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    assert cli.ok("convert", packed, out, "--format", "csr").startswith("converted 3 tensors to csr: ")
    assert {t.format for t in sf.load(out).values() if isinstance(t, sf.SparseTensor)} == {"csr"}
    cli.ok("verify", packed, out)
    part = tmp_path / "part.safetensors"
    cli.ok("convert", out, part, "--format", "bitmask", "--exclude", "a.*")
    assert (sf.load(part)["a.weight"].format, sf.load(part)["b.weight"].format) == ("csr", "bitmask")


def test_convert_needs_the_pattern_and_a_packed_file(cli: Cli, packed: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    line = cli.fails(3, "convert", packed, out, "--format", "nm1:4")
    assert "a.weight: row 0, columns" in line
    assert "prune first" in line
    cli.ok("convert", packed, out, "--format", "nm1:4", "--skip")
    assert sf.load(out)["a.weight"].format == "nm2:4"
    assert "holds no packed tensor" in cli.fails(3, "convert", model, tmp_path / "o2.safetensors", "--format", "csr")


def test_inspect(cli: Cli, packed: Path, weights: dict[str, np.ndarray]) -> None:
    lines = cli.ok("inspect", packed).splitlines()
    cells = next(line.split() for line in lines if line.startswith("a.weight"))
    assert cells == ["a.weight", "64x48", "float32", "nm2:4", "6,464", "16.83", "0.5000"]
    assert next(line.split()[1] for line in lines if line.startswith("scalar")) == "scalar"
    assert not any(line != line.rstrip() for line in lines)
    report = json.loads(cli.ok("inspect", packed, "--json"))
    dense = sum(w.nbytes for w in weights.values())
    assert report["total"]["dense_nbytes"] == dense
    assert report["total"]["file_nbytes"] == packed.stat().st_size
    assert report["total"]["nbytes"] == sum(t["nbytes"] for t in report["tensors"]) < dense
    row = next(t for t in report["tensors"] if t["name"] == "a.weight")
    assert (row["shape"], row["format"], row["bits_per_weight"]) == ([64, 48], "nm2:4", 8 * 6464 / 3072)


def test_inspect_wrong_input(cli: Cli, tmp_path: Path) -> None:
    np.save(tmp_path / "w.npy", np.ones(3))
    assert "read by npy" in cli.ok("inspect", tmp_path / "w.npy")
    (tmp_path / "bad.safetensors").write_bytes(b"\xff" * 100)
    assert "not a safetensors file" in cli.fails(3, "inspect", tmp_path / "bad.safetensors")
    (tmp_path / "empty.safetensors").write_bytes(b"")
    assert "not a safetensors file" in cli.fails(3, "inspect", tmp_path / "empty.safetensors")


def test_names_cannot_steer_the_terminal(cli: Cli, tmp_path: Path) -> None:
    sf.save(tmp_path / "m.safetensors", {"\x1b[2Jw\n[bold]": np.ones(3)})
    text = cli.ok("inspect", tmp_path / "m.safetensors")
    assert "\x1b" not in text
    assert "\\x1b[2Jw [bold]" in text


def test_formats(cli: Cli) -> None:
    text = cli.ok("formats")
    for template in sf.formats():
        assert template in text


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_help(cli: Cli, command: str) -> None:
    text = cli.ok(command, "--help")
    assert text.startswith(f"Usage: sparsefmt {command}")
    assert "\\b" not in text
    assert command in cli.ok("--help")
