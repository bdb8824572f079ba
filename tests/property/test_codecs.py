"""Integer codes and codebooks: the meaning of SEMANTICS, exactness of every move, and refusals."""

import pickle
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sparsefmt as sf
from sparsefmt.codecs.affine import Affine
from sparsefmt.codecs.fit import BINS, fit
from sparsefmt.kernels.kmeans import kmeans_fit
from sparsefmt.tensor.sparse import rebuild
from support.registered import FORMATS as STRUCTURES
from support.registered import VALUES

Array = np.ndarray[Any, Any]

AFFINE = [text for text in VALUES if text.startswith("int")]
FLOATS = [np.dtype(t) for t in ("f2", "f4", "f8", ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn)]

shapes = st.tuples(st.integers(0, 9), st.sampled_from([0, 1, 4, 5, 7, 8, 13, 40]))
seeds = st.integers(0, 2**32 - 1)


def weights(shape: tuple[int, int], dtype: np.dtype[Any], seed: int, spread: float = 3.0) -> Array:
    rng = np.random.default_rng(seed)
    w = rng.standard_normal(shape) * np.exp(spread * rng.standard_normal((shape[0], 1)))
    w += np.copysign(0.02, w)  # no group so small that float16 has no scale for it
    w *= rng.random(shape) < 0.5
    return np.clip(w, -400, 400).astype(dtype)


def encoded(w: Array, fmt: str) -> sf.SparseTensor:
    return sf.encode(w, fmt, prune=":" in fmt.split("/")[0])


def nearest_codes(x: float, s: float, low: int, high: int, shift: int, compute: type) -> int:
    step = np.rint(compute(x) / compute(s))
    return int(min(max(step + shift, low), high))


def expected(dense: Array, codec: str) -> Array:
    """What SEMANTICS says, element by element, from the decoded raw tensor (absent elements are 0)."""
    parts = codec.split(":")
    bits, asym = int(parts[0][3:]), "asym" in parts
    scale_dtype = np.float32 if "f32" in parts else np.float16
    compute = np.float64 if dense.dtype == np.float64 else np.float32
    rows, cols = dense.shape
    group = next((int(p[1:]) for p in parts if p[0] == "g"), max(cols, 1))
    out = np.zeros(dense.shape, dense.dtype)
    limit = float(ml_dtypes.finfo(dense.dtype).max)  # type: ignore[no-untyped-call]
    bands = [slice(0, rows)] if "tensor" in parts else [slice(r, r + 1) for r in range(rows)]
    with np.errstate(all="ignore"):
        for band in bands:
            for start in range(0, cols, group):
                v = dense[band, start : start + group].astype(compute)
                low, high = min(v.min(initial=0), compute(0)), max(v.max(initial=0), compute(0))
                steps = 2**bits - 1 if asym else 2 ** (bits - 1) - 1
                span = compute(high - low) if asym else max(-low, high)
                s = scale_dtype(span / compute(steps)) if span else scale_dtype(1)
                if s < np.finfo(scale_dtype).smallest_normal and steps * float(s) < span:
                    s = np.nextafter(s, scale_dtype(np.inf))
                shift = int(np.clip(np.rint(-low / compute(s)), 0, steps)) if asym else 0
                least = 0 if asym else -steps
                for i, j in np.ndindex(v.shape):
                    code = nearest_codes(v[i, j], s, least, steps, shift, compute) - shift
                    value = np.clip(compute(code) * compute(s), -limit, limit)
                    out[band, start : start + group][i, j] = dense.dtype.type(value)
    return out


@given(st.sampled_from(AFFINE), shapes, st.sampled_from(FLOATS), st.sampled_from(STRUCTURES), seeds)
@settings(max_examples=200)
def test_affine_is_what_semantics_says(
    codec: str, shape: tuple[int, int], dtype: np.dtype[Any], structure: str, seed: int
) -> None:
    w = weights(shape, dtype, seed, 0.5)
    t = encoded(w, f"{structure}/{codec}")
    raw = encoded(w, structure).to_dense()
    got = t.to_dense()
    assert got.dtype == dtype
    assert np.array_equal(got.astype(np.float64), expected(raw, codec).astype(np.float64))
    assert not np.signbit(got.astype(np.float64)[raw == 0]).any()


