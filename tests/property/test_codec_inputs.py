"""Inputs at the edge of what codecs hold, and beyond: what each gives, or which error with which words."""

import tracemalloc
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import sparsefmt as sf
from support.registered import FEW_FORMATS as STRUCTURES
from support.registered import FEW_VALUES as CODECS

Array = np.ndarray[Any, Any]
AFFINE = [c for c in CODECS if c.startswith("int")]
FLOATS = ["float16", "bfloat16", "float32", "float64"]


def encoded(w: Array, fmt: str) -> sf.SparseTensor:
    return sf.encode(w, fmt, prune=fmt.startswith("nm"))


def weights(dtype: str = "float32", shape: tuple[int, int] = (6, 24)) -> Array:
    kind = np.dtype(getattr(ml_dtypes, dtype, None) or dtype)
    return np.random.default_rng(0).standard_normal(shape).astype(kind)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("structure", STRUCTURES)
def test_nan_and_infinity_are_named_with_their_place(structure: str, codec: str, bad: float) -> None:
    for dtype in FLOATS:
        w = weights(dtype)
        w[4, 17] = bad
        with pytest.raises(sf.CodecError, match=rf"^row 4, column 17 holds {bad}; "):
            encoded(w, f"{structure}/{codec}")
        raw = encoded(w, structure)
        with pytest.raises(sf.CodecError, match=r"^row 4, column 17 holds"):
            sf.cluster(raw, codec) if codec.startswith("kmeans") else sf.quantize(raw, codec)


@pytest.mark.parametrize("codec", ["int8:g0", "int4:g0", "int8:g00:asym"])
def test_groups_of_no_columns(codec: str) -> None:
    with pytest.raises(sf.CodecError, match=r"option :g00? is unknown; have :gK \(K columns per scale\)"):
        sf.encode(weights(), f"csr/{codec}")
    with pytest.raises(sf.CodecError, match=r"option :g00? is unknown; have :gK"):
        sf.quantize(sf.encode(weights(), "csr"), codec)


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("tail", ["", ":asym", ":f32"])
def test_groups_larger_than_the_row_are_the_row(structure: str, tail: str) -> None:
    for kind in ("int8", "int4"):
        row = encoded(weights(), f"{structure}/{kind}{tail}")
        for group in (24, 25, 1000, 2**31 - 1):
            t = encoded(weights(), f"{structure}/{kind}:g{group}{tail}")
            assert t.values.scale.shape == (6, 1)
            assert t.to_dense().tobytes() == row.to_dense().tobytes()
    with pytest.raises(sf.CodecError, match=":g2147483648"):
        sf.encode(weights(), f"{structure}/int8:g{2**31}")


@pytest.mark.parametrize("structure", STRUCTURES)
def test_more_entries_than_distinct_values_repeat_the_last(structure: str) -> None:
    w = np.tile(np.array([1.0, -2.0, 0.0, 0.0, 0.0], np.float32), (6, 4))
    for codec in ("kmeans9", "kmeans9:row", "kmeans256"):
        t = encoded(w, f"{structure}/{codec}")
        assert np.array_equal(t.to_dense(), encoded(w, structure).to_dense())
        for book in t.values.codebook.reshape(-1, t.values.k):
            found = np.unique(book)
            assert len(found) <= 3
            assert (book[len(found) :] == found[-1]).all()


@pytest.mark.parametrize("odd", [0.0, -0.0, -1.0, np.nan, np.inf])
@pytest.mark.parametrize("codec", ["int8", "int4:g8", "int8:tensor", "int4:asym"])
def test_scales_that_are_no_scales(codec: str, odd: float) -> None:
    t = sf.encode(weights(), f"csr/{codec}")
    scale = t.values.scale.copy()
    scale[-1, -1] = odd
    arrays = {**t.values.arrays(), "scale": scale}
    with pytest.raises(sf.FormatError, match=r"^scale\[\d, \d\] = .*; want finite and above 0$"):
        type(t.values).from_parts(arrays, t.values.params(), t.dtype)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("structure", STRUCTURES)
