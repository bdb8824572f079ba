"""Little memory: a result, MemoryError or SizeError; never a signal, never a torn file, never a wait without end."""

import subprocess
import sys
from pathlib import Path

import pytest

from property.peak_memory import environment

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are Linux's")


def sweep(steps: int, folder: Path) -> None:
    command = [sys.executable, "-m", "faults.memory", str(steps), str(folder)]
    env = environment() | {"OPENBLAS_NUM_THREADS": "1"}  # with more, it ends the process itself
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_little_memory(tmp_path: Path) -> None:
    sweep(4, tmp_path / "f")


@pytest.mark.slow
def test_little_memory_in_small_steps(tmp_path: Path) -> None:
    sweep(60, tmp_path / "f")
