"""Texts that NumPy is to make a dtype of: it ends the process for a time in zeroths of a unit, whoever wrote it."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

import sparsefmt as sf

DIVIDED = ("m8[s/0]", "<M8[25s/0]", "timedelta64[s/0]", "i4,<m8[D/0]")


def npy(descr: str) -> bytes:
    """A file of 16 bytes of data; `descr` is Python source."""
    head = f"{{'descr': {descr}, 'fortran_order': False, 'shape': (2,), }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head.encode() + bytes(16)


@pytest.mark.parametrize(
    "descr",
    [
        *map(repr, DIVIDED),
        r"'\x6d8[s\x2f0]'",
        "('<m8[s/0]', (1,))",
        "[('a', '<m8[s/0]')]",
        "[('a', [('b', 'm8[s/0]')])]",
    ],
)
def test_headers_of_arrays(descr: str, tmp_path: Path) -> None:
    (tmp_path / "w.npy").write_bytes(npy(descr))
    with zipfile.ZipFile(tmp_path / "w.npz", "w") as archive:
        archive.writestr("w.npy", npy(descr))
    for name in ("w.npy", "w.npz"):
        with pytest.raises(sf.FormatError, match=rf"{name}.*a time in parts of a unit"):
            sf.open_checkpoint(tmp_path / name)


def test_names_of_fields_and_times_in_multiples_are_fine(tmp_path: Path) -> None:
    """An archive holds them beside its arrays."""
    fields = np.zeros(3, [("a/b", "f4"), ("c\\d", "f4")])
    np.savez(tmp_path / "w.npz", fields=fields, times=np.zeros(2, "M8[25s]"), w=np.eye(3))
    with sf.open_checkpoint(tmp_path / "w.npz") as c:
        assert set(c.no_numbers) == {"fields", "times"}
        assert np.array_equal(c["w"], np.eye(3))


@pytest.mark.parametrize("size", [0, 2])
@pytest.mark.parametrize("behind", [False, True])
def test_hdf5_types_that_say_numpy_ones(size: int, behind: bool, tmp_path: Path) -> None:
    """Another process finds it out, of empty datasets too, and behind a type that has a name."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "m.h5", "w") as file:
        if behind:
            file["a"] = np.dtype("f4")
        kind = h5py.h5t.create(h5py.h5t.OPAQUE, 8)
        kind.set_tag(b"NUMPY:<m8[s/0]")
        h5py.h5d.create(file.id, b"w", kind, h5py.h5s.create_simple((size,)))
    with pytest.raises(sf.CorruptFileError, match="crashed on this file"):
        sf.open_checkpoint(tmp_path / "m.h5")


def test_hdf5_types_that_have_a_name(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file["a"], file["g/t"], file["g/w"] = np.dtype("f4"), np.dtype("i8"), np.eye(3)
    with sf.open_checkpoint(tmp_path / "m.h5") as c:
        assert list(c) == ["g/w"]
        assert np.array_equal(c["g/w"], np.eye(3))


@pytest.mark.parametrize(
    "text", [*DIVIDED, b"m8[s/0]", "(1,2", ",", "i4, (", {"names": ["a"], "formats": ["f4"], "offsets": [2**70]}]
)
def test_dtypes_that_are_none(text: object) -> None:
    with pytest.raises(sf.DtypeError):
        sf.random((4, 4), "csr", dtype=text)  # type: ignore[arg-type]
    with pytest.raises(sf.DtypeError):
        sf.encode(np.eye(4), "csr").astype(text)
