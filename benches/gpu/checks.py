"""What must be right before anything is timed: every engine, dtype, codec and odd shape against float64."""

import threading
from collections.abc import Iterator
from typing import Any

import ml_dtypes
import numpy as np

import sparsefmt as sf
from sparsefmt.base.dtypes import DTYPES
from sparsefmt.base.errors import BackendError
from sparsefmt.cuda import engines
from sparsefmt.cuda.device import cupy

FORMATS = (
    *("nm2:4", "nm2:4/int8:row", "nm2:4/int8:g128", "nm2:4/int4:g128", "nm2:4/int4:g32:asym", "nm2:4/kmeans16"),
    *("nm2:4@64", "nm4:8", "csr", "csr/int8", "bitmask", "bitmask@64/int4:g64"),
)
SHAPES = ((256, 512), (129, 255), (31, 1000), (1, 4), (512, 64))
COLUMNS = (1, 3, 8, 16, 65, 130)
PAIRS = (
    *(("float16", "float16"), ("bfloat16", "bfloat16"), ("float32", "float32")),
    *(("int8", "int8"), ("bfloat16", "int8")),
)


def weights(shape: tuple[int, int], dtype: str, seed: int) -> np.ndarray:
    """Random, 2:4 and 4:8 at once."""
    rng = np.random.default_rng(seed)
    w = rng.integers(-90, 90, shape) if dtype == "int8" else rng.standard_normal(shape)
    return np.asarray(sf.prune.nm(w.astype(np.float32), 2, 4)).astype(DTYPES[dtype])


def factor(shape: tuple[int, int], dtype: str, seed: int) -> np.ndarray:
    """Random."""
    rng = np.random.default_rng(seed)
    return (rng.integers(-90, 90, shape) if dtype == "int8" else rng.standard_normal(shape)).astype(DTYPES[dtype])


def on_device(x: np.ndarray, order: str) -> Any:
    """On the device in C or F order."""
    return cupy().asarray(x) if order == "C" else cupy().asarray(np.ascontiguousarray(x.T)).T


def poisoned(shape: tuple[int, int], dtype: np.dtype[Any], order: str) -> Any:
    """Room for a result that is wrong wherever nothing is written."""
    bits = np.full(shape if order == "C" else shape[::-1], 0xA5, np.uint8).repeat(dtype.itemsize, axis=1)
    made = cupy().asarray(bits).view(dtype)
    return made if order == "C" else made.T


def largest_error(got: np.ndarray, w: np.ndarray, x: np.ndarray) -> float:
    """The largest error over what rounding allows: at most 1. Integers: 0 or infinite."""
    if got.dtype.kind in "iu":
        want = (w.astype(np.int64) @ x.astype(np.int64)).astype(got.dtype)
        return 0.0 if np.array_equal(got, want) else float("inf")
    a, b, y = (v.astype(np.float64) for v in (w, x, got))
    eps = float(ml_dtypes.finfo(got.dtype).eps)
    bound = eps * np.abs(a @ b) + (2.0**-17 + eps / 64) * (np.abs(a) @ np.abs(b)) + 1e-7
    worst = np.abs(y - a @ b) / bound
    return float(worst.max(initial=0.0)) if np.isfinite(y).all() else float("inf")


def scaled_codes(t: sf.SparseTensor) -> np.ndarray:
    """Codes times scales without the rounding to the dtype of the tensor, as int8 products have them."""
    codes = np.zeros(t.shape, np.uint8)
    t.structure.decode(t.values.lift(t.structure), 0, t.shape[0], codes)
    return codes.view(np.int8).astype(np.float64) * t.values.arrays()["scale"].astype(np.float64)


def bytes_are_equal(small: bool) -> Iterator[dict[str, Any]]:
    """The device packs, unpacks and converts to the bytes of the CPU."""
    for shape in SHAPES[:2] if small else (*SHAPES, (4096, 4096)):
        for dtype in ("float16",) if small else ("float16", "bfloat16", "float32"):
            w = weights(shape, dtype, 1)
            for fmt in FORMATS[::4] if small else FORMATS:
                want, got = sf.encode(w, fmt), sf.encode(cupy().asarray(w), fmt)
                good = sf.equal(got, want) and cupy().asnumpy(got.to_dense()).tobytes() == want.to_dense().tobytes()
                good = good and sf.equal(got.convert("csr"), want.convert("csr"))
                yield {"check": f"bytes of {fmt}, {dtype}, {shape}", "passed": good}


def products_are_right(small: bool) -> Iterator[dict[str, Any]]:
    """Every engine that does not refuse, into poisoned memory."""
    for shape in SHAPES[1:2] if small else SHAPES:
        for own, other in PAIRS:
            for fmt in FORMATS[:2] if small else FORMATS:
                try:
                    t = sf.encode(weights(shape, own, 2), fmt)
                except sf.CodecError:
                    continue  # integers that have no code of 4 bits
                yield from _products(t, own, other, COLUMNS[1:2] if small else COLUMNS)


def _products(t: sf.SparseTensor, own: str, other: str, columns: tuple[int, ...]) -> Iterator[dict[str, Any]]:
    moved, mixed = t.to("cuda"), own != other
    for k in columns:
        x = factor((t.shape[1], k), other, 3)
        for order in "CF":
            right = on_device(x, order)
            for name in engines.engines():
                result = DTYPES["bfloat16"] if mixed else DTYPES["int32"] if own == "int8" else t.dtype
                out = poisoned((t.shape[0], k), result, order)
                try:
                    sf.cuda.matmul(moved, right, out=out, dtype=result, engine=name)
                except BackendError as e:
                    if "cannot multiply" in str(e):
                        continue
                    raise
                exact = mixed and name == "cusparselt"
                worst = largest_error(cupy().asnumpy(out), scaled_codes(t) if exact else t.to_dense(), x)
                what = f"{name}: {t.format} {t.dtype} {t.shape} @ {other} {k} columns, {order} order"
                yield {"check": what, "passed": worst <= 1, "error": worst}


def streams_and_threads(small: bool) -> Iterator[dict[str, Any]]:
    """Two streams, then two threads, each with products of its own; the results are bitwise those of one."""
    shape = (128, 256) if small else (2048, 4096)
    t = sf.encode(weights(shape, "float16", 4), "nm2:4")
    moved, xs = t.to("cuda"), [on_device(factor((shape[1], 64), "float16", seed), "F") for seed in range(2)]
    want = [cupy().asnumpy(moved @ x) for x in xs]
    cupy().cuda.Device().synchronize()
    got: dict[int, Any] = {}

    def work(number: int) -> None:
        with cupy().cuda.Stream(non_blocking=True) as stream:
            for _ in range(20):
                got[number] = moved @ xs[number]
            stream.synchronize()

    for number in range(2):
        work(number)
    same = all(cupy().asnumpy(got[i]).tobytes() == want[i].tobytes() for i in range(2))
    yield {"check": "two streams", "passed": same}
    if not small:
        threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        same = all(cupy().asnumpy(got[i]).tobytes() == want[i].tobytes() for i in range(2))
        yield {"check": "two threads", "passed": same}


def every(small: bool = False) -> Iterator[dict[str, Any]]:
    """All checks. `small`: few and little, to see that they run."""
    yield from bytes_are_equal(small)
    yield from products_are_right(small)
    yield from streams_and_threads(small)