@given(st.sampled_from(VALUES), shapes, st.sampled_from(FLOATS), st.sampled_from(STRUCTURES), seeds)
@settings(max_examples=120)
def test_codes_move_between_all_structures(
    codec: str, shape: tuple[int, int], dtype: np.dtype[Any], structure: str, seed: int
) -> None:
    t = encoded(weights(shape, dtype, seed), f"{structure}/{codec}")
    want = t.to_dense().tobytes()
    for other in STRUCTURES:
        try:
            u = t.convert(other)
        except sf.PatternError:
            continue
        except sf.CodecError:
            if codec.startswith("kmeans"):  # a codebook without 0.0
                continue
            raise
        assert u.to_dense().tobytes() == want
        assert u.format.split("/")[1] == t.format.split("/")[1]
        sf.SparseTensor(u.structure, u.values, u.shape)  # passes the full check
        if isinstance(t.values, Affine) and isinstance(u.values, Affine):
            assert u.values.scale is t.values.scale
        back = u.convert(structure)
        assert back.to_dense().tobytes() == want


@given(st.sampled_from(VALUES), shapes, st.sampled_from(STRUCTURES), seeds)
@settings(max_examples=80)
def test_objects(codec: str, shape: tuple[int, int], structure: str, seed: int) -> None:
    w = weights(shape, np.dtype("f4"), seed)
    t = encoded(w, f"{structure}/{codec}")
    raw = encoded(w, structure)
    again = sf.cluster(raw, codec) if codec.startswith("kmeans") else sf.quantize(raw, codec)
    assert sf.equal(t, again)
    assert sf.equal(pickle.loads(pickle.dumps(t)), t)
    assert sf.encode(w, t.format, prune=structure.startswith("nm")).format == t.format
    plain = sf.dequantize(t)
    assert plain.values.kind == "raw"
    assert np.array_equal(plain.to_dense(), t.to_dense())
    assert np.array_equal(t.T.to_dense(), t.to_dense().T)
    s = t.storage()
    assert s.total == t.nbytes == s.values + s.metadata + s.scales + s.codebook + s.padding
    assert min(s.values, s.metadata, s.scales, s.codebook, s.padding) >= 0
    x = np.random.default_rng(seed).standard_normal((shape[1], 2)).astype(np.float32)
    bound = 1e-5 * (np.abs(t.to_dense()).astype(np.float64) @ np.abs(x)) + 1e-30
    assert (np.abs((t @ x) - t.to_dense().astype(np.float64) @ x) <= bound).all()


@given(st.integers(1, 7), st.lists(st.integers(-6, 6), min_size=1, max_size=8), st.booleans())
def test_kmeans_is_optimal(k: int, numbers: list[int], padded: bool) -> None:
    """Brute force over all ways to cut the sorted values into k runs (one of them at 0.0 if slots are filled up)."""
    w = np.array([numbers], np.float64)
    k = max(k, 2)
    t = sf.encode(w, f"{'nm8:8' if padded else 'dense'}/kmeans{k}")
    error = float(((t.to_dense() - w) ** 2).sum())
    values = np.sort(w[0][w[0] != 0] if padded else w[0])
    zero = padded and (len(numbers) < 8 or 0 in numbers)
    assert error <= best_cost(values, k, zero) + 1e-9


def best_cost(values: Array, k: int, zero: bool) -> float:
    best = float((values**2).sum()) if zero or not len(values) else np.inf
    free = k - 1 if zero else k

    def cost(start: int, left: int, used_zero: bool) -> float:
        if start == len(values):
            return 0.0
        result = np.inf
        for end in range(start + 1, len(values) + 1):
            run = values[start:end]
            if left:
                result = min(result, float(((run - run.mean()) ** 2).sum()) + cost(end, left - 1, used_zero))
            if zero and not used_zero:
                result = min(result, float((run**2).sum()) + cost(end, left, True))
        return result

    return min(best, cost(0, free, False))


def test_kmeans_k_beyond_distinct_values_repeats_the_last() -> None:
    t = sf.encode(np.array([[1.0, 2.0, 2.0, 1.0]]), "dense/kmeans8")
    assert t.values.codebook.tolist() == [1, 2, 2, 2, 2, 2, 2, 2]
    assert np.array_equal(t.to_dense(), [[1, 2, 2, 1]])


def test_kmeans_of_float32_is_never_worse_than_lloyd_from_it() -> None:
    w = np.random.default_rng(0).standard_normal((300, 500)).astype(np.float32)  # more than 65,536 distinct values
    t = sf.encode(w, "dense/kmeans16")
    book = t.values.codebook.astype(np.float64)
    codes = np.abs(w[..., None].astype(np.float64) - book).argmin(axis=-1)
    error = ((book[codes] - w) ** 2).sum()
    means = np.array([w[codes == i].mean(dtype=np.float64) for i in range(16)])
    polished = ((means[codes] - w) ** 2).sum()
    assert error <= polished * (1 + 1e-9)
    assert np.array_equal(t.to_dense().astype(np.float64), book[codes])


