"""Recipes of merges and delta files with something wrong: a typed error in one line, or the result as promised."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import sparsefmt as sf
from contract import same
from merge_data import FOLDER
from mutations.judge import bounded, failures
from mutations.numbers import bytes_changed, json_changed
from sparsefmt.delta.model import LEVELS
from sparsefmt.kernels.header import parse_json
from sparsefmt.merge.recipe.config import parse, read_config

RECIPES = sorted((FOLDER / "yaml").glob("*.yml"))
Array = np.ndarray[Any, Any]
Rng = np.random.Generator
Change = Callable[[Rng], Callable[[], int]]


def recipe_text(folder: Path) -> Change:
    """Bytes of a YAML changed; it is read and checked."""
    texts = [path.read_bytes() for path in RECIPES]

    def change(rng: Rng) -> Callable[[], int]:
        path = folder / "r.yml"
        path.write_bytes(bytes_changed(texts[rng.integers(len(texts))], rng))
        return lambda: len(parse(read_config(path)).modules)

    return change


def recipe_value(folder: Path) -> Change:
    """A value of a recipe changed; one in eight is run if it is accepted."""
    recipes = [yaml.safe_load(path.read_bytes()) for path in RECIPES]

    def run(recipe: Any, whole: bool) -> int:  # noqa: ANN401
        checked = parse(read_config(recipe)) if isinstance(recipe, dict) else None
        if checked is not None and whole:
            try:
                sf.merge.run(recipe, folder / "out", overwrite=True)
            except FileNotFoundError:  # a model of another name
                pass
            finally:
                shutil.rmtree(folder / "out", ignore_errors=True)
        return 0

    def change(rng: Rng) -> Callable[[], int]:
        recipe, whole = json_changed(recipes[rng.integers(len(recipes))], rng), rng.integers(8) == 0
        return lambda: run(recipe, whole)

    return change


def versions() -> tuple[dict[str, Array], dict[str, Array]]:
    """Tensors that change, stay, come, go, and get another shape."""
    rng = np.random.default_rng(0)
    old = {"a": rng.standard_normal((40, 30)).astype(np.float16), "b": np.arange(600, dtype=np.int32)}
    new = {name: a.copy() for name, a in old.items()}
    new["a"].reshape(-1).view(np.uint16)[::13] += 2
    new["b"][5:90] += 1
    stays, gone, came = np.eye(3, dtype=np.int8), np.arange(9.0), np.arange(12, dtype=np.int16)
    return old | {"s": stays, "g": gone, "t": came}, new | {"s": stays, "c": came, "t": came.reshape(3, 4)}


def delta_file(folder: Path) -> Change:
    """A delta file with changed bytes, or one value of its header changed: an error, or exactly the new version."""
    old, new = versions()

    def apply(loaded: sf.delta.Delta) -> int:
        for d, base, want in ((loaded, old, new), (loaded.invert(), new, old)):
            got = d.apply(base)
            assert got.keys() == want.keys()
            for name, a in want.items():
                same(got[name], a)
        return len(new)

    return damaged(folder, sf.delta.diff(old, new), apply)


def delta_of_files(folder: Path) -> Change:
    """The same from file to file: the very bytes."""
    old, new = (folder / f"{name}.safetensors" for name in ("old", "new"))
    for path, tensors in zip((old, new), versions(), strict=True):
        sf.save(path, tensors, {"format": "pt", "of": path.name})
    d, out = sf.delta.diff(old, new), folder / "out.safetensors"
    d.apply(old, out)
    want = out.read_bytes()

    def apply(loaded: sf.delta.Delta) -> int:
        loaded.apply(old, out)
        assert out.read_bytes() == want
        return len(loaded.changes)

    return damaged(folder, d, apply)


def damaged(folder: Path, d: sf.delta.Delta, apply: Callable[[sf.delta.Delta], int]) -> Change:
    """Damage to the files of a delta in every level."""
    raws = []
    for level in LEVELS:
        sf.delta.save(folder / "d", replace(d, level=level))
        raws.append((folder / "d").read_bytes())

    def use() -> int:
        loaded = sf.delta.load(folder / "d")
        loaded.stats()
        return apply(loaded)

    def change(rng: Rng) -> Callable[[], int]:
        raw = raws[rng.integers(len(raws))]
        end = 8 + int.from_bytes(raw[:8], "little")
        if rng.integers(2):
            made = bytes_changed(raw, rng, end)
        else:
            header: Any = json.loads(raw[8:end])
            for key, text in header.get("__metadata__", {}).items():
                if text[:1] in "{[" and rng.integers(2):
                    header["__metadata__"][key] = json.dumps(json_changed(json.loads(text), rng))
            text = json.dumps(json_changed(header, rng)).encode()
            made = len(text).to_bytes(8, "little") + text + raw[end:]
        (folder / "d").write_bytes(made)
        return use

    return change


KINDS = {
    "recipe_text": (recipe_text, 400),
    "recipe_value": (recipe_value, 600),
    "delta_file": (delta_file, 1500),
    "delta_of_files": (delta_of_files, 500),
}


def try_them(kind: str, folder: Path, numbers: range) -> None:
    make, _ = KINDS[kind]
    os.chdir(FOLDER / "yaml")
    change = make(folder)
    with bounded():
        assert not failures(change, numbers)


@pytest.mark.parametrize("kind", KINDS)
def test_changes(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    try_them(kind, tmp_path, range(KINDS[kind][1]))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_many_changes(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    try_them(kind, tmp_path, range(10_000, 10_000 + 100 * KINDS[kind][1]))


HEADS = [
    "{}", "[]", "null", '{"version":1}', '{"version":1,"sums":3,"seed":null,"density":1}',
    '{"version":1,"sums":{},"seed":null,"density":1}', '{"version":1,"sums":{"w":"0"},"seed":-1,"density":1}',
    '{"version":1,"sums":{"w":"0"},"seed":"x","density":1}', '{"version":1,"sums":{"w":"0"},"seed":1,"density":"a"}',
    '{"version":1,"sums":{"w":"0"},"seed":null,"density":null}',
    f'{{"version":1,"sums":{{"w":"0"}},"seed":{2**64},"density":1}}',
]  # fmt: skip


@pytest.mark.parametrize("head", HEADS)
def test_task_vectors_that_are_damaged(tmp_path: Path, head: str) -> None:
    """The head of a vector, its tensors and the note on the base come from files: each error is a DeltaError."""
    w = np.ones(6, np.float32)
    sf.save(tmp_path / "b.safetensors", {"w": w})
    store = sf.TaskStore(tmp_path / "b.safetensors")
    sf.save(tmp_path / "b.safetensors.tasks" / "h.safetensors", {"w": w}, {"sparsefmt.task": head})
    with pytest.raises(sf.DeltaError, match=r"h\.safetensors"):
        store.activate({"h": 0.5})


def test_task_vectors_of_another_size_and_damaged_notes(tmp_path: Path) -> None:
    path, w = tmp_path / "b.safetensors", np.ones(6, np.float32)
    sf.save(path, {"w": w})
    store = sf.TaskStore(path)
    folder = tmp_path / "b.safetensors.tasks"
    note = folder / "base.json"
    [known] = json.loads(note.read_text())["tensors"].values()
    head = json.dumps({"version": 1, "sums": {"w": known}, "seed": None, "density": 1.0})
    for other, match in ((np.ones(9, np.float32), "9 elements"), (w.astype(np.int32), "float32")):
        sf.save(folder / "h.safetensors", {"w": other}, {"sparsefmt.task": head})
        with pytest.raises(sf.DeltaError, match=match):
            sf.TaskStore(path).activate({"h": 0.5})
    store.add("p", {"w": sf.encode(2 * w, "csr")})
    store.activate({"p": 1.0})
    with store.reading("w") as now:
        assert np.array_equal(now, 2 * w)
    store.deactivate()
    with pytest.raises(sf.FormatError, match="seed = -1"):
        store.add("r", {"w": 2 * w}, dare=0.5, seed=-1)
    for text in (
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"tensors":3}',
        b'{"path":3,"tensors":{}}',
        b"\xff",
        b'{"path":"\\u0000","tensors":{}}',
    ):
        note.write_bytes(text)
        for where in (path, folder):
            with pytest.raises(sf.DeltaError, match=r"base\.json: damaged"):
                sf.TaskStore(where)


@pytest.mark.parametrize("value", [[], {}, 3, None])
def test_what_should_be_a_text_of_json_and_is_none_is_damage(value: str) -> None:
    with pytest.raises(sf.CorruptFileError, match="the metadata is no text"):
        parse_json(value, "the metadata")
