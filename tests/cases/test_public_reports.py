"""One test per small script that a public report led to, under the name of the script; the right value by exit code."""

import io
import struct
import warnings
import zipfile
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import scipy.io
import scipy.sparse

import sparsefmt as sf
from commandline import Cli, same_bits

DATA = Path(__file__).parent.parent / "data" / "cases" / "checkpoints"
ONE = "coordinate real general\n1 1 1\n"
PATTERN = "coordinate pattern general\n1 1 1\n"


def packed(path: Path, code: int, fmt: str = "csr") -> str | dict[str, Any]:
    """Packs every tensor of a file: what comes out, or the one line of the error."""
    out = path.with_name(path.name + ".safetensors")
    words = ("pack", path, out, "--format", fmt, "--include", "*", "--force")
    if code:
        line = Cli().fails(code, *words)
        assert not out.exists()
        return line
    assert Cli().run(*words).exit_code == 0
    return dict(sf.load(out))


def matrix(tmp_path: Path, text: str | bytes, code: int) -> str | list[object]:
    """Packs a Matrix Market file: the value, or the line of the error."""
    path = tmp_path / "a.mtx"
    path.write_bytes(b"%%MatrixMarket matrix " + (text if isinstance(text, bytes) else text.encode()))
    found = packed(path, code)
    if isinstance(found, str):
        return found
    [t] = found.values()
    dense: list[object] = t.to_dense().ravel().tolist()
    return dense


def npy(a: np.ndarray) -> bytearray:
    out = io.BytesIO()
    np.lib.format.write_array(out, a)
    return bytearray(out.getvalue())


@pytest.mark.parametrize(
    ("text", "want"),
    [
        (f"{ONE}1 1 4 ", 4.0), (f"{ONE}1 1 4\r", 4.0), (f"{ONE}1 1 4\t", 4.0), (f"{ONE}1 1 2 % end", None),
        (f"{ONE}1 1 1.5D+02", 150.0), (f"{ONE}1 1 4;", None), (f"{ONE}1 1 4\0\n", None),
        (f"{ONE}1 1 4" + "\0" * 4096, None), (f"{PATTERN}1 1 7.5", None), (f"{PATTERN}1 1 ", 1.0),
        ("array real general\n1 1\n4 ", 4.0),
    ],
)  # fmt: skip
def test_c01_mtx_crash_end_of_line(tmp_path: Path, text: str, want: float | None) -> None:
    found = matrix(tmp_path, text, 0 if want is not None else 3)
    if want is None:
        assert isinstance(found, str)
        assert "a.mtx" in found
        assert "line " in found
    else:
        assert found == [want]


def test_c01_mtx_crash_of_a_file_that_scipy_wrote(tmp_path: Path) -> None:
    """With 22 digits SciPy writes NULs behind numbers."""
    m = scipy.sparse.random(42, 42, 0.25, format="coo", random_state=0)
    scipy.io.mmwrite(tmp_path / "p.mtx", m, precision=22)
    assert b"\0" in (tmp_path / "p.mtx").read_bytes()
    assert "line " in packed(tmp_path / "p.mtx", 3)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        (f"{ONE}1 1 1.5D+02", 150.0), (f"{ONE}1 1 -7.-1", -0.7), (f"{ONE}1 1 2.3+2", 230.0),
        (f"{ONE}1 1 5,86e-08", None), (f"{ONE}1 1 0x10", None), (f"{ONE}1 1 1.#INF", None),
        ("coordinate integer general\n1 1 1\n1 1 1e+16", 10**16), ("coordinate integer general\n1 1 1\n1 1 2.75", None),
        (f"{ONE}1 1 2 3", None), ("coordinate complex general\n1 1 1\n1 1 1.0 2.0D+01", 1 + 20j),
        (f"{PATTERN}1 1 7.5", None), ("array real general\n1 1\n1.5D+02", 150.0),
        ("array integer general\n1 1\n2.75", None),
    ],
)  # fmt: skip
def test_c02_mtx_number_prefix(tmp_path: Path, text: str, want: complex | None) -> None:
    found = matrix(tmp_path, f"{text}\n", 0 if want is not None else 3)
    if want is None:
        assert isinstance(found, str)
        assert f"line {text.count(chr(10)) + 1}" in found
    else:
        assert found == [want]


