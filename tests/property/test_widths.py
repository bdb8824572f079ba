"""Integer codes of 2 to 8 bits: one meaning for all widths, in every structure."""

import re
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sparsefmt as sf
from sparsefmt.codecs.registry import CODECS
from sparsefmt.io.schema import VERSION
from sparsefmt.structures.registry import STRUCTURES

Array = np.ndarray[Any, Any]
WIDTHS = range(2, 9)
FORMATS = [fmt for s in STRUCTURES.values() for fmt in s.examples()]
FLOATS = [np.dtype(t) for t in ("f2", "f4", "f8", ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn)]
widths = st.sampled_from(WIDTHS)
formats = st.sampled_from(FORMATS)
options = st.sampled_from(["", ":g3", ":g8", ":g128", ":tensor", ":f32", ":asym", ":g4:asym", ":asym:f32", ":g5:asym"])
shapes = st.tuples(st.integers(0, 9), st.sampled_from([0, 1, 4, 5, 7, 8, 13, 40, 67]))
seeds = st.integers(0, 2**32 - 1)


def weights(shape: tuple[int, int], dtype: np.dtype[Any], seed: int) -> Array:
    rng = np.random.default_rng(seed)
    w = rng.standard_normal(shape) * np.exp(rng.standard_normal((shape[0], 1))) * (rng.random(shape) < 0.6)
    return np.clip(w, -400, 400).astype(dtype)


def encoded(w: Array, fmt: str) -> sf.SparseTensor:
    return sf.encode(w, fmt, prune=fmt.startswith("nm"))


@given(widths, options, formats, shapes, st.sampled_from(FLOATS), seeds)
@settings(max_examples=250)
def test_a_value_is_at_most_half_a_step_away(
    bits: int, option: str, fmt: str, shape: tuple[int, int], dtype: np.dtype[Any], seed: int
) -> None:
    w = weights(shape, dtype, seed)
    t, kept = encoded(w, f"{fmt}/int{bits}{option}"), encoded(w, fmt).to_dense().astype(np.float64)
    assert t.format == f"{fmt}/int{bits}{option}".replace(":row", "")
    cols = shape[1]
    columns = np.arange(cols) // t.values.group if t.values.group > 0 else np.zeros(cols, int)
    step = np.broadcast_to(t.values.scale.astype(np.float64)[:, columns], shape)
    eps = 2.0 ** -{2: 10, 4: 23, 8: 40, 1: 3}[dtype.itemsize] if dtype.name != "bfloat16" else 2.0**-7
    slack = eps * np.abs(kept) + step * 2.0**bits * (2.0**-10 if t.values.scale.dtype == np.float16 else 2.0**-22)
    assert (np.abs(t.to_dense().astype(np.float64) - kept) <= step / 2 + slack + 1e-30).all()
    assert not t.to_dense()[kept == 0].astype(np.float64).any()


