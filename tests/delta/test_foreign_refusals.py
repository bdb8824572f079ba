"""What is refused of folders of others, of full checkpoints among them, and of places where results may not go."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import sparsefmt as sf

OLD = {"b": np.zeros(2, np.float32), "w": np.arange(100, dtype=np.float32)}
NEW = {"b": OLD["b"], "w": OLD["w"] + np.float32(1)}
INDEX = "model.safetensors.index.json"
ODD: tuple[Any, ...] = (None, 5, -1, 1.5, [1], {"a": 1}, "", "..", "a/b")


def changed(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    found = json.loads(path.read_text())
    change(found)
    path.write_text(json.dumps(found))


@pytest.mark.parametrize("value", ODD, ids=repr)
@pytest.mark.parametrize("key", ["name", "dtype", "shape", "uncompressed_num_bytes", "payload_file", "payload_key"])
def test_records_of_skyrl_are_looked_at(tmp_path: Path, key: str, value: object) -> None:
    """They were KeyErrors, TypeErrors and ValueErrors."""
    folder = tmp_path / "delta-00000001"
    sf.delta.save(folder, sf.delta.diff(OLD, NEW), "skyrl")
    for change in (
        lambda m: m["tensors"][0].__setitem__(key, value),
        lambda m: m["tensors"][0].pop(key),
    ):
        changed(folder / "manifest.json", change)
        with pytest.raises(sf.DeltaError):
            sf.delta.load(folder).apply(OLD)


def test_a_tensor_twice_in_a_manifest(tmp_path: Path) -> None:
    folder = tmp_path / "delta-00000001"
    sf.delta.save(folder, sf.delta.diff(OLD, NEW), "skyrl")
    changed(folder / "manifest.json", lambda m: m["tensors"].append(m["tensors"][0]))
    with pytest.raises(sf.DeltaError, match="names tensor 'w' twice"):
        sf.delta.load(folder)


@pytest.mark.parametrize("value", [v for v in ODD if v != ""], ids=repr)
def test_indexes_are_looked_at(tmp_path: Path, value: object) -> None:
    folder = tmp_path / "weight_v000001"
    sf.delta.save(folder, sf.delta.diff(OLD, NEW), "hf-xor")
    changed(folder / INDEX, lambda m: m["weight_map"].__setitem__("w", value))
    with pytest.raises(sf.DeltaError, match="names a file elsewhere, or none, for 'w'"):
        sf.delta.load(folder)
    if value and not isinstance(value, dict):
        changed(folder / INDEX, lambda m: m.__setitem__("metadata", value))
        with pytest.raises(sf.DeltaError, match="want an object, or none"):
            sf.delta.load(tmp_path)


@pytest.mark.parametrize(
    ("full", "message"),
    [
        ({**OLD, "w": OLD["w"].reshape(4, 25)}, r"'w' is float32 of shape \(4, 25\), the base has float32"),
        ({**OLD, "w": OLD["w"].view(np.int32)}, "'w' is int32 of shape"),
        ({"w": OLD["w"]}, "a full checkpoint without tensor 'b', which the base has"),
    ],
)
def test_a_full_checkpoint_of_another_model(tmp_path: Path, full: dict[str, np.ndarray], message: str) -> None:
    """Bytes of another dtype or shape were taken for those of the base; what was missing stayed the base's."""
    folder = tmp_path / "weight_v000001"
    folder.mkdir()
    sf.save(folder / "model.safetensors", full)
    (folder / INDEX).write_text(json.dumps({"weight_map": dict.fromkeys(full, "model.safetensors")}))
    sf.save(tmp_path / "base.safetensors", OLD)
    for base in (OLD, tmp_path / "base.safetensors"):
        with pytest.raises(sf.DeltaError, match=message):
            sf.delta.load(tmp_path).apply(base, *([] if base is OLD else [tmp_path / "out.safetensors"]))


def test_a_new_checkpoint_does_not_go_into_the_old_one(tmp_path: Path) -> None:
    """It held a part of itself, as a side file."""
    for name, tensors in (("old", OLD), ("new", NEW)):
        (tmp_path / name).mkdir()
        sf.save(tmp_path / name / "model.safetensors", tensors)
    delta = sf.delta.diff(tmp_path / "old", tmp_path / "new")
    for out in (tmp_path / "old" / "next", tmp_path):
        with pytest.raises(sf.CheckpointError, match="inside its input"):
            delta.apply(tmp_path / "old", out=out)
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["model.safetensors"] * 2 + ["new", "old"]


def test_memory_maps_are_changed_in_place(tmp_path: Path) -> None:
    """They were refused as read-only."""
    delta = sf.delta.diff(OLD, NEW)
    maps = {n: np.memmap(tmp_path / n, a.dtype, "w+", shape=a.shape) for n, a in OLD.items()}
    for name, a in OLD.items():
        maps[name][:] = a
    assert delta.apply(maps, in_place=True) is maps
    assert np.array_equal(np.fromfile(tmp_path / "w", np.float32), NEW["w"])
    one = sf.delta.diff(NEW["w"], OLD["w"])
    assert one.apply(maps["w"], in_place=True) is maps["w"]
    assert np.array_equal(np.fromfile(tmp_path / "w", np.float32), OLD["w"])
    frozen = np.memmap(tmp_path / "w", np.float32, "r")
    with pytest.raises(sf.DeltaError, match="the array cannot be changed in place: it is read-only"):
        one.invert().apply(frozen, in_place=True)
    with pytest.raises(sf.DeltaError, match="of another byte order"):
        one.invert().apply(OLD["w"].astype(">f4"), in_place=True)


def test_the_base_of_patches(tmp_path: Path) -> None:
    sf.save(tmp_path / "base.safetensors", OLD)
    sf.delta.save(tmp_path / "d.safetensors", sf.delta.diff(OLD, NEW))
    delta = sf.delta.load(tmp_path / "d.safetensors")
    (found,) = delta.patches(tmp_path / "base.safetensors")
    assert found[0] == "w"
    assert np.array_equal(found[4], NEW["w"])
    with pytest.raises(sf.DeltaError, match="the base has no tensor 'w'"):
        list(delta.patches({"v": OLD["w"]}))
    unnamed = sf.delta.diff({"": OLD["w"]}, {"": NEW["w"]})
    assert [p[0] for p in unnamed.patches()] == [""]
    with pytest.raises(sf.DeltaError, match="leads from float32"):
        list(delta.patches({"w": OLD["w"].astype(ml_dtypes.bfloat16)}))


def test_a_store_that_is_none_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no-such"):
        sf.TaskStore(tmp_path / "no-such")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("form", ["hf-xor", "skyrl"])
def test_versions_and_names_that_are_none(tmp_path: Path, form: Any) -> None:  # noqa: ANN401
    folder, delta = tmp_path / "version", sf.delta.diff(OLD, NEW)
    for wrong in (-1, 1.5, True, [1], *(["7"] if form == "skyrl" else [])):
        for key in ("version", "base_version"):
            with pytest.raises(sf.FormatError, match=f"{key} = .*; want a whole number >= 0"):
                sf.delta.save(folder, delta, form, **{key: wrong})
    odd = sf.delta.diff({"\ud800": OLD["w"]}, {"\ud800": NEW["w"]})
    with pytest.raises(sf.SparsefmtError):
        sf.delta.save(folder, odd, form)
    assert not list(tmp_path.iterdir())
