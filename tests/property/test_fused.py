"""Packing structure and codec in one go equals structure first, codec after, bit for bit."""

import re
import tracemalloc
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sparsefmt as sf
from sparsefmt.base import alloc
from sparsefmt.base.dtypes import DTYPES, zero_mask
from sparsefmt.base.errors import CodecError, PatternError
from sparsefmt.base.matrix import Matrix
from sparsefmt.codecs.base import Codec
from sparsefmt.encoding import fused
from sparsefmt.encoding.format_text import parse
from sparsefmt.encoding.row_blocks import pieces
from sparsefmt.structures.base import Structure
from sparsefmt.structures.nm import Nm
from sparsefmt.tensor.cpu import score_matrix

Array = np.ndarray[Any, Any]


def one_by_one(
    w: Array, fmt: str, prune: bool, score: Array | None, rule: str = "value", codebook: Array | None = None
) -> tuple[Structure, Codec]:
    """Structure first, codec after."""
    target, matrix = parse(fmt), Matrix(w)
    zero = zero_mask(matrix.dtype, rule)
    structure: Structure
    if prune:
        structure, slots = Nm.encode_pruned(matrix, zero, target.params, score_matrix(score, w.shape))
    else:
        structure, slots = target.structure.encode(matrix, zero, target.params)
    assert target.codec is not None
    options = {**target.options, "codebook": codebook}
    return structure, target.codec.encode(structure, slots.view(matrix.dtype), options)


def check(
    w: Array,
    fmt: str,
    prune: bool,
    score: Array | None = None,
    rule: Literal["value", "bits"] = "value",
    codebook: Array | None = None,
) -> None:
    """Same bytes, same shapes, and the same decoded as from the values of the slots."""
    try:
        structure, codec = one_by_one(w, fmt, prune, score, rule, codebook)
    except sf.CodecError as refused:  # groups too small for their scales
        with pytest.raises(sf.CodecError, match=re.escape(str(refused))):
            sf.encode(w, fmt, prune=prune, score=score, zero=rule, codebook=codebook)
        return
    t = sf.encode(w, fmt, prune=prune, score=score, zero=rule, codebook=codebook)
    for got, want in ((t.structure, structure), (t.values, codec)):
        for name, a in want.arrays().items():
            b = got.arrays()[name]
            assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes()), name
    want = np.zeros(structure.shape, w.dtype)
    slots = codec.decode(structure)
    structure.decode(slots.view(f"u{slots.itemsize}"), 0, structure.shape[0], want.view(f"u{want.itemsize}"))
    assert t.to_dense().tobytes() == want.tobytes()
    assert t.format == fmt
    sf.SparseTensor(t.structure, t.values, t.shape)


GROUPS = ["", ":g4", ":g12", ":g128", ":g7", ":g100000", ":tensor"]


@settings(max_examples=250, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    name=st.sampled_from(["float16", "bfloat16", "float32", "float64", "float8_e4m3fn", "int8"]),
    rows=st.integers(0, 19),
    cols=st.one_of(st.integers(0, 70), st.sampled_from([512, 1500, 2051])),
    nm=st.sampled_from(["nm2:4", "nm1:4", "nm3:5", "nm2:4@64", "nm1:3@64", "nm8:16", "nm4:4"]),
    kind=st.sampled_from(["int8", "int4", "int3", "int6"]),
    group=st.sampled_from(GROUPS),
    tail=st.sampled_from(["", ":asym", ":f32", ":asym:f32"]),
    prune=st.booleans(),
    scored=st.booleans(),
    size=st.sampled_from([1.0, 1e-7, 1e4]),
    transposed=st.booleans(),
)
def test_fused_equals_structure_first_codec_after(
    seed: int, name: str, rows: int, cols: int, nm: str, kind: str, group: str, tail: str, prune: bool, scored: bool,
    size: float, transposed: bool,
) -> None:  # fmt: skip
    rng = np.random.default_rng(seed)
    made = rng.standard_normal((rows, cols)) * (3 if name == "int8" else size if name != "float8_e4m3fn" else 1)
    w = np.clip(made, -7, 7).astype(DTYPES[name]) if name == "int8" else made.astype(DTYPES[name])
    w[rng.random(w.shape) < 0.2] = 0
    if not prune:
        w = sf.prune.nm(w, *map(int, nm[2:].split("@")[0].split(":")))
    if transposed:
        w = np.asfortranarray(w)
    check(w, f"{nm}/{kind}{group}{tail}", prune, rng.random(w.shape) if prune and scored else None)