@pytest.mark.parametrize("shape", [(0, 8), (4, 0), (3, 8)])
@pytest.mark.parametrize("structure", ["csr", "bitmask", "nm2:4"])
def test_nothing_to_fit_with_weights(shape: tuple[int, int], structure: str) -> None:
    t = sf.cluster(sf.encode(np.zeros(shape, np.float16), structure), 4, weights=np.ones(shape))
    assert t.format == f"{structure}/kmeans4"
    assert not t.to_dense().any()


def test_weights_move_the_codebook() -> None:
    t = sf.encode(np.array([[1.0, 2.0, 10.0]]), "csr")
    assert sf.cluster(t, 2, weights=[[1, 3, 1]]).values.codebook.tolist() == [1.75, 10.0]
    assert sf.cluster(t, 2, codebook=[1.0, 9.0]).to_dense().tolist() == [[1.0, 1.0, 9.0]]


@pytest.mark.parametrize(
    ("w", "fmt", "text"),
    [
        ([[1.0, np.nan]], "csr/int8", "row 0, column 1 holds nan"),
        ([[1.0, np.inf]], "dense/kmeans4", "holds inf"),
        ([[1e6, 0.0]], "csr/int4", ":f32"),
        ([[True, False]], "csr/int8", "bool"),
        ([[1j, 0]], "csr/int8", "complex"),
        ([[300, 0]], "csr/int8", "magnitude of 300"),
        ([[1.0]], "csr/int8:g0", "g0"),
        ([[1.0]], "csr/int8:row:tensor", "again"),
        ([[1.0]], "csr/kmeans1", "1"),
        ([[1.0]], "csr/kmeans257", "257"),
    ],
)
def test_values_without_a_code(w: Any, fmt: str, text: str) -> None:  # noqa: ANN401
    with pytest.raises(sf.CodecError, match=text):
        sf.encode(w, fmt)


@pytest.mark.parametrize("dtype", ["i1", "i2", "u2", "i4", "u8"])
@pytest.mark.parametrize("codec", ["int8", "int4:g3", "int8:asym", "int4:tensor:asym"])
def test_integers_are_exact_or_refused(dtype: str, codec: str) -> None:
    w = np.random.default_rng(1).integers(0, 7, (5, 9)).astype(dtype)
    if np.dtype(dtype).kind == "i":
        w -= np.dtype(dtype).type(3)
    for structure in STRUCTURES[:6]:
        t = sf.encode(w, f"{structure}/{codec}")
        assert t.dtype == w.dtype
        assert np.array_equal(t.to_dense(), w)


def test_a_kept_value_that_rounds_to_zero_stays_a_slot() -> None:
    t = sf.encode(np.array([[127.0, 0.1, 0.0, 5.0]]), "csr/int8")
    assert (t.slots, t.nnz) == (3, 2)
    assert t.convert("bitmask").slots == 3
    assert t.convert("nm3:4").convert("csr").slots == 2


def test_convert_to_another_codec_names_the_way() -> None:
    t = sf.encode(np.eye(4), "csr/int8")
    assert t.convert("coo/int8:row").format == "coo/int8"
    with pytest.raises(sf.CodecError, match=r"sf\.dequantize"):
        t.convert("csr/int4")
    with pytest.raises(sf.CodecError, match=r"sf\.dequantize"):
        sf.quantize(t, "int4")


def test_codebook_without_zero_cannot_fill_slots() -> None:
    t = sf.encode(np.array([[1.0, 2.0, 0.0, 0.0]]), "csr/kmeans2")
    with pytest.raises(sf.CodecError, match=r"0\.0.*sf\.dequantize"):
        t.convert("nm3:4")


def test_compare_measures() -> None:
    w = np.array([[3.0, 0.0], [0.0, 4.0]])
    found = sf.compare(sf.encode(w, "csr"), w + np.array([[0, 0], [0, 1]]))
    assert found.max_abs == 1
    assert found.rel_frobenius == pytest.approx(1 / np.sqrt(34))
    assert found.snr_db == pytest.approx(10 * np.log10(34))
    assert found.cosine == pytest.approx((9 + 20) / (5 * np.sqrt(34)))
    assert sf.compare(sf.encode(np.zeros((2, 2)), "csr"), np.zeros((2, 2))).cosine == 1


