"""Deltas whose steps are damaged: whoever takes values from them finds it, not only who makes the whole new version."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sparsefmt as sf
from sparsefmt.delta.model import LEVELS, Level

RNG = np.random.default_rng(7)
OLD = {"w": RNG.standard_normal(3000).astype(np.float32), "z": np.zeros(2000, np.float32)}
NEW = {name: a.copy() for name, a in OLD.items()}
NEW["w"][::40] += np.float32(0.5)
NEW["z"][[10, 500, 1500]] = 1  # among items that are alike, other places hold the same items


def damaged(folder: Path, level: Level) -> list[sf.delta.Delta]:
    """Deltas of which a bit of the steps differs, as far as the file does not say so itself."""
    path = folder / "d.safetensors"
    sf.delta.save(path, sf.delta.diff(OLD, NEW, level))
    raw = path.read_bytes()
    begin = 8 + int.from_bytes(raw[:8], "little")
    found = list[sf.delta.Delta]()
    for at in range(begin, len(raw), max((len(raw) - begin) // 30, 1)):
        other = folder / f"{at}.safetensors"
        other.write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
        try:
            d = sf.delta.load(other)
            d.apply(OLD)
        except sf.DeltaError as e:
            if "promises" in str(e):
                found.append(d)
    assert found
    return found


def as_task(d: sf.delta.Delta, weights: object, folder: Path) -> None:
    """Activates it as a task that a store has in its folder, as it lies there."""
    base = folder / "base.safetensors"
    shutil.rmtree(f"{base}.tasks", ignore_errors=True)
    sf.save(base, OLD)
    store = sf.TaskStore(base)
    sf.delta.save(Path(f"{base}.tasks") / "a.safetensors", d)
    store.activate(weights)  # type: ignore[arg-type]


def added(d: sf.delta.Delta, folder: Path) -> None:
    base = folder / "base.safetensors"
    sf.save(base, OLD)
    sf.TaskStore(base).add("a", d)


def in_place(d: sf.delta.Delta, folder: Path) -> None:
    """The files are as they were."""
    path = folder / "model.safetensors"
    sf.save(path, OLD)
    before = path.read_bytes()
    try:
        d.apply(path, in_place=True)
    finally:
        assert path.read_bytes() == before


USES: dict[str, Callable[[sf.delta.Delta, Path], Any]] = {
    "patches": lambda d, _: list(d.patches(OLD)),
    "xor": lambda d, folder: sf.delta.save(folder / "weight_v000001", d, "hf-xor", base=OLD),
    "overwrite": lambda d, folder: sf.delta.save(folder / "weight_v000002", d, "hf-overwrite", base=OLD),
    "skyrl": lambda d, folder: sf.delta.save(folder / "delta-00000001", d, "skyrl", base=OLD),
    "added": added,
    "task": lambda d, folder: as_task(d, "a", folder),
    "sum of tasks": lambda d, folder: as_task(d, {"a": 0.5}, folder),
    "merge": lambda d, _: sf.merge.task_arithmetic([d, NEW], base=OLD),
    "whole merge": lambda d, _: sf.merge.nuslerp([d, NEW], base=OLD, weights=[0.5, 0.5]),
    "in place": in_place,
}


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("use", USES)
def test_no_use_takes_damaged_steps(tmp_path: Path, level: Level, use: str) -> None:
    """They became values with checksums of their own, in folders of others, patches, tasks and merged models."""
    for d in damaged(tmp_path, level):
        with pytest.raises(sf.DeltaError, match="promises"):
            USES[use](d, tmp_path)
    assert not list(tmp_path.glob("weight_v*")) + list(tmp_path.glob("delta-*"))


@pytest.mark.parametrize("use", USES)
def test_sound_steps_are_taken(tmp_path: Path, use: str) -> None:
    d = sf.delta.diff(OLD, NEW)
    if use != "in place":
        USES[use](d, tmp_path)
    sf.save(tmp_path / "m.safetensors", OLD)
    d.apply(tmp_path / "m.safetensors", in_place=True)
    assert all(np.array_equal(a, NEW[n]) for n, a in sf.load(tmp_path / "m.safetensors").items())


def test_damaged_places_among_equal_items_are_found_in_place(tmp_path: Path) -> None:
    """The items that move were the right ones at wrong places, and nothing else was compared after the move."""
    old, new = ({"z": v["z"]} for v in (OLD, NEW))
    files = [tmp_path / f"{name}.safetensors" for name in ("old", "new", "d", "m")]
    sf.save(files[0], old)
    sf.save(files[1], new)
    sf.delta.save(files[2], sf.delta.diff(files[0], files[1]))
    raw, refused = files[2].read_bytes(), 0
    for at in range(8 + int.from_bytes(raw[:8], "little"), len(raw)):
        files[2].write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
        shutil.copy(files[0], files[3])
        try:
            sf.delta.load(files[2]).apply(files[3], in_place=True)
        except sf.DeltaError:
            refused += 1
            assert files[3].read_bytes() == files[0].read_bytes()
        else:  # it lies between the arrays
            assert np.array_equal(sf.load(files[3])["z"], new["z"])
    assert refused > 3


def test_a_tensor_that_came_is_compared_before_it_is_merged(tmp_path: Path) -> None:
    sf.delta.save(tmp_path / "d", sf.delta.diff(OLD, {**NEW, "c": np.arange(50, dtype=np.float32)}))
    raw = (tmp_path / "d").read_bytes()
    at = raw.index(np.arange(50, dtype=np.float32).tobytes()) + 7
    (tmp_path / "d").write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
    with pytest.raises(sf.DeltaError, match="'c': the delta is damaged: the array that it holds has another checksum"):
        sf.merge.linear([sf.delta.load(tmp_path / "d")] * 2, base=OLD)
    one = sf.delta.diff(np.zeros(3, np.float32), np.arange(5, dtype=np.float32))
    sf.delta.save(tmp_path / "d", one)
    raw = (tmp_path / "d").read_bytes()
    (tmp_path / "d").write_bytes(raw.replace(np.arange(5, dtype=np.float32).tobytes(), bytes(20)))
    with pytest.raises(sf.DeltaError, match="another checksum"):
        sf.merge.linear([sf.delta.load(tmp_path / "d")] * 2, base=np.zeros(3, np.float32))


@pytest.mark.parametrize(
    "how",
    [
        {"fmt": "gap"},
        {"fmt": "csr/int8:g128"},
        {"fmt": "bitmask/int4"},
        {"dare": 0.3},
        {"dare": 0.3, "fmt": "dense/int8:g32"},
    ],
)
def test_lossy_vectors_are_compared_when_they_are_read(tmp_path: Path, how: dict[str, Any]) -> None:
    """A bit of their file became a weight."""
    base = tmp_path / "base.safetensors"
    sf.save(base, OLD)
    sf.TaskStore(base).add("a", NEW, **how)
    store = sf.TaskStore(base)
    store.activate("a")
    want = {name: store[name] for name in store}
    path = Path(f"{base}.tasks") / "a.safetensors"
    raw, refused = path.read_bytes(), 0
    begin = 8 + int.from_bytes(raw[:8], "little")
    for at in range(begin, len(raw), max((len(raw) - begin) // 40, 1)):
        path.write_bytes(raw[:at] + bytes([raw[at] ^ 4]) + raw[at + 1 :])
        store = sf.TaskStore(base)
        try:
            store.activate("a")
        except sf.SparsefmtError:
            refused += 1
        else:  # it lies between the arrays
            assert all(np.array_equal(store[name], want[name]) for name in want)
    assert refused > 10
    path.write_bytes(raw.replace(b"checksums", b"checksumz"))  # as those of before, which have none
    sf.TaskStore(base).activate("a")


def test_what_cannot_be_precomputed_is_not_pinned(tmp_path: Path) -> None:
    sf.save(tmp_path / "base.safetensors", OLD)
    store = sf.TaskStore(tmp_path / "base.safetensors")
    store.add("a", NEW)
    for wrong, error in ((["a", "b"], sf.DeltaError), (5, sf.FormatError), ([5], sf.FormatError)):
        with pytest.raises(error):
            store.precompute(wrong)  # type: ignore[arg-type]
    assert store.stats().pinned == 1