def test_negative_zero_decodes_to_zero(structure: str, codec: str) -> None:
    """No code stands for -0.0, also where it is stored: as the only value of a group, and beside others."""
    for dtype in FLOATS:
        w = weights(dtype)
        w[0] = -0.0
        w[1, :12] = -0.0
        for zero in ("value", "bits"):
            t = sf.encode(w, f"{structure}/{codec}", zero=zero, prune=structure.startswith("nm"))
            got = t.to_dense()
            if codec in AFFINE:  # a codebook may have no entry to spare for it
                assert (got[0] == 0).all()
                assert (got[1, :12] == 0).all()
            assert not np.signbit(got[got == 0].astype(np.float32)).any()


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("structure", STRUCTURES)
def test_nothing_but_zeros(structure: str, codec: str) -> None:
    for dtype in [*FLOATS, "int8", "uint16"]:
        w = np.zeros_like(weights(dtype))
        t = encoded(w, f"{structure}/{codec}")
        assert t.to_dense().tobytes() == w.tobytes()
        if codec in AFFINE:
            assert (t.values.scale == 1).all()
        assert t.nnz == 0


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("shape", [(0,), (0, 8), (8, 0), (2, 0, 3), (0, 0)])
def test_nothing_at_all(structure: str, codec: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    w = np.zeros(shape, np.float16)
    t = encoded(w, f"{structure}/{codec}")
    assert (t.slots, t.nnz, t.shape) == (0, 0, shape)
    assert t.to_dense().shape == shape
    assert t.format == f"{structure}/{codec}"
    assert sf.dequantize(t).format == structure
    sf.save(tmp_path / "w", {"w": t})
    assert sf.equal(sf.load(tmp_path / "w")["w"], t)
    assert sf.compare(t, w).snr_db == np.inf


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize(
    ("codec", "least", "most"),
    [("int8", -127, 127), ("int4", -7, 7), ("int8:asym", 0, 255), ("int4:g8:asym", -5, 10), ("int4:tensor", -7, 7)],
)
def test_integers_that_fit_are_exact(structure: str, codec: str, least: int, most: int) -> None:
    for dtype in ("int8", "int16", "int32", "int64", "uint8", "uint64"):
        low, high = max(least, int(np.iinfo(dtype).min)), min(most, int(np.iinfo(dtype).max))
        w = np.random.default_rng(1).integers(low, high, (6, 24), endpoint=True).astype(dtype)
        w[:, 0], w[:, 8] = high, low
        t = encoded(w, f"{structure}/{codec}")
        assert t.dtype == w.dtype
        assert (t.values.scale == 1).all()
        assert np.array_equal(t.to_dense(), encoded(w, structure).to_dense())


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize(
    ("codec", "value", "text"),
    [
        ("int8", 128, "integers with a magnitude of 128 have no int8 code (at most 127); cast to a float"),
        ("int8", -128, "integers with a magnitude of 128 have no int8 code (at most 127); cast to a float"),
        ("int4:g8", -8, "integers with a magnitude of 8 have no int4 code (at most 7); cast to a float"),
        ("int8:asym", 256, "integers with a range of 256 have no int8 code (at most 255); cast to a float"),
        ("int4:tensor:asym", 16, "integers with a range of 16 have no int4 code (at most 15); cast to a float"),
    ],
)
def test_integers_that_do_not_fit(structure: str, codec: str, value: int, text: str) -> None:
    w = np.zeros((6, 24), np.int32)
    w[3, 3] = value
    with pytest.raises(sf.CodecError) as caught:
        encoded(w, f"{structure}/{codec}")
    assert str(caught.value) == text


@pytest.mark.parametrize("structure", STRUCTURES)
def test_scales_beyond_their_dtype(structure: str) -> None:
    w = np.full((6, 24), 1e9, np.float32)
    for codec in ("int8:g8", "int4", "int8:tensor:asym"):
        with pytest.raises(sf.CodecError, match=r"^the scale .* is beyond float16; use the option :f32$"):
            encoded(w, f"{structure}/{codec}")
        kept = encoded(w, structure).to_dense()
        assert np.allclose(encoded(w, f"{structure}/{codec}:f32").to_dense(), kept, rtol=1e-6)
    with pytest.raises(sf.CodecError, match=r"^the scale .* is beyond float32$"):
        encoded(w.astype(np.float64) * 1e40, f"{structure}/int4:f32")


@pytest.mark.parametrize("dtype", ["bool", "complex64", "complex128"])
@pytest.mark.parametrize("codec", ["int8", "int4:asym", "kmeans4"])
def test_dtypes_that_no_codec_holds(dtype: str, codec: str) -> None:
    kind = codec.partition(":")[0].rstrip("4") if codec.startswith("kmeans") else codec.partition(":")[0]
    for structure in ("dense", "csr", "bitmask", "nm2:4"):
        error = sf.DtypeError if dtype != "bool" and structure == "nm2:4" else sf.CodecError
        text = "nm does not hold" if error is sf.DtypeError else f"{kind} does not hold {dtype}"
        with pytest.raises(error, match=text):
            encoded(np.zeros((2, 8), dtype), f"{structure}/{codec}")


@pytest.mark.parametrize(
    ("codebook", "text"),
    [
        ([1.0, 2.0, 3.0], r"want shape \(4,\), got \(3,\)"),
        ([[0.0, 1.0, 2.0, 3.0]], r"want shape \(4,\), got \(1, 4\)"),
        ([0.0, 2.0, 1.0, 3.0], "ascending"),
        ([0.0, 1.0, 2.0, np.nan], "does not hold every entry"),
        ([0.0, 1.0, 2.0, np.inf], "does not hold every entry"),
        ([0.0, 0.1, 0.2, 0.3], "float16 does not hold every entry"),
        ([0.0, 1.0, 2.0, 1e6], "float16 does not hold every entry"),
    ],
)
def test_codebooks_that_do_not_fit(codebook: list[Any], text: str) -> None:
    w = weights("float16")
    for structure in ("dense", "csr", "nm2:4"):
        with pytest.raises(sf.CodecError, match=f"^codebook: .*{text}"):
            sf.encode(w, f"{structure}/kmeans4", codebook=codebook, prune=structure.startswith("nm"))


def test_a_given_codebook_without_zero_fills_no_slots() -> None:
    w = np.array([[1.0, 0.0, 0.0, 0.0]], np.float16)
    with pytest.raises(sf.CodecError, match=r"^nm has filling slots here, so the codebook must hold 0\.0$"):
        sf.encode(w, "nm2:4/kmeans2", codebook=[1.0, 2.0])
    assert sf.encode(w, "csr/kmeans2", codebook=[1.0, 2.0]).to_dense().tolist() == [[1, 0, 0, 0]]
    with pytest.raises(sf.CodecError, match=r"^codebook= is for kmeans codecs; 'csr/int8' is none$"):
        sf.encode(w, "csr/int8", codebook=[1.0, 2.0])


def test_a_group_beyond_the_row_takes_no_memory_of_its_size() -> None:
    """Zero points of such a group were repeated as often as it has columns."""
    for structure in ("dense", "nm2:4", "csr"):
        tracemalloc.start()
        try:
            encoded(weights(), f"{structure}/int8:g{2**31 - 1}:asym").to_dense()
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 1 << 20