slow_in_numpy = pytest.mark.skipif(sf.cpu_features()["isa"] == "numpy", reason="takes minutes by the definitions")
DTYPES_OF_ALL = ["float16", "bfloat16", "float32", "float64", "float8_e4m3fn", "float8_e5m2", "int8", "int16", "uint16"]


@settings(max_examples=400 if sf.cpu_features()["isa"] != "numpy" else 60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    name=st.sampled_from(DTYPES_OF_ALL),
    rows=st.integers(0, 19),
    cols=st.one_of(st.integers(0, 70), st.sampled_from([512, 1501])),
    structure=st.sampled_from(["csr", "bitmask", "bitmask@64", "dense", "coo", "csc", "bsr3x2", "nm2:4", "nm3:5@64"]),
    codec=st.sampled_from(
        [
            "int8",
            "int4",
            "int2:asym",
            "int5",
            "int7:g9:f32",
            "int4:g3",
            "int8:g16",
            "int8:tensor",
            "int4:tensor:asym",
            "int8:asym:f32",
            "int4:g5:asym",
            "kmeans2",
            "kmeans5",
            "kmeans16",
            "kmeans40",
            "kmeans256",
            "kmeans4:row",
        ]
    ),
    given_codebook=st.booleans(),
    density=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    rule=st.sampled_from(["value", "bits"]),
    transposed=st.booleans(),
)
def test_every_structure_and_codec(
    seed: int, name: str, rows: int, cols: int, structure: str, codec: str, given_codebook: bool, density: float,
    rule: str, transposed: bool,
) -> None:  # fmt: skip
    rng = np.random.default_rng(seed)
    spread = 3.0 if "int" in name else 1.0
    w = np.clip(rng.standard_normal((rows, cols)) * spread, 0 if name[0] == "u" else -7, 7).astype(DTYPES[name])
    w[rng.random(w.shape) >= density] = 0
    if name.startswith(("float", "bfloat")):
        w[rng.random(w.shape) < 0.05] = -0.0
    codebook = None
    if codec.startswith("kmeans") and given_codebook:
        k, lowest = int(codec[6:].removesuffix(":row")), -8 if name[0] != "u" else 0
        codebook = np.sort(np.append(rng.integers(lowest, 9, k - 1), 0)).astype(DTYPES[name])
        if codec.endswith(":row"):
            codebook = np.array([codebook, np.minimum(codebook + codebook, 7)])[rng.integers(0, 2, rows)]
    prune = structure.startswith("nm")
    check(np.asfortranarray(w) if transposed else w, f"{structure}/{codec}", prune, None, rule, codebook)


@slow_in_numpy
@pytest.mark.parametrize("structure", ["dense", "csr", "bitmask", "nm2:4", "nm2:4@64"])
def test_codebooks_of_rows_are_made_in_pieces(structure: str) -> None:
    rng = np.random.default_rng(2)
    w = (rng.standard_normal((67, 20_000)) * (rng.random((67, 1)) < 0.9)).astype(np.float16)
    w[:, ::3] = 0
    fmt, prune = f"{structure}/kmeans5:row", structure.startswith("nm")
    target, matrix = parse(fmt), Matrix(w)
    made = pieces(matrix, 0x7FFF, target.structure, target.params, prune, None)
    assert made is not None
    assert len(list(made)) > 1
    assert fused.encode(matrix, 0x7FFF, target, target.options, prune, None) is not None
    check(w, fmt, prune)


@slow_in_numpy
@pytest.mark.parametrize("fmt", ["csr/int4:g128", "bitmask/int8", "nm2:4/kmeans16", "dense/kmeans5", "bitmask/kmeans3"])
@pytest.mark.parametrize("shape", [(1, 300_013), (257, 4099), (3000, 700)])
def test_pieces_that_end_inside_a_byte(shape: tuple[int, int], fmt: str) -> None:
    rng = np.random.default_rng(1)
    w = (rng.standard_normal(shape) * (rng.random(shape) < 0.4)).astype(np.float16)
    target = parse(fmt)
    made = pieces(Matrix(w), 0x7FFF, target.structure, target.params, True, None)
    assert made is not None
    assert sum(p.high - p.low for p in made) == shape[0]
    check(w, fmt, prune=fmt.startswith("nm"))


