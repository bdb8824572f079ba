"""The cases with targets: packing at the speed of a copy, products against cuBLAS and the raw library."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from timing import FLUSH, Timer, host_seconds, random_values

import sparsefmt as sf
from sparsefmt.base.dtypes import DTYPES, zero_mask
from sparsefmt.cuda import blas, launch, lt, prepared, structures
from sparsefmt.cuda.device import cupy, empty
from sparsefmt.cuda.sparse24 import CuSparseLt

Row = dict[str, Any]
PACKING = ((8192, 8192), (28672, 8192))


def row(case: str, value: float, target: float | None, *, most: bool = False, **more: Any) -> Row:
    """A line of the record; `most`: the value is to be at most the target, not at least."""
    met = None if target is None else (value <= target if most else value >= target)
    return {"case": case, "value": value, "target": target, "at_most": most, "met": met, **more}


def copy_bandwidth(timer: Timer, nbytes: int) -> float:
    """Bytes read and written per second by a copy on the device."""
    source, target = (empty(nbytes // 4, np.uint32) for _ in range(2))
    source.data.memset_async(1, source.nbytes)
    return 2 * source.nbytes / timer.seconds(lambda: cupy().copyto(target, source))


def packing(timer: Timer, shape: tuple[int, int], dtype: str) -> Iterator[Row]:
    """The kernels alone, and `sf.encode` and `to_dense` as users call them."""
    w = cupy().asarray(sf.prune.nm(random_values(shape, DTYPES[dtype], 1), 2, 4))
    t = sf.encode(w, "nm2:4")
    s, slots, moved = t.structure, t.values.arrays()["data"], w.nbytes + t.nbytes
    limit = copy_bandwidth(timer, moved // 2)
    codes, room, out = empty(s.codes.shape, np.uint8), empty(slots.shape, w.dtype), empty(shape, w.dtype)
    chunks, zero, over = w.size // structures.CHUNK, zero_mask(DTYPES[dtype], "value"), launch.counter()
    ways = {"encode": (w, chunks, zero, codes, room, over), "decode": (s.codes, slots, chunks, out)}
    for name, args in ways.items():
        seconds = timer.seconds(partial(launch.run, "nm24", f"nm24_{name}", {}, 32 * chunks, *args))
        case = f"{name} nm2:4 {dtype} {shape[0]} x {shape[1]}, of copy bandwidth"
        yield row(case, moved / seconds / limit, 0.8, seconds=seconds, copy_bandwidth=limit)
    for name, run in (("sf.encode", partial(sf.encode, w, "nm2:4")), ("t.to_dense", partial(t.to_dense, out))):
        yield row(f"{name} nm2:4 {dtype} {shape[0]} x {shape[1]}, seconds", timer.seconds(run), None)


def raw_library(t: sf.SparseTensor, x: Any, out: Any) -> Any:
    """A call of cuSPARSELt alone, after a search, with everything made before."""
    engine = CuSparseLt()
    engine.multiply(t, x, out, None, search=True)
    held = lt.handle()
    plan = next(reversed(held.plans.values()))
    operand = next(iter(prepared._forms[t].values()))
    return lambda: plan.run(operand.weights, x, out, operand.scale)


def product(timer: Timer, n: int, dtype: str) -> Iterator[Row]:
    """A large product of halves."""
    kind = DTYPES[dtype]
    w = sf.prune.nm(random_values((n, n), kind, 2), 2, 4)
    x = cupy().asarray(random_values((n, n), kind, 3)).T
    dense, t, out = cupy().asarray(w), sf.encode(w, "nm2:4").to("cuda"), empty((n, n), kind).T
    of_dense = timer.seconds(partial(blas.gemm, dense, x, out))
    raw = timer.seconds(raw_library(t, x, out))
    ours = timer.seconds(partial(sf.cuda.matmul, t, x, out=out, engine="cusparselt"))
    about = {"seconds": ours, "raw_seconds": raw, "dense_seconds": of_dense, "dense_flops": 2 * n**3 / ours}
    yield row(f"{dtype} {n}^3, seconds over those of the raw library", ours / raw, 1.03, most=True, **about)
    yield row(f"{dtype} {n}^3, times cuBLAS dense", of_dense / ours, 1.2, **about)


def int8(timer: Timer, small: bool) -> Iterator[Row]:
    """Codes of 8 bits with a scale per row, bfloat16 results, against cuBLAS with int32 results."""
    m, n = (128, 64) if small else (8192, 4096)
    kind = DTYPES["bfloat16"]
    t = sf.encode(sf.prune.nm(random_values((m, m), kind, 4), 2, 4), "nm2:4/int8:row").to("cuda")
    x = cupy().asarray(random_values((n, m), DTYPES["int8"], 5)).T
    dense, sums = cupy().asarray(random_values((m, m), DTYPES["int8"], 6)), empty((n, m), np.int32).T
    of_dense = timer.seconds(lambda: blas.gemm(dense, x, sums))
    out = empty((n, m), kind).T
    sf.cuda.search(t, x, dtype="bfloat16")
    ours = timer.seconds(lambda: sf.cuda.matmul(t, x, out=out, dtype="bfloat16", engine="cusparselt"))
    about = {"seconds": ours, "dense_seconds": of_dense}
    yield row(f"int8 {m} x {m} x {n} to bfloat16 with row scales, times cuBLAS int8", of_dense / ours, 1.3, **about)


def overhead(small: bool) -> Iterator[Row]:
    """What the host spends on a product that was made before."""
    kind = DTYPES["bfloat16"]
    t = sf.encode(sf.prune.nm(random_values((256, 256), kind, 7), 2, 4), "nm2:4").to("cuda")
    x = cupy().asarray(random_values((64, 256), kind, 8)).T
    seconds = host_seconds(lambda: t @ x, 3 if small else 40)
    chosen = sf.cuda.explain(t, x).splitlines()[1]
    yield row("host time of a repeated t @ x, microseconds", 1e6 * seconds, 25.0, most=True, explain=chosen)


def every(small: bool) -> Iterator[Row]:
    """All rows. `small`: little matrices, to see that they run."""
    timer = Timer(3 if small else 30, 1 << 16 if small else FLUSH)
    for shape in ((64, 512),) if small else PACKING:
        for dtype in ("float16", "bfloat16"):
            yield from packing(timer, shape, dtype)
    if (reason := lt.available()) is not None:
        yield {"case": "products on sparse tensor cores", "skipped": reason}
    else:
        for dtype in ("bfloat16", "float16"):
            yield from product(timer, 128 if small else 8192, dtype)
        yield from int8(timer, small)
    yield from overhead(small)
