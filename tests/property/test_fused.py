"""Packing N:M and affine codes in one pass equals structure first, codec after, bit for bit."""

import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sparsefmt as sf
from sparsefmt import memory
from sparsefmt.arrays import DTYPES, Matrix, zero_mask
from sparsefmt.codecs.affine import Affine
from sparsefmt.encode import score_matrix
from sparsefmt.errors import CodecError, PatternError
from sparsefmt.format import parse
from sparsefmt.structures.nm import Nm

Array = np.ndarray[Any, Any]


def one_by_one(w: Array, fmt: str, prune: bool, score: Array | None) -> tuple[Nm, Affine]:
    """Structure first, codec after."""
    target, matrix = parse(fmt), Matrix(w)
    zero = zero_mask(matrix.dtype, "value")
    if prune:
        structure, slots = Nm.encode_pruned(matrix, zero, target.params, score_matrix(score, w.shape))
    else:
        structure, slots = Nm.encode(matrix, zero, target.params)
    assert target.codec is not None
    codec = target.codec.encode(structure, slots.view(matrix.dtype), target.options)
    assert isinstance(codec, Affine)
    return structure, codec


def check(w: Array, fmt: str, prune: bool, score: Array | None = None) -> None:
    """Same bytes, same shapes, and the same decoded as from the values of the slots."""
    t = sf.encode(w, fmt, prune=prune, score=score)
    structure, codec = one_by_one(w, fmt, prune, score)
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
    kind=st.sampled_from(["int8", "int4"]),
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


@pytest.mark.skipif(sf.cpu_features()["isa"] == "numpy", reason="the NumPy definitions bound no memory")
@pytest.mark.parametrize("codec", ["int8:g128", "int4:g128", "int4:g128:asym", "int8:tensor"])
def test_no_temporary_of_the_whole_tensor(codec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "LARGE", 1 << 62)  # tracemalloc does not see blocks
    w = np.random.default_rng(0).standard_normal((2048, 4096)).astype(np.float16)
    sf.encode(w[:64], f"nm2:4/{codec}", prune=True)
    tracemalloc.start()
    try:
        t = sf.encode(w, f"nm2:4/{codec}", prune=True)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # Blocks of 1 MiB of the matrix, and what the definitions make of them where the extension does not serve.
    assert peak < t.nbytes + (6 << 20)


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
