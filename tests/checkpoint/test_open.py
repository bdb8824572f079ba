"""Checkpoints: opened once, one snapshot, the index decides."""

import copy
import gc
import json
import os
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

import sparsefmt as sf
from sparsefmt.checkpoint import ShardWriter
from sparsefmt.checkpoint.readers.registry import READERS
from sparsefmt.io.container import File
from support.registered import FORMATS, VALUES


@pytest.fixture
def tensors() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {
        "a": rng.standard_normal((8, 12)).astype(ml_dtypes.bfloat16),
        "b": rng.standard_normal((3, 2, 4)),
        "c": (rng.standard_normal((4, 4)) + 1j).astype(np.complex128),
        "ids": np.arange(5),
        "one": np.array(2.5, np.float32),
    }


@pytest.fixture
def file(tmp_path: Path, tensors: dict[str, np.ndarray]) -> Path:
    packed = {"p": sf.encode(np.eye(9, 7, dtype=np.float16), "csr"), "q": sf.encode(np.ones((5, 6)), "bsr2x3")}
    sf.save(tmp_path / "m.safetensors", tensors | packed, {"format": "pt"})
    return tmp_path / "m.safetensors"


def test_a_mapping_of_arrays_and_packed_tensors(file: Path, tensors: dict[str, np.ndarray]) -> None:
    with sf.open_checkpoint(file) as c:
        assert sorted(c) == sorted([*tensors, "p", "q"])
        assert len(c) == 7
        assert "a" in c
        assert "z" not in c
        for name, w in tensors.items():
            assert c[name].tobytes() == w.tobytes()
            assert c.entries[name].shape == w.shape
            assert c.entries[name].dtype == w.dtype.name
            assert c.entries[name].nbytes == w.nbytes
        assert c["p"].format == "csr"
        assert (c.entries["p"].format, c.entries["a"].format) == ("csr", "plain")
        assert {e.shard for e in c.entries.values()} == {"m.safetensors"}
        assert (c.shards, c.reader, dict(c.metadata), dict(c.config)) == (
            ("m.safetensors",), "safetensors", {"format": "pt"}, {},
        )  # fmt: skip
        with pytest.raises(KeyError, match="holds no tensor 'z'"):
            c["z"]


def test_rows_of_plain_and_packed_tensors(file: Path, tensors: dict[str, np.ndarray]) -> None:
    with sf.open_checkpoint(file) as c:
        whole = {name: w.reshape(-1, w.shape[-1]) if w.ndim else w.reshape(1, 1) for name, w in tensors.items()}
        whole |= {"p": np.eye(9, 7, dtype=np.float16), "q": np.ones((5, 6))}
        for name, w in whole.items():
            for low in range(len(w) + 1):
                for high in range(low, len(w) + 1):
                    rows = c.rows(name, low, high)
                    assert rows.dtype == w.dtype
                    assert np.array_equal(rows, w[low:high]), (name, low, high)
        with pytest.raises(sf.FormatError, match=r"rows 3\.\.9 are out of range for shape \(8, 12\)"):
            c.rows("a", 3, 9)


@pytest.mark.parametrize("fmt", FORMATS)
def test_an_entry_tells_the_format_without_reading(fmt: str, tmp_path: Path) -> None:
    path, w = tmp_path / "w.safetensors", np.zeros((8, 64), np.float32)
    tensors = {text: sf.encode(w, f"{fmt}/{text}") for text in VALUES}
    tensors["raw"] = sf.encode(w, fmt)
    sf.save(path, tensors)
    with sf.open_checkpoint(path) as c:
        assert {name: e.format for name, e in c.entries.items()} == {name: t.format for name, t in tensors.items()}


