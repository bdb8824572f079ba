"""NVIDIA's layouts of 2:4, on CPU and GPU, against the bytes of PyTorch and the closed formulas."""

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_bytes import sparse

import sparsefmt as sf
from data_files import safetensors
from sparsefmt.interop import from_cutlass24, from_nibbles24, to_cutlass24, to_nibbles24

REFERENCES = ["float16", "bfloat16", "int8"]
OFFSETS = {
    2: lambda r, c, m: (
        (c // 2) * 2 * m + (r // 32) * 64 + (r % 8) * 8 + ((r // 16) % 2) * 4 + (c % 2) * 2 + ((r // 8) % 2)
    ),
    1: lambda r, c, m: (c // 2) * 2 * m + (r // 16) * 32 + (r % 8) * 4 + (c % 2) * 2 + ((r // 8) % 2),
}


@pytest.mark.parametrize("dtype", REFERENCES)
def test_bytes_of_pytorch(dtype: str) -> None:
    found = safetensors(f"cutlass24_{dtype}")
    for i in range(4):
        t = sf.encode(found[f"{i}.dense"], "nm2:4")
        for packed in (t, t.convert("nm2:4@64")):
            values, meta = to_cutlass24(packed)
            for got, name in ((values, "values"), (meta, "meta")):
                want = found[f"{i}.{name}"]
                assert (got.dtype, got.shape) == (want.dtype, want.shape)
                assert got.tobytes() == want.tobytes()
        assert sf.equal(from_cutlass24(found[f"{i}.values"], found[f"{i}.meta"]), t)


@pytest.mark.parametrize("dtype", REFERENCES)
def test_the_same_on_the_gpu(cupy: Any, dtype: str) -> None:
    found = safetensors(f"cutlass24_{dtype}")
    for i in range(4):
        t = sf.encode(found[f"{i}.dense"], "nm2:4")
        values, meta = to_cutlass24(t.to("cuda"))
        assert isinstance(meta, cupy.ndarray)
        assert cupy.asnumpy(meta).tobytes() == found[f"{i}.meta"].tobytes()
        back = from_cutlass24(cupy.asarray(found[f"{i}.values"]), meta)
        assert back.device == "cuda:0"
        assert sf.equal(back, t)
        plain = to_nibbles24(t.to("cuda"))
        for a, b in zip(plain, to_nibbles24(t), strict=True):
            assert cupy.asnumpy(a).tobytes() == b.tobytes()
        assert sf.equal(from_nibbles24(*plain), t)
        assert values.dtype == t.dtype


@given(
    tiles=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    dtype=st.sampled_from([np.float16, np.int8, np.uint16, ml_dtypes.float8_e4m3fn]),
    seed=st.integers(0, 99),
)
def test_cutlass_round_trips_and_obeys_the_formula(tiles: tuple[int, int], dtype: Any, seed: int) -> None:
    size = np.dtype(dtype).itemsize
    rows, cols = (32 * tiles[0], 32 * tiles[1]) if size == 2 else (16 * tiles[0], 64 * tiles[1])
    t = sf.encode(sparse((rows, cols), np.float32, seed=seed).astype(dtype), "nm2:4")
    values, meta = to_cutlass24(t)
    assert sf.equal(from_cutlass24(values, meta), t)
    _, plain = to_nibbles24(t)
    unit = np.uint16 if size == 2 else np.uint32
    units, flat = np.ascontiguousarray(plain).view(unit), meta.reshape(-1).view(unit)
    for r in range(rows):
        for c in range(units.shape[1]):
            assert flat[OFFSETS[size](r, c, rows)] == units[r, c]


@given(rows=st.integers(0, 5), cols=st.integers(0, 40), seed=st.integers(0, 99))
def test_nibbles_round_trip(rows: int, cols: int, seed: int) -> None:
    t = sf.encode(sparse((rows, cols), np.float32, seed=seed), "nm2:4")
    values, nibbles = to_nibbles24(t)
    assert values.shape == (rows, 2 * -(-cols // 4))
    assert sf.equal(from_nibbles24(values, nibbles, cols), t)


def test_codes_of_int8_are_values() -> None:
    t = sf.encode(sparse((32, 64), np.float32), "nm2:4/int8")
    values, meta = to_cutlass24(t)
    assert values.dtype == np.int8
    assert np.array_equal(values, t.values.arrays()["codes"])
    assert sf.equal(from_cutlass24(values, meta).convert("csr"), sf.encode(values_of(t), "csr"))


def values_of(t: sf.SparseTensor) -> np.ndarray:
    """The codes of a tensor in a dense matrix."""
    out = np.zeros(t.shape, np.uint8)
    t.structure.decode(t.values.lift(t.structure), 0, t.shape[0], out)
    return out.view(np.int8)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: to_cutlass24(sf.encode(np.eye(32, dtype="f2"), "csr")), r"want nm2:4, got csr; convert first"),
        (
            lambda: to_cutlass24(sf.encode(np.zeros((32, 32), "f4"), "nm2:4")),
            "want values of 8 or 16 bits, got float32",
        ),
        (lambda: to_cutlass24(sf.encode(np.zeros((33, 32), "f2"), "nm2:4")), "multiples of 32 rows and 32 columns"),
        (lambda: to_cutlass24(sf.encode(np.zeros((16, 32), "i1"), "nm2:4")), "multiples of 16 rows and 64 columns"),
        (lambda: to_nibbles24(sf.encode(np.zeros((1, 8), "f2"), "nm2:4/int4")), "want raw values or symmetric int8"),
        (lambda: from_nibbles24(np.zeros((1, 2)), np.array([[5]], "u1")), r"row 0, columns 0..3 hold the nibble 0x5"),
        (lambda: from_nibbles24(np.zeros((1, 2)), np.array([[1]], "u1")), r"0x1, allowed 0x4, 0x8, 0x9, 0xC, 0xD, 0xE"),
        (lambda: from_nibbles24(np.zeros((1, 3)), np.array([[4]], "u1")), r"want shape \(rows, groups \* 2\)"),
        (lambda: from_nibbles24(np.zeros((1, 2)), np.array([[4, 4]], "u1")), r"want uint8 of shape \(1, 1\)"),
        (lambda: from_nibbles24(np.zeros((1, 2)), np.array([[4]], "u1"), 5), "1 groups hold 1..4 columns"),
        (lambda: from_nibbles24(np.ones((1, 2)), np.array([[0xE]], "u1"), 3), "a nonzero value beyond the last column"),
        (lambda: from_cutlass24(np.zeros((32, 16), "f2"), np.zeros((32, 3), "i2")), r"want int16 of shape \(32, 2\)"),
        (lambda: from_cutlass24(np.zeros((32, 16), "f4"), np.zeros((32, 2), "i2")), "8 or 16 bits, got float32"),
    ],
)
def test_errors(call: Any, message: str) -> None:
    with pytest.raises(sf.FormatError, match=message):
        call()
