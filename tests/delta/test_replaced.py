"""Files that took another's place after a change in place had been interrupted: nobody writes old bytes into them."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sparsefmt as sf
from sparsefmt.delta import journal

SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


class KilledError(Exception):
    pass


def model(path: Path, seed: int) -> Path:
    path.mkdir()
    for i, name in enumerate(SHARDS):
        a = np.arange(3000, dtype=np.int32) + i
        a[::7] += seed
        sf.save(path / name, {f"w{i}": a}, {"format": "pt"})
    index = {"metadata": {}, "weight_map": {f"w{i}": name for i, name in enumerate(SHARDS)}}
    (path / "model.safetensors.index.json").write_text(json.dumps(index))
    return path


def contents(path: Path) -> dict[str, bytes]:
    return {name: (path / name).read_bytes() for name in SHARDS}


@pytest.fixture
def half_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One of two shards has changed, and the journal stands there."""
    old, new = model(tmp_path / "m", 0), model(tmp_path / "n", 1)
    shutil.copytree(old, tmp_path / "old")
    real, calls = journal.renewed, list[int]()

    def stop(*args: Any) -> Any:  # noqa: ANN401
        calls.append(1)
        if len(calls) == 2:
            raise KilledError
        return real(*args)

    with monkeypatch.context() as patched:
        patched.setattr(journal, "renewed", stop)
        patched.setattr(journal, "recover", lambda path: False)  # as if it were killed
        with pytest.raises(KilledError):
            sf.delta.diff(old, new).apply(old, in_place=True)
    assert journal.journal_of(old).exists()
    assert contents(old) not in (contents(tmp_path / "old"), contents(new))
    return old


def replace(path: Path, other: Path) -> None:
    """As a download or `mv` does it: another file of the same length under this name."""
    shutil.copy(other, path.with_name("coming"))
    path.with_name("coming").rename(path)


@pytest.mark.parametrize("shards", [SHARDS, SHARDS[:1], SHARDS[1:]])
def test_a_new_version_is_left_alone(half_changed: Path, tmp_path: Path, shards: tuple[str, ...]) -> None:
    for name in shards:
        replace(half_changed / name, tmp_path / "n" / name)
    before = contents(half_changed)
    d = sf.delta.diff(tmp_path / "old", tmp_path / "n")
    for call in (lambda: sf.delta.recover(half_changed), lambda: d.apply(half_changed, in_place=True)):
        with pytest.raises(sf.DeltaError, match=r"was replaced after .* remove .*sparsefmt-undo"):
            call()
    assert contents(half_changed) == before
    for name in SHARDS:
        replace(half_changed / name, tmp_path / "n" / name)
    journal.journal_of(half_changed).unlink()
    assert not sf.delta.recover(half_changed)
    assert contents(half_changed) == contents(tmp_path / "n")


def test_the_old_version_may_come_back_by_itself(half_changed: Path, tmp_path: Path) -> None:
    replace(half_changed / SHARDS[0], tmp_path / "old" / SHARDS[0])
    assert sf.delta.recover(half_changed)
    assert contents(half_changed) == contents(tmp_path / "old")


def test_a_copy_of_everything_is_recovered(half_changed: Path, tmp_path: Path) -> None:
    """Of a disk that was saved: no file is the one that the journal is of, nor is the journal."""
    shutil.copytree(half_changed, tmp_path / "copy")
    assert sf.delta.recover(tmp_path / "copy")
    assert contents(tmp_path / "copy") == contents(tmp_path / "old")
