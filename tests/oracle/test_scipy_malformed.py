"""Malformed SciPy arrays are refused with a FormatError that says what is wrong; SciPy itself may crash on them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from oracle.malformed import CASES


@pytest.fixture(scope="module")
def outcome() -> dict[str, list[str]]:
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("malformed.py"))], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", CASES)
def test_malformed_array_is_refused(name: str, outcome: dict[str, list[str]]) -> None:
    kind, message = outcome[name]
    assert kind == "FormatError", message
    assert "\n" not in message
    assert len(message) < 300
