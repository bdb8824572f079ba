"""The streaming writer: any order, whole or not at all, read by everybody."""

import os
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

import sparsefmt as sf
from sparsefmt.checkpoint import ShardWriter
from sparsefmt.io.read import read_metadata

SLOTS = [("b", "U8", (3,)), ("w", "float32", (4, 6)), ("scalar", "I64", ()), ("empty", "BF16", (0, 5))]


def test_chunks_in_any_order(tmp_path: Path) -> None:
    w = np.arange(24, dtype=np.float32).reshape(4, 6)
    path = tmp_path / "m.safetensors"
    with ShardWriter(path, SLOTS, {"format": "pt"}, room=100) as writer:
        writer.write("w", w[:1])
        writer.write("b", b"\1\2\3")
        writer.write("w", w[1:4])
        writer.write("scalar", np.array(7))
        writer.metadata["later"] = "x" * 60
        assert [p.name for p in tmp_path.iterdir()] != ["m.safetensors"]
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]
    for found in (sf.load(path), safetensors.numpy.load_file(path)):
        assert found["w"].tobytes() == w.tobytes()
        assert (found["b"].tolist(), int(found["scalar"])) == ([1, 2, 3], 7)
    assert read_metadata(path) == {"format": "pt", "later": "x" * 60}
    start = int.from_bytes(path.read_bytes()[:8], "little") + 8
    assert start % 64 == 0


def test_the_bytes_are_those_of_save(tmp_path: Path) -> None:
    w, b = np.arange(24.0).reshape(4, 6), np.ones(3, np.int8)
    sf.save(tmp_path / "a.safetensors", {"w": w, "b": b}, {"k": "v"})
    with ShardWriter(tmp_path / "b.safetensors", [("b", "I8", (3,)), ("w", "F64", (4, 6))], {"k": "v"}) as writer:
        writer.write("w", w)
        writer.write("b", b)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_too_few_too_many_and_unknown(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(b"old")

    def written(key: str, data: bytes) -> None:
        with ShardWriter(path, SLOTS) as writer:
            writer.write(key, data)

    for key, data, says in (
        ("w", bytes(4), "'scalar' takes 8 bytes, got 0"),
        ("b", bytes(4), "'b' takes 3 bytes, got 4"),
        ("x", b"", "no array 'x' was announced"),
    ):
        with pytest.raises(sf.CheckpointError, match=says):
            written(key, data)
        assert path.read_bytes() == b"old"
        assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]


def test_metadata_beyond_the_room(tmp_path: Path) -> None:
    def written() -> None:
        with ShardWriter(tmp_path / "m.safetensors", []) as writer:
            writer.metadata["k"] = "v" * 1000

    with pytest.raises(sf.CheckpointError, match=r"the header takes 10\d\d bytes, and 56 are reserved"):
        written()
    assert list(tmp_path.iterdir()) == []


def test_slots_that_make_no_file(tmp_path: Path) -> None:
    with pytest.raises(sf.FormatError, match="two arrays have the key 'a'"):
        ShardWriter(tmp_path / "m", [("a", "U8", (1,)), ("a", "U8", (1,))])
    with pytest.raises(sf.DtypeError, match="takes 12 bits, no whole number of bytes"):
        ShardWriter(tmp_path / "m", [("a", "F4", (3,))])
    with pytest.raises(sf.DtypeError, match="dtype 'U3' is none of the container's"):
        ShardWriter(tmp_path / "m", [("a", "U3", (3,))])


def test_a_full_disk_names_the_file_and_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(b"old")

    def full(*args: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OSError, match="No space left on device") as e, ShardWriter(path, SLOTS) as writer:
        writer.write("b", b"\1\2\3")
    assert e.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]
