"""Work that is killed at random times: the old result or the new; a second run makes the new one and leaves nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

from faults.work import WORK
from property.peak_memory import environment


def kill(name: str, trials: int, folder: Path) -> None:
    command = [sys.executable, "-m", "faults.kills", name, str(trials), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", WORK)
def test_killed_work(name: str, tmp_path: Path) -> None:
    kill(name, 4, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", WORK)
def test_work_killed_two_hundred_times(name: str, tmp_path: Path) -> None:
    kill(name, 200, tmp_path)
