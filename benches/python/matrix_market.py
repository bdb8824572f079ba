"""Reads a Matrix Market file beside SciPy's fast_matrix_market: the bar is 1.0, as fast at least, with 2 threads.

`python benches/python/matrix_market.py [--mb 1000] [--threads 2] [--repeat 3]`: makes a file of that size, reads it by
turns, and prints seconds, MB/s and the ratio; the exit code is 1 below the bar.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import scipy.io

import sparsefmt as sf
from sparsefmt.interop import read_matrix_market

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


def main() -> int:
    """Measures and compares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mb", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    sf.set_num_threads(options.threads)
    scipy.io._fast_matrix_market.PARALLELISM = options.threads
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "m.mtx")
        make(path, options.mb * 10**6)
        size = path.stat().st_size / 1e6
        best = {"sparsefmt": np.inf, "scipy": np.inf}
        for _ in range(options.repeat):
            for name, read in (("sparsefmt", read_matrix_market), ("scipy", scipy.io.mmread)):
                start = time.perf_counter()
                found = read(path)
                best[name] = min(best[name], time.perf_counter() - start)
                del found
    for name, seconds in best.items():
        print(f"{name:10} {seconds:8.3f} s {size / seconds:8.0f} MB/s")
    ratio = best["scipy"] / best["sparsefmt"]
    print(f"ratio {ratio:.2f}, bar {BAR}")
    return int(ratio < BAR)


if __name__ == "__main__":
    sys.exit(main())
