"""Dask: sizes, tokens, frames that are not copied, arrays of packed chunks."""

import subprocess
import sys
from importlib.metadata import entry_points

import dask.array as da
import ml_dtypes
import numpy as np
import pytest
from dask.base import tokenize
from dask.sizeof import sizeof
from distributed.protocol import deserialize, serialize

import sparsefmt as sf

assert sf.interop.dask  # registers, where the package was installed before it had the entry point

FORMATS = ("csr", "nm2:4", "bitmask", "nm2:4/int4:g8", "coo", "dense/int8")


@pytest.fixture
def w() -> np.ndarray:
    return sf.prune.nm(np.random.default_rng(0).standard_normal((64, 48)).astype(np.float32))


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16])
def test_size_token_and_frames(w: np.ndarray, fmt: str, dtype: type) -> None:
    t, same = sf.encode(w.astype(dtype), fmt), sf.encode(w.astype(dtype), fmt)
    assert t.nbytes <= sizeof(t) <= t.nbytes + 4096
    assert tokenize(t) == tokenize(same) != tokenize(sf.encode(w.astype(dtype) * 2, fmt))
    assert tokenize(t) != tokenize(t.astype(np.float64))
    header, frames = serialize(t)
    views = [np.frombuffer(frame, np.uint8) for frame in frames]
    arrays = [*t.structure.arrays().values(), *t.values.arrays().values()]
    for a in arrays:
        assert not a.nbytes or sum(np.shares_memory(view, a) for view in views) == 1
    assert sum(view.nbytes for view in views) < t.nbytes + 4096
    back = deserialize(header, frames)
    assert sf.equal(back, t)
    assert back.format == t.format


def test_an_axis_travels() -> None:
    t = sf.encode(np.random.default_rng(0).standard_normal((8, 16, 3)), "nm2:4", prune=True, axis=1)
    assert sf.equal(deserialize(*serialize(t)), t)
    assert deserialize(*serialize(t)).axis == 1


def test_a_frame_that_was_changed_is_an_error(w: np.ndarray) -> None:
    header, frames = serialize(sf.encode(w, "csr"))
    broken = [frames[0], np.full(memoryview(frames[1]).nbytes, 255, np.uint8).data, *frames[2:]]
    with pytest.raises(sf.FormatError):
        deserialize(header, broken)


def test_dask_is_not_imported_from_here() -> None:
    code = (
        "import sys, sparsefmt; assert not [m for m in sys.modules if m.partition('.')[0] in ('dask', 'distributed')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("first", ["sparsefmt", "dask.sizeof"])
def test_whichever_is_imported_first(first: str) -> None:
    if not [e for e in entry_points(group="dask.sizeof") if e.name == "sparsefmt"]:
        pytest.skip("the package was installed before it had this entry point")
    code = (
        f"import {first}, numpy, sparsefmt, dask.sizeof, distributed.protocol as p\n"
        "t = sparsefmt.encode(numpy.eye(64), 'csr')\n"
        "assert dask.sizeof.sizeof(t) >= t.nbytes\n"
        "assert sparsefmt.equal(p.deserialize(*p.serialize(t)), t)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("fmt", ["csr", "csc", "coo", "bitmask", "nm2:4", "bsr4x4", "dense"])
@pytest.mark.parametrize("chunks", [(16, 24), (64, 12), (10, 48), (64, 48)])
def test_arrays_of_packed_chunks(w: np.ndarray, fmt: str, chunks: tuple[int, int]) -> None:
    x = da.from_array(w, chunks=chunks)
    packed = x.map_blocks(sf.encode, fmt, dtype=w.dtype)
    whole = packed.compute(scheduler="synchronous")
    assert (whole.format, whole.dtype) == (fmt, w.dtype)
    assert whole.to_dense().tobytes() == w.tobytes()
    dense = packed.map_blocks(sf.decode, dtype=w.dtype)
    assert dense.compute(scheduler="synchronous").tobytes() == w.tobytes()


def test_concatenate(w: np.ndarray) -> None:
    t = sf.encode(w, "csr")
    deep = sf.encode(w.reshape(4, 16, 48), "bitmask")
    assert np.concatenate([deep, deep]).to_dense().tobytes() == np.concatenate([w.reshape(4, 16, 48)] * 2).tobytes()
    assert np.concatenate([t, t], axis=-1).to_dense().tobytes() == np.concatenate([w, w], 1).tobytes()
    flat = sf.encode(w[0], "coo")
    assert np.concatenate([flat, flat]).to_dense().tobytes() == np.concatenate([w[0], w[0]]).tobytes()
    coded = sf.encode(w, "nm2:4/int4:g8")
    joined = np.concatenate([coded, coded])
    assert (joined.format, joined.to_dense().tobytes()) == ("nm2:4", np.concatenate([coded.to_dense()] * 2).tobytes())
    with pytest.raises(TypeError, match="want packed tensors, got SparseTensor, ndarray"):
        np.concatenate([t, w])
    with pytest.raises(sf.FormatError, match="want the same but for axis 0"):
        np.concatenate([t, sf.encode(w[:, :4], "csr")])
    with pytest.raises(sf.FormatError, match="join along the first or last"):
        np.concatenate([deep, deep], axis=1)
    with pytest.raises(sf.DtypeError, match="tensor 1 has dtype float64, the first one float32"):
        np.concatenate([t, t.astype(np.float64)])
    with pytest.raises(sf.PatternError):
        np.concatenate([sf.encode(np.array([[0.0, 1, 2]]), "nm2:4"), sf.encode(np.ones((1, 1)), "nm2:4")], axis=1)