@given(widths, options, formats, shapes, seeds)
@settings(max_examples=150)
def test_codes_are_one_stream_of_so_many_bits(
    bits: int, option: str, fmt: str, shape: tuple[int, int], seed: int
) -> None:
    w = weights(shape, np.dtype("f4"), seed)
    t = encoded(w, f"{fmt}/int{bits}{option}")
    lifted = t.values.lift(t.structure).view(np.int8).astype(int)
    most = (1 << bits) - 1 if ":asym" in option else (1 << (bits - 1)) - 1
    assert np.abs(lifted).max(initial=0) <= most
    if bits < 8 and not t.structure.padded:
        codes = t.values.coding.unpack(t.structure, t.values.codes).reshape(-1) & (1 << bits) - 1
        number = sum(int(c) << (bits * i) for i, c in enumerate(codes))
        assert t.values.codes.tobytes() == number.to_bytes(-(-len(codes) * bits // 8), "little")
    assert t.values.codes.nbytes >= t.slots * bits // 8


@pytest.mark.parametrize("bits", WIDTHS)
@given(options, formats, formats, shapes, seeds)
@settings(max_examples=40)
def test_moves_files_and_products(
    bits: int, option: str, fmt: str, other: str, shape: tuple[int, int], seed: int
) -> None:
    w = weights(shape, np.dtype("f4"), seed)
    t = encoded(w, f"{fmt}/int{bits}{option}")
    assert sf.equal(t, sf.quantize(encoded(w, fmt), f"int{bits}{option}"))
    want = t.to_dense()
    x = np.random.default_rng(seed).standard_normal((shape[1], 3)).astype(np.float32)
    bound = 1e-5 * (np.abs(want).astype(np.float64) @ np.abs(x)) + 1e-30
    for u in (t, sf.SparseTensor(t.structure, t.values, t.shape)):
        assert (np.abs(u @ x - want.astype(np.float64) @ x) <= bound).all()
        assert (np.abs(u @ x[:, 0] - want.astype(np.float64) @ x[:, 0]) <= bound[:, 0]).all()
    try:
        u = t.convert(other)
    except sf.PatternError:
        return
    assert u.to_dense().tobytes() == want.tobytes()
    assert (np.abs(u @ x - want.astype(np.float64) @ x) <= bound).all()


@pytest.mark.parametrize("bits", WIDTHS)
def test_the_oldest_version_that_knows_a_width_is_written(bits: int, tmp_path: Path) -> None:
    t = encoded(weights((4, 24), np.dtype("f2"), 0), f"nm2:4@64/int{bits}:g8")
    sf.save(tmp_path / "w", {"w": t})
    raw = (tmp_path / "w").read_bytes()
    version = 1 if bits in (4, 8) else 2
    assert said(raw, version) == raw
    assert sf.equal(sf.load(tmp_path / "w")["w"], t)
    (tmp_path / "w").write_bytes(said(raw, 3 - version))
    with pytest.raises(sf.CorruptFileError, match=rf"it has version {3 - version}, but its parts are of version"):
        sf.load(tmp_path / "w")
    (tmp_path / "w").write_bytes(said(raw, VERSION + 1))
    reads = f"it has version {VERSION + 1}, this sparsefmt reads versions 1 to {VERSION}"
    with pytest.raises(sf.VersionError, match=reads):
        sf.load(tmp_path / "w")


def said(raw: bytes, version: int) -> bytes:
    """A file whose only entry says another version."""
    made, count = re.subn(rb'(\\"version\\":)\d', rb"\g<1>" + str(version).encode(), raw)
    assert count == 1
    return made


def test_widths_are_one_class_in_the_registry() -> None:
    assert [k for k in CODECS if k.startswith("int")] == [f"int{bits}" for bits in WIDTHS]
    for odd in ("int1", "int9", "int16", "int04"):
        with pytest.raises(sf.CodecError, match=rf"codec '{odd}' is unknown; have raw, int\{{2\.\.8\}}"):
            sf.encode(np.eye(4), f"csr/{odd}")


@pytest.mark.parametrize("bits", WIDTHS)
@pytest.mark.parametrize("asym", [False, True])
def test_integers_that_fit_are_exact(bits: int, asym: bool) -> None:
    most = (1 << bits) - 1 if asym else (1 << (bits - 1)) - 1
    w = np.random.default_rng(0).integers(0 if asym else -most, most, (5, 23), endpoint=True).astype(np.int16)
    fmt = f"int{bits}{':asym' if asym else ''}"
    assert np.array_equal(sf.encode(w, f"csr/{fmt}").to_dense(), w)
    w[3, 3] = most + 1
    with pytest.raises(sf.CodecError, match=rf"have no int{bits} code \(at most {most}\)"):
        sf.encode(w, f"csr/{fmt}")


# Scales at the ends of their dtype


@pytest.mark.parametrize("fmt", ["dense", "csr", "csc", "bitmask", "nm2:4", "bsr2x2"])
@pytest.mark.parametrize("codec", ["int4", "int8:g8", "int3", "int4:asym", "int8:tensor"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_small_groups_do_not_vanish(fmt: str, codec: str, dtype: str) -> None:
    """A value loses at most half a step and 1/512 of the largest of its group, or the call is refused."""
    kind = np.dtype(getattr(ml_dtypes, dtype, dtype))
    most, refused = 15 if "asym" in codec else {"4": 7, "8": 127, "3": 3}[codec[3]], 0
    for size in (1e-3, 1e-4, 1e-5, 3e-6, 1e-6, 1e-7, 1e-8):
        w = (np.random.default_rng(0).uniform(0.5, 1, (4, 16)) * size).astype(kind)
        raw = encoded(w, fmt)
        kept = raw.to_dense().astype(np.float64)
        if not kept.any():
            continue  # float16 holds no 1e-8
        own = {"float16": 3e-8, "bfloat16": 2.0**-8 * size}.get(dtype, 0.0)
        for scales, allowed in (("", 0.5 / most + 1 / 512 + 2e-3), (":f32", 0.5 / most + 1e-6)):
            try:
                t = encoded(w, f"{fmt}/{codec}{scales}")
            except sf.CodecError:
                refused += 1
                assert scales == ""
                with pytest.raises(sf.CodecError, match=r"^the scale .* is too small for float16: .*option :f32$"):
                    sf.quantize(raw, codec)
                continue
            lost = np.abs(t.to_dense().astype(np.float64) - kept).max(axis=1) - own
            largest = kept.max(axis=1) if ":tensor" not in codec else kept.max()
            assert (lost <= allowed * largest).all()
    assert refused >= (1 if dtype == "float16" and codec[3] != "8" else 2)


def test_exact_subnormal_scales_stay() -> None:
    w = np.array([[7 * 2.0**-24, -(2.0**-24)]], np.float32)
    assert sf.encode(w, "dense/int4").to_dense().tolist() == w.tolist()
    t = sf.encode(np.array([[7 * 300 * 2.0**-24]], np.float32), "dense/int4")
    assert float(t.values.scale[0, 0]) == 300 * 2.0**-24
    with pytest.raises(sf.CodecError, match=":f32"):
        sf.encode(np.array([[7 * 1.5 * 2.0**-24]], np.float32), "dense/int4")


@pytest.mark.parametrize("codec", ["int4:asym:f32", "int8:asym:f32:g8", "int3:asym:f32:tensor"])
@pytest.mark.parametrize("fmt", ["dense", "csr", "nm4:4", "bsr2x3", "coo"])
def test_a_range_beyond_float32(fmt: str, codec: str) -> None:
    w = np.array([[-3e38, 3e38, 1e38, 0.0]], np.float32)
    t = sf.encode(w, f"{fmt}/{codec}")
    steps = (1 << int(codec[3])) - 1
    assert float(t.values.scale[0, 0]) == pytest.approx(6e38 / steps, rel=1e-6)
    assert np.abs(t.to_dense().astype(np.float64) - w).max() <= 0.51 * 6e38 / steps
    if codec.startswith("int8"):
        assert float(t.values.scale[0, 0]) == pytest.approx(2.35e36, rel=2e-3)


@pytest.mark.parametrize(
    ("codec", "text"),
    [
        ("int4:g128:symm", "option :symm is left out: codes are symmetric unless :asym asks for zero points"),
        ("int8:g32:f16", "option :f16 is left out: scales are float16 unless :f32 asks for float32"),
        ("int8:g32:f8", "option :f8 is unknown; have :gK (K columns per scale), :row, :tensor, :asym, :f32"),
    ],
)
def test_options_that_are_none(codec: str, text: str) -> None:
    with pytest.raises(sf.CodecError) as caught:
        sf.encode(np.eye(4), f"csr/{codec}")
    assert str(caught.value) == f"codec {codec!r}: {text}"


# Rounding and clamping belong to the value


@pytest.mark.parametrize(
    "codec", ["int4:g1", "int4:f32", "int8:tensor", "int4:g1:asym", "int8:f32", "int3", "int5:asym"]
)
@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize(
    "dtype", ["float8_e5m2", "float8_e4m3fn", "uint8", "int8", "uint16", "int16", "float16", "bfloat16", "float32"]
)
def test_products_multiply_what_to_dense_gives(dtype: str, fmt: str, codec: str) -> None:
    """Scales that saturate the dtype, as a file may bring them."""
    kind = np.dtype(getattr(ml_dtypes, dtype, dtype))
    w = np.random.default_rng(3).integers(1 if dtype[0] == "u" else -3, 3, (5, 17)).astype(kind)
    t = encoded(w, f"{fmt}/{codec}")
    large = {"float16": 3e4, "bfloat16": 3e38, "float32": 3e38}.get(dtype, 6e4)
    large = min(large, 6e4) if t.values.scale.dtype == np.float16 else large
    for size in (large, 0.37, 41.3):
        scale = np.full_like(t.values.scale, size)
        values = type(t.values)(t.values.codes, scale, t.values.zero_point, t.values.group, t.dtype)
        u = sf.SparseTensor(t.structure, values, t.shape)
        dense = u.to_dense().astype(np.float64)
        x = np.random.default_rng(4).uniform(-1, 1, (17, 40)).astype(np.float32) * 2.0**-8
        exact, eps = np.abs(dense) @ np.abs(x).astype(np.float64), {"float16": 2.0**-10, "bfloat16": 2.0**-7}
        bound = ((17 + 2) * 3 * 2.0**-23 + eps.get(dtype, 0.0)) * exact + 1e-30
        for columns in (1, 2, 40):
            with np.errstate(all="ignore"):
                got = (u @ x[:, :columns]).astype(np.float64)
            assert (np.abs(got - dense @ x[:, :columns]) <= bound[:, :columns]).all()
        if dtype in ("float8_e5m2", "uint8", "int16") and fmt in ("nm2:4", "dense", "bitmask"):
            with pytest.raises(sf.FormatError, match='compute="int8" wants'):
                sf.matmul(u, x, compute="int8")
