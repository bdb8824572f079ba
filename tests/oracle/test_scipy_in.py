"""from_scipy: every format, array and matrix, both widths of indices, unsorted, duplicates, explicit zeros."""

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import sparsefmt as sf
from contract import Array, same
from strategies import shapes

KINDS = ["coo", "csr", "csc", "bsr", "dia", "lil", "dok"]
DTYPES = [np.dtype(t) for t in ("?", "i1", "u1", "i2", "i4", "i8", "u8", "f4", "f8", "c8", "c16")]
# lil and dok are Python lists, which drop what SciPy thinks is zero


def sample(shape: tuple[int, int], dtype: np.dtype[Any], seed: int) -> Array:
    rng = np.random.default_rng(seed)
    w = rng.integers(-3, 4, shape)
    w[rng.random(shape) < 0.6] = 0
    w = np.abs(w) if dtype.kind in "ub" else w
    return (w * (1 + 2j) if dtype.kind == "c" else w).astype(dtype)


def arrays_of(m: Any) -> dict[str, Array]:  # noqa: ANN401
    found = {name: getattr(m, name) for name in ("data", "indices", "indptr", "offsets") if hasattr(m, name)}
    found.update({f"coords{i}": a for i, a in enumerate(getattr(m, "coords", ()))})
    return {k: a for k, a in found.items() if isinstance(a, np.ndarray)}


matrices = shapes((2, 2), 300)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", ["array", "matrix"])
@given(shape=matrices, dtype=st.sampled_from(DTYPES), seed=st.integers(0, 999), copy=st.sampled_from([None, True]))
@settings(max_examples=25)
def test_every_format_is_read(
    kind: str, family: str, shape: tuple[int, int], dtype: np.dtype[Any], seed: int, copy: bool | None
) -> None:
    w = sample(shape, dtype, seed)
    if kind == "bsr" and 0 in shape:
        return
    m = getattr(sp, f"{kind}_{family}")(w)
    before = {k: a.copy() for k, a in arrays_of(m).items()}
    t = sf.from_scipy(m, copy=copy)
    same(t.to_dense(), w)
    for k, a in arrays_of(m).items():
        same(a, before[k])
    want = {"coo": "coo", "csr": "csr", "csc": "csc", "bsr": "bsr"}.get(kind, "csr")
    assert t.format.rstrip("0123456789x") == want
    for fmt in ("csc", "bitmask@64", "dense", "bsr3x2"):
        same(sf.from_scipy(m, fmt, copy=copy).to_dense(), w)
    if copy:
        mine = [*t.structure.arrays().values(), *t.values.arrays().values()]
        assert not any(np.may_share_memory(a, b) for a in mine for b in arrays_of(m).values() if a.size)


@pytest.mark.parametrize("kind", ["csr", "csc", "coo", "bsr"])
@pytest.mark.parametrize("wide", [np.int32, np.int64])
@pytest.mark.parametrize("readonly", [False, True])
def test_canonical_arrays_are_borrowed(kind: str, wide: type, readonly: bool) -> None:
    m = getattr(sp, f"{kind}_array")(sample((12, 12), np.dtype("f4"), 1) + np.eye(12, dtype=np.float32))
    m.sum_duplicates()
    if kind == "coo":
        m.coords = tuple(a.astype(wide) for a in m.coords)
    else:
        m.indptr, m.indices = m.indptr.astype(wide), m.indices.astype(wide)
    theirs = arrays_of(m)
    for a in theirs.values():
        a.flags.writeable = not readonly
    for copy in (None, False):
        t = sf.from_scipy(m, copy=copy)
        mine = {**t.structure.arrays(), **t.values.arrays()}
        for name, a in mine.items():
            other = {"row": "coords0", "col": "coords1"}.get(name, name)
            assert np.shares_memory(a, theirs[other])
            assert not a.flags.writeable
            assert a.dtype == theirs[other].dtype
    assert all(a.flags.writeable != readonly for a in theirs.values())
    same(sf.from_scipy(m, "nm4:4").to_dense(), m.toarray())


def jumbled(kind: str, seed: int, wide: Any, dtype: str = "f8") -> Any:  # noqa: ANN401
    """Unsorted indices, duplicates, explicit zeros, and room behind the last entry."""
    rng = np.random.default_rng(seed)
    rows, cols, count = 7, 9, 60
    row, col = rng.integers(0, rows, count), rng.integers(0, cols, count)
    data = rng.integers(-2, 3, count).astype(dtype)
    if kind == "coo":
        return sp.coo_array((data, (row.astype(wide), col.astype(wide))), shape=(rows, cols))
    line, other = (row, col) if kind == "csr" else (col, row)
    order = np.argsort(line, kind="stable")
    indptr = np.searchsorted(line[order], np.arange((rows if kind == "csr" else cols) + 1)).astype(wide)
    indices = np.concatenate((other[order], [99, 99])).astype(wide)
    longer = np.concatenate((data[order], [7, 7, 7])).astype(dtype)
    make = {"csr": sp.csr_array, "csc": sp.csc_array}[kind]
    m = make((rows, cols), dtype=dtype)
    m.data, m.indices, m.indptr = longer, indices, indptr
    return m