@pytest.mark.parametrize("fmt", ["csr/int8", "bitmask/int4:g8", "dense/kmeans4", "nm2:4/kmeans4", "csr/kmeans30"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_named_in_every_piece(bad: float, fmt: str) -> None:
    w = np.ones((3000, 512), np.float16)
    w[2517, 130] = bad
    book = np.array([0.0, 1.0, 2.0, 3.0], np.float16)
    for codebook in [None, *([book] if fmt.endswith("kmeans4") else [])]:
        with pytest.raises(CodecError, match=r"row 2517, column 130 holds"):
            sf.encode(w, fmt, prune=fmt.startswith("nm"), codebook=codebook)


@pytest.mark.parametrize("codec", ["int8:g128", "int4:g96", "int4", "int8:tensor", "int4:g64:asym"])
@pytest.mark.parametrize("shape", [(1, 200_010), (70, 4100), (3, 33_000)])
def test_long_rows_and_many(shape: tuple[int, int], codec: str) -> None:
    w = np.random.default_rng(0).standard_normal(shape).astype(np.float16)
    w[0, 5:900] *= 1e-6
    check(w, f"nm2:4/{codec}", prune=True)


@pytest.mark.parametrize("codec", ["int8:g128", "int4:tensor", "int4:g8:asym"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_named_where_it_is(bad: float, codec: str) -> None:
    w = np.zeros((600, 512), np.float16)
    w[517, 130] = bad
    with pytest.raises(CodecError, match=r"row 517, column 130 holds"):
        sf.encode(w, f"nm2:4/{codec}", prune=True)


def test_errors_are_those_of_structure_then_codec() -> None:
    w = np.ones((4, 8), np.float32)
    with pytest.raises(PatternError, match="8 of 8 groups"):
        sf.encode(w, "nm2:4/int8:g4")
    with pytest.raises(CodecError, match=":f32"):
        sf.encode(w * 1e9, "nm2:4/int8:g4", prune=True)
    assert sf.encode(w * 1e9, "nm2:4/int8:g4:f32", prune=True).slots == 16


FORMATS = [
    "nm2:4/int8:g128", "nm2:4/int4:g128", "nm2:4/int4:g128:asym", "nm2:4/int8:tensor", "nm2:4/kmeans16",
    "nm2:4/kmeans256", "bitmask/int8", "bitmask/int4:g128", "csr/int8", "csr/int4:g128", "dense/int4:g128",
    "dense/kmeans16",
]  # fmt: skip


@pytest.mark.skipif(sf.cpu_features()["isa"] == "numpy", reason="the NumPy definitions bound no memory")
@pytest.mark.parametrize("fmt", FORMATS)
def test_no_temporary_of_the_whole_tensor(fmt: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alloc, "LARGE", 1 << 62)  # tracemalloc does not see blocks
    w = np.random.default_rng(0).standard_normal((2048, 4096)).astype(np.float16)
    w[:, 1::2] = 0
    k = int(fmt.partition("kmeans")[2] or 0)
    codebook = np.sort(np.append(np.linspace(-3, 3, k - 1), 0)).astype(np.float16) if k else None
    sf.encode(w[:64], fmt, codebook=codebook).to_dense()
    tracemalloc.start()
    try:
        t = sf.encode(w, fmt, codebook=codebook)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        t.to_dense(out=w)
        decoded = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert peak < t.nbytes + (2 << 20)
    assert decoded < 2 << 20


@slow_in_numpy
@pytest.mark.parametrize("codec", ["int8:g128", "int4:g128", "int4:g6", "int8:tensor"])
def test_outputs_that_go_past_the_caches(codec: str) -> None:
    """Large ones do; those of rows that end inside a register, too."""
    for shape in ((4096, 8192), (8210, 4101)):
        w = np.random.default_rng(0).standard_normal(shape, np.float32).astype(np.float16)
        t = sf.encode(w, f"nm2:4/{codec}", prune=True)
        out = np.full(shape, 7, np.float16)
        t.to_dense(out=out)
        for low in (0, shape[0] - 40):
            part = sf.encode(w[low : low + 40], f"nm2:4/{codec}", prune=True)
            if codec != "int8:tensor":
                assert out[low : low + 40].tobytes() == part.to_dense().tobytes()
        raw = sf.dequantize(t).to_dense()
        assert out.tobytes() == raw.tobytes()