@pytest.mark.parametrize("params", ["{}", '{"align":1,"m":"<b>","n":2}', '{"align":1,"m":[4],"n":2}', '{"block":[2]}'])
def test_a_header_that_says_nonsense_of_a_format_is_opened_and_not_read(params: str, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    sf.save(path, {"w": sf.encode(np.zeros((8, 64), np.float32), "nm2:4")})
    data, old = path.read_bytes(), json.dumps('{"align":1,"m":4,"n":2}')[1:-1].encode()
    assert old in data
    size, new = int.from_bytes(data[:8], "little"), json.dumps(params)[1:-1].encode()
    header = data[8 : 8 + size].replace(old, new)
    path.write_bytes(len(header).to_bytes(8, "little") + header + data[8 + size :])
    with sf.open_checkpoint(path) as c:
        assert c.entries["w"].format == "nm"
        with pytest.raises(sf.CorruptFileError):
            c["w"]


@pytest.mark.parametrize("name", ["weights", "m.sft", "m.bin", "0f3a.incomplete"])
def test_a_file_is_known_by_what_it_begins_with(name: str, tmp_path: Path) -> None:
    sf.save(tmp_path / "m.safetensors", {"w": sf.encode(np.eye(4), "csr"), "b": np.ones(3)})
    os.replace(tmp_path / "m.safetensors", tmp_path / name)
    with sf.open_checkpoint(tmp_path / name) as c:
        assert (c.reader, c.entries["w"].format, c["b"].tolist()) == ("safetensors", "csr", [1, 1, 1])
    sf.transform(tmp_path / name, tmp_path / "o.safetensors", sf.checkpoint.unpack())
    assert np.array_equal(sf.load(tmp_path / "o.safetensors")["w"], np.eye(4))


@pytest.mark.parametrize(
    "start", [b"", b"{", b"\x02" + b"\0" * 7, b"\x40" + b"\0" * 7 + b"{}", b"\x02" + b"\0" * 7 + b"[]"]
)
def test_a_file_that_begins_as_nothing_known(start: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.bin").write_bytes(start)
    with pytest.raises(sf.FormatError, match="the suffix is unknown"):
        sf.open_checkpoint(tmp_path / "m.bin")


def test_dtypes_that_numpy_lacks_are_bytes(tmp_path: Path) -> None:
    path = tmp_path / "f4.safetensors"
    with ShardWriter(path, [("e", "F4", (3, 4)), ("s", "F8_E8M0", (3,))]) as writer:
        writer.write("e", bytes(range(6)))
        writer.write("s", np.array([1, 2, 3], np.uint8))
    with sf.open_checkpoint(path) as c:
        assert c["e"].tolist() == list(range(6))
        assert (c.entries["e"].dtype, c.entries["e"].shape, c.entries["e"].nbytes) == ("F4", (3, 4), 6)
        assert c.rows("e", 1, 2).tolist() == [[2, 3]]
        assert c["s"].view(np.uint8).tolist() == [1, 2, 3]


def test_what_took_the_place_of_the_file_is_noticed(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    sf.save(other, {"a": np.zeros(3)})
    with sf.open_checkpoint(file) as c:
        view, before = c["a"], c["a"].copy()
        c.check()
        os.replace(other, file)
        assert view.tobytes() == before.tobytes()
        for read in (c.check, lambda: c["a"], lambda: c.rows("a", 0, 1)):
            with pytest.raises(sf.CheckpointError, match="was replaced by another file while it was read"):
                read()
    with sf.open_checkpoint(file) as c:
        with file.open("r+b") as f:
            f.truncate(20)
        with pytest.raises(sf.CorruptFileError, match="became shorter while it was read"):
            c.rows("a", 0, 1)
        with pytest.raises(sf.CheckpointError, match="was changed while it was read"):
            c.check()
        file.unlink()
        with pytest.raises(sf.CheckpointError, match="was removed while it was read"):
            c.check()


def test_a_process_may_go_to_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m").mkdir()
    sf.save(tmp_path / "m/model.safetensors", {"a": np.arange(6.0).reshape(2, 3)})
    (tmp_path / "m/config.json").write_text('{"layers": 3}')
    np.save(tmp_path / "n.npy", np.ones(3))
    monkeypatch.chdir(tmp_path)
    with sf.open_checkpoint("m") as c, sf.open_checkpoint("m/model.safetensors") as d, sf.open_checkpoint("n.npy") as e:
        monkeypatch.chdir("m")
        assert c["a"][1, 2] == d["a"][1, 2] == 5
        assert c.rows("a", 1, 2).tolist() == [[3, 4, 5]]
        assert e["n"].tolist() == [1, 1, 1]
        assert c.config == d.config == {"layers": 3}
        c.check()


def test_what_was_written_into_the_file_is_noticed(tmp_path: Path) -> None:
    """Of the same size and in the same place: nothing but the time tells."""
    folder = tmp_path / "m"
    folder.mkdir()
    for shard, name in ((1, "a"), (2, "b")):
        sf.save(folder / f"model-0000{shard}-of-00002.safetensors", {name: np.full((4, 4), shard, np.float32)})
    first = folder / "model-00001-of-00002.safetensors"
    with sf.open_checkpoint(folder) as c:
        assert c["a"].max() == 1
        data = first.read_bytes()
        os.utime(first, ns=(0, 0))  # not to wait for the clock of the file system
        first.write_bytes(data[:-64] + np.full((4, 4), 9, np.float32).tobytes())
        for read in (lambda: c["a"], lambda: c.rows("a", 1, 2)):
            with pytest.raises(sf.CheckpointError, match=r"00001-of-00002\.safetensors was changed while it was read"):
                read()
        assert c["b"].max() == 2
        assert c.rows("b", 1, 2).max() == 2


def test_a_checkpoint_that_is_not_closed_warns_nobody(file: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        array = sf.open_checkpoint(file)["a"]
        assert array.shape == (8, 12)


def folder_of(path: Path, index: dict[str, str] | None, **files: list[str]) -> Path:
    path.mkdir()
    for name, keys in files.items():
        sf.save(path / f"{name}.safetensors", {key: np.full(2, len(name)) for key in keys})
    if index is not None:
        (path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    return path


def refused(path: Path) -> str:
    with pytest.raises(sf.CheckpointError) as e:
        sf.open_checkpoint(path)
    return str(e.value)


def test_the_index_decides(tmp_path: Path) -> None:
    path = folder_of(
        tmp_path / "m", {"w": "a.safetensors", "v": "bb.safetensors"}, a=["w"], bb=["v", "w", "x"], mtp=["y"]
    )
    with sf.open_checkpoint(path) as c:
        assert sorted(c) == ["v", "w"]
        assert c["w"].tolist() == [1, 1]
        assert c.shards == ("a.safetensors", "bb.safetensors")
        assert c.left_out == ("mtp.safetensors", "x in bb.safetensors")


def test_index_and_shards_that_do_not_fit(tmp_path: Path) -> None:
    gone = folder_of(tmp_path / "1", {"w": "a.safetensors", "v": "a.safetensors"}, a=["w"])
    assert "a.safetensors holds 'v', which it lacks, and no other shard has it" in refused(gone)
    moved = folder_of(tmp_path / "2", {"w": "a.safetensors", "v": "b.safetensors"}, a=["w", "v"], b=["u"])
    assert "b.safetensors holds 'v', which it lacks; it is in a.safetensors" in refused(moved)
    missing = folder_of(tmp_path / "3", {"w": "a.safetensors", "v": "b.safetensors"}, a=["w"])
    assert "names 'b.safetensors' (for 'v'), which is no safetensors file in this folder" in refused(missing)
    assert "weight_map is empty" in refused(folder_of(tmp_path / "4", {}, a=["w"]))


def test_numbered_shards(tmp_path: Path) -> None:
    names = {f"model-0000{i}-of-00003": [f"t{i}"] for i in (1, 3)}
    line = refused(folder_of(tmp_path / "1", None, **names))
    assert "shard model-00002-of-00003.safetensors is missing" in line
    huge = {"model-00001-of-99999999999": ["t"]}
    assert "shard model-00002-of-99999999999.safetensors is missing" in refused(folder_of(tmp_path / "2", None, **huge))
    from_zero = {f"weights-0{i}-of-02": [f"t{i}"] for i in (0, 1)}
    assert len(sf.open_checkpoint(folder_of(tmp_path / "3", None, **from_zero))) == 2


def test_two_variants(tmp_path: Path) -> None:
    path = folder_of(tmp_path / "m", None, **{"model": ["w"], "model.fp16": ["w"]})
    line = refused(path)
    assert "model.fp16.safetensors and in model.safetensors" in line
    assert "--file model.fp16.safetensors" in line
    with sf.open_checkpoint(path, file="model.safetensors") as c:
        assert c["w"].tolist() == [5, 5]
    with pytest.raises(sf.CheckpointError, match="has no weights or index 'no'"):
        sf.open_checkpoint(path, file="no")
    with pytest.raises(sf.CheckpointError, match="chooses a file of a folder"):
        sf.open_checkpoint(path / "model.safetensors", file="model.safetensors")


def test_names_that_begin_with_a_dot_are_no_files(tmp_path: Path) -> None:
    path = folder_of(tmp_path / "m", None, model=["w"])
    (path / "._model.safetensors").write_bytes(b"\0\5\x16\7 AppleDouble")
    (path / "._model.safetensors.index.json").write_bytes(b"\0\5\x16\7 AppleDouble")
    assert list(sf.open_checkpoint(path)) == ["w"]


@pytest.mark.parametrize(
    ("start", "says"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a git-lfs pointer"),
        (b"PK\x03\x04" + bytes(60), "a zip archive (a PyTorch checkpoint"),
        (b"\x80\x02}q\x00." + bytes(60), "a pickle"),
        (b"\n<!DOCTYPE html><html>" + bytes(60), "a page of HTML"),
        (b"%%MatrixMarket matrix coordinate real general\n", "sf.open_checkpoint and the commands read it, named .mtx"),
    ],
)
def test_what_a_file_is_when_it_is_no_safetensors_file(tmp_path: Path, start: bytes, says: str) -> None:
    (tmp_path / "m.safetensors").write_bytes(start)
    with pytest.raises(sf.CorruptFileError, match=r"not a safetensors file, but") as e:
        sf.open_checkpoint(tmp_path / "m.safetensors")
    assert says in str(e.value)


def test_every_reader_says_no_to_a_folder_and_to_other_files(tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").mkdir()
    (tmp_path / "y.txt").write_text("hello")
    for reader in READERS.values():
        assert not reader.sniff(tmp_path / "y.txt")
        assert not reader.sniff(tmp_path / "x.safetensors")


@pytest.mark.parametrize("travel", [copy.copy, copy.deepcopy, pickle.dumps])
def test_open_files_are_neither_copied_nor_pickled(travel: Callable[[object], object], file: Path) -> None:
    """A copy that failed half-way once closed the files of the checkpoint that it was made of."""
    with sf.open_checkpoint(file) as c, File(file) as lone:
        before = c["a"].tobytes()
        with pytest.raises(TypeError, match=r"open it there: sparsefmt.open_checkpoint\('.*m.safetensors'\)"):
            travel(c)
        with pytest.raises(TypeError, match="is an open file, which is neither copied nor pickled"):
            travel(lone)
        gc.collect()
        assert c["a"].tobytes() == before
        assert c.rows("a", 0, 1).tobytes() == before[: c.rows("a", 0, 1).nbytes]
