"""Threads that use arrays while another thread writes to them. Run as a program: a crash must not take others along.

Each call ends in a value (right or wrong), a FormatError or a PatternError. Prints how many calls ended in which.
"""

import faulthandler
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

import sparsefmt as sf

Array = np.ndarray[Any, Any]
SECONDS = 0.8
PATIENCE = 60.0  # seconds on a busy machine until an outcome that is sure to come is met
FORMATS = ["coo", "csr", "csc", "bitmask", "bsr4x4", "dense", "nm8:8", "nm4:8@64"]
rng = np.random.default_rng(0)
base = np.where(rng.random((200, 160)) < 0.3, rng.integers(1, 9, (200, 160)), 0).astype(np.float32)


def race(
    work: list[Callable[[], Any]], disturb: Callable[[], Any], seconds: float = SECONDS, until: tuple[str, ...] = ()
) -> Counter[str]:
    """Runs `work` over and over in eight threads while `disturb` runs in one more, until all of `until` were met."""
    stop, outcomes, broken = threading.Event(), Counter[str](), list[BaseException]()

    def run(start: int) -> None:
        i = start
        while not stop.is_set():
            try:
                work[i % len(work)]()
                outcomes["value"] += 1
            except (sf.FormatError, sf.PatternError) as e:
                outcomes[type(e).__name__] += 1
            except BaseException as e:
                broken.append(e)
                stop.set()
            i += 1

    def shake() -> None:
        while not stop.is_set():
            disturb()

    threads = [threading.Thread(target=run, args=(i,)) for i in range(8)] + [threading.Thread(target=shake)]
    for t in threads:
        t.start()
    time.sleep(seconds)
    end = time.monotonic() + PATIENCE
    while not stop.is_set() and not outcomes.keys() >= set(until) and time.monotonic() < end:
        time.sleep(0.05)
    stop.set()
    for t in threads:
        t.join()
    if broken:
        raise broken[0]
    return outcomes


def input_is_written() -> Counter[str]:
    """The dense input of encode changes during the call."""
    w, other = base.copy(), rng.permutation(base.reshape(-1)).reshape(base.shape)
    strided = np.zeros((200, 320), np.float32)[:, ::2]

    def disturb() -> None:
        w[...] = other
        strided[...] = other
        w[...] = base
        strided[...] = 0

    work = [lambda fmt=fmt, a=a: sf.encode(a, fmt) for fmt in FORMATS for a in (w, strided)]
    work += [lambda: sf.encode(w, "nm2:4", prune=True), lambda: sf.prune.nm(w), lambda: sf.prune.magnitude(w, 0.1)]
    return race(work, disturb, until=("value",))


def hostile(a: Array, good: Array) -> Callable[[], None]:
    """Fills an index array with numbers that are far out of range, and puts it right again."""
    info = np.iinfo(a.dtype)
    bad = [np.full(a.shape, x, a.dtype) for x in (info.max, info.min, -1, a.size)] + [good[::-1].copy(), good + 1]

    def disturb() -> None:
        for b in bad:
            a[...] = b
            a[len(a) // 2 :] = good[len(a) // 2 :]
            a[...] = good

    return disturb


def borrowed_is_written(kind: str, which: str, wide: type) -> Counter[str]:
    """An array of SciPy that a tensor borrows changes."""
    m = sf.to_scipy(sf.encode(base, "bsr4x4" if kind == "bsr" else kind), copy=True)
    if kind == "coo":
        m.coords = tuple(a.astype(wide) for a in m.coords)
        a = m.coords[0 if which == "row" else 1]
    else:
        m.indptr, m.indices = m.indptr.astype(wide), m.indices.astype(wide)
        a = getattr(m, which)
    t = sf.from_scipy(m, copy=False)
    out, x, y = np.zeros_like(base), np.ones((160, 3), np.float32), np.ones((2, 200), np.float32)
    lock = threading.Lock()

    def into_out() -> None:
        with lock:
            t.to_dense(out=out)

    work: list[Callable[[], Any]] = [t.to_dense, into_out, lambda: t @ x, lambda: y @ t, lambda: t.T @ y.T]
    work += [lambda: t.T.to_dense(), lambda: sf.to_scipy(t, copy=True), lambda: t.nnz, lambda: sf.from_scipy(m)]
    for fmt in (*FORMATS, "bsr3x5"):
        if fmt != t.format:
            work += [lambda fmt=fmt: t.convert(fmt), lambda fmt=fmt: t.convert(fmt).to_dense()]
    wanted = ("value",) if which == "indptr" else ("value", "FormatError")  # large enough to be met while it is wrong
    return race(work, hostile(a, a.copy()), SECONDS / 2, wanted)


def main() -> None:
    faulthandler.enable()
    case = sys.argv[1:]
    wide = {"int32": np.int32, "int64": np.int64}
    outcomes = input_is_written() if case == ["input"] else borrowed_is_written(case[0], case[1], wide[case[2]])
    print(dict(outcomes))


if __name__ == "__main__":
    main()
