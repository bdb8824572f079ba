"""Times of our own kernels against cuBLAS on dense bfloat16, at the sizes of a language model that generates.

Run it alone (`python benches/gpu/own_rows.py`), or let another script call `rows`. Every kernel is checked against
float64 before it is timed. Weights and activations are random. A timing is a CUDA graph of launches that go round
several copies of the weights, larger together than the L2 cache, so that neither the cache nor the host shows; it is
replayed, and the median counts. The copy bandwidth is measured in the same run.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

import sparsefmt as sf
from sparsefmt.cuda import blas
from sparsefmt.cuda.device import cupy
from sparsefmt.cuda.own.product import Own

BF16 = np.dtype(ml_dtypes.bfloat16)
SHAPES = ((28672, 8192), (8192, 8192))
ROUND = 400 << 20  # bytes of weights that a timing goes round
REPLAYS = 15


class Case(NamedTuple):
    """A format, and how many times faster than dense it is to be, by columns."""

    fmt: str
    targets: dict[int, float]


CASES = (
    Case("nm2:4/int4:g128", {1: 4.0, 2: 4.0, 4: 4.0, 8: 4.0, 16: 4.0, 32: 3.0, 64: 3.0}),
    Case("nm2:4/int8:g128", {1: 2.6, 8: 2.6, 16: 2.6}),
    Case("nm2:4", {1: 1.6, 8: 1.6, 16: 1.6}),
    Case("nm2:4/kmeans16", {1: 3.5, 8: 3.5, 16: 3.5}),
)
BANDWIDTH_TARGET = 0.75  # of a copy, int4, one column


def timed(calls: list[Callable[[], object]]) -> float:
    """Seconds per call."""
    stream = cupy().cuda.Stream(non_blocking=True)
    with stream:
        for call in calls:
            call()
        stream.synchronize()
        stream.begin_capture()
        for call in calls:
            call()
        graph = stream.end_capture()
        graph.launch(stream)
        spent = []
        for _ in range(REPLAYS):
            first, last = cupy().cuda.Event(), cupy().cuda.Event()
            first.record(stream)
            graph.launch(stream)
            last.record(stream)
            last.synchronize()
            spent.append(cupy().cuda.get_elapsed_time(first, last) / 1e3 / len(calls))
    return median(spent)


def copy_bandwidth() -> float:
    """Bytes per second of a copy on the device, read and written."""
    source, target = (cupy().zeros(1 << 28, np.uint32) for _ in range(2))
    return 2 * source.nbytes / timed([lambda: cupy().copyto(target, source)])


def activations(cols: int, columns: int, seed: int) -> Any:
    """Random activations on the device, column after column."""
    x = np.random.default_rng(seed).standard_normal((columns, cols), np.float32).astype(BF16)
    return cupy().asarray(x).T


def output(rows: int, columns: int) -> Any:
    """Room for a result, column after column, full of NaN."""
    return cupy().asarray(np.full((columns, rows), np.nan, BF16)).T


def relative_error(t: Any, x: Any, out: Any) -> float:
    """Of some rows, against float64."""
    w = t.structure.shape[0]
    picked = np.linspace(0, w - 1, 64).astype(int)
    dense = t.to("cpu").to_dense()[picked].astype(np.float64)
    want = dense @ cupy().asnumpy(x).astype(np.float64)
    got = cupy().asnumpy(out).astype(np.float64)
    if not np.isfinite(got).all():
        return float("inf")
    return float(np.linalg.norm(got[picked] - want) / np.linalg.norm(want))


def dense_seconds(shape: tuple[int, int], columns: int) -> float:
    """CuBLAS on dense bfloat16."""
    rng = np.random.default_rng(columns)
    block = cupy().asarray(rng.standard_normal(shape, np.float32).astype(BF16))
    copies = [block.copy() for _ in range(max(ROUND // block.nbytes, 1))]
    x, out = activations(shape[1], columns, 1), output(shape[0], columns)
    return timed([lambda w=w: blas.gemm(w, x, out) for w in copies])


def copies_of(t: Any) -> list[Any]:
    """The tensor several times on the device, each with its own arrays."""
    return [t.to("cuda") for _ in range(max(ROUND // t.nbytes, 2))]


def rows(small: bool = False) -> Iterator[dict[str, Any]]:
    """The rows of the record. `small`: little matrices, to see that everything runs."""
    bandwidth = copy_bandwidth()
    yield {"case": "copy bandwidth", "bytes_per_second": bandwidth}
    engine = Own()
    for shape in ((512, 1024),) if small else SHAPES:
        weights = np.random.default_rng(0).standard_normal(shape, np.float32).astype(BF16)
        dense = {n: dense_seconds(shape, n) for n in sorted({n for case in CASES for n in case.targets})}
        for case in CASES:
            t = sf.encode(weights, case.fmt, prune=True)
            held = copies_of(t)
            for columns, target in case.targets.items():
                x, out = activations(shape[1], columns, 2), output(shape[0], columns)
                ways = {"own": engine.multiply} | ({"own gemv": engine.multiply_gemv} if columns <= 4 else {})
                for name, multiply in ways.items():
                    out.view(np.uint16).fill(0x7FC0)  # NaN
                    multiply(held[0], x, out, None)
                    error = relative_error(t, x, out)
                    seconds = timed([lambda t=t, x=x, out=out, m=multiply: m(t, x, out, None) for t in held])
                    row = {
                        "case": f"{case.fmt}, {columns} columns, {shape[0]} x {shape[1]}",
                        "engine": name,
                        "kernel": engine.describe(t, x) if name == "own" else name,
                        "error": error,
                        "seconds": seconds,
                        "dense_seconds": dense[columns],
                        "times_dense": dense[columns] / seconds,
                        "target": target,
                        "of_copy_bandwidth": t.nbytes / seconds / bandwidth,
                    }
                    if columns == 1 and "int4" in case.fmt:
                        row["target_of_copy_bandwidth"] = BANDWIDTH_TARGET
                    yield row


def main() -> None:
    """Prints the rows, and writes them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="a JSON file for the rows")
    parser.add_argument("--small", action="store_true", help="little matrices: a check that it runs, no measurement")
    args = parser.parse_args()
    if not sf.cuda.available():
        sys.exit("no GPU: " + "; ".join(f"{k}: {v}" for k, v in sf.cuda.info()["missing"].items()))
    found = []
    for row in rows(args.small):
        found.append(row)
        print(json.dumps(row), flush=True)
        if row.get("error", 0) > 1e-2:
            sys.exit(f"wrong result: {row}")
    if args.out:
        args.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
