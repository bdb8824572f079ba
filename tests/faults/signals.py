"""Ctrl-C in long calls: `python -m faults.signals MEGA`. Prints how long each took to answer, in seconds of the CPU.

With one thread the time of the process is the time that the answer takes, however busy the machine is.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import sparsefmt as sf

LOST = 10  # seconds of the CPU after which a signal is not waited for


def spread(mega: int, cols: int) -> sf.SparseTensor:
    """A csr tensor of four million slots per MEGA, 64 in every row."""
    rows, step = mega * 2**16, cols // 64
    places = np.random.default_rng(0).integers(0, step, (rows, 64), np.int32) + np.arange(0, cols, step, np.int32)
    indptr = np.arange(0, 64 * rows + 1, 64, np.int32)
    parts = {"indptr": indptr, "indices": places.reshape(-1)}
    return sf.from_parts(("csr", parts), np.ones(64 * rows, np.float32), (rows, cols))


def calls(mega: int) -> dict[str, Callable[[], Any]]:
    """What is interrupted, on so many million elements."""
    w = np.random.default_rng(0).standard_normal((1024 * mega, 1024), np.float32)
    thin = np.where(w > 1, w, 0)
    csr = sf.encode(thin, "csr")
    narrow, wide = spread(mega, 2**12), spread(mega, 2**20)
    other = w + (w > 1.5).astype(np.float32)
    return {
        "magnitude": lambda: sf.prune.magnitude(w, 0.5),
        "nm": lambda: sf.prune.nm(w, 2, 4),
        "transposable": lambda: sf.prune.transposable(w, 2, 4),
        "cluster": lambda: sf.cluster(csr, 16),
        "cluster dense": lambda: sf.cluster(sf.encode(w, "dense"), 16),
        "quantize": lambda: sf.quantize(csr, "int4:g64"),
        "encode csr": lambda: sf.encode(thin, "csr"),
        "encode csc": lambda: sf.encode(thin, "csc"),
        "csr to csc": lambda: narrow.convert("csc"),
        "wide csr to csc": lambda: wide.convert("csc"),
        "csr to bsr": lambda: csr.convert("bsr4x4"),
        "to_dense": csr.to_dense,
        "compare": lambda: sf.compare(csr, w),
        "diff": lambda: sf.delta.diff({"w": w}, {"w": other}),
        "ties": lambda: sf.merge.ties([{"w": w}, {"w": other}], base={"w": thin}, density=0.5),
    }


def answered(call: Callable[[], Any], after: float) -> float:
    """Seconds of the CPU from the signal, sent after so many, to the exception; infinite where it is lost."""
    sent, begun = list[float](), time.process_time()

    def send() -> None:
        start = time.process_time()
        while time.process_time() - start < after:
            time.sleep(0.002)
        sent.append(time.process_time())
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        call()
        end = float("inf")
        while time.process_time() - begun < after + LOST:  # it was faster: time passes until the signal comes
            sum(range(1000))
    except KeyboardInterrupt:
        end = time.process_time()
    thread.join()
    return end - sent[0]


def run(mega: int) -> dict[str, tuple[float, float]]:
    """Seconds of the whole call, and until the answer, by name."""
    sf.set_num_threads(1)
    found = {}
    for name, call in calls(mega).items():
        start = time.process_time()
        call()
        whole = time.process_time() - start
        latest = max(answered(call, whole * share) for share in (0.1, 0.4, 0.7))
        found[name] = (round(whole, 3), round(latest, 3))
    return found


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    print(json.dumps(run(int(sys.argv[1]))))
