"""Processes that a command lost, and those that it has left."""

import subprocess
import sys
import threading

import pytest

from sparsefmt.cli.failures import failure

IDLE = """
import os, signal, time
from concurrent.futures.process import BrokenProcessPool
from sparsefmt.cli.workers import Workers

try:
    with Workers(2) as workers:
        busy = workers.submit(time.sleep, 600)
        idle = workers.submit(os.getpid).result()
        time.sleep(0.5)  # it waits for the next job, and holds the lock of their queue
        os.kill(idle, signal.SIGKILL)
        busy.result()
except BrokenProcessPool:
    print("broken")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
def test_a_worker_that_is_killed_while_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can take another job from the queue then: the others are ended, not waited for."""
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    done = subprocess.run([sys.executable, "-c", IDLE], capture_output=True, text=True, check=False, timeout=120)
    assert (done.stdout, done.stderr, done.returncode) == ("broken\n", "", 0)


@pytest.mark.parametrize(
    ("ends", "text", "code"),
    [(KeyboardInterrupt(), "interrupted", 130), (SystemExit(143), "", 143), (None, "internal error", 70)],
)
def test_what_fails_because_of_a_signal_is_no_fault(ends: BaseException | None, text: str, code: int) -> None:
    """One that comes in the middle of Python's locks and queues makes these fail on the way out."""
    try:
        try:
            if ends is not None:
                raise ends
        finally:
            threading.Lock().release()
    except RuntimeError as e:
        found = failure(e)
    assert text in found.message
    assert found.exit_code == code