@pytest.mark.parametrize("kind", ["coo", "csr", "csc"])
@pytest.mark.parametrize("wide", [np.int32, np.int64])
@pytest.mark.parametrize("seed", range(5))
def test_duplicates_are_summed_and_order_is_made(kind: str, wide: type, seed: int) -> None:
    m = jumbled(kind, seed, wide)
    before = {k: a.copy() for k, a in arrays_of(m).items()}
    for a in arrays_of(m).values():
        a.flags.writeable = False
    t = sf.from_scipy(m)
    for k, a in arrays_of(m).items():
        same(a, before[k])
    if kind == "coo":
        row, col, data = *m.coords, m.data
    else:
        end = m.indptr[-1]
        line = np.repeat(np.arange(len(m.indptr) - 1), np.diff(m.indptr))
        other, data = m.indices[:end], m.data[:end]
        row, col = (line, other) if kind == "csr" else (other, line)
    want = np.zeros((7, 9))
    np.add.at(want, (row, col), data)
    same(t.to_dense(), want)
    assert t.slots == len({(int(r), int(c)) for r, c in zip(row, col, strict=True)})
    with pytest.raises(sf.FormatError, match="copy=False"):
        sf.from_scipy(m, copy=False)


def test_sums_stay_in_the_dtype_and_bool_is_or() -> None:
    index = (np.array([0, 0, 0]), np.array([1, 1, 1]))
    small = sf.from_scipy(sp.coo_array((np.array([100, 100, 100], np.int8), index), shape=(1, 2)))
    same(small.to_dense(), np.array([[0, 300 - 256]], np.int8))
    either = sf.from_scipy(sp.coo_array((np.array([True, True, False]), index), shape=(1, 2)))
    same(either.to_dense(), np.array([[False, True]]))
    out = sf.from_scipy(sp.coo_array((np.array([1e308, 1e308, 1e308]), index), shape=(1, 2)))
    assert out.to_dense()[0, 1] == np.inf


def test_unsorted_bsr_with_duplicates() -> None:
    data = np.arange(1.0, 25.0).reshape(4, 2, 3)
    m = sp.bsr_array((data, np.array([2, 0, 2, 1]), np.array([0, 3, 4])), shape=(4, 9))
    m.indices[1] = 0
    before = m.indices.copy()
    t = sf.from_scipy(m)
    same(m.indices, before)
    assert t.format == "bsr2x3"
    want = np.zeros((4, 9))
    for block, row, col in zip(data, [0, 0, 0, 1], [2, 0, 2, 1], strict=True):
        want[row * 2 : row * 2 + 2, col * 3 : col * 3 + 3] += block
    same(t.to_dense(), want)
    assert t.structure.arrays()["indices"].tolist() == [0, 2, 1]


def test_explicit_zeros_stay_slots() -> None:
    m = sp.csr_array((np.array([0.0, 1.0, -0.0]), np.array([0, 1, 2]), np.array([0, 2, 3])), shape=(2, 3))
    t = sf.from_scipy(m)
    assert (t.slots, t.nnz) == (3, 1)
    for fmt in ("coo", "csc", "bitmask"):
        assert t.convert(fmt).slots == 3
        assert sf.to_scipy(t.convert(fmt)).nnz == 3
    same(t.to_dense(), np.array([[0.0, 1.0, 0.0], [0.0, 0.0, -0.0]]))
    assert t.convert("bsr1x1").slots == 2  # +0 goes, -0.0 stays


@given(shape=shapes((1, 4), 200), seed=st.integers(0, 999), wide=st.sampled_from([np.int32, np.int64]))
def test_arrays_of_any_rank(shape: tuple[int, ...], seed: int, wide: type) -> None:
    rng = np.random.default_rng(seed)
    if 0 in shape:
        coords, data = tuple(np.zeros(0, wide) for _ in shape), np.zeros(0)
    else:
        coords = tuple(rng.integers(0, n, 30).astype(wide) for n in shape)
        data = rng.integers(-2, 3, 30).astype(float)
    m = sp.coo_array((data, coords), shape=shape)
    want = np.zeros(shape)
    np.add.at(want, coords, data)
    t = sf.from_scipy(m)
    assert t.shape == shape
    assert t.format == "coo"
    same(t.to_dense(), want)
    same(sf.from_scipy(m, "csr").to_dense(), want)


def test_vectors_of_every_kind_that_scipy_has() -> None:
    w = np.array([0.0, 2.0, 0.0, -1.0, 5.0])
    for make in (sp.coo_array, sp.csr_array, sp.dok_array):
        t = sf.from_scipy(make(w))
        assert t.shape == (5,)
        same(t.to_dense(), w)


def test_big_endian_and_strided_data() -> None:
    m = sp.csr_array(np.eye(4))
    m.data = np.arange(1.0, 9.0)[::2].astype(">f8")
    m.indices = m.indices.astype(">i4")
    t = sf.from_scipy(m)
    assert t.dtype.isnative
    same(t.to_dense(), np.diag([1.0, 3.0, 5.0, 7.0]))


@pytest.mark.parametrize("bad", [np.eye(3), None, 3, "csr", [[1]], sf.prune])
def test_what_is_not_scipy_is_a_type_error(bad: Any) -> None:  # noqa: ANN401
    with pytest.raises(TypeError, match="SciPy sparse array or matrix"):
        sf.from_scipy(bad)


def test_dtypes_that_no_format_holds() -> None:
    for dtype in (np.longdouble, np.clongdouble):
        with pytest.raises(sf.DtypeError, match="not supported"):
            sf.from_scipy(sp.csr_array(np.eye(3)).astype(dtype))
    m = sp.coo_array((np.array([1.0]), ([0], [0])), shape=(2, 2))
    m.data = np.array([None], object)
    with pytest.raises(sf.DtypeError):
        sf.from_scipy(m)