def test_storage_of_fp16_int4_is_17_percent() -> None:
    """MISSION S35: int4 values and 3-bit codes without scales are 17.2 % of fp16; bound log2 6 bits per group."""
    t = sf.encode(
        np.random.default_rng(0).standard_normal((64, 1024)).astype(np.float16), "nm2:4/int4:g128", prune=True
    )
    s = t.storage()
    assert (s.values + s.metadata) / (2 * t.size) == pytest.approx(0.171875)
    assert (s.metadata_bits, s.bound_bits) == (3, pytest.approx(2.584962500721156))


@pytest.mark.parametrize("codec", ["int8:g4", "int4:asym", "kmeans5", "kmeans16:row"])
def test_hostile_parts_are_refused(codec: str) -> None:
    t = encoded(np.random.default_rng(0).standard_normal((6, 9)).astype(np.float32), f"nm2:4/{codec}")
    kind, arrays, params = t.values.kind, t.values.arrays(), t.values.params()
    structure = (t.structure.kind, t.structure.arrays(), t.structure.params())

    def build(**changed: Array) -> sf.SparseTensor:
        return rebuild(structure, (kind, {**arrays, **changed}, params), t.shape, t.dtype.name)

    assert sf.equal(build(), t)
    bad: list[dict[str, Array]] = [
        {"codes": arrays["codes"][..., :-1].copy()},
        {"codes": arrays["codes"].astype(np.int32)},
    ]
    if "scale" in arrays:
        for value in (np.nan, np.inf, 0.0, -1.0):
            scale = arrays["scale"].copy()
            scale[2, 0] = value
            bad.append({"scale": scale})
        bad += [{"scale": arrays["scale"][:-1]}, {"scale": arrays["scale"].astype(np.float64)}]
    if "zero_point" in arrays:
        bad += [{"zero_point": np.full_like(arrays["zero_point"], 16)}, {"zero_point": arrays["zero_point"][1:]}]
    if "codebook" in arrays:
        book = arrays["codebook"]
        bad += [{"codebook": book[..., ::-1].copy()}, {"codebook": np.full_like(book, np.nan)}]
        bad += [{"codebook": book.astype(np.float64)}]
    if codec == "kmeans5":
        bad.append({"codes": np.full_like(arrays["codes"], 0xFF)})
    for changed in bad:
        with pytest.raises(sf.SparsefmtError):
            build(**changed)


@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("k", [3, 16])
@pytest.mark.parametrize("tail", [1.0, 2.0, 30.0])
def test_fit_of_many_singles_is_near_the_optimum(tail: float, k: int, zero: bool) -> None:
    values = np.random.default_rng(3).standard_t(tail, 80_000).astype(np.float32)
    wide = np.unique(values).astype(np.float64)
    assert len(wide) > BINS
    weight = np.unique(values, return_counts=True)[1].astype(np.float64)
    best = np.empty(k)
    kmeans_fit(wide, weight, k, int(zero), best)

    def cost(book: Array) -> float:
        return float((weight * np.abs(wide[:, None] - book).min(axis=1) ** 2).sum())

    found = fit(values, None, k, zero)
    assert not zero or 0.0 in found
    assert cost(best) <= cost(found) * (1 + 1e-12) <= cost(best) * 1.0001
    doubles = fit(values.astype(np.float64), np.ones(len(values)), k, zero)
    assert cost(doubles) <= cost(best) * 1.0001


@pytest.mark.parametrize(
    "fmt", ["dense/int8", "dense/int4:g3:asym", "nm2:4/int8:f32", "csr/int4:g4", "dense/int8:tensor"]
)
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_scales_are_made_in_pieces(fmt: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the pieces, they are the scales and zero points of the whole."""
    t = sf.random((23, 16), "nm2:4" if fmt.startswith("nm") else "csr", density=0.5, dtype=dtype)
    want = sf.quantize(t, fmt.partition("/")[2])
    for at_once in (1, 7, 40):
        monkeypatch.setattr("sparsefmt.codecs.scales._AT_ONCE", at_once)
        assert sf.equal(sf.quantize(t, fmt.partition("/")[2]), want)


@pytest.mark.parametrize("codec", ["int8:g4", "int4:g1:asym"])
@pytest.mark.parametrize("structure", ["dense", "csc", "coo", "nm2:4"])
def test_rows_without_columns_take_no_time(structure: str, codec: str) -> None:
    """There may be as many as anybody says, and no scale: their pieces were gone through one by one."""
    t = sf.quantize(sf.encode(np.empty((2**58, 0), np.float32), structure), codec)
    assert t.shape == (2**58, 0)
    assert t.slots == 0
