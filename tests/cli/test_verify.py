"""`sparsefmt verify`: exact, pruned, different, missing."""

import json
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import scipy.sparse

import sparsefmt as sf
from commandline import Cli
from sparsefmt import compare


@pytest.fixture
def packed(cli: Cli, model: Path, tmp_path: Path) -> Path:
    cli.ok("pack", model, tmp_path / "packed.safetensors", "--format", "csr")
    return tmp_path / "packed.safetensors"


def changed(path: Path, **tensors: np.ndarray) -> None:
    sf.save(path, sf.load(path, mmap=False) | tensors)


def statuses(cli: Cli, *args: object) -> tuple[int, dict[str, str], dict[str, Any]]:
    result = cli.run("verify", "--json", *args)
    report = json.loads(result.stdout)
    return result.exit_code, {t["name"]: t["status"] for t in report["tensors"]}, report


def test_exact(cli: Cli, model: Path, packed: Path) -> None:
    assert cli.ok("verify", model, packed).endswith("7 exact: verified\n")


def test_signs_of_zeros_do_not_count_but_nan_payloads_do(cli: Cli, tmp_path: Path) -> None:
    w = np.zeros((64, 64), np.float32)
    w[0, :3] = np.array([0x80000000, 0x7FC00001, 0x7FC00002], np.uint32).view(np.float32)
    np.save(tmp_path / "w.npy", w)
    cli.ok("pack", tmp_path / "w.npy", tmp_path / "p.safetensors", "--format", "csr")
    cli.ok("verify", tmp_path / "w.npy", tmp_path / "p.safetensors")
    w.view(np.uint32)[0, 1] = 0x7FC00003
    np.save(tmp_path / "w.npy", w)
    code, found, report = statuses(cli, tmp_path / "w.npy", tmp_path / "p.safetensors")
    assert (code, found) == (1, {"w": "differs"})
    assert report["tensors"][0]["max_abs_error"] == "inf"


@pytest.mark.parametrize("fmt", ["nm2:4", "csr", "bitmask", "coo", "csc", "bsr4x4", "dense"])
@pytest.mark.parametrize("place", [0, -1])
def test_one_bit_of_many_pieces_counts(cli: Cli, tmp_path: Path, fmt: str, place: int) -> None:
    """Of a tensor that is compared piece by piece."""
    w = np.zeros((4200, 1040), np.float32)
    w[::3, ::4] = 1.5
    w[-1, -1] = 2
    np.save(tmp_path / "w.npy", w)
    cli.ok("pack", tmp_path / "w.npy", tmp_path / "p.safetensors", "--format", fmt)
    assert statuses(cli, tmp_path / "w.npy", tmp_path / "p.safetensors")[:2] == (0, {"w": "exact"})
    w.reshape(-1).view(np.uint32)[place] ^= 1
    np.save(tmp_path / "w.npy", w)
    assert statuses(cli, tmp_path / "w.npy", tmp_path / "p.safetensors")[:2] == (1, {"w": "differs"})


def test_pruned_is_accepted_where_pack_says_so(
    cli: Cli, model: Path, tmp_path: Path, weights: dict[str, np.ndarray]
) -> None:
    out = tmp_path / "p.safetensors"
    cli.ok("pack", model, out, "--format", "nm2:4", "--prune")
    code, found, report = statuses(cli, model, out)
    assert code == 0
    assert found["a.weight"] == "pruned"
    assert found["a.bias"] == "exact"
    row = next(t for t in report["tensors"] if t["name"] == "a.weight")
    w, kept = weights["a.weight"], sf.prune.nm(weights["a.weight"])
    assert row["equal"] == 0.5
    assert row["max_abs_error"] == np.abs(w - kept).max()
    assert row["relative_frobenius_error"] == pytest.approx(np.linalg.norm(w - kept) / np.linalg.norm(w), 1e-6)
    text = cli.ok("verify", model, out)
    assert text.endswith("4 exact, 3 pruned: verified\n")
    assert cli.run("verify", model, out, "--strict").exit_code == 1
    sf.save(out, sf.load(out, mmap=False))  # the list of pruned tensors is gone
    assert cli.run("verify", model, out).exit_code == 1


