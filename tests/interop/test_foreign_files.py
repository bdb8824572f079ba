"""Files that we write for others, and read back."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import sparsefmt as sf
from contract import same
from sparsefmt.base.dtypes import DTYPES

W = sf.prune.nm(np.random.default_rng(0).standard_normal((16, 64)).astype(np.float16))


@pytest.mark.parametrize(
    ("fmt", "form"),
    [
        ("nm2:4", "sparse-24-bitmask"),
        ("bitmask", "sparse-bitmask"),
        ("dense/int4:g32", "pack-quantized"),
        ("dense/int4:g32:asym", "pack-quantized"),
        ("dense/int8", "pack-quantized"),
    ],
)
def test_compressed_tensors_come_back(fmt: str, form: str, tmp_path: Path) -> None:
    t = sf.encode(W, fmt)
    tensors = {"a.weight": t, "b.weight": t, "norm.weight": np.ones(4, np.float16)}
    settings = sf.interop.save_compressed_tensors(tmp_path / "m.safetensors", tensors)
    assert settings.get("format", settings.get("sparsity_config", {}).get("format")) == form
    with sf.open_checkpoint(tmp_path / "m.safetensors") as c:
        assert sorted(c) == sorted(tensors)
        assert sf.equal(c["a.weight"], t)
        same(np.array(c["norm.weight"]), tensors["norm.weight"])
        assert c.metadata["format"] == "pt"


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("fmt", ["dense/int4:g32:f32", "dense/int4:g32:asym", "dense/int8", "dense/int8:row:f32"])
def test_codes_keep_their_dtype_without_a_config(fmt: str, dtype: str, tmp_path: Path) -> None:
    """Scales of 16 bits are taken for the dtype of the weights, others for those of bfloat16."""
    t = sf.encode(W.astype(DTYPES[dtype]), fmt)
    sf.interop.save_compressed_tensors(tmp_path / "m.safetensors", {"a.weight": t})
    with sf.open_checkpoint(tmp_path / "m.safetensors") as c:
        assert sf.equal(c["a.weight"], t)


def test_the_keys_are_those_of_the_reference(tmp_path: Path) -> None:
    sf.interop.save_compressed_tensors(tmp_path / "m.safetensors", {"l.proj.weight": sf.encode(W, "nm2:4")})
    assert sorted(sf.load(tmp_path / "m.safetensors")) == ["l.proj.bitmask", "l.proj.compressed", "l.proj.shape"]
    sf.interop.save_compressed_tensors(tmp_path / "n.safetensors", {"l.proj.weight": sf.encode(W, "bitmask")})
    names = ["l.proj.weight." + k for k in ("bitmask", "compressed", "row_offsets", "shape")]
    assert sorted(sf.load(tmp_path / "n.safetensors")) == names


@pytest.mark.parametrize(
    ("tensors", "text"),
    [
        ({"a.weight": sf.encode(W, "csr")}, "has forms for nm2:4, bitmask"),
        ({"a": sf.encode(W, "nm2:4")}, "ends in .weight"),
        ({"a.weight": sf.encode(W, "nm2:4"), "b.weight": sf.encode(W, "bitmask")}, "one file holds one form"),
        ({"a.weight": sf.encode(W, "dense/int4"), "b.weight": sf.encode(W, "dense/int8")}, "one file holds one scheme"),
    ],
)
def test_what_has_no_form_is_refused(tensors: dict[str, sf.SparseTensor], text: str, tmp_path: Path) -> None:
    with pytest.raises(sf.FormatError, match=text):
        sf.interop.save_compressed_tensors(tmp_path / "m.safetensors", tensors)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["m.npz", "m.h5"])
@pytest.mark.parametrize("fmt", ["csr", "csc", "coo"])
def test_binsparse_files_come_back(name: str, fmt: str, tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    t = sf.encode(W.astype(np.float32), fmt)
    sf.interop.save_binsparse(tmp_path / name, t)
    with sf.open_checkpoint(tmp_path / name) as c:
        (only,) = c
        assert sf.equal(c[only], t)


def test_anndata_files_come_back(tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    t = sf.encode(W.astype(np.float32), "csr")
    sf.interop.save_anndata(tmp_path / "m.h5ad", t)
    with sf.open_checkpoint(tmp_path / "m.h5ad") as c:
        assert sf.equal(c["X"], t)


WRITERS: dict[str, Callable[[Path, sf.SparseTensor], object]] = {
    "save": lambda path, t: sf.save(path, {"a": t}),
    "save_anndata": sf.interop.save_anndata,
    "save_binsparse": sf.interop.save_binsparse,
    "save_npz": sf.interop.save_npz,
    "write_matrix_market": sf.interop.write_matrix_market,
}
OWN = {
    "save": ["m.safetensors", "m", "m.bin"],
    "save_anndata": ["m.h5ad", "m.h5", "m.H5AD", "m"],
    "save_binsparse": ["m.bsp.h5", "m.hdf5", "m.bsp.npz", "m"],
    "save_npz": ["m.npz", "m"],
    "write_matrix_market": ["m.mtx", "m.mtx.gz", "m"],
}


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("name", ["m.safetensors", "m.npz", "m.NPZ", "m.mtx", "m.h5ad", "m.zarr", "m.gguf", "m.npy"])
def test_no_writer_gives_a_file_the_ending_of_another_kind(writer: str, name: str, tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    t = sf.encode(W.astype(np.float32), "csr")
    for own in OWN[writer]:
        WRITERS[writer](tmp_path / own, t)
        assert (tmp_path / own).stat().st_size
    endings = {Path(own).suffix.lower() for own in OWN[writer]}
    if Path(name).suffix.lower() not in endings:
        with pytest.raises(sf.FormatError, match=r"m\..*: this writes .*, and the ending is that of .*; name it \."):
            WRITERS[writer](tmp_path / name, t)
        assert not (tmp_path / name).exists()


def test_load_names_what_reads_other_files(tmp_path: Path) -> None:
    """It takes safetensors alone, and once told to rename an .h5 to .h5."""
    pytest.importorskip("h5py")
    t = sf.encode(W.astype(np.float32), "csr")
    for writer, name in (("save_anndata", "m.h5ad"), ("save_npz", "m.npz"), ("write_matrix_market", "m.mtx")):
        WRITERS[writer](tmp_path / name, t)
        with pytest.raises(sf.CorruptFileError, match=r"sf\.open_checkpoint and the commands read it, named \."):
            sf.load(tmp_path / name)
        with sf.open_checkpoint(tmp_path / name) as c:
            (only,) = c
            assert np.array_equal(c[only].to_dense(), W)
