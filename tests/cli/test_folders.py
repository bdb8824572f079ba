"""Sharded model folders."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open

import sparsefmt as sf
from commandline import Cli, same_bits
from sparsefmt.io.read import read_metadata

INDEX = "model.safetensors.index.json"


def load_all(folder: Path) -> dict[str, Any]:
    index = json.loads((folder / INDEX).read_text())
    found = {}
    for file in sorted(set(index["weight_map"].values())):
        found |= sf.load(folder / file)
    return found


def test_pack_convert_unpack_verify(cli: Cli, folder: Path, tmp_path: Path, weights: dict[str, np.ndarray]) -> None:
    packed, other, back = tmp_path / "packed", tmp_path / "other", tmp_path / "back"
    pruned = {"a.weight", "b.weight"}
    text = cli.ok("pack", folder, packed, "--format", "2:4", "--prune", "--exclude", "*embed*")
    assert text.startswith("packed 2 of 7 tensors")
    assert {n for n, t in load_all(packed).items() if isinstance(t, sf.SparseTensor)} == pruned
    cli.ok("convert", packed, other, "--format", "csr")
    cli.ok("unpack", other, back)
    for name, w in load_all(back).items():
        assert same_bits(w, sf.prune.nm(weights[name]) if name in pruned else weights[name])
    for path in (packed, other, back):
        assert sorted(p.name for p in path.iterdir()) == [
            "config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", INDEX,
        ]  # fmt: skip
        assert path.stat().st_mode & 0o777 == folder.stat().st_mode & 0o777
        cli.ok("verify", folder, path)
    assert read_metadata(back / "model-00001-of-00002.safetensors")["format"] == "pt"


def test_the_index_tells_where_every_array_is(cli: Cli, folder: Path, tmp_path: Path) -> None:
    cli.ok("pack", folder, tmp_path / "out", "--format", "bitmask")
    index = json.loads((tmp_path / "out" / INDEX).read_text())
    for key, file in index["weight_map"].items():
        with safe_open(tmp_path / "out" / file, "np") as opened:
            assert key in opened.keys()  # noqa: SIM118  # not a dict
    assert "a.weight.structure.bits" in index["weight_map"]
    assert index["metadata"]["total_size"] == sum(t.nbytes for t in load_all(tmp_path / "out").values())


def test_folder_without_an_index(cli: Cli, model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "one"
    folder.mkdir()
    model.rename(folder / "model.safetensors")
    cli.ok("pack", folder, tmp_path / "out", "--format", "csr")
    cli.ok("verify", folder, tmp_path / "out")


def test_inspect_lists_all_shards(cli: Cli, folder: Path) -> None:
    report = json.loads(cli.ok("inspect", folder, "--json"))
    assert report["total"]["tensors"] == 7
    assert {t["file"] for t in report["tensors"]} == {f"model-0000{i}-of-00002.safetensors" for i in (1, 2)}


@pytest.mark.parametrize(
    ("index", "says"),
    [
        ('{"weight_map": {"w": "../outside.safetensors"}}', "no safetensors file in this folder"),
        ('{"weight_map": {"w": "/etc/passwd"}}', "no safetensors file in this folder"),
        ('{"weight_map": {"w": "missing.safetensors"}}', "no safetensors file in this folder"),
        ('{"weight_map": {"w": "config.json"}}', "no safetensors file in this folder"),
        ('{"weight_map": {"w": 7}}', "weight_map"),
        ('{"weight_map": []}', "weight_map"),
        ("[]", "weight_map"),
        ("{", "weight_map"),
        ("[" * 100_000, "weight_map"),
        ('{"weight_map": {}}', "weight_map is empty"),
    ],
)
def test_wrong_index(cli: Cli, folder: Path, tmp_path: Path, index: str, says: str) -> None:
    (tmp_path / "outside.safetensors").write_bytes((folder / "model-00001-of-00002.safetensors").read_bytes())
    (folder / INDEX).write_text(index)
    assert says in cli.fails(3, "pack", folder, tmp_path / "out", "--format", "csr")


def test_the_index_decides_where_two_shards_hold_a_tensor(cli: Cli, folder: Path, tmp_path: Path) -> None:
    second = folder / "model-00002-of-00002.safetensors"
    sf.save(second, sf.load(second, mmap=False) | {"a.weight": np.ones((64, 48), np.float32)})
    cli.ok("pack", folder, tmp_path / "o", "--format", "csr")
    cli.ok("verify", folder, tmp_path / "o")
    (folder / INDEX).unlink()
    line = cli.fails(3, "pack", folder, tmp_path / "p", "--format", "csr")
    assert "'a.weight' is in model-00001-of-00002.safetensors and in model-00002-of-00002.safetensors" in line


def test_empty_folder_and_two_indexes(cli: Cli, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "holds no .safetensors file" in cli.fails(3, "inspect", tmp_path / "empty")
    (tmp_path / "empty" / "m.gguf").write_bytes(b"GGUF")
    assert f"m.gguf is read by its own path, {tmp_path / 'empty' / 'm.gguf'}" in cli.fails(
        3, "inspect", tmp_path / "empty"
    )
    (folder / f"second.{INDEX}").write_text("{}")
    assert "2 index files" in cli.fails(3, "inspect", folder)
