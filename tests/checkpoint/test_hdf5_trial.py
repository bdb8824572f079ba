"""What libhdf5 does not come back from is found out by another process."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import sparsefmt as sf
from sparsefmt.checkpoint.readers import hdf5_trial

h5py = pytest.importorskip("h5py")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    with h5py.File(tmp_path / "m.h5", "w") as made:
        made.create_dataset("w", data=np.arange(6.0).reshape(2, 3), chunks=(1, 3))
    return tmp_path / "m.h5"


@pytest.fixture
def walker(monkeypatch: pytest.MonkeyPatch) -> hdf5_trial.Walker:
    made = hdf5_trial.Walker()
    monkeypatch.setattr("sparsefmt.checkpoint.readers.hierarchical.WALKER", made)
    return made


def opened(path: Path) -> list[str]:
    with sf.open_checkpoint(path) as c:
        return list(c)


def test_one_process_looks_at_all_files(file: Path, walker: hdf5_trial.Walker) -> None:
    assert opened(file) == ["w"]
    child = walker._child
    file.with_name("n.h5").write_bytes(file.read_bytes()[:-40])
    with pytest.raises(sf.FormatError):
        opened(file.with_name("n.h5"))
    assert opened(file) == ["w"]
    assert walker._child is child
    walker.stop()


@pytest.mark.parametrize(
    ("end", "said"), [("time.sleep(60)", "did not come back within 1 s"), ("os.abort()", "crashed")]
)
def test_a_walk_that_does_not_end(
    end: str, said: str, file: Path, walker: hdf5_trial.Walker, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(hdf5_trial, "PROGRAM", f"import os, sys, time\nsys.stdin.readline()\n{end}")
        patch.setattr(hdf5_trial, "SECONDS", 1.0)
        with pytest.raises(sf.CorruptFileError, match=f"libhdf5 {said} on this file"):
            opened(file)
    assert opened(file) == ["w"]
    walker.stop()


def test_a_name_that_is_no_utf8(file: Path, walker: hdf5_trial.Walker) -> None:
    """It could not be told to the other process, which was then said to have crashed."""
    odd = file.with_name(os.fsdecode(b"\xff\xc3.h5"))
    try:
        file.rename(odd)
    except OSError:
        pytest.skip("names are UTF-8 here")
    assert len(opened(odd)) == 1
    walker.stop()


def test_an_answer_is_not_taken_for_that_of_another_file(
    file: Path, walker: hdf5_trial.Walker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process that was left in a walk would give it for the next one."""

    def interrupted(self: object, timeout: float) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(hdf5_trial._Answer, "join", interrupted)
        with pytest.raises(KeyboardInterrupt):
            opened(file)
    assert walker._child is None
    assert opened(file) == ["w"]
    walker.stop()


@pytest.mark.skipif(not hasattr(signal, "alarm"), reason="alarms of Unix")
def test_a_walk_without_end_ends_by_itself(file: Path) -> None:
    """When the process that asked was killed."""
    program = hdf5_trial.PROGRAM.replace("alarm(90 +", "alarm(1 +").replace(
        "look(file, 0)", "[0 for _ in iter(int, 1)]"
    )
    child = subprocess.run([sys.executable, "-c", program], input=f"{file}\n", text=True, check=False, timeout=60)
    assert child.returncode == -signal.SIGALRM
