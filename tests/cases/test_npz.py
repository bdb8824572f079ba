"""Archives of arrays by exact name, damage with file and member, and indices that are no integers."""

import io
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sparsefmt as sf
from sparsefmt.interop.npz import NpzArchive, read_npy
from sparsefmt.interop.npz_scipy import scipy_matrix

Array = np.ndarray[Any, Any]


def npy(a: Array, version: tuple[int, int] | None = None) -> bytearray:
    out = io.BytesIO()
    np.lib.format.write_array(out, a, version)
    return bytearray(out.getvalue())


def archive(path: Path, members: dict[str, bytes], kind: int = 0) -> Path:
    with zipfile.ZipFile(path, "w", kind) as z:
        for name, data in members.items():
            z.writestr(name, bytes(data))
    return path


def test_each_name_gets_its_own_array(tmp_path: Path) -> None:
    a, b = np.eye(2), 7 * np.eye(2)
    z = NpzArchive(archive(tmp_path / "a.npz", {"a.npy": npy(a), "a.npy.npy": npy(b), "d/e.npy": npy(b)}))
    assert list(z) == ["a", "a.npy", "d/e"]
    assert np.array_equal(z["a"], a)
    assert np.array_equal(z["a.npy"], b)
    with pytest.raises(KeyError):
        z["e"]


def test_one_name_twice(tmp_path: Path) -> None:
    with warnings.catch_warnings(), zipfile.ZipFile(tmp_path / "a.npz", "w") as z:
        warnings.simplefilter("ignore")
        z.writestr("a.npy", bytes(npy(np.eye(2))))
        z.writestr("a.npy", bytes(npy(np.ones(2))))
    with pytest.raises(sf.FormatError, match=r"a\.npz: the name 'a\.npy' stands twice"):
        NpzArchive(tmp_path / "a.npz")


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize(
    "a",
    [np.eye(3), np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.ones((0, 4)), np.array(3.5), np.ones(2, ">f4"),
     np.arange(24, dtype=np.uint8).reshape(2, 3, 4).T, np.array([True, False]), np.ones(3, np.complex64)],
)  # fmt: skip
def test_every_kind_of_array(tmp_path: Path, a: Array, version: tuple[int, int]) -> None:
    z = NpzArchive(archive(tmp_path / "a.npz", {"w.npy": npy(a, version)}, zipfile.ZIP_DEFLATED))
    (tmp_path / "w.npy").write_bytes(npy(a, version))
    for got in (z["w"], read_npy(tmp_path / "w.npy")):
        assert got.dtype == a.dtype
        assert got.shape == a.shape
        assert got.tobytes() == a.tobytes()


def test_members_of_no_use_hurt_only_when_read(tmp_path: Path) -> None:
    members = {
        "w.npy": npy(np.eye(2)),
        "text.npy": npy(np.array(["a"])),
        "day.npy": npy(np.array(["2020"], "M8[D]")),
        "readme.txt": b"hello",
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        out = io.BytesIO()
        np.lib.format.write_array(out, np.array([{}], object), allow_pickle=True)
    z = NpzArchive(archive(tmp_path / "a.npz", members | {"object.npy": out.getvalue()}))
    assert np.array_equal(z["w"], np.eye(2))
    assert z.others == ("readme.txt",)
    assert z.header("text").dtype.kind == "U"
    for name in ("text", "day", "object"):
        with pytest.raises(sf.DtypeError, match=rf"a\.npz: '{name}\.npy': "):
            z[name]


def flipped(kind: int) -> bytearray:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", kind) as z:
        z.writestr("a.npy", bytes(npy(np.eye(300))))
    data = bytearray(out.getvalue())
    data[60:68] = bytes(255 - x for x in data[60:68])
    return data


def marked(change: Callable[[bytearray, int], None]) -> bytearray:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        z.writestr("a.npy", bytes(npy(np.eye(300))))
    data = bytearray(out.getvalue())
    change(data, data.find(b"PK\1\2"))
    return data


def zstd(data: bytearray, at: int) -> None:
    data[8:10] = data[at + 10 : at + 12] = struct.pack("<H", 93)


def encrypted(data: bytearray, at: int) -> None:
    data[6] |= 1
    data[at + 8] |= 1


def wrong_sum(data: bytearray, at: int) -> None:
    data[1000] ^= 1


DAMAGED = {
    "zstd": marked(zstd),
    "encrypted": marked(encrypted),
    "wrong sum": marked(wrong_sum),
    "deflate": flipped(zipfile.ZIP_DEFLATED),
    "bz2": flipped(zipfile.ZIP_BZIP2),
    "lzma": flipped(zipfile.ZIP_LZMA),
}


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED.keys())
def test_damage_names_file_and_member(tmp_path: Path, data: bytearray) -> None:
    (tmp_path / "z.npz").write_bytes(data)
    z = NpzArchive(tmp_path / "z.npz")
    with pytest.raises(sf.FormatError, match=r"z\.npz: 'a\.npy': "):
        z["a"]