def test_a_changed_value_in_a_pruned_tensor_differs(cli: Cli, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "p.safetensors"
    cli.ok("pack", model, out, "--format", "nm2:4", "--prune")
    w = sf.load(out)["a.weight"].to_dense()
    w[w != 0] += 1
    sf.save(out, sf.load(out, mmap=False) | {"a.weight": sf.encode(w, "2:4")}, sf.io.read_metadata(out))
    code, found, _ = statuses(cli, model, out)
    assert (code, found["a.weight"]) == (1, "differs")


def test_missing_extra_other_shape_and_dtype(cli: Cli, model: Path, packed: Path) -> None:
    tensors = sf.load(packed, mmap=False)
    del tensors["small"]
    tensors["more"] = np.ones(3)
    tensors["a.bias"] = np.ones(65, np.float32)
    tensors["ids"] = np.arange(2048, dtype=np.int32).reshape(2, 1024)
    sf.save(packed, tensors)
    result = cli.run("verify", model, packed)
    assert result.exit_code == 1
    assert "FAILED for 4 of 8 tensors" in result.stdout
    code, found, report = statuses(cli, model, packed)
    assert (code, report["total"]["failing"], report["total"]["other"]) == (1, 4, 4)
    assert (found["small"], found["more"]) == ("missing", "extra")
    assert found["ids"] == "other shape or dtype: int32 (2, 1024), was int64 (2, 1024)"
    assert "(65,), was float32 (64,)" in found["a.bias"]


def test_one_changed_bit_anywhere_is_found(cli: Cli, model: Path, packed: Path, weights: dict[str, np.ndarray]) -> None:
    for name in ("a.weight", "ids"):
        w = weights[name].copy()
        w.reshape(-1)[-1] += 1
        changed(packed, **{name: w})
    code, found, _ = statuses(cli, model, packed)
    assert code == 1
    assert {n for n, s in found.items() if s == "differs"} == {"a.weight", "ids"}


def test_huge_sparse_matrices_are_never_dense(cli: Cli, tmp_path: Path) -> None:
    m = scipy.sparse.coo_array(([1.0, 2.0], ([0, 10**6], [5, 10**6])), (2 * 10**6, 2 * 10**6))
    scipy.sparse.save_npz(tmp_path / "m.npz", m)
    cli.ok("pack", tmp_path / "m.npz", tmp_path / "p.safetensors", "--format", "csr")
    cli.ok("verify", tmp_path / "m.npz", tmp_path / "p.safetensors")
    cli.ok("convert", tmp_path / "p.safetensors", tmp_path / "q.safetensors", "--format", "coo")
    cli.ok("verify", tmp_path / "p.safetensors", tmp_path / "q.safetensors")
    m.data[1] = 3
    scipy.sparse.save_npz(tmp_path / "m.npz", m)
    assert cli.run("verify", tmp_path / "m.npz", tmp_path / "p.safetensors").exit_code == 1


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint64", "float16", "bfloat16", "float8_e5m2", "complex128"])
@pytest.mark.parametrize("shape", [(), (5,), (3, 4), (2, 3, 4), (0, 4), (4, 0)])
def test_every_dtype_and_rank(dtype: str, shape: tuple[int, ...]) -> None:
    kind = np.dtype(getattr(ml_dtypes, dtype, None) or dtype)
    w = np.ones(shape, kind)
    assert compare(w, w.copy()).status == "exact"
    if w.size:
        zeroed = w.copy()
        zeroed[(0,) * len(shape)] = 0
        found = compare(zeroed, w)
        assert (found.status, found.unequal, found.max_abs) == ("pruned", 1, 1.0)
        assert found.rel_frobenius == pytest.approx(w.size**-0.5)
        assert compare(w, zeroed).status == "differs"


def test_infinities_give_an_infinite_error() -> None:
    a, b = np.array([np.inf, 1.0]), np.array([-np.inf, 1.0])
    assert compare(a, a).max_abs == 0
    assert compare(a, b).max_abs == np.inf


@pytest.mark.parametrize("codec", ["int8", "int4:g32:asym", "kmeans16"])
def test_quantized_is_measured_and_accepted(cli: Cli, model: Path, tmp_path: Path, codec: str) -> None:
    out = tmp_path / "q.safetensors"
    cli.ok("pack", model, out, "--format", f"nm2:4/{codec}", "--prune")
    code, found, report = statuses(cli, model, out)
    assert (code, found["a.weight"], report["total"]["quantized"]) == (0, "quantized", 3)
    row = next(t for t in report["tensors"] if t["name"] == "a.weight")
    want = sf.compare(sf.load(out)["a.weight"], sf.load(model)["a.weight"])
    assert row["max_abs_error"] == pytest.approx(want.max_abs)
    assert row["relative_frobenius_error"] == pytest.approx(want.rel_frobenius)
    assert cli.run("verify", model, out, "--strict").exit_code == 1


def test_sparse_input_under_a_codec(cli: Cli, tmp_path: Path) -> None:
    m = scipy.sparse.random_array((64, 64), density=0.1, rng=np.random.default_rng(5))
    scipy.sparse.save_npz(tmp_path / "m.npz", m)
    for codec in ("int8:row", "kmeans16"):
        cli.ok("pack", tmp_path / "m.npz", tmp_path / "p.safetensors", "--format", f"csr/{codec}", "--force")
        cli.ok("verify", tmp_path / "m.npz", tmp_path / "p.safetensors")
    cli.ok("pack", tmp_path / "m.npz", tmp_path / "raw.safetensors", "--format", "csr")
    line = cli.fails(3, "convert", tmp_path / "raw.safetensors", tmp_path / "q.safetensors", "--format", "coo/int8")
    assert "sf.quantize" in line
    assert "sparsefmt convert --quantize CODEC" in line


def test_shapes_beyond_int64_and_numbers_beyond_their_squares(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "a.mtx").write_text(
        "%%MatrixMarket matrix coordinate real general\n3000000000 5000000000 2\n3000000000 5000000000 2\n1 1 -0.5\n"
    )
    cli.ok("pack", tmp_path / "a.mtx", tmp_path / "o.safetensors", "--format", "coo")
    cli.ok("verify", tmp_path / "a.mtx", tmp_path / "o.safetensors")
    np.save(tmp_path / "a.npy", np.array([[2e154]]))
    np.save(tmp_path / "b.npy", np.array([[1.5e154]]))
    cli.ok("pack", tmp_path / "b.npy", tmp_path / "b.safetensors", "--format", "csr")
    verify = ("verify", tmp_path / "a.npy", tmp_path / "b.safetensors", "--max-rel-error")
    assert cli.run(*verify, "0.2499").exit_code == 1
    cli.ok(*verify, "0.2501")


@pytest.mark.parametrize(
    ("dtype", "fmt"),
    [
        (dtype, fmt)
        for dtype in ("int8", "uint8", "int16", "bfloat16", "float8_e4m3fn", "float8_e5m2")
        for fmt in ("dense/int8", "csr/int4:g8:asym", "bitmask/int3:row:f32", "gap/kmeans3", "bsr2x4/int2")
    ],
)
def test_another_model_of_the_same_shape_differs(cli: Cli, tmp_path: Path, dtype: str, fmt: str) -> None:
    """Integers of one scale are not roundings of their neighbours, nor are values of a short dtype."""
    rng = np.random.default_rng(0)
    originals = [rng.integers(0, 2, (32, 64)).astype(dtype) for _ in range(2)]
    for name, w in zip("ab", originals, strict=True):
        sf.save(tmp_path / f"{name}.safetensors", {"w": w})
        sf.save(tmp_path / f"{name}.packed.safetensors", {"w": sf.encode(w, fmt)})
    code, found, _ = statuses(cli, tmp_path / "a.safetensors", tmp_path / "a.packed.safetensors")
    assert (code, found["w"] in ("exact", "quantized")) == (0, True)
    code, found, _ = statuses(cli, tmp_path / "a.safetensors", tmp_path / "b.packed.safetensors")
    assert (code, found) == (1, {"w": "differs"})


@pytest.mark.parametrize("dtype", [ml_dtypes.float8_e5m2, ml_dtypes.float8_e4m3fn])
def test_the_next_value_of_a_short_dtype_differs(cli: Cli, tmp_path: Path, dtype: type) -> None:
    """Its steps are far wider than the scale."""
    w = np.array([[1.75, 1.5, -1.75, 1.25]], dtype)
    up = (w.view(np.uint8) + 1).view(dtype)
    sf.save(tmp_path / "w.safetensors", {"w": w})
    for original, status in ((w, "exact"), (up, "differs")):
        sf.save(tmp_path / "p.safetensors", {"w": sf.encode(original, "dense/int8:f32")})
        assert statuses(cli, tmp_path / "w.safetensors", tmp_path / "p.safetensors")[1] == {"w": status}


def test_what_holds_no_numbers(cli: Cli, tmp_path: Path) -> None:
    """Texts and records: an archive failed against itself. What pack leaves behind is missing."""
    w, odd = np.eye(64, dtype=np.float32), {"t": np.array(["a", "b"]), "r": np.zeros(2, [("a", "f4"), ("b", "i4")])}
    np.savez(tmp_path / "m.npz", w=w, **odd)
    np.savez(tmp_path / "n.npz", w=w, t=np.arange(3), r=odd["r"])
    cli.ok("pack", tmp_path / "m.npz", tmp_path / "p.safetensors", "--format", "csr")
    said = cli.ok("verify", tmp_path / "m.npz", tmp_path / "m.npz")
    assert "1 exact: verified\nnot compared, for it holds no numbers: t (str32), r (void64)\n" in said
    assert sf.transform(tmp_path / "m.npz", None, sf.checkpoint.verify(tmp_path / "m.npz")).verified
    assert not sf.transform(tmp_path / "p.safetensors", None, sf.checkpoint.verify(tmp_path / "m.npz")).verified
    left = {"w": "exact", "t": "missing", "r": "missing"}
    assert statuses(cli, tmp_path / "m.npz", tmp_path / "p.safetensors")[:2] == (1, left)
    assert statuses(cli, tmp_path / "m.npz", tmp_path / "p.safetensors", "--exclude", "[rt]")[0] == 0
    asked = statuses(cli, tmp_path / "m.npz", tmp_path / "p.safetensors", "--include", "t")
    assert asked[:2] == (1, {"t": "missing"})
    code, found, _ = statuses(cli, tmp_path / "m.npz", tmp_path / "n.npz")
    assert (code, found["w"], list(found)) == (
        1,
        "exact",
        ["t", "w"],
    )  # numbers in the place of texts are another thing
    assert found["t"].startswith("other")
