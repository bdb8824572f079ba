"""SciPy npz and Matrix Market: what is written is read back with the same bits, by SciPy too; in bounded memory."""

import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import scipy.io
import scipy.sparse

import sparsefmt as sf
from commandline import Cli
from contract import same

SPECIAL = [0.0, -0.0, 1.5, -2.25, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 0.1, 1 / 3, np.inf, -np.inf]
STRUCTURES = ("coo", "csr", "csc", "bsr2x4", "nm2:4", "bitmask", "gap", "dense")


def matrix(dtype: str, rows: int = 12, cols: int = 16) -> np.ndarray:
    """Values of every size, half of them zero, at most two of four in a row."""
    rng = np.random.default_rng(0)
    kind = np.dtype(getattr(ml_dtypes, dtype, dtype))
    if kind.kind in "iu":
        low, high = np.iinfo(kind).min, np.iinfo(kind).max
        w = rng.integers(low, high, (rows, cols), kind, endpoint=True)
        w[0, :2] = low, high
    else:
        with np.errstate(over="ignore"):
            w = (rng.standard_normal((rows, cols)) * 10.0 ** rng.integers(-30, 30, (rows, cols))).astype(kind)
            w[:, ::4] = rng.choice(SPECIAL, w[:, ::4].shape).astype(kind)
        if kind.kind == "c":
            w = np.stack([w.real, w[::-1].real], axis=-1).reshape(rows, -1).view(kind)
    keep = np.zeros((rows, cols), bool)
    keep[:, ::4] = keep[:, 2::4] = True
    return np.where(keep, w, kind.type(0)).astype(kind)


def widened(w: np.ndarray) -> np.ndarray:
    small = w.dtype.name in ("float16", "bfloat16", "float8_e4m3fn", "float8_e5m2")
    return w.astype(np.float32) if small else w


def held(path: Path) -> sf.SparseTensor | np.ndarray:
    with sf.open_checkpoint(path) as c:
        (name,) = c
        return c[name]


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("dtype", ["int8", "uint64", "float16", "bfloat16", "float32", "float64", "complex128"])
@pytest.mark.parametrize("fmt", STRUCTURES)
def test_scipy_npz_is_exact(fmt: str, dtype: str, compressed: bool, tmp_path: Path) -> None:
    if fmt == "nm2:4" and dtype.startswith("complex"):
        pytest.skip("nm holds no complex numbers")
    w = matrix(dtype)
    t = sf.encode(w, fmt, zero="bits")
    sf.interop.save_npz(tmp_path / "m.npz", t, compressed=compressed)
    back = held(tmp_path / "m.npz")
    assert isinstance(back, sf.SparseTensor)
    assert back.format == (fmt if fmt in ("coo", "csr", "csc", "bsr2x4") else "csr")
    same(back.to_dense(), widened(w))
    theirs = scipy.sparse.load_npz(tmp_path / "m.npz")
    assert theirs.format == back.format[:3]
    np.testing.assert_array_equal(theirs.toarray(), widened(w))  # it adds to zeros, where the sign of zeros is lost
    scipy.sparse.save_npz(tmp_path / "n.npz", sf.to_scipy(t))
    assert sf.equal(held(tmp_path / "n.npz"), back)
    with zipfile.ZipFile(tmp_path / "m.npz") as ours, zipfile.ZipFile(tmp_path / "n.npz") as scipys:
        assert sorted(ours.namelist()) == sorted(scipys.namelist())


@pytest.mark.parametrize("shape", [(5,), (0, 4), (3, 0), (2, 3, 4)])
def test_scipy_npz_of_other_ranks(shape: tuple[int, ...], tmp_path: Path) -> None:
    w = np.arange(np.prod(shape), dtype=np.float64).reshape(shape)
    sf.interop.save_npz(tmp_path / "m.npz", sf.encode(w, "coo"))
    back = held(tmp_path / "m.npz")
    assert isinstance(back, sf.SparseTensor)
    same(back.to_dense(), w)
    same(scipy.sparse.load_npz(tmp_path / "m.npz").toarray(), w)


