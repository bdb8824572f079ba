"""Ctrl-C in long calls is answered soon."""

import json
import subprocess
import sys

import pytest

from property.peak_memory import environment
from sparsefmt.kernels.registry import NATIVE

pytestmark = pytest.mark.skipif(not NATIVE, reason="the definitions are slower than anybody waits")


def latencies(mega: int) -> dict[str, tuple[float, float]]:
    command = [sys.executable, "-m", "faults.signals", str(mega)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=True)
    return dict(json.loads(done.stdout))


def test_ctrl_c_is_answered() -> None:
    """4 million elements: everything answers within half a second."""
    assert {name: t for name, (_, t) in latencies(4).items() if t > 0.5} == {}


@pytest.mark.slow
def test_ctrl_c_is_answered_in_large_tensors() -> None:
    """64 million elements with one thread, which is what no call is made for."""
    assert {name: t for name, (_, t) in latencies(64).items() if t > 2} == {}
