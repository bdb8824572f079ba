"""What people meet when they first point the package at files and matrices of their own."""

import json
import struct
import warnings
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import scipy.sparse

import sparsefmt as sf
from commandline import Cli, same_bits
from sparsefmt.checkpoint.rows import MOST_RANGES, ranges

W = np.diag(np.arange(1.0, 65)).astype(np.float32)


def stored(path: Path, tensors: dict[str, tuple[str, list[int], bytes]]) -> Path:
    """A safetensors file with exactly this header."""
    head: dict[str, Any] = {}
    data = b""
    for name, (dtype, shape, part) in tensors.items():
        head[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(part)]}
        data += part
    text = json.dumps(head).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Weights beside what NumPy saves too and safetensors does not."""
    path = tmp_path / "a.npz"
    odd = {"names": np.array(["a", "b"]), "day": np.array(["2020-01-01"], "M8[D]"), "rec": np.zeros(3, [("a", "f4")])}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.savez(path, w=W, b=np.arange(3.0), obj=np.array([{}], object), long=np.ones(2, "longdouble"), **odd)
    return path


ODD = ("names", "day", "rec", "obj", "long")


@pytest.mark.parametrize("options", [(), ("--include", "w"), ("--include", "*", "--skip")])
def test_members_that_nobody_chose_stay_behind_and_are_named(
    archive: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    cli, out = Cli(), tmp_path / "o.safetensors"
    said = cli.ok("pack", archive, out, "--format", "csr", *options)
    for name in ODD:
        assert f"{name} (" in said
    found = sf.load(out)
    assert set(found) == {"w", "b"}
    assert same_bits(found["w"].to_dense(), W)
    assert "verified" in cli.ok("verify", archive, out, "--include", "w", "--include", "b")
    assert cli.run("verify", archive, out).exit_code == 1  # the others are missing, and that is said
    report = sf.transform(archive, tmp_path / "t.safetensors", sf.checkpoint.pack("coo"), select="w")
    assert len(report.not_copied) == len(ODD)


def test_members_that_somebody_chose_are_an_error(archive: Path, tmp_path: Path) -> None:
    line = Cli().fails(3, "pack", archive, tmp_path / "o.safetensors", "--format", "csr", "--include", "names")
    assert "no format holds" in line
    assert not (tmp_path / "o.safetensors").exists()


def test_ranges_are_few_or_refused() -> None:
    assert list(ranges(10, 4, 8, 64)) == [(0, 10)]
    assert list(ranges(20, 8, 8, 64)) == [(0, 8), (8, 16), (16, 20)]
    assert list(ranges(2**62, 0, 8, 64)) == [(0, 2**62)]
    assert list(ranges(0, 0, 8, 64)) == []
    assert next(ranges(MOST_RANGES * 8, 8, 8, 64)) == (0, 8)
    with pytest.raises(sf.SizeError, match="ranges of rows"):
        next(ranges(MOST_RANGES * 8 + 1, 8, 8, 64))


@pytest.mark.parametrize("fmt", ["nm2:4", "dense", "dense/int8", "nm2:4@radix"])
def test_a_matrix_beyond_any_disk_is_refused_at_once(tmp_path: Path, fmt: str) -> None:
    path = tmp_path / "a.mtx"
    path.write_text("%%MatrixMarket matrix coordinate real general\n3000000000 2000000000 1\n3000000000 7 2\n")
    cli, packed = Cli(), tmp_path / "p.safetensors"
    cli.fails(3, "pack", path, tmp_path / "o.safetensors", "--format", fmt)
    cli.ok("pack", path, packed, "--format", "coo")
    cli.fails(3, "convert", packed, tmp_path / "o.safetensors", "--format", fmt)
    for out in ("o.safetensors", "o.npy", "o.npz"):
        assert "ranges of rows" in cli.fails(3, "unpack", packed, tmp_path / out)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.mtx", "p.safetensors"]


@pytest.mark.parametrize("shape", [[2**60, 0], [0, 2**60], [2**40, 0, 2**18]])
def test_weights_beside_a_tensor_of_many_rows_of_nothing(tmp_path: Path, shape: list[int]) -> None:
    path = stored(tmp_path / "a.safetensors", {"e": ("F32", shape, b""), "w": ("F32", [64, 64], W.tobytes())})
    cli, out, back = Cli(), tmp_path / "o.safetensors", tmp_path / "b.safetensors"
    cli.ok("pack", path, out, "--format", "csr")
    assert "2 exact" in cli.ok("verify", path, out)
    cli.ok("unpack", out, back)
    assert same_bits(np.asarray(sf.load(back)["w"]), W)
    assert sf.load(back)["e"].shape == tuple(shape)


def test_shapes_that_numpy_cannot_count(tmp_path: Path) -> None:
    """They pass through files; read, they are a SizeError, not an error of NumPy's."""
    big = ("F32", [2**62, 0], b"")
    path = stored(tmp_path / "a.safetensors", {"e": big, "w": ("F32", [64, 64], W.tobytes())})
    cli, out = Cli(), tmp_path / "o.safetensors"
    cli.ok("pack", path, out, "--format", "csr")
    with sf.open_checkpoint(out) as c:
        assert c.entries["e"].shape == (2**62, 0)
        assert sf.equal(c["w"], sf.encode(W, "csr"))  # type: ignore[arg-type]
        for call in (lambda: c["e"], lambda: c.rows("e", 0, 2**62)):
            with pytest.raises(sf.SizeError, match="e"):
                call()
    for fmt in ("coo", "nm2:4", "dense/int8", "csr/kmeans4"):
        cli.fails(3, "pack", path, tmp_path / "n.safetensors", "--format", fmt, "--include", "*")


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128", "int64"])
@pytest.mark.parametrize("kind", ["csr", "csc", "coo", "bsr", "lil"])
def test_negative_zeros_that_scipy_stores(dtype: str, kind: str) -> None:
    m = scipy.sparse.coo_array((np.array([1, 0, 2, 0, 3], dtype), ([0, 0, 0, 0, 1], [0, 1, 2, 3, 3])), shape=(2, 4))
    m = m.asformat(kind)
    if kind != "lil":
        m.data[m.data == 0] = -m.data[m.data == 0]
    kept, made = sf.from_scipy(m), sf.from_scipy(m, zero="value")
    assert np.array_equal(kept.to_dense(), m.toarray())
    assert np.signbit(kept.to_dense().real).any() == (kind != "lil" and dtype != "int64")
    assert made.slots == kept.slots
    assert np.array_equal(made.to_dense(), m.toarray())
    assert not np.signbit(made.to_dense().real).any()
    assert not np.signbit(made.to_dense().imag).any()
    if not dtype.startswith("complex"):
        assert same_bits(sf.from_scipy(m, "nm2:4", zero="value").to_dense(), made.to_dense())
        if kind != "lil" and dtype != "int64":
            with pytest.raises(sf.PatternError, match=r"\d stored values are -0\.0.*zero='value'"):
                sf.from_scipy(m, "nm2:4")
            with pytest.raises(sf.PatternError, match=r"-0\.0"):
                kept.convert("nm2:4")


