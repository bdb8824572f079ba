"""Measures what encode, decode and direct conversions take beyond input and output. Prints JSON; run as a program.

A program of its own, because peak memory is a property of a process. Linux only: the peak is put back to the present
size through /proc before each call.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import sparsefmt as sf

MIB = 1 << 20
THREADS = 2
Array = np.ndarray[Any, Any]


def environment() -> dict[str, str]:
    """The environment of a program that imports this module as `property.peak_memory`."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])}


def status(name: str) -> int:
    """Bytes of memory, by the name in /proc; the peak, VmHWM, is that of this program and not of its parent."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    raise LookupError(name)


def extra(call: Callable[[], Any], given: int = 0) -> tuple[float, float]:
    """(MiB beyond the output at the peak of `call`, MiB of output); `given` bytes of output exist before."""
    Path("/proc/self/clear_refs").write_text("5")
    before = status("VmRSS")
    result = call()
    peak = status("VmHWM")
    if given:
        return (peak - before) / MIB, given / MIB
    output = result.nbytes
    return (peak - before - output) / MIB, output / MIB


def layouts(w: Array) -> Iterator[tuple[str, Array]]:
    yield "c", w
    yield "fortran", np.asfortranarray(w)
    wide = np.zeros((w.shape[0], 2 * w.shape[1]), w.dtype)
    wide[:, ::2] = w
    yield "every second column", wide[:, ::2]


def matrix(rows: int, cols: int, dtype: str, keep: int, of: int) -> Array:
    """`keep` of every `of` columns, at places that differ from row to row."""
    rng = np.random.default_rng(0)
    base = np.zeros((64, cols // of, of), dtype)
    place = np.argsort(rng.random(base.shape), axis=-1)[..., :keep]
    np.put_along_axis(base, place, rng.integers(1, 100, place.shape).astype(dtype), -1)
    return np.tile(base.reshape(64, cols), (rows // 64, 1))


def encode_and_decode(found: dict[str, Any], formats: list[str], w: Array, tag: str) -> None:
    for layout, a in layouts(w):
        for fmt in formats:
            found[f"encode {fmt} {tag} {layout}"] = extra(lambda a=a, fmt=fmt: sf.encode(a, fmt))
            t = sf.encode(w, fmt)
            if layout == "c":
                found[f"decode {fmt} {tag}"] = extra(t.to_dense)
            found[f"decode {fmt} {tag} into {layout}"] = extra(lambda a=a, t=t: t.to_dense(out=a), w.nbytes)
        if tag.startswith("float16"):
            found[f"encode pruned nm2:4 {layout}"] = extra(lambda a=a: sf.encode(a, "nm2:4", prune=True))


def coded(found: dict[str, Any], w: Array) -> None:
    """Structure and codec in one go; the fit of a codebook takes tables of its own, so one is given."""
    book = np.append(0, np.linspace(1, 99, 15)).astype(w.dtype)
    both = ["int8:g128", "int4:g128", "int4:asym", "int8:tensor", "kmeans16"]
    for fmt in [*(f"{s}/{c}" for s in ("nm2:4", "bitmask", "csr") for c in both), "dense/int4:g128", "dense/kmeans16"]:
        codebook = book if "kmeans" in fmt else None
        for layout, a in layouts(w):
            found[f"encode {fmt} {layout}"] = extra(lambda a=a, f=fmt, c=codebook: sf.encode(a, f, codebook=c))
            if fmt.startswith("nm"):
                call = lambda a=a, f=fmt, c=codebook: sf.encode(a, f, prune=True, codebook=c)  # noqa: E731
                found[f"encode pruned {fmt} {layout}"] = extra(call)
        t = sf.encode(w, fmt, codebook=codebook)
        found[f"decode {fmt}"] = extra(t.to_dense)
        found[f"decode {fmt} into c"] = extra(lambda t=t: t.to_dense(out=w), w.nbytes)


def one_row(found: dict[str, Any], formats: list[str], w: Array) -> None:
    """A vector with gaps: one row that is as large as the whole."""
    w = w.reshape(-1)
    a = np.zeros(2 * w.size, w.dtype)[::2]
    a[...] = w
    for fmt in formats:
        t = sf.encode(w, fmt)
        found[f"encode {fmt} one row with gaps"] = extra(lambda fmt=fmt: sf.encode(a, fmt))
        found[f"decode {fmt} one row with gaps"] = extra(lambda t=t: t.to_dense(out=a), w.nbytes)


def conversions(found: dict[str, Any], w: Array, pairs: list[tuple[str, str]], tag: str) -> None:
    for source, target in pairs:
        t = sf.encode(w, source)
        kept = t.convert(target)
        shared = sum(
            a.nbytes
            for part in (kept.structure, kept.values)
            for a in part.arrays().values()
            if any(np.may_share_memory(a, b) for p in (t.structure, t.values) for b in p.arrays().values())
        )
        kept = None
        beyond, output = extra(lambda t=t, target=target: t.convert(target))
        found[f"convert {source} to {target} {tag}"] = (beyond + shared / MIB, output - shared / MIB)


DIRECT = [("csr", "coo"), ("coo", "csr"), ("csr", "bitmask"), ("bitmask", "csr"), ("csr", "csc"), ("csc", "csr")]


def main() -> None:
    sf.set_num_threads(THREADS)
    sf.set_cache_bytes(0)  # memory that is used again would not show
    found: dict[str, Any] = {}
    warm = matrix(64, 64, "f2", 2, 4)
    for fmt in ("nm2:4", "csr", "csc", "bitmask", "coo", "bsr16x16", "csr/int4:g8", "nm2:4/kmeans4"):
        sf.encode(warm, fmt).to_dense()  # threads and lazy imports
    half = matrix(4096, 4096, "f2", 2, 4)
    few = matrix(4096, 2048, "f4", 1, 16)
    encode_and_decode(found, ["nm2:4", "dense"], half, "float16 at 50 %")
    encode_and_decode(found, ["csr", "csc", "coo", "bitmask@64", "bsr16x16"], few, "float32 at 6 %")
    coded(found, half.copy())
    one_row(found, ["nm2:4", "csr", "bitmask"], half)
    score = half.astype(np.float32)
    found["encode pruned nm2:4 by score"] = extra(lambda: sf.encode(half, "nm2:4", prune=True, score=score))
    everywhere = [(f, "dense") for f in ("coo", "csr", "csc", "bitmask", "bsr16x16", "nm2:4")]
    conversions(found, half, [*DIRECT, ("csr", "nm2:4"), ("nm2:4", "csr"), *everywhere], "float16 at 50 %")
    conversions(found, few, [("csr", "bsr8x8"), ("bsr8x8", "csr"), ("coo", "csc"), ("dense", "csr")], "float32 at 6 %")
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
