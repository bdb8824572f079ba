"""Folders change places in one step, or in two where the system cannot; what killed writers left is removed."""

import fcntl
import os
from pathlib import Path

import numpy as np
import pytest

import sparsefmt as sf
from sparsefmt.checkpoint import folder, pack
from sparsefmt.io.exchange import exchange


def named(path: Path, **files: str) -> Path:
    path.mkdir()
    for name, text in files.items():
        (path / name).write_text(text)
    return path


def contents(path: Path) -> dict[str, str]:
    return {p.name: p.read_text() for p in path.iterdir()}


def test_two_names_change_places(tmp_path: Path) -> None:
    a, b = named(tmp_path / "a", x="1"), named(tmp_path / "b", y="2")
    if not exchange(a, b):
        pytest.skip("the file system cannot")
    assert (contents(a), contents(b)) == ({"y": "2"}, {"x": "1"})
    with pytest.raises(FileNotFoundError) as caught:
        exchange(a, tmp_path / "none")
    assert (caught.value.filename, caught.value.filename2) == (str(a), str(tmp_path / "none"))


@pytest.mark.parametrize("able", [True, False])
def test_an_older_folder_hands_over_what_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, able: bool
) -> None:
    if not able:
        monkeypatch.setattr(folder, "exchange", lambda a, b: False)
    out = named(tmp_path / "o", old="1", both="1")
    with folder.new_folder(out) as made:
        (made / "both").write_text("2")
        (made / "new").write_text("2")
    assert contents(out) == {"old": "1", "both": "2", "new": "2"}
    assert os.listdir(tmp_path) == ["o"]


def test_rooms_of_dead_writers_go_and_those_of_others_stay(tmp_path: Path) -> None:
    out = tmp_path / "o"
    dead, alive = (
        named(tmp_path / ".sparsefmt-o-dead.held.tmp", x="1"),
        named(tmp_path / ".sparsefmt-o-alive.held.tmp", x="1"),
    )
    number = os.open(alive, os.O_RDONLY)
    fcntl.flock(number, fcntl.LOCK_EX)
    try:
        with folder.new_folder(out) as made:
            assert not dead.exists()
            (made / "x").write_text("2")
    finally:
        os.close(number)
    assert sorted(os.listdir(tmp_path)) == [".sparsefmt-o-alive.held.tmp", "o"]


def test_an_error_leaves_the_older_folder(tmp_path: Path) -> None:
    out = named(tmp_path / "o", x="1")

    def fail() -> None:
        with folder.new_folder(out) as made:
            (made / "x").write_text("2")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert contents(out) == {"x": "1"}
    assert os.listdir(tmp_path) == ["o"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a fork stands for the run that is killed")
@pytest.mark.parametrize("swapped", [False, True])
def test_a_run_that_was_killed_while_names_change_places_is_followed_by_another(tmp_path: Path, swapped: bool) -> None:
    source, out = tmp_path / "m", tmp_path / "o"
    for path, value in ((source, 1.0), (out, 2.0)):
        path.mkdir()
        sf.save(path / "model.safetensors", {"w": np.full((8, 8), value, np.float32)})

    def killed(a: Path, b: Path) -> bool:
        if swapped:
            exchange(a, b)
        os._exit(9)

    child = os.fork()
    if child == 0:
        folder.exchange = killed
        try:
            sf.transform(source, out, pack("csr"), overwrite=True)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert (tmp_path / ".o.parts" / "whole").is_dir()
    sf.transform(source, out, pack("csr"), overwrite=True)
    assert sorted(os.listdir(tmp_path)) == ["m", "o"]
    assert np.asarray(sf.load(out / "model.safetensors")["w"])[0, 0] == 1.0
