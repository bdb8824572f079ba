"""What the GPU packs, unpacks and converts has the bytes that the CPU has."""

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import sparsefmt as sf
from sparsefmt.base.dtypes import DTYPES

RNG_SEED = 7
SHAPES = [(5, 32), (3, 37), (1, 4), (4, 1), (2, 256), (0, 8), (3, 0)]
CODECS = ["", "/int8", "/int8:g16", "/int8:tensor:f32", "/int4:g16", "/int4:g6:asym", "/int8:asym", "/kmeans16"]
STRUCTURES = ["nm2:4", "nm4:8", "nm2:4@64", "nm8:16", "csr", "bitmask", "bitmask@64"]


def sparse(shape: tuple[int, ...], dtype: Any, n: int = 2, m: int = 4, seed: int = RNG_SEED) -> np.ndarray:
    """At most n of m nonzero, some groups with fewer; some negative zeros among floats."""
    rng = np.random.default_rng(seed)
    w = rng.integers(-40, 40, shape) if np.dtype(dtype).kind in "iu" else rng.standard_normal(shape) * 3
    w = sf.prune.nm(np.asarray(w, np.float64), n, m) * (rng.random(shape) < 0.9)
    with np.errstate(invalid="ignore"):
        out = np.abs(w).astype(dtype) if np.dtype(dtype).kind == "u" else w.astype(dtype)
    return out


def attempt(run: Callable[[], sf.SparseTensor]) -> tuple[sf.SparseTensor | None, tuple[str, str] | None]:
    """The result, or the kind and text of the error."""
    try:
        return run(), None
    except sf.SparsefmtError as e:
        return None, (type(e).__name__, str(e))


def parts(t: sf.SparseTensor) -> dict[str, Any]:
    return {**t.structure.arrays(), **{f"values.{k}": a for k, a in t.values.arrays().items()}}


def check_same(got: sf.SparseTensor, want: sf.SparseTensor) -> None:
    """Equal formats, dtypes of all arrays, and bytes."""
    assert got.device == "cuda:0"
    back = got.to("cpu")
    assert (back.format, back.shape, back.dtype) == (want.format, want.shape, want.dtype)
    for (name, a), b in zip(parts(back).items(), parts(want).values(), strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape), name
        assert a.tobytes() == b.tobytes(), name


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("structure", STRUCTURES)
def test_pack_and_unpack(cupy: Any, structure: str, codec: str) -> None:
    for shape in SHAPES:
        w = sparse(shape, np.float32)
        want = sf.encode(w, structure + codec)
        got = sf.encode(cupy.asarray(w), structure + codec)
        check_same(got, want)
        dense = got.to_dense()
        assert isinstance(dense, cupy.ndarray)
        assert cupy.asnumpy(dense).tobytes() == want.to_dense().tobytes()


@pytest.mark.parametrize("dtype", [n for n in DTYPES if not n.startswith("float8")])
@pytest.mark.parametrize("fmt", ["nm2:4", "csr", "bitmask", "csr/int8:g8", "nm2:4/int4:g8:asym", "nm2:4/kmeans7"])
def test_every_dtype(cupy: Any, fmt: str, dtype: str) -> None:
    w = sparse((6, 24), "u1" if dtype[0] in "ub" else "i1" if dtype[0] == "i" else "f4").astype(DTYPES[dtype])
    if fmt.endswith("4/int4:g8:asym") and w.dtype.kind in "iu":
        w = (w.astype(np.int64) % 7).astype(w.dtype)
    want, error = attempt(lambda: sf.encode(w, fmt))
    got, said = attempt(lambda: sf.encode(cupy.asarray(w), fmt))
    assert said == error
    if want is None or got is None:
        return
    check_same(got, want)
    assert cupy.asnumpy(got.to_dense()).tobytes() == want.to_dense().tobytes()
    assert got.nnz == want.nnz


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_fast_kernels(cupy: Any, dtype: str) -> None:
    """Rows of 256 columns have kernels of their own; every pattern of a group occurs, with signed zeros."""
    patterns = np.array([[p >> i & 1 for i in range(4)] for p in range(16) if p.bit_count() <= 2], np.float32)
    rng = np.random.default_rng(3)
    w = patterns[rng.integers(0, len(patterns), (5, 128))].reshape(5, 512) * rng.choice([1.5, -2.0, -0.0], (5, 512))
    w = w.astype(DTYPES[dtype])
    for zero in ("value", "bits"):
        if zero == "bits":
            w = np.where(w == 0, np.zeros(1, w.dtype), w)
        want, got = sf.encode(w, "nm2:4", zero=zero), sf.encode(cupy.asarray(w), "nm2:4", zero=zero)
        check_same(got, want)
        assert cupy.asnumpy(got.to_dense()).tobytes() == want.to_dense().tobytes()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "int8", "uint16", "int64"])
