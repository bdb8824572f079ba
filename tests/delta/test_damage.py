"""Deltas with something wrong that no checksum of a changed tensor meets: tensors that come, no steps, layouts."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sparsefmt as sf
from sparsefmt.delta.model import LEVELS, Level

OLD = {"a": np.arange(6, dtype=np.int16), "g": np.arange(9.0), "t": np.arange(12, dtype=np.int16)}
NEW = {"a": OLD["a"] + np.int16(1), "c": np.arange(50, dtype=np.float32), "t": OLD["t"].reshape(3, 4)}


def opened(path: Path) -> tuple[dict[str, Any], bytes]:
    """The header and the data of a file."""
    raw = path.read_bytes()
    end = 8 + int.from_bytes(raw[:8], "little")
    return json.loads(raw[8:end]), raw[end:]


def closed(path: Path, header: dict[str, Any], data: bytes) -> None:
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def manifest_changed(path: Path, change: Callable[[dict[str, Any]], None], sealed: bool) -> None:
    """Changes the manifest of a stored delta; one of before has no checksum of it."""
    header, data = opened(path)
    short = json.loads(header["__metadata__"]["sparsefmt.delta"])
    head = json.loads(short["manifest"])
    change(head)
    short["manifest"] = json.dumps(head)
    if not sealed:
        del short["checksum"]
    header["__metadata__"]["sparsefmt.delta"] = json.dumps(short)
    closed(path, header, data)


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    sf.delta.save(tmp_path / "d", sf.delta.diff(OLD, NEW))
    return tmp_path / "d"


@pytest.mark.parametrize("level", LEVELS)
def test_tensors_that_come_are_checked(tmp_path: Path, level: Level) -> None:
    """They were taken as they lay in the file."""
    files = tmp_path / "old.safetensors", tmp_path / "new.safetensors"
    for path, tensors in zip(files, (OLD, NEW), strict=True):
        sf.save(path, tensors)
    for d, base in ((sf.delta.diff(OLD, NEW, level), OLD), (sf.delta.diff(*files, level), files[0])):
        sf.delta.save(tmp_path / "d", d)
        header, data = opened(tmp_path / "d")
        at = header["new.c"]["data_offsets"][0] + 7
        closed(tmp_path / "d", header, data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        wrong = sf.delta.load(tmp_path / "d")
        with pytest.raises(
            sf.DeltaError, match="'c': the delta is damaged: the array that it holds has another checksum"
        ):
            wrong.apply(base, *([tmp_path / "out.safetensors"] if base is not OLD else []))
        with pytest.raises(sf.DeltaError, match="another checksum"):
            list(wrong.patches(base if base is OLD else OLD))
        assert not (tmp_path / "out.safetensors").exists()
        wrong.invert().apply(
            NEW if base is OLD else files[1], *([] if base is OLD else [tmp_path / "back.safetensors"])
        )


def test_one_array_of_another_shape_is_checked(tmp_path: Path) -> None:
    sf.delta.save(tmp_path / "d", sf.delta.diff(OLD["t"], np.arange(5.0)))
    header, data = opened(tmp_path / "d")
    at = header["new."]["data_offsets"][0]
    closed(tmp_path / "d", header, data[:at] + b"x" + data[at + 1 :])
    with pytest.raises(sf.DeltaError, match="another checksum"):
        sf.delta.load(tmp_path / "d").apply(OLD["t"])


def no_steps(head: dict[str, Any]) -> None:
    head["tensors"][0][-1] = []


def no_sum(head: dict[str, Any]) -> None:
    head["wholes"][[w[0] for w in head["wholes"]].index("c")][2] = None


def other_kind(head: dict[str, Any]) -> None:
    head["kinds"][[w[0] for w in head["wholes"]].index("t")][1] = ["int16", [4, 3]]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (no_steps, "no step of tensor 'a' is there, but its versions differ"),
        (no_sum, "tensor 'c' lacks a checksum"),
        (other_kind, r"the versions of tensor 't' are .*, want .*\[4, 3\]"),
    ],
)
def test_manifests_that_contradict_themselves(
    stored: Path, change: Callable[[dict[str, Any]], None], said: str
) -> None:
    """Without steps, a tensor was handed on as it was."""
    whole = stored.read_bytes()
    manifest_changed(stored, change, sealed=True)
    with pytest.raises(sf.DeltaError, match="its manifest has another checksum"):
        sf.delta.load(stored)
    stored.write_bytes(whole)
    manifest_changed(stored, change, sealed=False)
    with pytest.raises(sf.DeltaError, match=said):
        sf.delta.load(stored)


def test_deltas_of_before_are_read(stored: Path) -> None:
    """They have no checksum of their manifest, and no kinds."""
    manifest_changed(stored, lambda head: head.pop("kinds"), sealed=False)
    got = sf.delta.load(stored).apply(OLD)
    assert all(np.array_equal(got[name], a) for name, a in NEW.items())


def test_another_base_where_whole_tensors_go(tmp_path: Path) -> None:
    """From dicts it was an error, from files it was not."""
    for name, tensors in (("old", OLD), ("new", NEW), ("other", OLD | {"g": np.arange(1.0, 10.0)})):
        sf.save(tmp_path / f"{name}.safetensors", tensors)
    d = sf.delta.diff(tmp_path / "old.safetensors", tmp_path / "new.safetensors")
    with pytest.raises(sf.DeltaError, match="'g'"):
        d.apply(tmp_path / "other.safetensors", tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


def test_layouts_that_name_other_tensors(tmp_path: Path) -> None:
    """A tensor that no file names would be lost in silence."""
    for name, tensors in (("old", OLD), ("new", NEW)):
        sf.save(tmp_path / f"{name}.safetensors", tensors)
    path = tmp_path / "d"
    sf.delta.save(path, sf.delta.diff(tmp_path / "old.safetensors", tmp_path / "new.safetensors"))

    def forget(head: dict[str, Any]) -> None:
        [shard] = head["layouts"][1]["shards"].values()
        del shard["arrays"]["c"]

    manifest_changed(path, forget, sealed=False)
    with pytest.raises(sf.DeltaError, match=r"its files and its tensors differ in \['c'\]"):
        sf.delta.load(path).apply(tmp_path / "old.safetensors", tmp_path / "out.safetensors")


@pytest.mark.parametrize("role", ["old", "new"])
def test_damage_is_not_composed_away(tmp_path: Path, role: str) -> None:
    """Where a tensor comes back to its shape, checksums are taken anew: of what the deltas hold."""
    turned, back = {"t": OLD["t"].reshape(3, 4)}, {"t": OLD["t"] + np.int16(5)}
    steps = {"old": sf.delta.diff({"t": OLD["t"]}, turned), "new": sf.delta.diff(turned, back)}
    sf.delta.save(tmp_path / "d", steps[role])
    header, data = opened(tmp_path / "d")
    at = header[f"{role}.t"]["data_offsets"][0] + 2
    closed(tmp_path / "d", header, data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    steps[role] = sf.delta.load(tmp_path / "d")
    with pytest.raises(sf.DeltaError, match="'t': the delta is damaged"):
        steps["old"].compose(steps["new"])
