"""Forks while other threads are inside kernels and the number of threads changes: `python -m faults.forks SECONDS`.

Children encode and decode, and must end well and in time. BLAS is to have one thread (OPENBLAS_NUM_THREADS=1): a fork
ends the threads of OpenBLAS under whoever waits for them.
"""

import contextlib
import faulthandler
import os
import random
import signal
import sys
import threading
import time
import warnings
from typing import Any

import numpy as np

import sparsefmt as sf

PATIENCE = 60.0  # seconds that a child may take; it needs a hundredth, on a machine at rest
FORMATS = ("csr", "bitmask", "nm2:4", "bsr4x4", "csr/int8:row", "nm2:4@radix")


def weights() -> np.ndarray[Any, Any]:
    w = np.random.default_rng(0).standard_normal((256, 1024)).astype(np.float32)
    w[:, 2::4] = w[:, 3::4] = 0
    return w


def work(w: np.ndarray[Any, Any], fmt: str) -> None:
    back = sf.encode(w, fmt).to_dense()
    assert "int8" in fmt or back.tobytes() == w.tobytes()


class Others:
    """Threads that encode, decode and multiply until they are told to stop, and one that changes their number."""

    def __init__(self, w: np.ndarray[Any, Any], threads: int) -> None:
        self.w, self.stop, self.failed = w, threading.Event(), list[BaseException]()
        self.threads = [threading.Thread(target=self._run, args=(i,)) for i in range(threads)]
        for thread in self.threads:
            thread.start()

    def _run(self, at: int) -> None:
        rng = random.Random(at)
        x = np.ones((self.w.shape[1], 3), np.float32)
        try:
            while not self.stop.is_set():
                if at == 0:
                    sf.set_num_threads(rng.randint(1, 4))
                    time.sleep(0.0005)
                else:
                    fmt = rng.choice(FORMATS)
                    work(self.w, fmt)
                    _ = sf.encode(self.w, fmt) @ x
        except BaseException as e:
            self.failed.append(e)

    def end(self) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join()


def child(w: np.ndarray[Any, Any], fmt: str) -> int:
    """A fork that works; the number of its process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: fork of a process with threads
        number = os.fork()
    if number == 0:
        faulthandler.dump_traceback_later(PATIENCE / 2)
        with contextlib.suppress(BaseException):
            work(w, fmt)
            os._exit(0)
        os._exit(1)
    return number


def run(seconds: float) -> tuple[int, list[str]]:
    """How many children there were, and what became of those that did not end well."""
    w, rng, wrong, count = weights(), random.Random(0), list[str](), 0
    others, living, end = Others(w, 6), dict[int, tuple[float, str]](), time.monotonic() + seconds
    while time.monotonic() < end or living:
        if time.monotonic() < end and len(living) < 8:
            fmt = rng.choice(FORMATS)
            living[child(w, fmt)] = (time.monotonic(), fmt)
            count += 1
        for number, (start, fmt) in list(living.items()):
            done, status = os.waitpid(number, os.WNOHANG)
            if done:
                del living[number]
                if status:
                    wrong.append(f"{fmt}: ended with status {status}")
            elif time.monotonic() - start > PATIENCE:
                os.kill(number, signal.SIGKILL)
                os.waitpid(number, 0)
                del living[number]
                wrong.append(f"{fmt}: hung")
        time.sleep(rng.uniform(0, 0.005))
    others.end()
    return count, [*wrong, *map(repr, others.failed)]


if __name__ == "__main__":
    children, bad = run(float(sys.argv[1]))
    print(f"{children} children, {len(bad)} hung or ended badly")
    print("\n".join(bad[:20]))
    sys.exit(bool(bad) or children == 0)
