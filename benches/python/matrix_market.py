"""Reads and writes a Matrix Market file beside SciPy's fast_matrix_market: the bar is 1.0, as fast at least.

`python benches/python/matrix_market.py [--mb 1000] [--threads 2] [--repeat 3]`: makes a file of that size, reads it
and writes it by turns, and prints seconds, MB/s and the ratio; the exit code is 1 below the bar.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.io
from records import write_named

import sparsefmt as sf
from sparsefmt.interop import read_matrix_market, write_matrix_market

BAR = 1.0
LINE = 32  # bytes of an entry, about


def make(path: Path, nbytes: int) -> None:
    """Writes random entries, sorted by column as collections have them."""
    rng, count, rows = np.random.default_rng(0), max(nbytes // LINE, 1), 1_000_000
    with path.open("w") as file:
        file.write(f"%%MatrixMarket matrix coordinate real general\n{rows} {rows} {count}\n")
        cols = np.sort(rng.integers(1, rows + 1, count))
        for start in range(0, count, 1 << 16):
            part = cols[start : start + (1 << 16)]
            values = rng.standard_normal(len(part)).tolist()
            lines = zip(rng.integers(1, rows + 1, len(part)).tolist(), part.tolist(), values, strict=True)
            file.write("".join(f"{r} {c} {v!r}\n" for r, c, v in lines))


def by_turns(repeat: int, ours: Callable[[], object], theirs: Callable[[], object]) -> tuple[float, float]:
    """The least seconds of each."""
    best = [np.inf, np.inf]
    for _ in range(repeat):
        for i, work in enumerate((ours, theirs)):
            start = time.perf_counter()
            found = work()
            best[i] = min(best[i], time.perf_counter() - start)
            del found
    return best[0], best[1]


def main() -> int:
    """Measures and compares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mb", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument(
        "--record", action="store_true", help="write benches/record/<machine>/<date>-matrix-market.json"
    )
    options = parser.parse_args()
    sf.set_num_threads(options.threads)
    scipy.io._fast_matrix_market.PARALLELISM = options.threads
    results = []
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder, "m.mtx"), Path(folder, "out.mtx")
        make(path, options.mb * 10**6)
        size = path.stat().st_size / 1e6
        t = read_matrix_market(path)
        matrix = sf.to_scipy(t).tocoo()
        pairs = {
            "read": (lambda: read_matrix_market(path), lambda: scipy.io.mmread(path)),
            "write": (lambda: write_matrix_market(out, t), lambda: scipy.io.mmwrite(out, matrix)),
        }
        for what, (ours, theirs) in pairs.items():
            own, peer = by_turns(options.repeat, ours, theirs)
            print(
                f"{what:6} {own:8.3f} s {size / own:8.0f} MB/s  scipy {peer:8.3f} s  ratio {peer / own:.2f}, bar {BAR}"
            )
            results.append({"what": what, "seconds": own, "scipy": peer, "ratio": peer / own, "bar": BAR})
    if options.record:
        write_named("matrix-market", mb=options.mb, threads=options.threads, results=results)
    return int(any(r["ratio"] < BAR for r in results))


if __name__ == "__main__":
    sys.exit(main())