@pytest.mark.parametrize(
    "text",
    [
        "coordinate real symmetric\n2 3 1\n2 1 3", "array real symmetric\n2 3\n1\n2\n3",
        "coordinate real symmetric\n2 2 2\n2 1 3\n1 2 3", "coordinate integer skew-symmetric\n2 2 1\n1 1 4",
        "coordinate complex hermitian\n1 1 1\n1 1 5 7",
        "coordinate integer skew-symmetric\n2 2 1\n2 1 -9223372036854775808",
    ],
)  # fmt: skip
def test_c03_mtx_symmetry(tmp_path: Path, text: str) -> None:
    assert "line " in str(matrix(tmp_path, f"{text}\n", 3))


def test_c06_npz_names(tmp_path: Path) -> None:
    a, b = np.eye(2), 7 * np.eye(2)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as z:
        z.writestr("a.npy", npy(a))
        z.writestr("a.npy.npy", npy(b))
    found = packed(tmp_path / "a.npz", 0)
    assert isinstance(found, dict)
    assert same_bits(found["a"].to_dense(), a)
    assert same_bits(found["a.npy"].to_dense(), b)
    with warnings.catch_warnings(), zipfile.ZipFile(tmp_path / "twice.npz", "w") as z:
        warnings.simplefilter("ignore")
        z.writestr("a.npy", npy(a))
        z.writestr("a.npy", npy(b))
    assert "'a.npy' stands twice" in packed(tmp_path / "twice.npz", 3)
    cli, plain = Cli(), tmp_path / "n.safetensors"
    sf.save(plain, {"a": sf.encode(a, "csr"), "a.npy": sf.encode(b, "csr")})
    cli.ok("unpack", plain, tmp_path / "n.npz")
    assert cli.ok("verify", plain, tmp_path / "n.npz").endswith("2 exact: verified\n")


def zipped(kind: int) -> bytearray:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", kind) as z:
        z.writestr("a.npy", bytes(npy(np.eye(300))))
    return bytearray(out.getvalue())


def damaged(what: str) -> bytearray:
    if what in ("lzma", "bz2"):
        data = zipped(zipfile.ZIP_LZMA if what == "lzma" else zipfile.ZIP_BZIP2)
        data[60:68] = bytes(255 - x for x in data[60:68])
        return data
    data = zipped(zipfile.ZIP_STORED)
    at = data.find(b"PK\1\2")
    if what == "zstd":
        data[8:10] = data[at + 10 : at + 12] = struct.pack("<H", 93)
    else:
        data[6] |= 1
        data[at + 8] |= 1
    return data


@pytest.mark.parametrize("what", ["zstd", "encrypted", "lzma", "bz2"])
def test_c08_exit_70_of_archives(tmp_path: Path, what: str) -> None:
    (tmp_path / "z.npz").write_bytes(damaged(what))
    line = packed(tmp_path / "z.npz", 3)
    assert "z.npz" in line
    assert "a.npy" in line


def test_c08_exit_70(tmp_path: Path) -> None:
    head = npy(np.eye(300))
    head[20:24] = b"(((("
    (tmp_path / "header.npy").write_bytes(head)
    assert "header.npy" in packed(tmp_path / "header.npy", 3)
    for fmt in ("dok", "lil", ""):
        np.savez(tmp_path / "f.npz", format=np.array(fmt), shape=np.array([3, 3]), data=np.ones(3))
        assert "f.npz" in packed(tmp_path / "f.npz", 3)


def test_c10_fractional_indices(tmp_path: Path) -> None:
    parts = {"shape": np.array([4, 4]), "data": np.ones(2), "row": np.array([0.5, 1.9]), "col": np.array([0, 1])}
    np.savez(tmp_path / "c.npz", format=np.array(b"coo"), **parts)
    line = packed(tmp_path / "c.npz", 3)
    assert "c.npz" in line
    assert "0.5" in line
    lil = scipy.sparse.lil_array((2, 3))
    lil.rows[0], lil.data[0] = [1.5], [2.7]
    dok = scipy.sparse.dok_array((2, 3))
    dok._dict[(0.9, 1.5)] = 4.0
    dia = scipy.sparse.dia_array((3, 3))
    dia.data, dia.offsets = np.ones((1, 3)), np.array([2**64 - 1], np.uint64)
    for m, place in ((lil, "1.5"), (dok, "0.9"), (dia, str(2**64 - 1))):
        with pytest.raises(sf.FormatError, match=place.replace(".", r"\.")):
            sf.from_scipy(m)


