"""Codes that others store 2**(bits - 1) above their values are turned when something asks for them."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import sparsefmt as sf
from sparsefmt.base.dtypes import DTYPES
from sparsefmt.base.errors import FormatError
from sparsefmt.codecs.affine import Int4, Int8
from sparsefmt.codecs.raised import RAISED, Raised
from sparsefmt.interop import to_pack_quantized

FORMATS = ["dense/int4", "dense/int4:g32", "dense/int8:g32", "dense/int8:g16", "dense/int8:tensor"]


def both(text: str, dtype: str, cols: int = 256) -> tuple[sf.SparseTensor, sf.SparseTensor]:
    """A tensor, and what comes back of it from the arrays of others."""
    w = np.random.default_rng(0).standard_normal((96, cols)).astype(DTYPES[dtype])
    t = sf.encode(w, text)
    parts = to_pack_quantized(t)
    made, reason = sf.interop.from_pack_quantized(
        *(parts[f"weight_{role}"] for role in ("packed", "scale", "shape")), t.values.bits, dtype=w.dtype
    )
    assert (reason, isinstance(made, sf.SparseTensor)) == ("", True)
    return t, made


def waits(t: sf.SparseTensor) -> bool:
    return isinstance(t.values, Raised) and t.values._waiting() is not None


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("text", FORMATS)
def test_values_are_those_of_turned_codes(text: str, dtype: str) -> None:
    want, got = both(text, dtype)
    assert waits(got)
    assert (got.format, got.nbytes, got.dtype) == (want.format, want.nbytes, want.dtype)
    assert got.to_dense().tobytes() == want.to_dense().tobytes()
    assert got[5:70].to_dense().tobytes() == want[5:70].to_dense().tobytes()
    for name, a in want.values.arrays().items():
        held = got.values.arrays()[name]
        assert (held.dtype, held.shape, held.tobytes()) == (a.dtype, a.shape, a.tobytes())
        assert not held.flags.writeable
    assert not waits(got)
    assert got.to_dense().tobytes() == want.to_dense().tobytes()


def test_codes_are_not_turned_for_dense_values() -> None:
    _, got = both("dense/int8:g32", "float16")
    got.to_dense()
    assert waits(got)
    assert isinstance(got.values, Int8)


def test_products_are_those_of_turned_codes() -> None:
    want, got = both("dense/int4:g32", "float32")
    x = np.random.default_rng(1).standard_normal((256, 3), np.float32)
    assert isinstance(got.values, Int4)
    assert (got @ x).tobytes() == (want @ x).tobytes()


def test_clamped_values_are_those_of_turned_codes() -> None:
    words = np.full((4, 8), 0x00FF_80FF - 2**31, np.int64).astype(np.int32)
    scale = np.full((4, 1), 65504, np.float16)
    got, _ = sf.interop.from_pack_quantized(words, scale, np.array([4, 32]), 8)
    assert waits(got)
    dense = got.to_dense()
    got.values.arrays()
    assert dense.tobytes() == got.to_dense().tobytes()
    assert np.isfinite(dense).all()


def test_threads_turn_codes_once_for_all() -> None:
    want, got = both("dense/int8:g32", "float16", cols=4096)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: got.values.codes, range(32)))
    assert all(a.tobytes() == want.values.codes.tobytes() for a in found)


@pytest.mark.parametrize("asked", [False, True])
def test_pickles_saves_and_maps(asked: bool, tmp_path: Path) -> None:
    want, got = both("dense/int4:g32", "float16")
    if asked:
        got.values.arrays()
    again = pickle.loads(pickle.dumps(got))
    mapped = got.values.map(np.copy)
    assert again.to_dense().tobytes() == want.to_dense().tobytes()
    assert mapped.codes.tobytes() == want.values.codes.tobytes()
    sf.save(tmp_path / "a.safetensors", {"w": got})
    back = sf.load(tmp_path / "a.safetensors")["w"]
    assert (back.format, back.values.codes.tobytes()) == (want.format, want.values.codes.tobytes())


def test_codes_outlast_the_checkpoint(tmp_path: Path) -> None:
    want, _ = both("dense/int8:g32", "float16")
    sf.save(tmp_path / "a.safetensors", {f"l.{k}": a for k, a in to_pack_quantized(want).items()})
    with sf.open_checkpoint(tmp_path / "a.safetensors") as c:
        got = c["l.weight"]
    (tmp_path / "a.safetensors").unlink()
    assert waits(got)
    assert got.values.codes.tobytes() == want.values.codes.tobytes()


def test_what_does_not_fit_is_refused() -> None:
    scale = np.ones((4, 1), np.float16)
    codec = RAISED[8].of(np.zeros((4, 32), np.int8), scale, 0, np.dtype(np.float16))
    with pytest.raises(FormatError, match="codes: want int8 of shape"):
        codec.fits(sf.encode(np.ones((4, 33), np.float16), "dense").structure)
    with pytest.raises(FormatError, match="finite and above 0"):
        RAISED[8].of(np.zeros((4, 32), np.int8), -scale, 0, np.dtype(np.float16))
    with pytest.raises(AttributeError, match="no attribute 'code'"):
        codec.code  # noqa: B018
