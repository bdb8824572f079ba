"""Whether `t @ x` takes the faster of its ways, and is never slower than to decode and multiply.

`python benches/python/crossover.py [--case 'csr*'] [--ways]` prints a line for each shape, format and number of
columns: the way that is taken, and how many times as long `t.to_dense().astype(numpy.float32) @ x` takes. `--ways` also
forces the other way; it serves to fit the constants of `sparsefmt.product.cost`. Each is called in a loop of its own.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase

import numpy as np
from harness import SETTLE, Array

import sparsefmt as sf
from sparsefmt.product import decoded, multiply, packed, plan

FORMATS = {
    "nm2:4": (np.float16, 1.0),
    "nm2:4/int8:g128": (np.float16, 1.0),
    "nm2:4/int4:g128": (np.float16, 1.0),
    "nm1:4": (np.float32, 1.0),
    "bitmask 50%": (np.float16, 0.5),
    "bitmask/int8 20%": (np.float32, 0.2),
    "dense/int8": (np.float32, 1.0),
    "csr 50%": (np.float32, 0.5),
    "csr 20%": (np.float32, 0.2),
    "csr 5%": (np.float32, 0.05),
    "csr 1%": (np.float32, 0.01),
    "csr/int8 30%": (np.float32, 0.3),
    "bsr4x4 10%": (np.float32, 0.1),
    "coo 10%": (np.float32, 0.1),
    "csc 10%": (np.float32, 0.1),
}
SHAPES = ((256, 256), (2048, 512), (512, 2048), (2048, 2048))
COLUMNS = (1, 2, 5, 8, 12, 16, 33, 64, 128, 200, 512)


def tensors(pattern: str) -> Iterator[tuple[str, sf.SparseTensor]]:
    """The tensors to multiply, by name."""
    rng = np.random.default_rng(0)
    for name, (dtype, density) in FORMATS.items():
        for rows, cols in SHAPES:
            label = f"{name} {rows}x{cols}"
            if fnmatchcase(label, pattern):
                w = rng.standard_normal((rows, cols), np.float32) * (rng.random((rows, cols)) < density)
                fmt = name.split()[0]
                yield label, sf.encode(w.astype(dtype), fmt, prune=fmt.startswith("nm"))


def ways(t: sf.SparseTensor, x: Array, *, every: bool) -> dict[str, Callable[[], object]]:
    """The product as it is taken and as the law has it, and if `every`, by kernel and by blocks of decoded rows."""
    runs: dict[str, Callable[[], object]] = {
        "taken": lambda: t @ x,
        "law": lambda: t.to_dense().astype(np.float32) @ x,
    }
    if every:
        runs["kernel"] = lambda: packed.packed(t.structure, t.values, x, None, np.dtype(np.float32))
        runs["blocks"] = lambda: decoded.matmul(*multiply.by_rows(t.structure, t.values), x)
    return runs


def least(runs: dict[str, Callable[[], object]]) -> dict[str, float]:
    """The least time of each, in seconds: of 3 to 12 calls in a loop, after the threads of BLAS have gone to sleep."""
    found = dict.fromkeys(runs, float("inf"))
    for name, run in runs.items():
        time.sleep(SETTLE)
        start = time.perf_counter()
        for at in range(12):
            began = time.perf_counter()
            if at > 2 and began - start > 0.02:
                break
            run()
            found[name] = min(found[name], time.perf_counter() - began)
    return found


def main() -> None:
    """Prints the table and a summary."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", default="*", help="a pattern of names, as 'csr* 2048x2048'")
    parser.add_argument("--ways", action="store_true", help="time the way that is not taken too")
    parser.add_argument("--below", type=float, default=float("inf"), help="print only ratios below this")
    arguments = parser.parse_args()
    ratios = []
    for label, t in tensors(arguments.case):
        for k in COLUMNS:
            x = np.random.default_rng(k).standard_normal((t.shape[1], k), np.float32)
            taken = plan.estimates(t.structure, t.values, k, x.dtype)[0].way
            times = least(ways(t, x, every=arguments.ways))
            ratio = times["law"] / times["taken"]
            ratios.append(ratio)
            if ratio < arguments.below:
                more = "".join(f"  {name} {spent * 1e3:8.3f} ms" for name, spent in times.items())
                print(f"{label:32} {k:4} columns  {ratio:5.2f} x  {taken[:24]:24}{more}")
    below = sum(ratio < 1 / 1.1 for ratio in ratios)
    print(f"{len(ratios)} products, the slowest {min(ratios):.2f} x as fast as to decode first; {below} below 0.91 x")


if __name__ == "__main__":
    main()