@pytest.mark.parametrize("fmt", ["nm2:4", "nm3:8", "nm1:2/int8:g4"])
def test_prune_while_packing(cupy: Any, fmt: str, dtype: str) -> None:
    rng = np.random.default_rng(5)
    w = rng.integers(-128, 128, (7, 30)).astype(DTYPES[dtype])
    score = rng.integers(0, 5, w.shape).astype(np.float32)
    for chosen in (None, score):
        try:
            want = sf.encode(w, fmt, prune=True, score=chosen)
        except sf.CodecError:
            continue
        on_gpu = None if chosen is None else cupy.asarray(chosen)
        check_same(sf.encode(cupy.asarray(w), fmt, prune=True, score=on_gpu), want)


def test_nan_and_infinity_are_pruned_as_on_the_cpu(cupy: Any) -> None:
    w = np.array([[np.nan, 1, np.inf, 2, -np.inf, np.nan, 9, 0]], np.float32)
    for dtype in ("float16", "bfloat16", "float32", "float64"):
        a = w.astype(DTYPES[dtype])
        check_same(sf.encode(cupy.asarray(a), "nm2:4", prune=True), sf.encode(a, "nm2:4", prune=True))


@pytest.mark.parametrize("codec", ["", "/int8:g8", "/int4:row:asym", "/kmeans5", "/kmeans256"])
@pytest.mark.parametrize("source", ["nm2:4", "nm4:8@64", "csr", "bitmask@64", "coo"])
@pytest.mark.parametrize("target", ["nm2:4", "nm8:16", "csr", "bitmask", "coo"])
def test_convert(cupy: Any, source: str, target: str, codec: str) -> None:
    for shape in ((5, 32), (3, 21)):
        t = sf.encode(sparse(shape, np.float32), source + codec)
        moved = t.to("cuda")
        want, error = attempt(lambda t=t: t.convert(target))
        got, said = attempt(lambda moved=moved: moved.convert(target))
        assert said == error
        if want is not None and got is not None:
            check_same(got, want)
            check_same(sf.convert(moved, target), want)


@pytest.mark.parametrize(
    "fmt", ["coo/int8:g8", "csc", "csc/kmeans4", "bsr2x4/int4:g8:asym", "bsr3x5", "dense/int8:g8", "dense"]
)
def test_other_structures_unpack(cupy: Any, fmt: str) -> None:
    for shape in ((6, 24), (5, 13)):
        t = sf.encode(sparse(shape, np.float32), fmt)
        moved = t.to("cuda")
        assert cupy.asnumpy(moved.to_dense()).tobytes() == t.to_dense().tobytes()
        assert moved.nnz == t.nnz


@pytest.mark.parametrize("dtype", [ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2])
@pytest.mark.parametrize("fmt", ["nm2:4", "csr", "bitmask", "nm2:4/int8:g8"])
def test_float8_is_carried_as_bytes(cupy: Any, fmt: str, dtype: Any) -> None:
    t = sf.encode(sparse((4, 16), np.float32).astype(dtype), fmt)
    moved = t.to("cuda")
    assert moved.dtype == t.dtype
    assert sf.equal(moved, t)
    dense = moved.to_dense()
    assert dense.dtype == np.uint8
    assert cupy.asnumpy(dense).tobytes() == t.to_dense().tobytes()
    check_same(moved.convert("csr"), t.convert("csr"))


