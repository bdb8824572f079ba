"""What a file is put through: what a caller can do with what was loaded, and whether it agrees with itself."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import sparsefmt as sf
from sparsefmt.base.dtypes import Array

SMALL = 1 << 16  # bytes up to which results are compared
TARGETS = [
    "dense",
    "coo",
    "csr",
    "csc",
    "bsr2x3",
    "bsr16x16",
    "bitmask",
    "bitmask@64",
    "nm2:4",
    "nm1:1",
    "nm8:8@64",
    "gap",
]
CODECS = ["int8", "int4:g4", "int4:g3:asym", "int8:tensor:f32", "kmeans4", "kmeans3:row"]


class DisagreementError(AssertionError):
    """Two ways to the same thing gave two things."""


def _agree(what: str, a: Array, b: Array) -> None:
    if a.shape != b.shape or a.dtype != b.dtype or a.tobytes() != b.tobytes():
        msg = f"{what}: {a.reshape(-1)[:8]} {b.reshape(-1)[:8]}"
        raise DisagreementError(msg)


def _dense(t: sf.SparseTensor) -> Array:
    return t.to_dense(max_bytes=SMALL)


def _converts(rng: random.Random, t: sf.SparseTensor, path: Path) -> None:
    made = t.convert(rng.choice(TARGETS))
    if t.size * t.dtype.itemsize <= SMALL:
        _agree(f"{t.format} through {made.format}", _dense(made), _dense(t))


def _saves(rng: random.Random, t: sf.SparseTensor, path: Path) -> None:
    other = path.with_suffix(".again")
    sf.save(other, {"w": t})
    if not sf.equal(sf.load(other)["w"], t):
        msg = f"{t.format}: not what was saved"
        raise DisagreementError(msg)


def _vector(rng: random.Random, n: int) -> Array:
    if n > SMALL:
        msg = f"a vector of {n}"
        raise sf.SizeError(msg)
    return np.random.default_rng(rng.randrange(9)).integers(-3, 4, n).astype(rng.choice(["f4", "f8", "f2", "i4"]))


def _multiplies(rng: random.Random, t: sf.SparseTensor, path: Path) -> None:
    if t.ndim != 2:
        return
    left = rng.random() < 0.5
    x = _vector(rng, t.shape[0 if left else 1])
    if rng.random() < 0.3:
        x = np.stack([x, x, x], 0 if left else 1)
    got = (x @ t) if left else (t @ x)
    if t.size * t.dtype.itemsize > SMALL or t.dtype.kind == "c":
        return
    w = _dense(t)
    if got.dtype.kind in "iu":
        wide = (x.astype(np.int64) @ w.astype(np.int64)) if left else (w.astype(np.int64) @ x.astype(np.int64))
        _agree(f"{t.format} integer product", got, wide.astype(got.dtype))
        return
    with np.errstate(all="ignore"):
        w64, x64 = w.astype(np.float64), x.astype(np.float64)
        want, size = (x64 @ w64, abs(x64) @ abs(w64)) if left else (w64 @ x64, abs(w64) @ abs(x64))
        accumulated = np.finfo(np.float64 if got.dtype == np.float64 else np.float32)
        result = accumulated if got.dtype.itemsize > 2 else np.finfo(np.float16) if got.dtype == "f2" else None
        eps = 2.0**-8 if result is None else float(result.eps)
        fits = np.isfinite(size) & (size < (60000 if got.dtype == "f2" else float(accumulated.max) / 4))
        bound = (len(x64) + 8) * float(accumulated.eps) * size + eps * abs(want) + 1e-37 * (got.dtype != "f8")
        bound = bound + (6e-8 if got.dtype == "f2" else 1e-300)
        off = abs(got.astype(np.float64) - want)
    if (off[fits] > bound[fits]).any() or (fits & np.isnan(off)).any():
        at = np.flatnonzero(fits & ~(off <= bound))[0]
        numbers = f"got {got.reshape(-1)[at]}, want {want.reshape(-1)[at]} within {bound.reshape(-1)[at]}"
        msg = f"{t!r} {left=} x {x.dtype}: {numbers}"
        raise DisagreementError(msg)


def _exports(rng: random.Random, t: sf.SparseTensor, path: Path) -> None:
    t.to_scipy()


def _transposes(rng: random.Random, t: sf.SparseTensor, path: Path) -> None:
    turned = t.T
    if t.size * t.dtype.itemsize <= SMALL:
        dense = turned.to_dense()
        _agree("transpose", np.ascontiguousarray(dense), np.ascontiguousarray(_dense(t).T))
    if t.ndim == 2:
        _ = turned @ _vector(rng, t.shape[0])


def _compares(rng: random.Random, t: sf.SparseTensor, path: Path) -> None:
    sf.compare(t, t)


def _dequantizes(rng: random.Random, t: sf.SparseTensor, path: Path) -> None:
    raw = sf.dequantize(t)
    if t.size * t.dtype.itemsize <= SMALL:
        _agree("dequantize", _dense(raw), _dense(t))


def _recodes(rng: random.Random, t: sf.SparseTensor, path: Path) -> None:
    codec = rng.choice(CODECS)
    _ = sf.cluster(t, codec) if codec.startswith("kmeans") else sf.quantize(t, codec)


def _counts(rng: random.Random, t: sf.SparseTensor, path: Path) -> None:
    nnz = t.nnz
    if t.size * t.dtype.itemsize <= SMALL and nnz != np.count_nonzero(_dense(t)):
        msg = f"{t.format}: nnz {nnz}"
        raise DisagreementError(msg)
    _ = t.nbytes, t.bits_per_weight, t.density, repr(t), t._repr_html_()


def _reduces(rng: random.Random, t: sf.SparseTensor, path: Path) -> None:
    if t.dtype.kind != "b":
        _ = rng.choice([t.sum, t.norm, lambda: t.sum(axis=0), lambda: t.sum(axis=-1), lambda: abs(t), lambda: -t])()


def _indexes(rng: random.Random, t: sf.SparseTensor, path: Path) -> None:
    if t.ndim > 1 and t.shape[0]:
        last = t.shape[0] - 1
        _ = t[rng.choice([[0], [last], [last, 0], [0, 0], []])] if rng.random() < 0.5 else t[0:2]


def _prunes(rng: random.Random, t: sf.SparseTensor, path: Path) -> None:
    w = _dense(t)
    _ = rng.choice(
        [lambda: sf.prune.nm(w), lambda: sf.prune.magnitude(w, 0.5), lambda: sf.prune.block(w, (2, 2), 0.5)]
    )()


def _suggests(rng: random.Random, t: sf.SparseTensor, path: Path) -> None:
    _ = sf.explain(t, rng.choice(TARGETS))
    _ = sf.explain_matmul(t, _vector(rng, t.shape[1])) if t.ndim == 2 else None


def _exchanges(rng: random.Random, t: sf.SparseTensor, path: Path) -> None:
    again = sf.from_parts(t.structure, t.values, t.shape)
    if not sf.equal(again, t):
        msg = "from_parts"
        raise DisagreementError(msg)


Use = Callable[[random.Random, sf.SparseTensor, Path], None]
USES: dict[str, Use] = {
    f.__name__.strip("_"): f
    for f in (_converts, _converts, _saves, _multiplies, _exports, _transposes, _compares, _dequantizes, _recodes,
              _counts, _reduces, _indexes, _prunes, _suggests, _exchanges)
}  # fmt: skip


def put_through(path: Path, seed: int) -> list[tuple[str, BaseException]]:
    """Loads and uses a file; what was raised that no caller should see, with the use that raised it."""
    rng = random.Random(seed)
    try:
        tensors: dict[str, Any] = sf.load(path, mmap=rng.random() < 0.5)
    except sf.SparsefmtError as e:
        return _text("load", e)
    except Exception as e:
        return [("load", e)]
    found: list[tuple[str, BaseException]] = []
    t = tensors["w"] if isinstance(tensors.get("w"), sf.SparseTensor) else None
    calls: list[tuple[str, Callable[[], Any]]] = [("inspect", lambda: sf.inspect(path))]
    if t is not None:
        calls += [("to_dense", lambda: _dense(t))]
        calls += [(name, lambda use=USES[name]: use(rng, t, path)) for name in rng.sample(list(USES), 4)]
    for name, call in calls:
        try:
            call()
        except sf.SparsefmtError as e:
            found += _text(name, e)
        except Exception as e:
            found.append((name, e))
    return found


def _text(name: str, e: sf.SparsefmtError) -> list[tuple[str, BaseException]]:
    """A typed error whose message is not one line of text."""
    text = str(e)
    try:
        text.encode()
    except UnicodeEncodeError:
        return [(name, e)]
    return [(name, e)] if "\n" in text or len(text) > 1000 else []