def test_c11_norms(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([[2e154]]))
    np.save(tmp_path / "b.npy", np.array([[1.5e154]]))
    packed(tmp_path / "b.npy", 0)
    words = ("verify", tmp_path / "a.npy", tmp_path / "b.npy.safetensors", "--max-rel-error")
    assert Cli().run(*words, "1e-9").exit_code == 1
    assert Cli().run(*words, "0.25").exit_code == 0
    far = sf.compare(sf.encode(np.array([[5e-170, 3e-170]]), "csr"), np.array([[1e-170, 0]]))
    assert far.rel_frobenius == pytest.approx(5, rel=1e-12)
    huge = np.array([[1e200]])
    assert sf.compare(sf.encode(huge, "csr"), huge).cosine == 1
    for scale in (1e160, 1e-200):
        w = np.ones((2, 4)) * scale
        w[:, 2:] *= 3
        assert sf.prune.block(w, (2, 2), 0.5)[0].tolist() == [0, 0, 3 * scale, 3 * scale]


def test_c12_verify_huge_shape(tmp_path: Path) -> None:
    head = "%%MatrixMarket matrix coordinate real general\n3000000000 5000000000 2\n3000000000 5000000000 2\n"
    cli, out = Cli(), tmp_path / "o.safetensors"
    for name, last in (("a.mtx", "1 1 -0.5\n"), ("b.mtx", "1 1 -0.25\n"), ("c.mtx", "1 2 -0.5\n")):
        (tmp_path / name).write_text(head + last)
    cli.ok("pack", tmp_path / "a.mtx", out, "--format", "coo")
    assert cli.ok("verify", tmp_path / "a.mtx", out).endswith("1 exact: verified\n")
    for other in ("b.mtx", "c.mtx"):
        assert cli.run("verify", tmp_path / other, out).exit_code == 1
    assert cli.run("inspect", out, "--against", tmp_path / "b.mtx").exit_code == 0


def test_near_zero_groups(tmp_path: Path) -> None:
    """No group vanishes in silence: the scale of float16 is refused, that of float32 keeps every group."""
    source, out = DATA / "near_zero_groups.safetensors", tmp_path / "o.safetensors"
    words = ("pack", source, out, "--min-size", "0", "--format")
    assert ":f32" in Cli().fails(3, *words, "dense/int8:g128")
    Cli().ok(*words, "dense/int8:g128:f32")
    shown = Cli().ok("inspect", out, "--against", source)
    assert "worst" in shown
    for name, t in sf.load(out).items():
        w = np.asarray(sf.load(source)[name]).astype(np.float64).reshape(-1, 128)
        error = np.linalg.norm(w - t.to_dense().astype(np.float64).reshape(-1, 128), axis=1)
        assert (error <= 0.01 * np.linalg.norm(w, axis=1)).all()


def test_arrays() -> None:
    """What needs no file: convolutions, ranges beyond float32, groups near zero, words."""
    w = np.random.default_rng(0).standard_normal((8, 16, 1, 1)).astype(np.float16)
    t = sf.encode(w, "nm2:4", prune=True, axis=1)
    assert (np.count_nonzero(t.to_dense()) * 2, t.bits_per_weight) == (w.size, 9.0)
    wide = np.array([[3e38, -3e38]], np.float32)
    coded = sf.encode(wide, "dense/int8:asym:f32")
    assert coded.values.scale.ravel()[0] == np.float32(6e38 / 255)
    assert np.abs(coded.to_dense() / wide - 1).max() < 0.01
    for size in (1e-6, 1e-7, 1e-8):
        g = (np.random.default_rng(0).uniform(-1, 1, (1, 128)) * size).astype(ml_dtypes.bfloat16)
        with pytest.raises(sf.CodecError, match=":f32"):
            sf.encode(g, "dense/int8:g128")
        kept = sf.encode(g, "dense/int8:g128:f32")
        lost = np.abs(kept.to_dense().astype(float) - g.astype(float)).max()
        assert lost <= np.abs(g.astype(float)).max() / 128
    with pytest.raises(sf.CodecError, match="inf"):
        sf.encode(np.array([[1.0, np.inf]]), "dense/kmeans4")
    with pytest.raises(sf.CodecError, match="f16"):
        sf.encode(w, "dense/int4:g32:f16")
    m = scipy.sparse.coo_array((np.ones(2), ([0, 1], [0, 1])), shape=(3, 4))
    m.coords = (np.array([0, 7]), np.array([0, 1]))
    with pytest.raises(sf.FormatError, match=r"coords\[0\]\[1\] = 7 is out of range 0\.\.2"):
        sf.from_scipy(m, "csr")
