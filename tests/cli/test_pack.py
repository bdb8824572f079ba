"""`sparsefmt pack`: what is packed, what stays plain, what is refused."""

from collections.abc import Callable
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import scipy.io
import scipy.sparse

import sparsefmt as sf
from commandline import Cli, same_bits
from sparsefmt.io.read import read_metadata


def packed_names(path: Path) -> set[str]:
    return {name for name, t in sf.load(path).items() if isinstance(t, sf.SparseTensor)}


def test_default_rule_packs_large_float_matrices(
    cli: Cli, model: Path, tmp_path: Path, weights: dict[str, np.ndarray]
) -> None:
    out = tmp_path / "out.safetensors"
    text = cli.ok("pack", model, out, "--format", "csr")
    assert text.startswith("packed 3 of 7 tensors as csr: ")
    assert packed_names(out) == {"a.weight", "b.weight", "embed.weight"}
    for name, t in sf.load(out).items():
        assert same_bits(t.to_dense() if isinstance(t, sf.SparseTensor) else t, weights[name])
    assert read_metadata(out) == {"format": "pt"}


@pytest.mark.parametrize(
    ("args", "names"),
    [
        (["--include", "*.weight", "--exclude", "*embed*"], {"a.weight", "b.weight"}),
        (["--exclude", "[ab].*"], {"embed.weight"}),
        (["--include", "ids", "--include", "a.bias"], {"ids", "a.bias"}),
        (["--include", "*", "--exclude", "scalar"], {"a.weight", "b.weight", "embed.weight", "a.bias", "small", "ids"}),
        (["--include", "*"], {"a.weight", "b.weight", "embed.weight", "a.bias", "small", "ids"}),
        (["--include", "*", "--min-size", "3000"], {"a.weight", "b.weight", "embed.weight"}),
        (["--min-size", "0"], {"a.weight", "b.weight", "embed.weight", "small"}),
        (["--min-size", "4000"], {"embed.weight"}),
    ],
)
def test_selection(cli: Cli, model: Path, tmp_path: Path, args: list[str], names: set[str]) -> None:
    out = tmp_path / "out.safetensors"
    cli.ok("pack", model, out, "--format", "csr", *args)
    assert packed_names(out) == names


@pytest.mark.parametrize(
    ("fmt", "args", "prune"),
    [
        ("nm2:4", [], lambda w: sf.prune.nm(w, 2, 4)),
        ("4:8@64", [], lambda w: sf.prune.nm(w, 4, 8)),
        ("csr", ["--density", "0.25"], lambda w: sf.prune.magnitude(w, 0.25)),
        ("bitmask", ["--density", ".5"], lambda w: sf.prune.magnitude(w, 0.5)),
        ("bsr8x4", ["--density", "0.3"], lambda w: sf.prune.block(w, (8, 4), 0.3)),
    ],
)
def test_prune(
    cli: Cli,
    model: Path,
    tmp_path: Path,
    weights: dict[str, np.ndarray],
    fmt: str,
    args: list[str],
    prune: Callable[..., np.ndarray],
) -> None:
    out = tmp_path / "out.safetensors"
    cli.ok("pack", model, out, "--format", fmt, "--prune", *args)
    for name in ("a.weight", "b.weight"):
        assert same_bits(sf.load(out)[name].to_dense(), prune(weights[name]))


def test_missing_pattern_names_the_tensor_and_the_ways_out(cli: Cli, model: Path, tmp_path: Path) -> None:
    line = cli.fails(3, "pack", model, tmp_path / "out.safetensors", "--format", "nm2:4")
    assert "a.weight: row 0, columns 0..3 hold" in line
    assert "--prune" in line
    assert "--skip" in line
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.safetensors"]


def test_skip_leaves_tensors_plain(cli: Cli, tmp_path: Path, weights: dict[str, np.ndarray]) -> None:
    path, out = tmp_path / "m.safetensors", tmp_path / "out.safetensors"
    sf.save(path, weights | {"a.weight": sf.prune.nm(weights["a.weight"], 2, 4), "z": np.ones((64, 64), np.complex64)})
    assert cli.ok("pack", path, out, "--format", "nm2:4", "--skip").startswith("packed 1 of 8 tensors")
    assert packed_names(out) == {"a.weight"}


def test_complex_into_nm_is_refused_with_the_name(cli: Cli, tmp_path: Path) -> None:
    np.savez(tmp_path / "m.npz", z=np.ones((64, 64), np.complex64))
    line = cli.fails(3, "pack", tmp_path / "m.npz", tmp_path / "o.safetensors", "--format", "2:4")
    assert line.startswith("sparsefmt: error: z: nm does not hold complex64")


def test_npy_holds_one_tensor_which_is_always_packed(cli: Cli, tmp_path: Path) -> None:
    w = np.array([[0, 1], [2, 0]], ">i2")
    np.save(tmp_path / "w.npy", w)
    cli.ok("pack", tmp_path / "w.npy", tmp_path / "o.safetensors", "--format", "csr")
    assert same_bits(sf.load(tmp_path / "o.safetensors")["w"].to_dense(), w.astype("=i2"))


