"""Where the system has no thread to give, calls are made without."""

import subprocess
import sys
import threading
from concurrent.futures import Future

import numpy as np
import pytest

from property.peak_memory import environment
from sparsefmt.base import threads
from sparsefmt.base.threads import Threads
from sparsefmt.kernels import blas


@pytest.mark.parametrize("given", [0, 1, 2])
def test_calls_are_made_once(given: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The executor keeps a call for which it found no thread, where another may come upon it."""
    start, started, made = threading.Thread.start, [0], list[int]()

    def limited(thread: threading.Thread) -> None:
        started[0] += 1
        if started[0] > given:
            message = "can't start new thread"
            raise RuntimeError(message)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)
    with Threads(4) as pool:
        found = [pool.submit(made.append, i) for i in range(100)]
    assert sorted(made) == list(range(100))
    assert all(future.result() is None for future in found)


def test_errors_and_late_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "has_room", lambda: False)
    pool = Threads(1)
    failed: Future[int] = pool.submit(int, "x")
    assert isinstance(failed.exception(), ValueError)
    with pytest.raises(KeyboardInterrupt):
        pool.submit(_interrupted)
    monkeypatch.undo()
    pool.shutdown()
    with pytest.raises(RuntimeError, match="after shutdown"):
        pool.submit(int)


def _interrupted() -> None:
    raise KeyboardInterrupt


def test_products_without_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    a = np.random.default_rng(0).standard_normal((700, 16)).astype(np.float32)
    want = blas.matmul(a, a.T.copy())
    monkeypatch.setattr(threads, "has_room", lambda: False)
    np.testing.assert_array_equal(blas.matmul(a, a.T.copy()), want)


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are Linux's")
def test_pruning_without_room_for_threads() -> None:
    """What is held suffices for the work, and nothing is left for threads."""
    code = (
        "import resource, numpy as np, sparsefmt as sf\n"
        "from property.peak_memory import status\n"
        "x = np.random.default_rng(0).standard_normal((512, 256))\n"
        "sf.set_num_threads(1)\n"
        "want = sf.prune.sparsegpt(x, '2:4', x.T @ x)\n"
        "sf.set_num_threads(4)\n"
        "room = status('VmSize') + (24 << 20)\n"
        "resource.setrlimit(resource.RLIMIT_AS, (room, room))\n"
        "assert all(map(np.array_equal, sf.prune.sparsegpt(x, '2:4', x.T @ x), want))\n"
    )
    env = environment() | {"OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=False)
    assert (done.returncode, done.stderr) == (0, "")
