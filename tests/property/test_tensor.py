"""What a tensor is besides its values: pickles, copies, weak references, counts, the transpose, equality."""

import copy
import pickle
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sparsefmt as sf
from contract import Array, is_zero, same
from sparsefmt.codecs.raw import Raw
from sparsefmt.structures.csr import Csr
from strategies import COMPLEX, DTYPES, FORMATS, REAL, arrays, fit, formats, make, shapes


def packed(w: Array, fmt: str) -> tuple[Array, sf.SparseTensor]:
    if fmt.startswith("nm") and w.dtype in COMPLEX:
        fmt = "csr"
    w = fit(w, fmt, "bits")
    return w, sf.encode(w, fmt, zero="bits")


@given(w=arrays(shape=shapes((1, 3), 300)), fmt=formats, protocol=st.integers(2, 5))
def test_pickle_gives_the_same_tensor(w: Array, fmt: str, protocol: int) -> None:
    w, t = packed(w, fmt)
    again = pickle.loads(pickle.dumps(t, protocol))
    assert sf.equal(again, t)
    same(again.to_dense(), w)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("fmt", ["csr", "nm2:4", "bsr4x4", "dense"])
def test_pickle_out_of_band_carries_no_array(dtype: np.dtype, fmt: str) -> None:
    t = packed(make(dtype, (128, 256), 0.3, 3), fmt)[1]
    buffers: list[pickle.PickleBuffer] = []
    stream = pickle.dumps(t, 5, buffer_callback=buffers.append)
    assert len(stream) < 2000
    assert sum(b.raw().nbytes for b in buffers) == t.nbytes
    again = pickle.loads(stream, buffers=buffers)
    assert sf.equal(again, t)
    mine = again.values.arrays()["data"]
    assert np.shares_memory(mine, t.values.arrays()["data"])
    assert not mine.flags.writeable


@given(w=arrays(shape=shapes((1, 3), 300)), fmt=formats)
def test_copies_are_equal_and_comparison_is_refused(w: Array, fmt: str) -> None:
    w, t = packed(w, fmt)
    for other in (copy.copy(t), copy.deepcopy(t)):
        assert sf.equal(other, t)
        assert other.format == t.format
    for other in (t, copy.deepcopy(t), w, 0, w.tolist(), t.T):
        with pytest.raises(TypeError, match=r"sparsefmt\.equal"):
            t == other  # noqa: B015
    assert t != "a text"
    assert t in [t]
    assert len({t, t, copy.deepcopy(t)}) == 2


def test_weak_references_die_with_the_tensor() -> None:
    for fmt in FORMATS:
        t = packed(np.eye(8, dtype=np.float32), fmt)[1]
        seen = weakref.ref(t)
        assert seen() is t
        del t
        assert seen() is None


def test_tensor_cannot_be_changed() -> None:
    t = sf.encode(np.eye(4), "csr")
    with pytest.raises(AttributeError):
        t.shape = (2, 8)  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        t.values.arrays()["data"][0] = 2
    with pytest.raises(ValueError, match="read-only"):
        t.structure.arrays()["indices"][0] = 2


@pytest.mark.parametrize(
    ("fmt", "nbytes"),
    [
        ("dense", 2_097_152),
        ("nm2:4", 1_146_880),
        ("coo", 524_288 * 10),
        ("csr", 3_149_828),
        ("bitmask", 524_288 * 2 + 131_072 + 4 * 1025),
        ("bitmask@64", 524_288 * 2 + 131_072 + 4 * 1025),
        ("nm2:4@64", 1_179_648),
        ("nm1:2", 524_288 * 2 + 65_536),
        ("nm2:2", 2_097_152),
    ],
)
def test_bytes_of_a_square_megaweight_in_float16(fmt: str, nbytes: int) -> None:
    w = np.tile(np.array([0, 1, 1, 0], np.float16), (1024, 256))
    t = sf.encode(w, fmt)
    assert t.nbytes == nbytes
    assert t.bits_per_weight == 8 * nbytes / 2**20
    assert f"{nbytes} bytes" in repr(t)
    assert fmt in repr(t)


