"""Reads files of others to dense arrays, and packed to packed, beside the time of writing the result at copy speed.

`python benches/python/interchange.py [--mb 1000] [--threads 2] [--repeat 3] [--only gptq,Q4_K]`: for every format makes
a checkpoint whose weights have that many MB when dense (page cache warm), opens it, decodes every weight, and prints
GB/s of the result, the ratio to `numpy.copyto` of the same bytes into memory that is reused, in the same run, and the
bar: 2.0 for dense results, 1.5 for packed ones, where the bound is the time of copying the bytes that are read and
written. The exit code is 1 if a format is above its bar.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray
from records import write_named

import sparsefmt as sf
from sparsefmt.interop import to_pack_quantized, to_sparse24_bitmask, to_sparse_bitmask
from sparsefmt.interop.gguf import Stored, read_tensor
from sparsefmt.interop.gguf_blocks import BLOCKS

Array = NDArray[Any]
ROWS, COLS, GROUP = 4096, 4096, 128
FIGURES: list[dict[str, Any]] = []
DENSE_BAR, PACKED_BAR = 2.0, 1.5
PACKED = ("sparse-24-bitmask", "pack-quantized-4")
"""Formats whose codes are also read without decoding them."""


def _words(rng: np.random.Generator, *shape: int) -> Array:
    return rng.integers(0, 2**31, shape).astype(np.int32) & np.int32(0x6666_6666)


def parts() -> dict[str, dict[str, Array]]:
    """The arrays of one layer by scheme."""
    rng = np.random.default_rng(0)
    w = sf.prune.nm(rng.standard_normal((ROWS, COLS)).astype(np.float16))
    scales = np.ones((COLS // GROUP, ROWS), np.float16)
    sparse24 = dict(zip(("compressed", "bitmask", "shape"), to_sparse24_bitmask(sf.encode(w, "nm2:4")), strict=True))
    roles = ("compressed", "bitmask", "row_offsets", "shape")
    sparse = dict(zip(roles, to_sparse_bitmask(sf.encode(w, "bitmask")), strict=True))
    gptq = {"qweight": _words(rng, COLS // 8, ROWS), "qzeros": _words(rng, COLS // GROUP, ROWS // 8), "scales": scales}
    f8 = w.astype(ml_dtypes.float8_e4m3fn)
    return {
        "sparse-24-bitmask": sparse24,
        "sparse-bitmask": {f"weight.{role}": a for role, a in sparse.items()},
        "pack-quantized-4": to_pack_quantized(sf.encode(w, f"dense/int4:g{GROUP}")),
        "pack-quantized-8": to_pack_quantized(sf.encode(w, f"dense/int8:g{GROUP}")),
        "int-quantized": {"weight": f8.view(np.int8), "weight_scale": np.ones((ROWS, 1), np.float16)},
        "fp8-blocks": {"weight": f8, "weight_scale_inv": np.ones((ROWS // 128, COLS // 128), np.float32)},
        "nvfp4": {
            "weight": rng.integers(0, 256, (ROWS, COLS // 2)).astype(np.uint8),
            "weight_scale": np.ones((ROWS, COLS // 16), ml_dtypes.float8_e4m3fn),
            "weight_scale_2": np.float32([1]),
        },
        "marlin-24": {
            "weight_packed": _words(rng, COLS // 32, 2 * ROWS),
            "scale_packed": scales,
            "meta": np.full((COLS // 16, ROWS), 0x4E4E, np.int16),
        },
        "gptq": gptq,
        "gptq-act-order": gptq | {"g_idx": rng.permutation(COLS).astype(np.int32) // GROUP},
        "awq": gptq | {"qweight": _words(rng, COLS, ROWS // 8)},
    }


def checkpoint(layer: dict[str, Array], layers: int, path: Path) -> Path:
    """A file with copies of a layer."""
    arrays = {f"l{i}.{role}": np.ascontiguousarray(a) for i in range(layers) for role, a in layer.items()}
    sf.save(path, arrays)
    return path


def decoded(value: object) -> Array:
    """Dense values of a tensor."""
    return value.to_dense() if isinstance(value, sf.SparseTensor) else np.asarray(value)


def seconds(run: Callable[[], object], repeat: int) -> float:
    """The best of some runs."""
    best = float("inf")
    for _ in range(repeat):
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return best


def copying(nbytes: int, repeat: int) -> float:
    """Seconds to copy so many bytes, in pieces of a layer's size, into memory that is reused."""
    piece = min(nbytes, 1 << 26)
    source, target = np.ones(piece, np.uint8), np.ones(piece, np.uint8)
    return seconds(lambda: np.copyto(target, source), 3 * repeat) * nbytes / piece


def report(name: str, took: float, bound: float, nbytes: int, bar: float) -> bool:
    """Prints a line, and keeps it for the record; returns whether it is within the bar."""
    FIGURES.append({"what": name, "seconds": took, "bytes": nbytes, "of_bound": took / bound, "bar": bar})
    print(f"{name:28} {took:8.3f} s {nbytes / took / 1e9:6.2f} GB/s  {took / bound:6.2f} x the bound, bar {bar}")
    return took <= bar * bound


def safetensors(name: str, layer: dict[str, Array], options: argparse.Namespace) -> bool:
    """Times a scheme through `open_checkpoint`."""
    layers = max(round(options.mb * 1e6 / (2 * ROWS * COLS)), 1)
    nbytes, good = layers * 2 * ROWS * COLS, True
    with tempfile.TemporaryDirectory() as folder:
        path = checkpoint(layer, layers, Path(folder, "m.safetensors"))

        def read(decode: bool) -> None:
            with sf.open_checkpoint(path) as c:
                for tensor in c:
                    value = c[tensor]
                    if decode:
                        decoded(value)
                    elif isinstance(value, sf.SparseTensor):
                        value.values.arrays()  # codes that wait until they are asked for

        took = seconds(lambda: read(True), options.repeat)
        good &= report(name, took, copying(nbytes, options.repeat), nbytes, DENSE_BAR)
        if name in PACKED:
            size = path.stat().st_size
            took = seconds(lambda: read(False), options.repeat)
            good &= report(f"{name}, packed", took, copying(size, options.repeat), size, PACKED_BAR)
    return good


def gguf(kind: int, options: argparse.Namespace) -> bool:
    """Times a block type over rows of a mapped array."""
    block, rng = BLOCKS[kind], np.random.default_rng(kind)
    raw = rng.integers(0, 60, ROWS * COLS // block.elements * block.nbytes).astype(np.uint8)
    times = max(round(options.mb * 1e6 / (4 * ROWS * COLS)), 1)
    stored, nbytes = Stored((ROWS, COLS), kind, 0, raw.size), times * 4 * ROWS * COLS
    took = seconds(lambda: [decoded(read_tensor(raw, stored)[0]) for _ in range(times)], options.repeat)
    return report(block.name, took, copying(nbytes, options.repeat), nbytes, DENSE_BAR)


def main() -> int:
    """Measures and compares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mb", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--record", action="store_true", help="write benches/record/<machine>/<date>-interchange.json")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    sf.set_num_threads(options.threads)
    only = set(filter(None, options.only.split(",")))
    good = [safetensors(n, layer, options) for n, layer in parts().items() if not only or n in only]
    good += [gguf(kind, options) for kind, block in BLOCKS.items() if not only or block.name in only]
    if options.record:
        write_named("interchange", mb=options.mb, results=FIGURES)
    return int(not all(good))


if __name__ == "__main__":
    sys.exit(main())
