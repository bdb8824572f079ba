"""What an interrupted run left, damaged: the next run takes what is whole, does the rest, and makes the same bytes."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sparsefmt as sf
from sparsefmt.checkpoint import jobs, parts
from sparsefmt.merge import shards
from sparsefmt.merge.choices import PRESETS

Run = Callable[[Path], int]
SHARDS = 4


class Cut(BaseException):
    """Ends a run as a kill does."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    rng = np.random.default_rng(0)
    for model in "ab":
        (folder / model).mkdir()
        for i in range(1, SHARDS + 1):
            name = f"model-{i:05}-of-{SHARDS:05}.safetensors"
            sf.save(folder / model / name, {f"{i}.w": rng.standard_normal((32, 32)).astype(np.float32)})
        (folder / model / "config.json").write_text("{}")
    return folder


@pytest.fixture(params=["transform", "merge"])
def run(request: pytest.FixtureRequest, models: Path) -> Run:
    if request.param == "transform":
        return lambda out: sf.transform(models / "a", out, sf.checkpoint.pack("csr/int8:row")).kept
    each = [{"model": str(models / "b"), "parameters": {"weight": 0.5, "density": 0.5}}]
    recipe = {"merge_method": "ties", "base_model": str(models / "a"), "models": each, "dtype": "float32"}
    paper = PRESETS["paper"]  # trims look at the whole model, which is noted
    return lambda out: sf.merge.run(recipe, out, shard_bytes=4096, choices=paper).kept


@pytest.fixture
def want(run: Run, tmp_path: Path) -> dict[str, bytes]:
    assert run(tmp_path / "want") == 0
    return contents(tmp_path / "want")


@pytest.fixture
def room(run: Run, want: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a run leaves that is killed when two shards are done."""
    done: list[Path] = []

    def note(manifest: Path, found: Mapping[str, Any]) -> None:
        parts.note(manifest, found)
        done.append(manifest)
        if len(done) == 2:
            raise Cut

    with monkeypatch.context() as patched:
        patched.setattr(jobs, "note", note)
        patched.setattr(shards, "note", note)
        with pytest.raises(Cut):
            run(tmp_path / "o")
    return done[0].parents[1]


def contents(path: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(path.iterdir())}


def first(room: Path) -> Path:
    return room / "manifests" / f"model-00001-of-{SHARDS:05}.safetensors.json"


def goes_on(run: Run, want: dict[str, bytes], folder: Path, kept: int) -> None:
    assert run(folder / "o") == kept
    assert contents(folder / "o") == want
    assert not any(p.is_symlink() for p in (folder / "o").iterdir())
    assert sorted(p.name for p in folder.iterdir()) == ["o", "want"]


def test_what_is_whole_is_kept(run: Run, want: dict[str, bytes], room: Path, tmp_path: Path) -> None:
    goes_on(run, want, tmp_path, 2)


def other_digit(path: Path) -> None:
    """As a bad sector may have it: still JSON, still of the right size."""
    data = bytearray(path.read_bytes())
    at = data.index(b'nbytes": ') + 9
    data[at] ^= 1
    path.write_bytes(data)


def changed(found: Any) -> Callable[[Path], None]:  # noqa: ANN401
    """Another value, or another value of a key."""

    def change(path: Path) -> None:
        new = json.loads(path.read_bytes()) | found if isinstance(found, dict) else found
        path.write_text(json.dumps(new))

    return change


@pytest.mark.parametrize(
    "damage",
    [
        other_digit,
        changed({"size": 0}),
        changed({"size": "many"}),
        changed({"tensors": [1], "shard": {}}),
        changed({"another": 1}),
        changed([]),
        changed(None),
        lambda path: path.write_text("{}"),
        lambda path: path.write_bytes(b"\xff" * 40),
        lambda path: path.write_text("[" * 100_000),
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(b""),
        lambda path: path.unlink(),
        lambda path: (path.unlink(), path.mkdir()),
        lambda path: (path.unlink(), path.symlink_to("elsewhere")),
        lambda path: (path.unlink(), os.mkfifo(path)),
    ],
)
def test_a_damaged_manifest(
    run: Run, want: dict[str, bytes], room: Path, tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    damage(first(room))
    goes_on(run, want, tmp_path, 1)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.unlink(),
        lambda path: (path.unlink(), path.mkdir(), (path / "x").touch()),
        lambda path: (path.unlink(), path.symlink_to("elsewhere")),
        lambda path: (path.unlink(), os.mkfifo(path)),
    ],
)
def test_a_damaged_shard(
    run: Run, want: dict[str, bytes], room: Path, tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    damage(room / "new" / first(room).stem)
    goes_on(run, want, tmp_path, 1)


@pytest.mark.parametrize(
    "damage",
    [lambda path: path.write_text(path.read_text().replace("1", "2", 1)), lambda path: (path.unlink(), path.mkdir())],
)
def test_a_damaged_survey(
    run: Run, want: dict[str, bytes], room: Path, tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    facts = room / "manifests" / parts.FACTS
    if facts.exists():
        damage(facts)
    goes_on(run, want, tmp_path, 2)


def test_what_an_earlier_run_copied_is_copied_anew(
    run: Run, want: dict[str, bytes], room: Path, tmp_path: Path
) -> None:
    """The input may have lost it meanwhile."""
    (room / "new" / "code").mkdir()
    (room / "new" / "code" / "old.py").write_text("x")
    (room / "new" / "tokenizer.json").write_text("old")
    goes_on(run, want, tmp_path, 2)


def test_a_run_that_ends_before_its_first_shard_leaves_nothing(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(folder: Path) -> None:
        raise Cut

    monkeypatch.setattr(parts, "sweep", cut)
    with pytest.raises(Cut):
        run(tmp_path / "o")
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_ends_after_its_result_is_in_place_leaves_nothing(
    run: Run, want: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed, cut = parts.Parts.remove, [Cut()]

    def remove(self: parts.Parts, *, quietly: bool = False) -> None:
        if cut:
            raise cut.pop()
        removed(self, quietly=quietly)

    monkeypatch.setattr(parts.Parts, "remove", remove)
    with pytest.raises(Cut):
        run(tmp_path / "o")
    assert contents(tmp_path / "o") == want
    assert sorted(p.name for p in tmp_path.iterdir()) == ["o", "want"]