@pytest.mark.parametrize(
    "dtype", ["int8", "int64", "uint64", "float16", "float32", "float64", "complex64", "complex128"]
)
@pytest.mark.parametrize("fmt", ["coo", "csr", "csc", "nm2:4", "dense", "array"])
def test_matrix_market_is_exact(fmt: str, dtype: str, tmp_path: Path) -> None:
    if fmt == "nm2:4" and dtype.startswith("complex"):
        pytest.skip("nm holds no complex numbers")
    w = matrix(dtype)
    sf.interop.write_matrix_market(tmp_path / "m.mtx", w if fmt == "array" else sf.encode(w, fmt, zero="bits"))
    back = held(tmp_path / "m.mtx")
    assert isinstance(back, np.ndarray) == (fmt == "array")
    dense = back.to_dense() if isinstance(back, sf.SparseTensor) else np.asarray(back)
    same(dense.astype(dtype), w)
    if np.isfinite(w).all():
        theirs = scipy.io.mmread(tmp_path / "m.mtx")
        np.testing.assert_array_equal((theirs.toarray() if scipy.sparse.issparse(theirs) else theirs).astype(dtype), w)


def test_matrix_market_of_any_double(tmp_path: Path) -> None:
    """Random bits; more entries than are written at once, with empty rows between."""
    rng = np.random.default_rng(1)
    w = rng.integers(0, 2**64, (300, 500), np.uint64).view(np.float64)
    w[~np.isfinite(w)] = 1
    w[[0, 7, 8, 150, 299]] = 0
    for t in (sf.encode(w, "csr", zero="bits"), sf.encode(w, "coo", zero="bits"), w, w.T[:, :3], w[:3]):
        sf.interop.write_matrix_market(tmp_path / "m.mtx", t)
        back = held(tmp_path / "m.mtx")
        dense = back.to_dense() if isinstance(back, sf.SparseTensor) else np.asarray(back)
        same(dense, np.ascontiguousarray(t.to_dense() if isinstance(t, sf.SparseTensor) else t))


LARGE = np.arange(1, (1 << 23) + 1, dtype=np.float32).reshape(4096, 2048)
PART = LARGE[:512]
WRITERS: dict[str, tuple[int, Callable[[Path], None]]] = {
    "a.bsp.npz": (20, lambda p: sf.interop.save_binsparse(p, LARGE)),  # NumPy writes arrays by 16 MiB
    "a.bsp.h5": (4, lambda p: sf.interop.save_binsparse(p, LARGE)),
    "a.h5ad": (4, lambda p: sf.interop.save_anndata(p, LARGE)),
    "a.npz": (20, lambda p: sf.interop.save_npz(p, sf.encode(LARGE, "dense").convert("bsr4x4"))),
    "a.mtx": (2, lambda p: sf.interop.write_matrix_market(p, PART)),
    "s.mtx": (2, lambda p: sf.interop.write_matrix_market(p, sf.encode(PART, "csr"))),
}
"""The most that each may hold, in MB, beside what it is given."""


@pytest.mark.parametrize("name", WRITERS)
def test_no_writer_holds_the_file(name: str, tmp_path: Path) -> None:
    """32 MB of values, or 4 of text, go to the file by parts."""
    if name.endswith(("h5", "h5ad")):
        pytest.importorskip("h5py")
    most, write = WRITERS[name]
    tracemalloc.start()
    try:
        write(tmp_path / name)
        assert tracemalloc.get_traced_memory()[1] < most << 20
    finally:
        tracemalloc.stop()
    assert (tmp_path / name).stat().st_size >= PART.nbytes * (1 if name.endswith("mtx") else 8)


@pytest.mark.parametrize("suffix", ["npz", "npy"])
def test_unpack_writes_by_rows(suffix: str, tmp_path: Path) -> None:
    packed = sf.encode(LARGE, "nm2:4", prune=True)
    sf.save(tmp_path / "m.safetensors", {"w": packed})
    tracemalloc.start()
    try:
        Cli().ok("unpack", tmp_path / "m.safetensors", tmp_path / f"o.{suffix}")
        assert tracemalloc.get_traced_memory()[1] < 24 << 20
    finally:
        tracemalloc.stop()
    same(np.asarray(held(tmp_path / f"o.{suffix}")), packed.to_dense())
