"""An interpreter that ends while daemon threads are inside kernels: `python -m faults.shutdown SEED`."""

import random
import sys
import threading
import time

import numpy as np

import sparsefmt as sf

began = threading.Semaphore(0)


def ever(seed: int) -> None:
    rng = np.random.default_rng(seed)
    w = rng.standard_normal((512, 1024)).astype(np.float32)
    w[:, 1::4] = w[:, 2::4] = 0
    x = np.ones((1024, 4), np.float32)
    coded = sf.encode(w, "csr/kmeans16")  # once: `numpy.unique` is C++, which unwinding ends before Python 3.14
    began.release()
    while True:
        for fmt in ("csr", "nm2:4", "bitmask", "csr/int8:row"):
            t = sf.encode(w, fmt)
            for u in (t, coded):
                u.to_dense()
                _ = u @ x


if __name__ == "__main__":
    chance = random.Random(int(sys.argv[1]))
    for i in range(4):
        threading.Thread(target=ever, args=(i,), daemon=True).start()
    for _ in range(4):
        began.acquire()
    time.sleep(chance.uniform(0, 0.5))
