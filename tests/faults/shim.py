"""Calls of the system that fail on purpose: a small library, compiled here and preloaded into a program."""

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).parent / "shim.c"
WRITE, SYNC, READ, NAME = 1, 2, 4, 8
ONCE, EVER, HALF = 0, 1, 2


def compiled(folder: Path) -> Path:
    """The library; skips the test where no C compiler is, or where the system is not Linux."""
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("no C compiler, or no Linux")
    out = folder / "shim.so"
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", str(out), str(SOURCE), "-ldl"], check=True)
    return out


class Faults:
    """The library in a program that was started with it."""

    def __init__(self) -> None:
        self._calls: Any = ctypes.CDLL(None)

    def arm(self, folder: Path, kinds: int, at: int, error: int, how: int) -> None:
        """The `at`th call of `kinds` on files below `folder` fails with `error`."""
        self._calls.fault_arm(os.fsencode(folder), kinds, at, error, how)

    def disarm(self) -> None:
        """Nothing fails."""
        self._calls.fault_arm(b"/", 0, 0, 0, 0)

    @property
    def seen(self) -> int:
        """Calls since `arm`."""
        return int(self._calls.fault_seen())

    @property
    def fired(self) -> bool:
        """Whether one failed since `arm`."""
        return bool(self._calls.fault_fired())