@pytest.mark.parametrize(
    ("at", "new"),
    [
        (20, b"(((("),
        (0, b"X"),
        (6, b"\x09"),
        (8, b"\xff\xff"),
        (10, b"{'a': __import__('os')}"),
        (61, b"-3"),
        (61, b"9" * 30),
    ],
)
def test_headers_that_make_no_sense(tmp_path: Path, at: int, new: bytes) -> None:
    data = npy(np.eye(300))
    data[at : at + len(new)] = new
    (tmp_path / "h.npy").write_bytes(data)
    with pytest.raises(sf.FormatError, match=r"h\.npy: "):
        read_npy(tmp_path / "h.npy")
    z = NpzArchive(archive(tmp_path / "h.npz", {"a.npy": bytes(data)}))
    with pytest.raises(sf.FormatError, match=r"h\.npz: 'a\.npy': "):
        z["a"]


def test_truncated_and_garbage(tmp_path: Path) -> None:
    whole = archive(tmp_path / "w.npz", {"a.npy": npy(np.eye(3))}).read_bytes()
    for data in [b"", b"PK", *(whole[:n] for n in range(0, len(whole), 9))]:
        (tmp_path / "t.npz").write_bytes(data)
        with pytest.raises(sf.FormatError, match=r"t\.npz: "):
            NpzArchive(tmp_path / "t.npz")["a"]
    plain = bytes(npy(np.eye(3)))
    for length in range(len(plain)):
        (tmp_path / "t.npy").write_bytes(plain[:length])
        with pytest.raises(sf.FormatError, match=r"t\.npy: "):
            read_npy(tmp_path / "t.npy")


# Matrices of SciPy's

sp = pytest.importorskip("scipy.sparse")


def opened(path: Path) -> sf.SparseTensor:
    t = scipy_matrix(NpzArchive(path))
    assert t is not None
    return t


@pytest.mark.parametrize("kind", ["csr", "csc", "coo", "bsr", "dia"])
@pytest.mark.parametrize("compressed", [True, False])
def test_what_scipy_saves(tmp_path: Path, kind: str, compressed: bool) -> None:
    m = sp.random_array((12, 8), density=0.2, rng=np.random.default_rng(0)).asformat(kind)
    sp.save_npz(tmp_path / "m.npz", m, compressed)
    t, want = opened(tmp_path / "m.npz"), sf.from_scipy(m)
    assert t.format == want.format
    assert sf.equal(t, want)