def test_a_rule_for_zeros_that_is_none_and_arrays_that_are_shared() -> None:
    m = scipy.sparse.csr_array(np.eye(3))
    with pytest.raises(sf.FormatError, match="zero = 'all'"):
        sf.from_scipy(m, zero="all")  # type: ignore[arg-type]
    assert np.shares_memory(sf.from_scipy(m, zero="value", copy=False).structure.arrays()["indices"], m.indices)
    m.data[1] = -0.0
    assert np.signbit(m.data[1])
    with pytest.raises(sf.FormatError, match=r"-0\.0"):
        sf.from_scipy(m, zero="value", copy=False)
    assert not np.signbit(sf.from_scipy(m, zero="value").to_dense()).any()
    assert np.signbit(m.data[1])  # the matrix is never changed
    with pytest.raises(sf.PatternError) as e:
        sf.from_scipy(scipy.sparse.csr_array(np.ones((1, 4))), "nm2:4")
    assert "-0.0" not in str(e.value)


def test_verify_says_why_zeroed_values_are_not_accepted(tmp_path: Path) -> None:
    a, b = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    w = np.random.default_rng(0).standard_normal((8, 16)).astype(np.float32)
    sf.save(a, {"w": w})
    sf.save(b, {"w": sf.encode(w, "nm2:4", prune=True)})
    result = Cli().run("verify", a, b)
    assert result.exit_code == 1
    assert "does not say that they were pruned" in result.stdout
    assert "does not say" not in Cli().run("verify", a, b, "--strict").stdout
    assert "does not say" not in Cli().ok("verify", a, b, "--max-rel-error", "1")
    assert "does not say" not in Cli().run("verify", a, b, "--max-rel-error", "1e-9").stdout


