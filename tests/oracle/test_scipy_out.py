"""to_scipy: values, sharing, flags, and what has to be cast or converted."""

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

import sparsefmt as sf
from contract import Array, is_zero, same
from strategies import COMPLEX, DTYPES, FORMATS, REAL, arrays, fit, make, shapes
from support.registered import FEW_FORMATS

SMALL = [np.dtype(t) for t in DTYPES if t.itemsize <= 2 and t.kind not in "iub"]


def upcast(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype("f4") if dtype in SMALL else dtype


@pytest.mark.parametrize("fmt", FORMATS)
@given(w=arrays(st.sampled_from(REAL), shapes((1, 3), 300)), copy=st.sampled_from([None, True]))
def test_every_format_goes_out(fmt: str, w: Array, copy: bool | None) -> None:
    w = fit(w, fmt, "bits")
    t = sf.encode(w, fmt, zero="bits")
    m = sf.to_scipy(t, copy=copy)
    assert isinstance(m, sp.sparray)
    assert m.shape == w.shape
    assert m.dtype == upcast(w.dtype)
    assert m.nnz == int((~is_zero(w, "bits")).sum()) or m.format in ("coo", "csr", "csc", "bsr")
    with np.errstate(all="ignore"):
        same(np.ascontiguousarray(m.toarray()) + 0, w.astype(upcast(w.dtype)) + 0)
    kind = {"coo": "coo", "csr": "csr", "csc": "csc"}.get(fmt, "csr")
    if fmt.startswith("bsr"):
        r, c = (int(n) for n in fmt[3:].split("x"))
        kind = "bsr" if w.ndim == 2 and w.shape[0] % r == 0 and w.shape[1] % c == 0 else "csr"
    kind = "coo" if w.ndim > 2 or (w.ndim == 1 and kind == "coo") else "csr" if w.ndim == 1 else kind
    assert m.format == kind
    assert sf.equal(sf.from_scipy(m), t.convert(m.format if kind != "bsr" else fmt)) or w.dtype in SMALL


@pytest.mark.parametrize("fmt", ["coo", "csr", "csc", "bsr4x4"])
@pytest.mark.parametrize("dtype", [d for d in DTYPES if d not in SMALL], ids=str)
@pytest.mark.parametrize("wide", [np.int32, np.int64])
def test_memory_is_shared_and_read_only(fmt: str, dtype: np.dtype[Any], wide: type) -> None:
    w = make(dtype, (16, 24), 0.4, 1)
    t = sf.encode(w, fmt, zero="bits")
    if wide is np.int64:
        t = sf.SparseTensor(t.structure.map(lambda a: a.astype(np.int64)), t.values, t.shape)
    mine = {**t.structure.arrays(), **t.values.arrays()}
    for copy in (None, False):
        m = sf.to_scipy(t, copy=copy)
        theirs = arrays_of(m)
        for name, a in mine.items():
            assert np.shares_memory(theirs[name], a), name
            assert theirs[name].dtype == a.dtype
            assert not theirs[name].flags.writeable
        assert m.has_canonical_format
        assert getattr(m, "has_sorted_indices", True)
        assert sf.equal(sf.from_scipy(m, copy=False), t)
    own = arrays_of(sf.to_scipy(t, copy=True))
    for name, a in mine.items():
        assert not np.may_share_memory(own[name], a)
        assert own[name].flags.writeable
    assert not mine["data"].flags.writeable


def arrays_of(m: Any) -> dict[str, Array]:  # noqa: ANN401
    if m.format == "coo":
        return {"row": m.coords[0], "col": m.coords[1], "data": m.data}
    return {"indptr": m.indptr, "indices": m.indices, "data": m.data}


def test_in_place_methods_need_a_copy() -> None:
    t = sf.encode(np.eye(4), "csr")
    shared = sf.to_scipy(t)
    with pytest.raises(ValueError, match="read-only"):
        shared.data[0] = 5
    mine = sf.to_scipy(t, copy=True)
    mine.data[0] = 5
    same(t.to_dense(), np.eye(4))


@pytest.mark.parametrize(
    ("fmt", "dtype"), [("nm2:4", "f4"), ("bitmask", "f4"), ("dense", "f4"), ("csr", "f2"), ("bsr3x3", "f8")]
)
def test_copy_false_refuses_what_needs_a_copy(fmt: str, dtype: str) -> None:
    t = sf.encode(np.eye(8, dtype=dtype), fmt)
    with pytest.raises(sf.FormatError, match="copy=False"):
        sf.to_scipy(t, copy=False)
    same(sf.to_scipy(t).toarray(), np.eye(8, dtype="f4" if dtype == "f2" else dtype))


@pytest.mark.parametrize("dtype", SMALL, ids=str)
def test_small_floats_become_float32(dtype: np.dtype[Any]) -> None:
    w = np.array([[1.5, 0, -2, 0]], dtype)
    m = sf.to_scipy(sf.encode(w, "csr"))
    assert m.dtype == np.float32
    same(m.toarray(), w.astype(np.float32))


@pytest.mark.parametrize("fmt", FEW_FORMATS)
@pytest.mark.parametrize("shape", [(6, 9), (5, 7), (1, 8), (8, 1), (0, 4), (4, 0)])
def test_transposes_go_out(fmt: str, shape: tuple[int, int]) -> None:
    w = fit(make(np.dtype("f8"), shape, 0.4, 2), fmt, "bits")
    w[w != w] = 1
    m = sf.to_scipy(sf.encode(w, fmt).T)
    assert m.shape == w.T.shape
    assert (m.toarray() == w.T).all()
    assert sf.encode(w, fmt).T.to_scipy().shape == w.T.shape


def test_views_of_higher_rank_do_not_go_out() -> None:
    with pytest.raises(sf.FormatError, match="rank 2"):
        sf.to_scipy(sf.encode(np.ones((2, 3, 4)), "csr").T)


@given(w=arrays(st.sampled_from(COMPLEX), shapes((2, 2), 200)), fmt=st.sampled_from(FORMATS[:11]))
def test_complex_goes_out_by_bits(w: Array, fmt: str) -> None:
    t = sf.encode(w, fmt, zero="bits")
    assert sf.equal(sf.from_scipy(sf.to_scipy(t), "csr"), t.convert("csr"))


@pytest.mark.parametrize("fmt", ["coo", "csr", "csc", "bsr4x4"])
def test_scipy_computes_with_shared_arrays(fmt: str) -> None:
    w = np.random.default_rng(1).integers(-3, 4, (16, 24)).astype(np.float64)
    m = sf.to_scipy(sf.encode(w, fmt))
    x = np.arange(24.0)
    assert (m @ x == w @ x).all()
    assert ((m + m).toarray() == 2 * w).all()
    assert (m.T.toarray() == w.T).all()
    assert (m.tocsr()[3:9].toarray() == w[3:9]).all()
    assert m.sum() == w.sum()