def test_npz_of_numpy(cli: Cli, tmp_path: Path, weights: dict[str, np.ndarray]) -> None:
    np.savez_compressed(tmp_path / "m.npz", **weights)
    cli.ok("pack", tmp_path / "m.npz", tmp_path / "o.safetensors", "--format", "bitmask")
    assert packed_names(tmp_path / "o.safetensors") == {"a.weight", "b.weight", "embed.weight"}


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "bsr", "dia"])
@pytest.mark.parametrize("kind", ["array", "matrix"])
def test_npz_of_scipy(cli: Cli, tmp_path: Path, form: str, kind: str) -> None:
    m = scipy.sparse.random_array((20, 30), density=0.2, format=form, rng=np.random.default_rng(1))
    m = m if kind == "array" else getattr(scipy.sparse, f"{form}_matrix")(m)
    scipy.sparse.save_npz(tmp_path / "m.npz", m)
    out = tmp_path / "o.safetensors"
    cli.ok("pack", tmp_path / "m.npz", out, "--format", "csr")
    assert np.array_equal(sf.load(out)["m"].to_dense(), m.toarray())
    cli.ok("verify", tmp_path / "m.npz", out)


def test_mtx_dense_and_sparse(cli: Cli, tmp_path: Path) -> None:
    m = scipy.sparse.random_array((9, 12), density=0.3, rng=np.random.default_rng(2))
    for name, value in (("sparse.mtx", m), ("dense.mtx", m.toarray())):
        scipy.io.mmwrite(tmp_path / name, value, precision=17)
        out = tmp_path / f"{name}.safetensors"
        cli.ok("pack", tmp_path / name, out, "--format", "bsr3x4")
        assert np.array_equal(sf.load(out)[name.partition(".")[0]].to_dense(), m.toarray())


def test_sparse_input_can_be_pruned(cli: Cli, tmp_path: Path) -> None:
    m = scipy.sparse.random_array((8, 16), density=0.9, rng=np.random.default_rng(3))
    scipy.sparse.save_npz(tmp_path / "m.npz", m)
    cli.ok("pack", tmp_path / "m.npz", tmp_path / "o.safetensors", "--format", "2:4", "--prune")
    assert np.array_equal(sf.load(tmp_path / "o.safetensors")["m"].to_dense(), sf.prune.nm(m.toarray()))


def test_bfloat16_and_float8(cli: Cli, tmp_path: Path) -> None:
    w = np.random.default_rng(4).standard_normal((64, 64))
    tensors = {d: w.astype(getattr(ml_dtypes, d)) for d in ("bfloat16", "float8_e4m3fn", "float8_e8m0fnu")}
    sf.save(tmp_path / "m.safetensors", tensors)
    cli.ok("pack", tmp_path / "m.safetensors", tmp_path / "o.safetensors", "--format", "2:4", "--prune")
    assert packed_names(tmp_path / "o.safetensors") == {"bfloat16", "float8_e4m3fn"}
    cli.ok("verify", tmp_path / "m.safetensors", tmp_path / "o.safetensors")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--format", "nm5:4"], "format 'nm5:4': N = 5; want an integer in 1..4"),
        (["--format", "crs"], "did you mean 'csr'?"),
        (["--format", "csr/int9"], "int9"),
        (["--format", "csr", "--prune"], "needs --density"),
        (["--format", "2:4", "--prune", "--density", "0.5"], "2:4 fixes it"),
        (["--format", "csr", "--density", "0.5"], "add --prune"),
        (["--format", "csr", "--prune", "--density", "1.5"], "1.5 is not in the range"),
        (["--format", "2:4", "--prune", "--skip"], "exclude each other"),
        (["--format", "csr", "--include", "a.wieght"], "matches none of the 7 tensors; near: a.weight"),
        ([], "missing option '--format'"),
        (["--format", "csr", "--colour"], "no such option"),
    ],
)
def test_wrong_usage(cli: Cli, model: Path, tmp_path: Path, args: list[str], says: str) -> None:
    assert says in cli.fails(2, "pack", model, tmp_path / "o.safetensors", *args)
    assert not (tmp_path / "o.safetensors").exists()


def test_nothing_to_pack(cli: Cli, model: Path, tmp_path: Path) -> None:
    line = cli.fails(3, "pack", model, tmp_path / "o.safetensors", "--format", "csr", "--min-size", "99999")
    assert "none of the 7 tensors" in line


def test_what_is_packed_is_packed_anew(cli: Cli, model: Path, tmp_path: Path) -> None:
    cli.ok("pack", model, tmp_path / "o.safetensors", "--format", "csr", "--include", "a.weight")
    out = tmp_path / "p.safetensors"
    cli.ok("pack", tmp_path / "o.safetensors", out, "--format", "nm2:4/int8", "--prune", "--include", "a.weight")
    assert sf.load(out)["a.weight"].format == "nm2:4/int8"
    out.unlink()
    cli.ok("pack", tmp_path / "o.safetensors", out, "--format", "coo", "--exclude", "a.weight")
    assert packed_names(out) == {"a.weight", "b.weight", "embed.weight"}