@pytest.mark.parametrize(
    ("arrays", "what"),
    [
        ({"format": b"coo", "row": [0.5, 1.9], "col": [0, 1]}, r"coords\[0\]: want 2 integers, got float64"),
        (
            {"format": b"coo", "row": np.array([2**64 - 1, 0], np.uint64), "col": [0, 1]},
            r"coords\[0\]\[0\] = 18446744073709551615",
        ),
        ({"format": b"coo", "row": [0, 1]}, "the array 'col' is missing"),
        ({"format": b"csr", "indptr": [0, 1, 2, 2, 2], "indices": [0.5, 1.5]}, "indices: want a 1-d integer array"),
        ({"format": b"csr", "indptr": [0, 1, 2, 2, 2], "indices": [0, 9]}, r"indices\[1\] = 9 is out of range"),
        ({"format": b"dia", "offsets": [0.5]}, "data|offsets"),
        ({"format": b"dok"}, "format 'dok'; allowed csr"),
        ({"format": "lil"}, "format 'lil'; allowed csr"),
        ({"format": ""}, "format ''; allowed csr"),
        ({"format": b"csr", "shape": [4.0, 4.0]}, "shape: want integers"),
        ({"format": b"csr", "shape": [4, -4]}, "shape = "),
        ({"format": b"csr", "shape": [4, 4, 4], "indptr": [0], "indices": [0]}, "rank 2"),
    ],
)
def test_archives_that_contradict_themselves(tmp_path: Path, arrays: dict[str, Any], what: str) -> None:
    held: dict[str, Any] = {"shape": np.array([4, 4]), "data": np.ones(2)} | arrays
    np.savez(tmp_path / "m.npz", **{k: np.array(v) for k, v in held.items()})
    with pytest.raises(sf.FormatError, match=rf"^{tmp_path}/m\.npz: (.*)({what})"):
        opened(tmp_path / "m.npz")


def test_indices_of_scipy_objects_are_never_cut() -> None:
    lil = sp.lil_array((2, 3))
    lil.rows[0], lil.data[0] = [1.5], [2.7]
    with pytest.raises(sf.FormatError, match=r"rows: index 0 is 1\.5, want an integer"):
        sf.from_scipy(lil)
    lil = sp.lil_array((2, 3), dtype=np.int8)
    lil.rows[0], lil.data[0] = [1], [2.7]
    with pytest.raises(sf.FormatError, match=r"data: value 0 is 2\.7, which int8 does not hold"):
        sf.from_scipy(lil)
    for key in ((0.9, 1.5), (0, True), (0, "1"), (0, 2**70)):
        dok = sp.dok_array((2, 3))
        dok._dict[key] = 4.0
        with pytest.raises(sf.FormatError, match="keys: index 0 is"):
            sf.from_scipy(dok)
    dok = sp.dok_array((2, 3))
    dok._dict[(0, np.uint8(2))] = 4.0
    assert sf.from_scipy(dok).to_dense().tolist() == [[0, 0, 4], [0, 0, 0]]
    for offset in (2**64 - 1, 2**63):
        dia = sp.dia_array((3, 3))
        dia.data, dia.offsets = np.ones((1, 3)), np.array([offset], np.uint64)
        with pytest.raises(sf.FormatError, match=rf"offsets\[0\] = {offset} is out of range"):
            sf.from_scipy(dia)


@pytest.mark.parametrize("lost", ["shape", "data"])
@pytest.mark.parametrize(
    ("kind", "names"), [("csr", ("indices", "indptr")), ("coo", ("row", "col")), ("dia", ("offsets",))]
)
def test_a_matrix_of_scipy_that_lost_an_array(tmp_path: Path, kind: str, names: tuple[str, ...], lost: str) -> None:
    parts = {"format": np.array(kind.encode()), "shape": np.array([1, 1]), "data": np.ones(1)}
    members = {f"{n}.npy": npy(parts.get(n, np.zeros(1, int))) for n in (*parts, *names) if n != lost}
    path = archive(tmp_path / "a.npz", members)
    with pytest.raises(sf.FormatError, match=rf"a\.npz: the array '{lost}' is missing"):
        sf.open_checkpoint(path)


def test_a_text_that_names_another_format(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.npz", {"format.npy": npy(np.array("png")), "data.npy": npy(np.ones(2))})
    with sf.open_checkpoint(path) as c:
        assert np.array_equal(np.asarray(c["data"]), np.ones(2))
