"""Ctrl-C in long calls is answered soon."""

import json
import subprocess
import sys

import numpy as np
import pytest

from property.peak_memory import environment
from sparsefmt.kernels.blas import answering
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


@pytest.mark.parametrize("blocked", ["[]", "[signal.SIGINT]"])
def test_ctrl_c_ends_the_wait_for_lapack(blocked: str) -> None:
    """A decomposition of thousands of columns takes minutes, and looks for no signal.

    One that comes just before the wait begins does not wake it, as one that another thread is given.
    """
    code = (
        "import os, signal, threading, time\n"
        "from sparsefmt.kernels.blas import answering\n"
        "def begun():\n"
        "    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])\n"
        "    time.sleep(0.2), os.kill(os.getpid(), signal.SIGINT)\n"
        "    time.sleep(600)\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell has it ignored in the background
        f"signal.pthread_sigmask(signal.SIG_BLOCK, {blocked})\n"
        "try:\n"
        "    answering(begun, 4096)\n"
        "except KeyboardInterrupt:\n"
        "    print('answered')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "answered\n", "")


def test_what_lapack_gives_and_raises() -> None:
    a = np.random.default_rng(0).standard_normal((600, 600))
    for found, want in zip(answering(lambda: np.linalg.eigh(a), 600), np.linalg.eigh(a), strict=True):
        np.testing.assert_array_equal(found, want)
    with pytest.raises(np.linalg.LinAlgError):
        answering(lambda: np.linalg.inv(np.zeros((600, 600))), 600)
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        answering(lambda: np.ones(600) / np.zeros(600), 600)