@given(w=arrays(shape=shapes((1, 4), 500)), fmt=formats)
def test_counts(w: Array, fmt: str) -> None:
    w, t = packed(w, fmt)
    assert t.nnz == int((~is_zero(w, "value")).sum())
    assert t.slots >= t.nnz
    if t.format in ("coo", "csr", "csc", "bitmask", "bitmask@64"):
        assert t.slots == int((~is_zero(w, "bits")).sum())
    arrays_ = [*t.structure.arrays().values(), *t.values.arrays().values()]
    assert t.nbytes == sum(a.nbytes for a in arrays_)
    assert type(t.nnz) is int
    assert type(t.slots) is int
    assert type(t.nbytes) is int
    assert type(t.bits_per_weight) is float


@given(w=arrays(shape=shapes((1, 4), 400)), fmt=formats)
def test_transpose(w: Array, fmt: str) -> None:
    w, t = packed(w, fmt)
    v = t.T
    assert v.shape == w.T.shape
    assert v.dtype == w.dtype
    same(v.to_dense(), np.ascontiguousarray(w.T).reshape(w.T.shape))
    out = np.ones(w.T.shape, w.dtype)
    assert v.to_dense(out=out) is out
    same(out, np.ascontiguousarray(w.T).reshape(w.T.shape))
    back = v.T
    assert sf.equal(back, t)
    if t.ndim == 1:
        assert v is t
    if t.ndim == 2 and t.format in ("csr", "csc", "coo"):
        assert isinstance(v, sf.SparseTensor)
        assert v.format == {"csr": "csc", "csc": "csr", "coo": "coo"}[t.format]
        assert sf.equal(v, sf.encode(np.ascontiguousarray(w.T).reshape(w.T.shape), v.format, zero="bits"))
    elif t.ndim > 1:
        assert not isinstance(v, sf.SparseTensor)
        assert back is t


@given(w=arrays(st.sampled_from(REAL), shapes((2, 2), 300)), fmt=formats, at=st.integers(0, 299))
def test_equal_sees_every_bit(w: Array, fmt: str, at: int) -> None:
    w, t = packed(w, fmt)
    assert sf.equal(t, t)
    if not w.size:
        return
    other = w.copy()
    bits = other.reshape(-1).view(f"u{w.dtype.itemsize}") if w.dtype.kind != "b" else other.reshape(-1).view("u1")
    bits[at % w.size] ^= 1
    if fmt.startswith("nm"):
        other = fit(other, fmt, "bits")
        if other.tobytes() == w.tobytes():
            return
    assert not sf.equal(sf.encode(other, t.format, zero="bits"), t)
    assert not sf.equal(t, sf.encode(w.reshape(-1), "coo"))


def test_equal_ignores_the_width_of_indices() -> None:
    t = sf.encode(np.eye(5), "csr")
    indptr, indices = (a.astype(np.int64) for a in t.structure.arrays().values())
    wide = sf.SparseTensor(Csr(indptr, indices, (5, 5)), Raw(t.values.arrays()["data"]), (5, 5))
    assert wide.structure.arrays()["indptr"].dtype == np.int64
    assert sf.equal(wide, t)
    assert sf.equal(t, wide)
    assert sf.equal(wide.convert("coo"), t.convert("coo"))


def test_formats_lists_templates() -> None:
    assert {s.partition("/")[0] for s in sf.formats()} >= {"dense", "coo", "csr", "csc", "bsr{R}x{C}"}
    assert any(s.startswith("nm{N}:{M}") for s in sf.formats())


def test_device_moves() -> None:
    t = sf.encode(np.eye(4), "csr")
    assert t.to("cpu") is t
    with pytest.raises(sf.BackendError, match="cuda"):
        t.to("cuda")