@pytest.mark.parametrize(
    ("w", "fmt"),
    [
        (np.ones((2, 8), np.float32), "nm2:4"),
        (np.ones((2, 256), np.float16), "nm2:4"),
        (np.array([[np.nan, 0, 0, 1]], np.float32), "nm2:4/int8"),
        (np.array([[np.inf, 0, 0, 1]], np.float64), "csr/int4"),
        (np.array([[1e30, 0, 0, 1]], np.float32), "csr/int8"),
        (np.array([[300, 0, 0, 1]], np.int32), "csr/int8"),
        (np.array([[np.nan, 0, 0, 1]], np.float32), "csr/kmeans2"),
        (np.ones((2, 4), np.complex64), "nm2:4"),
        (np.ones((2, 4), bool), "csr/int8"),
        (np.ones((2, 4), np.float32), "csr:what"),
    ],
)
def test_errors_are_those_of_the_cpu(cupy: Any, w: np.ndarray, fmt: str) -> None:
    with pytest.raises(sf.SparsefmtError) as want:
        sf.encode(w, fmt)
    with pytest.raises(type(want.value)) as got:
        sf.encode(cupy.asarray(w), fmt)
    assert str(got.value) == str(want.value)


def test_a_codebook_from_outside_and_one_per_row(cupy: Any) -> None:
    w, book = sparse((4, 16), np.float32), np.array([-2.0, 0.0, 1.0, 3.0], np.float32)
    want = sf.encode(w, "nm2:4/kmeans4", codebook=book)
    check_same(sf.encode(cupy.asarray(w), "nm2:4/kmeans4", codebook=cupy.asarray(book)), want)
    check_same(sf.encode(cupy.asarray(w), "nm2:4/kmeans4:row"), sf.encode(w, "nm2:4/kmeans4:row"))
    per_row = sf.encode(w, "bitmask/kmeans4:row")
    assert cupy.asnumpy(per_row.to("cuda").to_dense()).tobytes() == per_row.to_dense().tobytes()
    check_same(per_row.to("cuda").convert("csr"), per_row.convert("csr"))


def test_strides_ranks_and_out(cupy: Any) -> None:
    w = sparse((2, 3, 16), np.float16)
    want = sf.encode(w, "nm2:4")
    check_same(sf.encode(cupy.asarray(w), "nm2:4"), want)
    turned = cupy.asarray(np.ascontiguousarray(w.transpose(2, 0, 1))).transpose(1, 2, 0)
    check_same(sf.encode(turned, "nm2:4"), want)
    t = want.to("cuda")
    room = cupy.empty((2, 16, 3), np.float16).transpose(0, 2, 1)
    assert t.to_dense(room) is room
    assert cupy.asnumpy(room).tobytes() == want.to_dense().tobytes()
    with pytest.raises(sf.FormatError, match="want an array of shape"):
        t.to_dense(cupy.empty((2, 3, 15), np.float16))
    with pytest.raises(sf.DtypeError, match="want float16"):
        t.to_dense(cupy.empty((2, 3, 16), np.float32))
    with pytest.raises(sf.SizeError, match="allowed 5"):
        t.to_dense(max_bytes=5)


def test_what_stays_on_the_cpu_says_so(cupy: Any) -> None:
    w = cupy.asarray(sparse((4, 16), np.float32))
    with pytest.raises(sf.BackendError, match=r"packing bsr runs on the CPU.*nm, bitmask, csr"):
        sf.encode(w, "bsr4x4")
    t = sf.encode(w, "csr")
    with pytest.raises(sf.BackendError, match=r"converting csr to csc runs on the CPU"):
        t.convert("csc")
    for function in (sf.dequantize, sf.to_scipy, lambda x: sf.quantize(x, "int8")):
        with pytest.raises(sf.BackendError, match=r"this runs on the CPU, and the tensor is on cuda:0"):
            function(t)
    with pytest.raises(sf.CodecError, match="convert keeps the codec"):
        t.convert("csr/int8")
