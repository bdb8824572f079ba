"""Files that claim or unfold to more than they should, that point elsewhere, or that would run code."""

import gzip
import io
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sparsefmt as sf
from mutations import archives
from mutations.weights import container
from sparsefmt.checkpoint.steps import Unpack

BIG = 1 << 25


def everything(path: Path) -> list[Any]:
    with sf.open_checkpoint(path) as c:
        return [c[name] for name in c]


def test_an_array_that_unfolds_beyond_the_limit(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        header = io.BytesIO()
        described = {"descr": "|u1", "fortran_order": False, "shape": (BIG,)}
        np.lib.format.write_array_header_1_0(header, described)
        archive.writestr("w.npy", header.getvalue() + bytes(BIG))
    assert (tmp_path / "m.npz").stat().st_size < 1 << 20
    sf.set_max_bytes(1 << 20)
    with pytest.raises(sf.SizeError, match="'w'"):
        everything(tmp_path / "m.npz")


def test_a_matrix_that_unfolds_beyond_the_limit(tmp_path: Path) -> None:
    (tmp_path / "m.mtx.gz").write_bytes(gzip.compress(archives.MATRIX.encode() + b"\n" * BIG, 1))
    sf.set_max_bytes(1 << 20)
    with pytest.raises(sf.SizeError):
        everything(tmp_path / "m.mtx.gz")


def test_chunks_that_unfold_beyond_the_limit(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.create_dataset("w", (BIG,), "u1", chunks=(1 << 20,), compression="gzip", fillvalue=1)
    sf.set_max_bytes(1 << 20)
    with pytest.raises(sf.SizeError, match="w"):
        everything(tmp_path / "m.h5")


@pytest.mark.parametrize("link", ["link", "virtual", "external"])
def test_data_of_other_files_is_not_read(link: str, tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file.create_dataset("w", data=np.arange(4.0))
    with h5py.File(tmp_path / "m.h5", "w") as file:
        if link == "link":
            file["w"] = h5py.ExternalLink("secret.h5", "/w")
        elif link == "virtual":
            layout = h5py.VirtualLayout((4,), "f8")
            layout[:] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "w", (4,))
            file.create_virtual_dataset("w", layout)
        else:
            file.create_dataset("w", (4,), "f8", external=[(str(tmp_path / "secret.h5"), 0, 32)])
    with pytest.raises(sf.FormatError, match=r"link to another file|in other files"):
        everything(tmp_path / "m.h5")


class Run:
    """Unpickling it would leave a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("name", ["m.npy", "m.npz", "model.bin", "model.pt", "m.pkl", "m.safetensors", "m.gguf"])
def test_pickles_are_never_opened(name: str, tmp_path: Path) -> None:
    mark, path = tmp_path / "ran", tmp_path / name
    run = Run(mark)
    if name.endswith("npy"):
        np.save(path, np.array([run], dtype=object))
    elif name.endswith("npz"):
        np.savez(path, w=np.array([run], dtype=object))
    else:
        path.write_bytes(pickle.dumps(run))
    with pytest.raises(sf.SparsefmtError):
        everything(path)
    assert not mark.exists()


@pytest.mark.parametrize("method", ["hqq", "bitsandbytes", "quip", 7])
def test_an_unknown_scheme_is_named_with_the_way_out(method: object, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(container({"a.weight": np.zeros((2, 2), np.uint8)}))
    (tmp_path / "config.json").write_text(json.dumps({"quantization_config": {"quant_method": method}}))
    with pytest.raises(sf.CheckpointError, match=f"quant_method '{method}'.*reader='safetensors'"):
        sf.open_checkpoint(tmp_path)


def test_damage_that_the_changes_found(tmp_path: Path) -> None:
    """Each of them ended in an error of another kind once."""
    grid, words = np.ones((8, 2), np.float16), np.zeros((8, 8), np.int32)
    with pytest.raises(sf.FormatError, match="weight_zero_point"):
        sf.interop.from_pack_quantized(words, grid, np.array([8, 64]), 4, zero_point=np.zeros((1, 3), np.int32))
    with pytest.raises(sf.FormatError, match="groups do not divide 0 inputs"):
        sf.interop.from_gptq(np.zeros((0, 8), np.int32), np.zeros((1, 1), np.int32), np.ones((1, 8), np.float16))
    with pytest.raises(sf.FormatError, match="groups do not divide 0 inputs"):
        sf.interop.from_awq(np.zeros((0, 1), np.int32), np.zeros((1, 1), np.int32), np.ones((1, 8), np.float16))
    parts = {
        "qweight": np.zeros((3, 2), np.int32),
        "qzeros": np.zeros((3, 2), np.int32),
        "scales": np.ones((8, 16), np.float16),
    }
    (tmp_path / "model.safetensors").write_bytes(container({f"a.{k}": v for k, v in parts.items()}))
    (tmp_path / "config.json").write_text(json.dumps({"quantization_config": {"version": None}}))
    with pytest.raises(sf.CheckpointError, match="neither GPTQ nor AWQ"):
        sf.open_checkpoint(tmp_path)


def test_scales_of_float64_are_not_rounded_in_silence() -> None:
    words, third = np.zeros((1, 1), np.int32), np.array([[1 / 3]])
    made, reason = sf.interop.from_pack_quantized(words, third, np.array([1, 8]), 4, dtype=np.dtype(np.float32))
    assert isinstance(made, np.ndarray)
    assert "no float32" in reason


def test_names_of_any_length_are_quoted_short(tmp_path: Path) -> None:
    raw = archives.gguf()
    at = raw.index(b"general.name") - 8
    (tmp_path / "m.gguf").write_bytes(raw[:at] + (600).to_bytes(8, "little") + raw[at + 8 :])
    with pytest.raises(sf.CorruptFileError) as caught:
        everything(tmp_path / "m.gguf")
    assert len(str(caught.value)) < 600


def test_a_directory_that_points_before_the_archive(tmp_path: Path) -> None:
    raw = archives.npz(archives.scipy_arrays())
    end = raw.rindex(b"PK\x05\x06")
    (tmp_path / "m.npz").write_bytes(raw[: end + 16] + (2**31).to_bytes(4, "little") + raw[end + 20 :])
    with pytest.raises(sf.FormatError, match="damaged"):
        everything(tmp_path / "m.npz")


def test_headers_that_say_other_than_their_data(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.ModelProto.FromString(archives.onnx())
    model.graph.sparse_initializer[0].dims[0] = -5
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(sf.FormatError, match="shape = -5"):
        sf.open_checkpoint(tmp_path / "m.onnx")


@pytest.mark.parametrize("rows", [1 << 40, 1 << 50, 1 << 62])
def test_rows_that_no_memory_holds(rows: int, tmp_path: Path) -> None:
    """A descriptor of a few bytes: offsets of all rows were asked for without a look at the limit."""
    types = {"values": "float32"}
    descriptor = {"version": "0.1", "format": "DCSR", "shape": [rows, 4], "data_types": types}
    arrays = {"indices_0": np.array([1]), "indices_1": np.array([2]), "pointers_to_1": np.array([0, 1])}
    path = tmp_path / "m.npz"
    np.savez(path, binsparse=np.array(json.dumps({"binsparse": descriptor})), values=np.ones(1, np.float32), **arrays)
    with pytest.raises(sf.SizeError, match=r"m\.npz: the offsets of all rows"):
        sf.open_checkpoint(path)


def test_a_side_of_nothing_that_numpy_has_not(tmp_path: Path) -> None:
    (tmp_path / "m.mtx").write_text(f"%%MatrixMarket matrix array real general\n{1 << 62} 0\n")
    with pytest.raises(sf.SizeError, match=r"m\.mtx: the matrix of shape"):
        sf.open_checkpoint(tmp_path / "m.mtx")


@pytest.mark.parametrize("kind", ["scipy", "binsparse"])
def test_what_stands_beside_a_matrix_is_said(kind: str, tmp_path: Path) -> None:
    path, t = tmp_path / "m.npz", sf.encode(np.eye(3), "csr")
    (sf.interop.save_binsparse if kind == "binsparse" else sf.interop.save_npz)(path, t)
    with zipfile.ZipFile(path, "a") as archive, archive.open("bias.npy", "w") as member:
        np.lib.format.write_array(member, np.ones(3))
    report = sf.transform(path, tmp_path / "out.safetensors", Unpack())
    assert report.not_copied == ("bias (not read)",)
