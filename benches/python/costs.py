"""What calls cost beside the work: importing, small tensors, many in one file, threads after a pause, kept memory.

`python benches/python/costs.py [--record] [--quick]`: about 20 seconds. Times are medians; those of short calls are of
means over 200 calls. `--record` writes benches/record/<machine>/<date>-costs.json, which the page on performance shows.
"""

import argparse
import gc
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
import scipy.sparse
from harness import in_fresh_memory, in_used_memory, per_call, timed
from imports import import_ms
from machine import without_lesser_blas
from records import write_named

import sparsefmt as sf
from sparsefmt.base import alloc

PAUSE = 0.5  # seconds: threads are parked by then
MANY = 1000


class Cost(NamedTuple):
    """A row: what, how much, in which unit, and beside what."""

    what: str
    value: float
    unit: str
    beside: str = ""
    other: float | None = None


def sparse(rows: int, cols: int, density: float) -> np.ndarray:
    """Normal random weights, each kept with that probability."""
    rng = np.random.default_rng(rows)
    return np.where(rng.random((rows, cols)) < density, rng.standard_normal((rows, cols)), 0).astype(np.float32)


def middle(run: Callable[[], object], rounds: int) -> float:
    """The median time of a call, in milliseconds."""
    return median(timed(run) for _ in range(rounds)) * 1e3


def importing(rounds: int) -> list[Cost]:
    """Beside NumPy's own."""
    ours = min(import_ms("import numpy, sparsefmt", "sparsefmt") for _ in range(rounds))
    theirs = min(import_ms("import numpy", "numpy") for _ in range(rounds))
    return [Cost("import sparsefmt, beyond NumPy's", ours, "ms", "import numpy", theirs)]


def small(quick: bool) -> list[Cost]:
    """Calls whose work is small."""
    w, found = sparse(64, 64, 0.1), []

    def add(what: str, run: Callable[[], object], beside: str, peer: Callable[[], object]) -> None:
        found.append(Cost(what, per_call(run, quick=quick) * 1e6, "us", beside, per_call(peer, quick=quick) * 1e6))

    def scipys() -> object:
        return scipy.sparse.csr_array(w).toarray()

    add("64 x 64: encode csr and decode", lambda: sf.encode(w, "csr").to_dense(), "SciPy", scipys)
    two = sf.prune.nm(w)
    add("64 x 64: encode nm2:4 and decode", lambda: sf.encode(two, "nm2:4").to_dense(), "SciPy", scipys)
    dense, x = sparse(256, 256, 1.0), np.random.default_rng(0).standard_normal((256, 256)).astype(np.float32)
    for fmt in ("nm2:4", "csr", "bitmask"):
        pruned = sf.prune.nm(dense) if fmt == "nm2:4" else sf.prune.magnitude(dense, 0.1)
        t = sf.encode(pruned, fmt)
        add(f"{fmt} 256 x 256 @ x 256 x 256", lambda t=t: t @ x, "NumPy, dense", lambda p=pruned: p @ x)
        add(f"{fmt} 256 x 256 @ x 256", lambda t=t: t @ x[:, 0], "NumPy, dense", lambda p=pruned: p @ x[:, 0])
    return found


def many(rounds: int) -> list[Cost]:
    """A thousand tensors of 64 x 64 in one file."""
    w = sparse(64, 64, 0.1)
    packed = {f"layer.{i}.weight": sf.encode(w, "csr") for i in range(MANY)}
    plain = {name: w for name in packed}
    found = []
    with tempfile.TemporaryDirectory() as folder:
        paths = Path(folder, "packed.safetensors"), Path(folder, "plain.safetensors")
        for verb, beside, ours, theirs in (
            ("save", "plain arrays", lambda: sf.save(paths[0], packed), lambda: sf.save(paths[1], plain)),
            ("load", "plain arrays", lambda: sf.load(paths[0]), lambda: sf.load(paths[1])),
        ):
            found.append(
                Cost(f"{verb} {MANY} of 64 x 64 csr", middle(ours, rounds), "ms", beside, middle(theirs, rounds))
            )
    return found


def after_a_pause(rounds: int, pause: float) -> list[Cost]:
    """A call that takes all threads, when they are parked, and right after another one."""
    t = sf.encode(sparse(2048, 2048, 0.1), "csr")
    out = np.empty(t.shape, t.dtype)

    def call() -> object:
        return t.to_dense(out=out)

    call()
    parked = []
    for _ in range(rounds):
        time.sleep(pause)
        parked.append(timed(call))
    return [
        Cost(
            "decode csr 2048 x 2048 after a pause", median(parked) * 1e3, "ms", "right after", middle(call, 5 * rounds)
        )
    ]


def kept(rounds: int) -> list[Cost]:
    """Memory that is kept for the next array, and what it saves."""
    t = sf.encode(sparse(4096, 4096, 0.1), "csr")
    sf.set_cache_bytes(None)
    fresh = median(in_fresh_memory(t.to_dense) for _ in range(rounds)) * 1e3
    used = median(in_used_memory(t.to_dense) for _ in range(rounds)) * 1e3
    gc.collect()
    return [
        Cost("decode csr 4096 x 4096, memory kept", used, "ms", "set_cache_bytes(0)", fresh),
        Cost(
            "kept after it", alloc.kept() / 2**20, "MiB", "at most, unless told otherwise", alloc.cache_bytes() / 2**20
        ),
    ]


def main() -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--quick", action="store_true", help="one round: only whether it works")
    args = parser.parse_args()
    without_lesser_blas()
    rounds = 1 if args.quick else 7
    costs = [*importing(rounds), *small(args.quick), *many(rounds)]
    costs += [*after_a_pause(rounds, 0.01 if args.quick else PAUSE), *kept(rounds)]
    for cost in costs:
        beside = "" if cost.other is None else f"   {cost.beside}: {cost.other:.4g} {cost.unit}"
        print(f"{cost.what:40} {cost.value:10.4g} {cost.unit:4}{beside}")
    if args.record:
        write_named("costs", costs=[cost._asdict() for cost in costs])
    return 0


if __name__ == "__main__":
    sys.exit(main())
