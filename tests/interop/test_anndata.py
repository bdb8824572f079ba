"""Matrices of h5ad and zarr, read and written, with anndata on the other side."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sparsefmt as sf
from contract import same
from sparsefmt.base.dtypes import DTYPES
from sparsefmt.checkpoint.steps import Unpack
from sparsefmt.interop.anndata import read_matrix, write_anndata

h5py = pytest.importorskip("h5py")
scipy_sparse = pytest.importorskip("scipy.sparse")
pytestmark = pytest.mark.filterwarnings("ignore")  # of packages that are not ours

W = np.array([[0, 2, 0, 0], [0, 0, 0, 0], [5, 0, 0, -1]], np.float32)


def dense(t: object) -> np.ndarray:
    return t.to_dense() if isinstance(t, sf.SparseTensor) else np.asarray(t)


def opened(kind: str, path: Path, mode: str) -> Any:  # noqa: ANN401
    if kind == "h5":
        return h5py.File(path, mode)
    return pytest.importorskip("zarr").open_group(str(path), mode=mode)


@pytest.mark.parametrize("kind", ["h5", "zarr"])
@pytest.mark.parametrize("fmt", ["csr", "csc", "array"])
def test_anndata_reads_what_we_write(kind: str, fmt: str, tmp_path: Path) -> None:
    anndata = pytest.importorskip("anndata")
    path = tmp_path / ("a.h5ad" if kind == "h5" else "a.zarr")
    root = opened(kind, path, "w")
    write_anndata(root, W if fmt == "array" else sf.encode(W, fmt))
    if kind == "h5":
        root.close()
    found = (anndata.read_h5ad if kind == "h5" else anndata.read_zarr)(path)
    x = found.X
    same(x.toarray() if hasattr(x, "toarray") else x, W)
    assert fmt == "array" or x.format == fmt
    assert list(found.obs_names) == ["0", "1", "2"]


@pytest.mark.parametrize("kind", ["h5", "zarr"])
@pytest.mark.parametrize("fmt", ["csr", "csc", "array"])
def test_we_read_what_anndata_writes(kind: str, fmt: str, tmp_path: Path) -> None:
    anndata = pytest.importorskip("anndata")
    path = tmp_path / ("a.h5ad" if kind == "h5" else "a.zarr")
    x = W if fmt == "array" else getattr(scipy_sparse, f"{fmt}_matrix")(W)
    made = anndata.AnnData(X=x, layers={"counts": x})
    (made.write_h5ad if kind == "h5" else made.write_zarr)(path)
    root = opened(kind, path, "r")
    for name in ("X", "layers/counts"):
        t = read_matrix(root, name)
        same(dense(t), W)
        assert not isinstance(t, sf.SparseTensor) or t.format == fmt


def test_indices_out_of_order_are_sorted(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5ad", "w") as root:
        write_anndata(root, sf.encode(W, "csr"))
        root["X/indices"][1:3] = [3, 0]
        root["X/data"][1:3] = [-1, 5]
        same(dense(read_matrix(root)), W)


@pytest.mark.parametrize(
    ("break_it", "text"),
    [
        (lambda x: x.attrs.__setitem__("encoding-type", "coo_matrix"), "encoding 'coo_matrix'"),
        (lambda x: x.attrs.__setitem__("encoding-version", "9"), "encoding version '9'"),
        (lambda x: x.attrs.__setitem__("shape", [3]), "two lengths"),
        (lambda x: x.attrs.__setitem__("shape", [3, 3]), "out of range"),
        (lambda x: x.attrs.__setitem__("shape", [2, 4]), "indptr"),
        (lambda x: x.__delitem__("indices"), "'indices' is missing; the group holds data, indptr"),
        (lambda x: x["indptr"].__setitem__(1, -1), "out of range 0..2147483647"),
        (lambda x: x["indices"].__setitem__(0, 4), "out of range"),
    ],
)
def test_what_contradicts_itself(break_it: Callable[[Any], None], text: str, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5ad", "w") as root:
        write_anndata(root, sf.encode(W, "csr"))
        break_it(root["X"])
        with pytest.raises(sf.FormatError, match=text):
            read_matrix(root)


def test_links_to_other_files_are_not_followed(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "b.h5", "w") as other:
        other["data"] = np.ones(3, np.float32)
    with h5py.File(tmp_path / "a.h5ad", "w") as root:
        write_anndata(root, sf.encode(W, "csr"))
        del root["X/data"]
        root["X/data"] = h5py.ExternalLink("b.h5", "data")
        with pytest.raises(sf.FormatError, match="link to another file"):
            read_matrix(root)
    with h5py.File(tmp_path / "c.h5ad", "w") as root:
        write_anndata(root, sf.encode(W, "csr"))
        del root["X/data"]
        root["X"].create_dataset("data", (3,), "f4", external=[(str(tmp_path / "raw.bin"), 0, 12)])
        with pytest.raises(sf.FormatError, match="other files"):
            read_matrix(root)


def test_a_huge_claim_is_a_size_error(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5ad", "w") as root:
        write_anndata(root, sf.encode(W, "csr"))
        del root["X/data"]
        root["X"].create_dataset("data", (1 << 45,), "f4", chunks=(1 << 10,))
        with pytest.raises(sf.SizeError):
            read_matrix(root)


@pytest.mark.parametrize("kind", ["h5", "zarr"])
@pytest.mark.parametrize("fmt", ["csr", "csc", "array"])
@pytest.mark.parametrize("name", ["float16", "bfloat16", "float8_e4m3fn", "float8_e5m2"])
def test_small_floats_are_widened_as_scipy_needs_them(kind: str, fmt: str, name: str, tmp_path: Path) -> None:
    """They were written as opaque bytes, which nobody reads."""
    anndata = pytest.importorskip("anndata")
    path = tmp_path / ("a.h5ad" if kind == "h5" else "a.zarr")
    w = W.astype(DTYPES[name])
    root = opened(kind, path, "w")
    write_anndata(root, w if fmt == "array" else sf.encode(w, fmt))
    if kind == "h5":
        root.close()
    x = (anndata.read_h5ad if kind == "h5" else anndata.read_zarr)(path).X
    want = np.float16 if name == "float16" and fmt == "array" else np.float32
    same(x.toarray() if hasattr(x, "toarray") else x, W.astype(want))


def test_what_is_no_matrix_of_numbers_is_refused(tmp_path: Path) -> None:
    for x, text in (
        (np.array([["a"]]), "not supported"),
        (np.ones((2, 2), object), "not supported"),
        (np.ma.masked_array([[1, 2]], [[0, 1]]), "masked arrays"),
    ):
        with h5py.File(tmp_path / "a.h5ad", "w") as root, pytest.raises(sf.DtypeError, match=text):
            write_anndata(root, x)


@pytest.mark.parametrize("kind", ["h5", "zarr"])
def test_what_is_no_matrix_is_said(kind: str, tmp_path: Path) -> None:
    """Tables, texts and None, which anndata writes as a dataset without a shape, beside sound matrices."""
    anndata, pandas = pytest.importorskip("anndata"), pytest.importorskip("pandas")
    path = tmp_path / ("a.h5ad" if kind == "h5" else "a.zarr")
    frame = pandas.DataFrame({"q": range(3)}, index=list("abc"))
    uns = {"none": None, "text": "a", "list": np.array(["a"])}
    made = anndata.AnnData(scipy_sparse.csr_array(W), obs=frame, uns=uns)
    (made.write_h5ad if kind == "h5" else made.write_zarr)(path)
    with sf.open_checkpoint(path) as c:
        same(c["X"].to_dense(), W)
        others = set(c.others)
    assert {"obs", "var", "uns/text", "uns/list"} <= others
    assert ("uns/none" in others) == (kind == "h5")
    report = sf.transform(path, tmp_path / "out.safetensors", Unpack())
    assert "obs (not read)" in report.not_copied


def test_a_file_that_cannot_be_read_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as root:
        root["a"], root["lost"] = np.ones(3), h5py.SoftLink("/nowhere")
    with pytest.raises(sf.FormatError, match="'lost' is a link that leads nowhere"):
        sf.open_checkpoint(path)
    with h5py.File(path, "w") as root:  # fails while anybody has it open
        root["a"], root["wide"] = np.ones(3), np.ones(2, np.longdouble)
    with sf.open_checkpoint(path) as c:
        assert c.no_numbers == {"wide": np.dtype(np.longdouble).name}


def test_a_zarr_array_without_a_group_is_said_to_be_one(tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    zarr.create_array(str(tmp_path / "a.zarr"), data=np.ones(3))
    with pytest.raises(sf.FormatError, match="its root is an array, want a group"):
        sf.open_checkpoint(tmp_path / "a.zarr")
