"""Files of the reference implementation of Binsparse are read, and it reads ours; the latter where it is installed."""

from pathlib import Path

import numpy as np
import pytest

import sparsefmt as sf
from contract import same
from data_files import DATA

FILES = sorted((DATA / "binsparse").glob("*.*"))
W = np.array([[0, 2, 0, 0], [0, 0, 0, 0], [5, 0, 0, -1]])
V = np.array([0, 3, 0, -4, 0])
REFUSED = {"CSR.fill_other": "a fill value other than 0", "rank3": "is unknown; have DVEC"}
OF_FORMAT = {"CSR": "csr", "DCSR": "csr", "CSC": "csc", "DCSC": "csc", "COOR": "coo", "COOC": "coo", "CVEC": "coo"}
DTYPES = ("bool", "int8", "uint16", "int64", "float32", "float64", "complex64", "complex128")


def cast(a: np.ndarray, dtype: str) -> np.ndarray:
    if dtype == "bool":
        return a != 0
    if dtype.startswith("complex"):
        return (a * (1 + 2j)).astype(dtype)
    return (abs(a) if dtype.startswith("u") else a).astype(dtype)


def held(path: Path) -> sf.SparseTensor | np.ndarray:
    with sf.open_checkpoint(path) as c:
        (name,) = c
        return c[name]


def test_all_files_are_here() -> None:
    assert len(FILES) == 42
    assert {path.stem.partition(".")[0] for path in FILES} >= {*OF_FORMAT, "DVEC", "DMATR", "DMATC"}


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_file(path: Path) -> None:
    if path.suffix == ".h5":
        pytest.importorskip("h5py")
    if path.stem in REFUSED:
        with pytest.raises(sf.FormatError, match=REFUSED[path.stem]):
            held(path)
        return
    form, _, kind = path.stem.partition(".")
    truth = V if form.endswith("VEC") else W
    want = (
        np.where(truth != 0, 7, 0).astype(np.int8)
        if kind == "iso"
        else cast(truth, kind if kind in DTYPES else "float32")
    )
    got = held(path)
    if form in OF_FORMAT:
        assert isinstance(got, sf.SparseTensor)
        assert (got.format, got.slots) == (OF_FORMAT[form], np.count_nonzero(truth))
        got = got.to_dense()
    same(np.asarray(got), want)


@pytest.mark.parametrize("version", ["0.2.0", "1.0", 7, None, "0.1.0\n"])
def test_a_version_that_is_not_known_is_named(version: object) -> None:
    descriptor, arrays = sf.interop.to_binsparse(sf.encode(np.eye(3), "csr"))
    with pytest.raises(sf.VersionError, match=r"of Binsparse is unknown, have 0\.1; the package"):
        sf.interop.from_binsparse({**descriptor, "version": version}, arrays)
    for known in ("0.1", "0.1.0", "0.1.9", "0.1.0-draft", "0.1.0+x"):
        sf.interop.from_binsparse({**descriptor, "version": known}, arrays)


@pytest.mark.parametrize(
    "level",
    [
        {"level_desc": "dense", "rank": 0, "level": {"level_desc": "element"}},
        {"level_desc": "dense", "rank": -1, "level": {"level_desc": "element"}},
        {"level_desc": "dense", "rank": 10**18, "level": {"level_desc": "element"}},
        {"level_desc": "sparse", "rank": 3, "level": {"level_desc": "element"}},
        {"level_desc": "sparse", "rank": True, "level": {"level_desc": "element"}},
        {"level_desc": "ragged", "rank": 1, "level": {"level_desc": "element"}},
        {"level_desc": "element"},
        {"level_desc": ["dense"], "rank": 1},
        "dense",
        None,
    ],
)
def test_levels_without_a_counterpart(level: object) -> None:
    with pytest.raises(sf.FormatError, match="is unknown; have"):
        sf.interop.from_binsparse(
            {"format": "custom", "custom": {"level": level}, "shape": [2]}, {"values": np.ones(2)}
        )


def test_counts_that_contradict() -> None:
    descriptor, arrays = sf.interop.to_binsparse(sf.encode(np.eye(3), "csr"))
    with pytest.raises(sf.FormatError, match="number_of_stored_values = 4, but the other arrays describe 3"):
        sf.interop.from_binsparse({**descriptor, "number_of_stored_values": 4}, arrays)


@pytest.mark.parametrize("suffix", ["npz", "h5"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_reference_reads_ours(suffix: str, dtype: str, tmp_path: Path) -> None:
    reference = pytest.importorskip("binsparse")
    w, v = cast(W, dtype), cast(V, dtype)
    tensors = {fmt: sf.encode(w, fmt) for fmt in ("csr", "csc", "coo")} | {"vector": sf.encode(v, "coo")}
    arrays = {"matrix": w, "row": v, "none": w[:0]}
    for name, t in (tensors | arrays).items():
        path = tmp_path / f"{name}.{suffix}"
        sf.interop.save_binsparse(path, t)
        found = reference.load_binsparse(path)
        kinds = {"csr": "CSR", "csc": "CSC", "coo": "COOR", "vector": "CVEC", "row": "DVEC"}
        assert (found.format, found.shape) == (kinds.get(name, "DMATR"), t.shape)
        values = np.asarray(found.values)
        assert values.dtype == w.dtype
        if isinstance(t, sf.SparseTensor):
            stored = t.structure.arrays() | {"values": t.values.decode(t.structure)}
            np.testing.assert_array_equal(values, stored["values"])
            pairs = {"indptr": "pointers_to_1", "indices": "indices_1", "row": "indices_0", "col": "indices_1"}
            for ours, theirs in pairs.items():
                if ours in stored and not (name == "vector" and ours == "row"):
                    theirs = "indices_0" if name == "vector" else theirs
                    np.testing.assert_array_equal(getattr(found, theirs), stored[ours])
        else:
            np.testing.assert_array_equal(values, t.reshape(-1))
        reference.save_binsparse(found, tmp_path / f"again.{suffix}")
        again = held(tmp_path / f"again.{suffix}")
        same(
            np.asarray(again.to_dense() if isinstance(again, sf.SparseTensor) else again),
            np.asarray(cast(V if t.ndim == 1 else W, dtype))[: t.shape[0]],
        )
