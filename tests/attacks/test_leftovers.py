"""What a writer that was killed leaves behind is removed by the next one, and nothing else is."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

import sparsefmt as sf
from sparsefmt.checkpoint.health import left_behind
from sparsefmt.io.atomic import replacing

HELD = textwrap.dedent(
    """
    import os, sys
    from pathlib import Path
    from sparsefmt.io.atomic import replacing
    if sys.argv[2] == "named":
        del os.O_TMPFILE
    with replacing(Path(sys.argv[1])) as file:
        file.write(bytes(1000))
        file.flush()
        print("written", flush=True)
        sys.stdin.read()
    """
)


def writer(path: Path, way: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HELD, str(path), way]
    started = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert started.stdout is not None
    assert started.stdout.readline() == "written\n"
    return started


def kill(program: subprocess.Popen[str]) -> None:
    with program:
        program.send_signal(signal.SIGKILL)


@pytest.mark.parametrize("way", ["unnamed", "named"])
def test_the_next_save_removes_what_a_killed_one_left(tmp_path: Path, way: str) -> None:
    path = tmp_path / "w"
    sf.save(path, {"w": np.eye(3)})
    dead, alive = writer(path, way), writer(path, "named")
    kill(dead)
    sf.save(tmp_path / "other", {"w": np.eye(2)})
    kept = [n for n in os.listdir(tmp_path) if n not in ("w", "other")]
    assert len(kept) == 1  # that of the writer that lives
    alive.communicate("")
    assert path.read_bytes() == bytes(1000)
    assert sorted(os.listdir(tmp_path)) == ["other", "w"]


def test_doctor_removes_what_a_killed_save_left(tmp_path: Path) -> None:
    dead, alive = writer(tmp_path / "w", "named"), writer(tmp_path / "w", "named")
    kill(dead)
    found = list(left_behind(tmp_path))
    assert sorted(f.level for f in found) == ["note", "warning"]
    alive.communicate("")
    assert os.listdir(tmp_path) == ["w"]


@pytest.mark.parametrize("way", ["unnamed", "named"])
def test_an_error_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    if way == "named":
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    path = tmp_path / "w"
    path.write_bytes(b"old")
    os.chmod(path, 0o640)

    def fail() -> None:
        with replacing(path) as file:
            file.write(b"new")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert os.listdir(tmp_path) == ["w"]
    assert path.read_bytes() == b"old"
    with replacing(path) as file:
        file.write(b"new")
    assert os.listdir(tmp_path) == ["w"]
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o640


def test_owner_and_attributes_stay(tmp_path: Path) -> None:
    path = tmp_path / "w"
    path.write_bytes(b"old")
    try:
        os.chown(path, 12345, 12345)
        os.setxattr(path, "user.note", b"mine")
    except OSError:
        pytest.skip("no other owners or no attributes here")
    sf.save(path, {"w": np.eye(2)})
    assert path.stat().st_uid == 12345
    assert os.getxattr(path, "user.note") == b"mine"


def test_no_path_holds_a_nul(tmp_path: Path) -> None:
    for call in (
        lambda: sf.save(f"{tmp_path}/a\0b", {"w": np.eye(2)}),
        lambda: sf.load(f"{tmp_path}/a\0b"),
        lambda: sf.inspect(f"{tmp_path}/a\0b"),
        lambda: sf.open_checkpoint(f"{tmp_path}/a\0b"),
    ):
        with pytest.raises(sf.FormatError, match="NUL"):
            call()
