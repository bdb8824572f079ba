"""Deltas in files, in every level; cut and damaged ones; checkpoints in and out."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

import sparsefmt as sf
from contract import same
from sparsefmt.delta.model import LEVELS, Level
from strategies import DTYPES, make

Array = np.ndarray[Any, Any]
DATA = Path(__file__).parent.parent / "data" / "delta"


def update(seed: int = 0, share: float = 0.03, tensors: int = 3) -> tuple[dict[str, Array], dict[str, Array]]:
    rng = np.random.default_rng(seed)
    old = {f"w{i}": rng.standard_normal((50, 40 + i)).astype(ml_dtypes.bfloat16) for i in range(tensors)}
    new = {}
    for name, a in old.items():
        b = np.array(a)
        flat = b.reshape(-1).view(np.uint16)
        flat[rng.random(flat.size) < share] += 1
        flat[:3] += np.array([1, 40, 9000], np.uint16)
        new[name] = b
    return old, new


def same_model(got: Any, want: Any) -> None:  # noqa: ANN401
    assert set(got) == set(want)
    for name in want:
        same(np.asarray(got[name]), np.asarray(want[name]))


@settings(max_examples=60)
@given(
    level=st.sampled_from(LEVELS),
    dtype=st.sampled_from(DTYPES),
    count=st.sampled_from([0, 1, 7, 300, 70_001]),
    share=st.sampled_from([0.0, 0.01, 0.3, 1.0]),
    seed=st.integers(0, 2**32 - 1),
    near=st.booleans(),
)
def test_every_level_gives_the_delta_back(
    tmp_path: Path, level: Level, dtype: np.dtype[Any], count: int, share: float, seed: int, near: bool
) -> None:
    old = make(dtype, (count,), 0.8, seed)
    other = make(dtype, (count,), 1.0, seed + 1)
    new = np.where(np.random.default_rng(seed).random(count) < share, other, old)
    if near and dtype.kind in "iu":
        new = (old + (new != old)).astype(dtype)
    d = sf.delta.diff({"a": old, "gone": old, "s": other[:0]}, {"a": new, "came": new[:1], "s": other[:0]}, level=level)
    sf.delta.save(tmp_path / "d.safetensors", d)
    got = sf.delta.load(tmp_path / "d.safetensors")
    assert got == d
    assert got.level == level
    same_model(got.apply({"a": old, "gone": old, "s": other[:0]}), {"a": new, "came": new[:1], "s": other[:0]})
    assert got.invert() == d.invert()


def test_a_stored_delta_is_a_checkpoint_of_packed_integers(tmp_path: Path) -> None:
    old, new = update()
    sf.delta.save(tmp_path / "d.safetensors", sf.delta.diff(old, new))
    with sf.open_checkpoint(tmp_path / "d.safetensors") as c:
        assert set(c) == {f"steps.0.{name}" for name in old}
        t = c["steps.0.w0"]
        assert isinstance(t, sf.SparseTensor)
        assert t.format == "gap"
        assert t.dtype == np.int16


def test_smaller_levels_are_smaller(tmp_path: Path) -> None:
    old, new = update(share=0.02, tensors=12)
    sizes = {}
    for level in LEVELS:
        sf.delta.save(tmp_path / level, sf.delta.diff(old, new, level=level))
        sizes[level] = (tmp_path / level).stat().st_size
    assert sizes["archive"] < sizes["wire"] < sizes["store"]


def test_planes_of_every_length_come_back(tmp_path: Path) -> None:
    """Where the frame of a plane is as long as the plane, the plane is stored."""
    rng = np.random.default_rng(0)
    for count in range(1, 400, 3):
        old = np.zeros(count * 2, np.int16)
        new = old.copy()
        new[np.sort(rng.permutation(count * 2)[:count])] = rng.integers(1, 6, count) * rng.choice([-1, 1], count)
        sf.delta.save(tmp_path / "d", sf.delta.diff(old, new, level="wire"))
        same(sf.delta.load(tmp_path / "d").apply(old), new)


@pytest.mark.parametrize("level", LEVELS)
def test_a_cut_file_is_refused(tmp_path: Path, level: Level) -> None:
    old, new = update()
    path = tmp_path / "d.safetensors"
    sf.delta.save(path, sf.delta.diff(old, new, level=level))
    data = path.read_bytes()
    for cut in range(0, len(data), max(len(data) // 40, 1)):
        path.write_bytes(data[:cut])
        with pytest.raises(sf.DeltaError):
            sf.delta.load(path)


@pytest.mark.parametrize("level", LEVELS)
def test_any_damage_is_an_error_or_found_by_the_result(tmp_path: Path, level: Level) -> None:
    old, new = update()
    path = tmp_path / "d.safetensors"
    sf.delta.save(path, sf.delta.diff(old, new, level=level))
    data, rng = path.read_bytes(), np.random.default_rng(0)
    for _ in range(60):
        bad = bytearray(data)
        bad[int(rng.integers(8, len(bad)))] ^= 1 << int(rng.integers(8))
        path.write_bytes(bad)
        try:
            got = sf.delta.load(path).apply(old)
        except sf.SparsefmtError:
            continue
        same_model(got, new)  # a bit of padding


def test_what_is_no_delta_says_so(tmp_path: Path) -> None:
    sf.save(tmp_path / "w.safetensors", {"w": np.ones(3)})
    with pytest.raises(sf.DeltaError, match="no delta"):
        sf.delta.load(tmp_path / "w.safetensors")
    with pytest.raises(sf.DeltaError, match="without versions"):
        sf.delta.load(tmp_path)
    with pytest.raises(FileNotFoundError):
        sf.delta.load(tmp_path / "none.safetensors")
    old, new = update()
    sf.delta.save(tmp_path / "d", sf.delta.diff(old, new))
    tensors = sf.load(tmp_path / "d")
    sf.save(tmp_path / "d", tensors, {"sparsefmt.delta": json.dumps({"version": 2, "level": "store"})})
    with pytest.raises(sf.VersionError, match="update sparsefmt"):
        sf.delta.load(tmp_path / "d")


@pytest.mark.parametrize("level", LEVELS)
def test_folders_of_shards(tmp_path: Path, level: Level) -> None:
    d = sf.delta.diff(DATA / "checkpoint_v0", DATA / "checkpoint_v3", level=level)
    sf.delta.save(tmp_path / "d", d)
    out = sf.delta.load(tmp_path / "d").apply(DATA / "checkpoint_v0", out=tmp_path / "out")
    with sf.open_checkpoint(out) as got, sf.open_checkpoint(DATA / "checkpoint_v3") as want:
        same_model(got, want)
        assert sorted(got.shards) == sorted(want.shards)
        assert got.metadata == want.metadata
    d.invert().apply(out, out=tmp_path / "back")
    with sf.open_checkpoint(tmp_path / "back") as got, sf.open_checkpoint(DATA / "checkpoint_v0") as want:
        same_model(got, want)
    with pytest.raises(sf.DeltaError, match="applied before"):
        d.apply(DATA / "checkpoint_v3", out=tmp_path / "twice")
    assert not (tmp_path / "twice").exists()


def test_shards_that_come_and_go_and_packed_tensors(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    w = rng.standard_normal((30, 40)).astype(np.float32)
    w[rng.random(w.shape) < 0.8] = 0
    old, new = tmp_path / "old.safetensors", tmp_path / "new.safetensors"
    sf.save(old, {"p": sf.encode(w, "csr"), "b": np.ones(5), "gone": np.ones(2)}, {"epoch": "1"})
    w[0, :9] = 1
    sf.save(new, {"p": sf.encode(w, "csr"), "b": np.ones(5), "came": np.ones((2, 2), np.int8)}, {"epoch": "2"})
    d = sf.delta.diff(old, new)
    d.apply(old, out=tmp_path / "got.safetensors")
    with sf.open_checkpoint(tmp_path / "got.safetensors") as c:
        same(c["p"].to_dense(), w)
        assert set(c) == {"p", "b", "came"}
        assert c.metadata == {"epoch": "2"}
    d.invert().apply(new, out=tmp_path / "back.safetensors")
    assert sf.equal(sf.load(tmp_path / "back.safetensors")["p"], sf.load(old)["p"])


def test_dtypes_that_numpy_lacks_pass_through(tmp_path: Path) -> None:
    def write(path: Path, data: bytes) -> None:
        head = json.dumps({"w": {"dtype": "F4", "shape": [4, 8], "data_offsets": [0, 16]}}).encode()
        head = head.ljust(-(-len(head) // 8) * 8)
        path.write_bytes(len(head).to_bytes(8, "little") + head + data)

    old, new = tmp_path / "old.safetensors", tmp_path / "new.safetensors"
    write(old, bytes(range(16)))
    write(new, bytes(range(15)) + b"\xff")
    out = sf.delta.diff(old, new).apply(old, out=tmp_path / "out.safetensors")
    with sf.open_checkpoint(out) as c:
        assert c.entries["w"].dtype == "F4"
        assert c.entries["w"].shape == (4, 8)
        assert bytes(np.asarray(c["w"])) == bytes(range(15)) + b"\xff"


def test_a_delta_of_dicts_updates_files(tmp_path: Path) -> None:
    old, new = update()
    save_file({n: a.view(np.uint16) for n, a in old.items()}, tmp_path / "u.safetensors")
    sf.save(tmp_path / "m.safetensors", old)
    d = sf.delta.diff(old, new)
    d.apply(tmp_path / "m.safetensors", out=tmp_path / "n.safetensors")
    same_model(sf.load(tmp_path / "n.safetensors"), new)
    with pytest.raises(sf.DeltaError, match="bfloat16"):
        d.apply(tmp_path / "u.safetensors", out=tmp_path / "x.safetensors")
    files = sf.delta.diff(tmp_path / "m.safetensors", tmp_path / "n.safetensors")
    same_model(files.apply(old), new)
    with pytest.raises(sf.FormatError, match="out="):
        d.apply(tmp_path / "m.safetensors")


def test_progress_tells_every_tensor(tmp_path: Path) -> None:
    told: list[str] = []
    d = sf.delta.diff(DATA / "checkpoint_v0", DATA / "checkpoint_v1", progress=lambda name, nbytes: told.append(name))
    assert sorted(told) == sorted(d.changes)
    told.clear()
    d.apply(DATA / "checkpoint_v0", out=tmp_path / "o", progress=lambda name, nbytes: told.append(name))
    assert sorted(told) == sorted(d.changes)


def test_levels_can_be_changed(tmp_path: Path) -> None:
    old, new = update()
    d = sf.delta.diff(old, new, level="archive")
    sf.delta.save(tmp_path / "a", d)
    again = replace(sf.delta.load(tmp_path / "a"), level="store")
    sf.delta.save(tmp_path / "s", again)
    assert sf.delta.load(tmp_path / "s") == d
    shutil.rmtree(tmp_path)


@pytest.mark.parametrize("leads_from", ["file", "folder"])
@pytest.mark.parametrize("leads_to", ["file", "folder"])
@pytest.mark.parametrize("base", ["file", "folder"])
def test_a_delta_of_files_fits_folders(tmp_path: Path, leads_from: str, leads_to: str, base: str) -> None:
    """Weights are a version whatever files hold them; before, such deltas were written and then fit nothing."""
    old, new = update()
    del new["w0"]
    new["came"] = new["w1"][:3]
    for version, tensors in (("old", old), ("new", new)):
        folder = tmp_path / f"{version}-folder"
        folder.mkdir()
        (folder / "config.json").write_text("{}")
        for i, name in enumerate(tensors):
            sf.save(folder / f"model-{i + 1:05d}-of-{len(tensors):05d}.safetensors", {name: tensors[name]})
        sf.save(tmp_path / f"{version}-file.safetensors", tensors)
    ends = {"file": ".safetensors", "folder": ""}
    d = sf.delta.diff(*(tmp_path / f"{v}-{k}{ends[k]}" for v, k in (("old", leads_from), ("new", leads_to))))
    becomes = leads_to if leads_from == base else base
    out = d.apply(tmp_path / f"old-{base}{ends[base]}", out=tmp_path / f"out{ends[becomes]}")
    same_model(sf.open_checkpoint(out), new)
    assert out.is_dir() == (becomes == "folder")
    assert (out / "config.json").is_file() == (out.is_dir() and base == "folder")
    returns = leads_from if leads_to == becomes else becomes
    same_model(sf.open_checkpoint(d.invert().apply(out, out=tmp_path / f"back{ends[returns]}")), old)


def test_what_comes_to_a_folder_keeps_the_dtype_that_numpy_lacks(tmp_path: Path) -> None:
    """A delta of files made flat U8 of it where the base was a folder of shards."""

    def put(path: Path, **tensors: tuple[str, list[int], bytes]) -> Path:
        at, head = 0, {}
        for name, (dtype, shape, data) in tensors.items():
            head[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at := at + len(data)]}
        text = json.dumps(head).encode()
        path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(data for *_, data in tensors.values()))
        return path

    same_y = ("F32", [1], bytes(4))
    old = put(tmp_path / "old.safetensors", y=same_y, x=("F4", [4, 4], bytes(8)))
    new = put(tmp_path / "new.safetensors", y=same_y, x=("F4", [4, 8], bytes(range(16))), z=("F8_E8M0", [3], bytes(3)))
    (tmp_path / "old").mkdir()
    shutil.copy(old, tmp_path / "old" / "model.safetensors")
    sf.delta.save(tmp_path / "d.safetensors", sf.delta.diff(old, new))
    sf.delta.load(tmp_path / "d.safetensors").apply(tmp_path / "old", out=tmp_path / "made")
    with sf.open_checkpoint(tmp_path / "made") as found, sf.open_checkpoint(new) as want:
        assert {n: (e.dtype, e.shape) for n, e in found.entries.items()} == {
            n: (e.dtype, e.shape) for n, e in want.entries.items()
        }
    assert sf.delta.diff(tmp_path / "made" / "model.safetensors", new).stats().changed_tensors == 0