@pytest.mark.parametrize("dtype", [np.float32, np.int8, ml_dtypes.bfloat16])
@pytest.mark.parametrize(
    "x", [Fraction(1, 2), Decimal(2), np.str_("a"), np.array("a"), np.datetime64(1, "s"), np.array(None)]
)
def test_what_is_no_number_of_numpys_has_no_product(dtype: type, x: Any) -> None:  # noqa: ANN401
    t = sf.encode(np.array([[0, 2, 0, 3]]).astype(dtype), "csr")
    for call in (lambda: t * x, lambda: x * t, lambda: t / x):
        with pytest.raises(TypeError, match="have no product or quotient; use a number of Python or NumPy"):
            call()


def test_numbers_beyond_a_dtype_are_refused_with_the_way_out() -> None:
    """Whole numbers beyond 64 bits are taken where NumPy takes them."""
    w = np.array([[0, 2, 0, 3]])
    for dtype, x in ((np.int8, 300), (np.int64, 2**70), (np.float32, 10**400), (ml_dtypes.bfloat16, 2**70)):
        with pytest.raises(sf.DtypeError, match=r"cast first: t\.astype"):
            sf.encode(w.astype(dtype), "csr") * x
    assert ((sf.encode(w.astype(np.float32), "csr") * 2**70).to_dense() == w.astype(np.float32) * 2**70).all()
    assert ((sf.encode(w.astype(np.float32), "csr") / 2**70).to_dense() == w.astype(np.float32) / 2**70).all()


def test_matmul_of_numpy_with_options_names_ours() -> None:
    t, x = sf.encode(np.eye(3), "csr"), np.ones((3, 2))
    with pytest.raises(
        TypeError, match=r"numpy\.matmul of a packed tensor with out .*use sparsefmt\.matmul\(t, x, out"
    ):
        np.matmul(t, x, out=np.empty((3, 2)))
    with pytest.raises(TypeError, match="with dtype is not supported"):
        np.matmul(x.T, t, dtype=np.float32)
    y = np.ones((2, 3))
    with pytest.raises(TypeError, match=r"with .*out is not supported"):
        y @= t


def test_concatenate_without_an_axis_is_refused() -> None:
    t = sf.encode(np.eye(3), "csr")
    for axis in (None, 2, "a"):
        with pytest.raises(sf.FormatError, match=r"axis = .*; want an integer in -2\.\.1"):
            np.concatenate([t, t], axis=axis)  # type: ignore[call-overload]


@pytest.mark.parametrize("given", ["f4", "<f4", ">f4", "single", np.float32, np.dtype(">f4")])
def test_dtypes_are_taken_as_numpy_takes_them(given: object) -> None:
    """`random` took names alone; `astype` let NumPy's TypeError through for a name that is none."""
    t = sf.random((4, 8), dtype=given)
    assert t.dtype == np.float32
    assert sf.equal(t, sf.random((4, 8), dtype="float32"))
    assert t.astype(np.float64).astype(given).dtype == np.float32
    assert sf.random((4, 8), dtype="bfloat16").astype("f4").dtype == np.float32


@pytest.mark.parametrize("given", ["nope", "U3", "O", "<", "f4,i4", object(), 3])
def test_dtypes_that_are_none(given: Any) -> None:  # noqa: ANN401
    with pytest.raises(sf.DtypeError, match="have bool, int8"):
        sf.random((4, 8), dtype=given)
    with pytest.raises(sf.DtypeError, match="have bool, int8"):
        sf.random((4, 8)).astype(given)
