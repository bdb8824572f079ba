"""Saves that are killed, that find no room, and that meet others: the file is always one that was saved, whole."""

import os
import random
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

import sparsefmt as sf

PROGRAM = textwrap.dedent(
    """
    import resource, signal, sys
    import numpy as np
    import sparsefmt as sf

    path, task, value = sys.argv[1], sys.argv[2], int(sys.argv[3])

    def tensors(v):
        return {"w": np.full((200, 1000), v, np.float32), "s": sf.encode(np.eye(200) * v, "csr")}

    if task == "full":
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        for limit in range(0, 800_000, 20_000):
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
            try:
                sf.save(path, tensors(value))
            except OSError as e:
                assert e.filename == path, e
            else:
                raise AssertionError(limit)
    else:
        print("ready", flush=True)
        for i in range(10 if task == "some" else 1_000_000):
            sf.save(path, tensors(value if task == "some" else 1 + i % 7))
    """
)


def started(path: Path, task: str, value: int = 1) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM, str(path), task, str(value)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def assert_whole(path: Path) -> None:
    t = sf.load(path)
    value = float(t["w"][0, 0])
    assert (t["w"] == value).all()
    assert t["s"].to_dense()[3, 3] == value


def kill_saves(path: Path, trials: int) -> None:
    rng = random.Random(0)
    for _ in range(trials):
        with started(path, "ever") as program:
            assert program.stdout is not None
            assert program.stdout.readline() == "ready\n"
            while not path.exists():
                pass
            with pytest.raises(subprocess.TimeoutExpired):
                program.wait(rng.random() * 0.1)
            program.send_signal(signal.SIGKILL)
        assert_whole(path)
    sf.save(path, {"w": np.ones(3)})
    assert os.listdir(path.parent) == [path.name]


def test_killed_saves(tmp_path: Path) -> None:
    kill_saves(tmp_path / "w", 4)


@pytest.mark.slow
def test_two_hundred_killed_saves(tmp_path: Path) -> None:
    kill_saves(tmp_path / "w", 200)


def test_no_room_at_any_write(tmp_path: Path) -> None:
    """The limit of a file's size stops the save at 40 places; the old file stays, and nothing else does."""
    path = tmp_path / "w"
    sf.save(path, {"w": np.full((2, 2), 5.0), "s": sf.encode(np.eye(5) * 5, "csr")})
    old = path.read_bytes()
    with started(path, "full") as program:
        pass
    assert program.returncode == 0
    assert path.read_bytes() == old
    assert os.listdir(tmp_path) == ["w"]


def test_eight_savers_and_a_reader(tmp_path: Path) -> None:
    path = tmp_path / "w"
    programs = [started(path, "some", value) for value in range(1, 9)]
    while any(p.poll() is None for p in programs):
        if path.exists():
            assert_whole(path)
    for p in programs:
        p.communicate()
        assert p.returncode == 0
    assert_whole(path)
    assert os.listdir(tmp_path) == ["w"]
