"""Arrays and archives that are damaged, hostile or of a kind that no format holds."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse

import sparsefmt as sf
from commandline import Cli

PACK = ("--format", "csr", "--include", "*")


def refused(cli: Cli, path: Path, code: int = 3) -> str:
    line = cli.fails(code, "pack", path, path.parent / "o.safetensors", *PACK)
    assert str(path) in line
    return line


def test_unknown_suffix(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "w.pt").write_bytes(b"PK")
    assert "the suffix is unknown; have .safetensors, .npy" in refused(cli, tmp_path / "w.pt")
    (tmp_path / "w.bin").write_bytes(b"PK\x03\x04 and more")
    assert "w.bin: a zip archive (a PyTorch checkpoint" in refused(cli, tmp_path / "w.bin")


@pytest.mark.parametrize("name", ["w.npy", "w.npz", "w.mtx", "w.mtx.gz", "w.safetensors"])
@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"PK\x03\x04 and more", b"\x1f\x8b\x08", b"\0" * 1000])
def test_garbage(cli: Cli, tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    refused(cli, tmp_path / name)


def test_truncated_at_every_byte(cli: Cli, tmp_path: Path) -> None:
    np.save(tmp_path / "whole.npy", np.eye(2))
    np.savez(tmp_path / "whole.npz", w=np.eye(2))
    for suffix in ("npy", "npz"):
        data, path = (tmp_path / f"whole.{suffix}").read_bytes(), tmp_path / f"w.{suffix}"
        for length in range(0, len(data), 7):
            path.write_bytes(data[:length])
            refused(cli, path)


@pytest.mark.parametrize("value", [np.array([{}, 1], object), np.array(["a"]), np.array(["2020"], "M8[D]")])
def test_dtypes_that_no_format_holds(cli: Cli, tmp_path: Path, value: np.ndarray) -> None:
    np.save(tmp_path / "w.npy", value, allow_pickle=True)
    refused(cli, tmp_path / "w.npy")
    np.savez(tmp_path / "w.npz", allow_pickle=True, w=value)
    refused(cli, tmp_path / "w.npz")


def test_a_pickle_is_never_loaded(cli: Cli, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (tmp_path / "owned",)

    np.save(tmp_path / "w.npy", np.array([Evil()]), allow_pickle=True)
    refused(cli, tmp_path / "w.npy")
    assert not (tmp_path / "owned").exists()


def test_a_member_that_claims_terabytes(cli: Cli, tmp_path: Path) -> None:
    head = io.BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": (2**40, 4)}
    np.lib.format.write_array_header_1_0(head, header)
    (tmp_path / "w.npy").write_bytes(head.getvalue())
    refused(cli, tmp_path / "w.npy")
    with zipfile.ZipFile(tmp_path / "w.npz", "w") as archive:
        archive.writestr("w.npy", head.getvalue())
    assert "claims 35184372088832 bytes, has 128" in refused(cli, tmp_path / "w.npz")
    (tmp_path / "w.mtx").write_text("%%MatrixMarket matrix coordinate real general\n1099511627776 4 1\n1 1 1\n")
    assert "would take" in cli.fails(3, "pack", tmp_path / "w.mtx", tmp_path / "o.safetensors", *PACK)


def test_an_archive_of_something_else(cli: Cli, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "w.npz", "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert "'readme.txt' is no array" in refused(cli, tmp_path / "w.npz")


@pytest.mark.parametrize(
    "change",
    [{"indices": np.array([0, 9], np.int32)}, {"indptr": np.array([0, 2, 1], np.int32)}, {"data": np.ones(1)}],
    ids=["index out of range", "falling indptr", "short data"],
)
def test_malformed_scipy_archive(cli: Cli, tmp_path: Path, change: dict[str, np.ndarray]) -> None:
    scipy.sparse.save_npz(tmp_path / "m.npz", scipy.sparse.csr_array(np.eye(2)))
    arrays = dict(np.load(tmp_path / "m.npz")) | change
    np.savez(tmp_path / "m.npz", **arrays)
    refused(cli, tmp_path / "m.npz")


def test_dense_arrays_with_the_names_of_scipy(cli: Cli, tmp_path: Path) -> None:
    np.savez(tmp_path / "m.npz", format=np.ones(3), shape=np.ones(2), data=np.ones(4))
    text = cli.ok("pack", tmp_path / "m.npz", tmp_path / "o.safetensors", *PACK)
    assert text.startswith("packed 3 of 3 tensors")


COMMANDS = (["pack", "--format", "csr", "--include", "*"], ["unpack"], ["convert", "--format", "coo"], ["convert"])


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_zarr_folder_is_written_as_a_file(cli: Cli, tmp_path: Path, command: list[str]) -> None:
    """It was taken for a folder of shards: OUT had to be one, and became a file without an ending."""
    zarr = pytest.importorskip("zarr")
    source, out = tmp_path / "m.zarr", tmp_path / "o.safetensors"
    sf.interop.write_anndata(zarr.open_group(str(source), mode="w"), sf.encode(np.eye(4), "csr"))
    name, *rest = command
    assert "want a file that ends in .safetensors" in cli.fails(2, name, source, tmp_path / "o", *rest)
    assert "is inside IN" in cli.fails(2, name, source, source / "o.safetensors", *rest)
    assert "obs (not read)" in cli.ok(name, source, out, *rest)
    assert "exists; --force" in cli.fails(2, name, source, out, *rest)
    cli.ok(name, source, out, *rest, "--force")
    cli.ok("verify", source, out)


@pytest.mark.parametrize("kind", ["scipy", "binsparse"])
def test_a_matrix_of_an_archive_stays_as_it_is_packed_there(cli: Cli, tmp_path: Path, kind: str) -> None:
    source, out = tmp_path / "m.npz", tmp_path / "o.safetensors"
    (sf.interop.save_npz if kind == "scipy" else sf.interop.save_binsparse)(source, sf.encode(np.eye(4), "csc"))
    assert "converted 1 tensor to packed ones of the same codes" in cli.ok("convert", source, out)
    assert sf.load(out)["m"].format == "csc"
    np.savez(source, w=np.eye(4))
    assert "missing option '--format'" in cli.fails(2, "convert", source, out, "--force")


@pytest.mark.parametrize("out", ["o.npz", "o.npy", "o.mtx", "o.safetensors"])
def test_what_is_not_read_is_said_whatever_is_written(cli: Cli, tmp_path: Path, out: str) -> None:
    pytest.importorskip("h5py")
    sf.interop.save_anndata(tmp_path / "m.h5ad", sf.encode(np.eye(4), "csr"))
    assert "not copied: obs (not read), var (not read)" in cli.ok("unpack", tmp_path / "m.h5ad", tmp_path / out)
