"""Products against float64 and exact integers: shapes, dtypes, the stated error bound, NaN and infinities."""

import time
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sparsefmt as sf
from contract import Array, same
from sparsefmt.codecs.raw import Raw
from sparsefmt.structures.coo import Coo
from strategies import COMPLEX, DTYPES, FLOATS, FORMATS, INTEGERS, fit, formats

F32, F64 = np.dtype("f4"), np.dtype("f8")


def result_dtype(a: np.dtype[Any], b: np.dtype[Any]) -> np.dtype[Any]:
    """The table of the contract."""
    whole = [d for d in (a, b) if d in INTEGERS]
    if len(whole) == 2:
        if a.itemsize == b.itemsize == 1:
            return np.dtype("i4")
        return np.dtype("u8" if all(d.kind in "ub" for d in whole) else "i8")
    if len(whole) == 1:
        other = b if a in INTEGERS else a
        wide = F64 if whole[0].itemsize >= 4 else F32
        return np.result_type(other, wide) if other in COMPLEX else max(other, wide, F32, key=lambda d: d.itemsize)
    try:
        return np.result_type(a, b)
    except TypeError:
        return F32


def eps(dtype: np.dtype[Any]) -> float:
    return float(ml_dtypes.finfo(dtype).eps) if dtype.kind != "c" else float(np.finfo(dtype).eps)


def close(got: Array, want: Array, bound: Array, result: np.dtype[Any]) -> None:
    """Asserts the bound: (terms + 2) ulps of the sum of absolute products, and one rounding to the result."""
    assert got.dtype == result
    assert got.shape == want.shape
    wide = got.astype(np.complex128 if result.kind == "c" else np.float64)
    tiny = float(ml_dtypes.finfo(result).tiny) if result.kind != "c" else 0.0
    assert (np.abs(wide - want) <= bound + eps(result) * np.abs(want) + tiny).all()


def values(dtype: np.dtype[Any], shape: tuple[int, ...], seed: int, density: float = 1.0) -> Array:
    """Numbers of moderate size, so that nothing overflows."""
    rng = np.random.default_rng(seed)
    if dtype.kind == "b":
        return rng.random(shape) < density / 2
    if dtype in INTEGERS:
        info = np.iinfo(dtype)
        w = rng.integers(max(info.min, -(2**30)), min(info.max, 2**30), shape, endpoint=True).astype(dtype)
    else:
        w = rng.standard_normal(shape)
        w = (w + 1j * rng.standard_normal(shape) if dtype.kind == "c" else w).astype(dtype)
    w[rng.random(shape) >= density] = 0
    return w


def wide(a: Array) -> Array:
    return a.astype(np.complex128 if a.dtype.kind == "c" else np.float64)


def check(got: Array, left: Array, right: Array) -> None:
    """Compares with `left @ right` taken exactly or in float64."""
    result = result_dtype(left.dtype, right.dtype)
    if result.kind in "iu":
        wrap = np.dtype("u8") if result.kind == "u" else np.dtype("i8")
        want = np.matmul(left.astype(wrap), right.astype(wrap))
        same(np.asarray(got), np.asarray(want).astype(result))
        return
    compute = max(eps(result), 0) if result.itemsize >= 4 else eps(F32)
    terms = left.shape[-1] + 2
    bound = 3 * compute * terms * np.matmul(np.abs(wide(left)), np.abs(wide(right)))
    close(np.asarray(got), np.asarray(np.matmul(wide(left), wide(right))), bound, result)


def packed(w: Array, fmt: str) -> tuple[Array, sf.SparseTensor]:
    fmt = "csr" if w.dtype.kind == "c" and fmt.startswith("nm") else fmt
    w = fit(w, fmt, "value")
    return w, sf.encode(w, fmt)


sizes = st.sampled_from([0, 1, 2, 3, 5, 8, 17, 33, 70])
seeds = st.integers(0, 10**6)
densities = st.sampled_from([0.0, 0.01, 0.2, 1.0])
floats = st.sampled_from(FLOATS[:4] + FLOATS[4:] * 2 + COMPLEX)


@pytest.mark.parametrize("a", DTYPES, ids=str)
@given(fmt=formats, density=densities, seed=seeds)
@settings(max_examples=6)
def test_result_dtype_of_every_pair(a: np.dtype[Any], fmt: str, density: float, seed: int) -> None:
    w, t = packed(values(a, (9, 20), seed, density), fmt)
    for b in DTYPES:
        x, y = values(b, (20, 3), seed + 1), values(b, (4, 9), seed + 2)
        check(t @ x, w, x)
        check(y @ t, y, w)


@pytest.mark.parametrize("fmt", FORMATS)
@given(rows=sizes, cols=sizes, k=sizes, dtype=floats, density=densities, seed=seeds, batch=st.integers(0, 3))
@settings(max_examples=12)
def test_products_of_matrices_vectors_and_batches(
    fmt: str, rows: int, cols: int, k: int, dtype: np.dtype[Any], density: float, seed: int, batch: int
) -> None:
    w, t = packed(values(dtype, (rows, cols), seed, density), fmt)
    lead: tuple[int, ...]
    for lead in ((), (batch,), (2, batch)):
        x, y = values(dtype, (*lead, cols, k), seed + 1), values(dtype, (*lead, k, rows), seed + 2)
        check(t @ x, w, x)
        check(y @ t, y, w)
        check(t.T @ y.swapaxes(-1, -2), w.T, y.swapaxes(-1, -2))
        check(x.swapaxes(-1, -2) @ t.T, x.swapaxes(-1, -2), w.T)
    x, y = values(dtype, (cols,), seed + 1), values(dtype, (rows,), seed + 2)
    check(t @ x, w, x)
    check(y @ t, y, w)
    check(t.T @ y, w.T, y)
    check(x @ t.T, x, w.T)


@given(
    shape=st.lists(sizes.filter(lambda n: n < 20), min_size=1, max_size=4),
    k=sizes,
    fmt=formats,
    dtype=st.sampled_from([*FLOATS, *INTEGERS]),
    seed=seeds,
)
def test_tensors_of_any_rank(shape: list[int], k: int, fmt: str, dtype: np.dtype[Any], seed: int) -> None:
    w, t = packed(values(dtype, tuple(shape), seed, 0.5), fmt)
    for x in (values(dtype, (shape[-1], k), seed + 1), values(dtype, (shape[-1],), seed + 1)):
        check(t @ x, w, x)
    if len(shape) == 1:
        for lead in ((), (k,), (2, k)):
            y = values(dtype, (*lead, shape[0]), seed + 2)
            check(y @ t, y, w)
        z = values(dtype, (3, shape[0], k), seed + 3)
        check(t @ z, w, z)


@pytest.mark.parametrize("fmt", ["csr", "nm2:4", "bsr4x4", "bitmask", "dense", "coo", "csc"])
@pytest.mark.parametrize("value", [-128, 127])
def test_integers_do_not_wrap_in_int8(fmt: str, value: int) -> None:
    w = np.zeros((3, 4000), np.int8)
    w[:, ::2] = value
    t = sf.encode(w, fmt)
    x = np.full(4000, -128, np.int8)
    assert (t @ x == 2000 * value * -128).all()
    assert (t @ x.astype(np.int16) == 2000 * value * -128).all()
    assert (t @ np.full(4000, 2**31 - 1, np.int32) == 2000 * value * (2**31 - 1)).all()
    ones = sf.encode(w != 0, fmt) @ np.ones(4000, bool)
    assert (ones == 2000).all()
    assert ones.dtype == np.int32


@pytest.mark.parametrize("fmt", FORMATS)
@given(
    rows=sizes, cols=sizes, k=sizes, dtype=st.sampled_from([F32, F64, FLOATS[0], FLOATS[1]]),
    density=densities, seed=seeds, share=st.sampled_from([0.05, 0.5]),
)  # fmt: skip
@settings(max_examples=10)
def test_nan_and_infinities_pass_through_nonzero_elements_only(
    fmt: str, rows: int, cols: int, k: int, dtype: np.dtype[Any], density: float, seed: int, share: float
) -> None:
    w, t = packed(values(dtype, (rows, cols), seed, density), fmt)
    rng = np.random.default_rng(seed)
    x, y = values(dtype, (cols, k), seed + 1), values(dtype, (k, rows), seed + 2)
    for a in (x, y):
        odd = rng.random(a.shape) < share
        a[odd] = rng.choice(np.array([np.nan, np.inf, -np.inf]), int(odd.sum())).astype(a.dtype)
    masked_close(t @ x, w, x)
    masked_close(y @ t, w.T, y.T, transposed=True)
    masked_close(t.T @ y.T, w.T, y.T)
    masked_close(x.T @ t.T, w, x, transposed=True)
    if k:
        masked_close((t @ x[:, 0])[:, None], w, x[:, :1])
        masked_close(np.asarray(np.stack([x, x]).swapaxes(-1, -2) @ t.T)[1], w, x, transposed=True)


def masked_close(got: Array, w: Array, x: Array, *, transposed: bool = False) -> None:
    got = got.T if transposed else got
    with np.errstate(all="ignore"):
        terms = np.where((w != 0)[:, :, None], wide(w)[:, :, None] * wide(x)[None], 0.0)
        want = terms.sum(axis=1)
        bound = 3 * max(eps(w.dtype) if w.dtype.itemsize >= 4 else eps(F32), 0) * (w.shape[1] + 2)
        size = np.abs(np.where(np.isfinite(terms), terms, 0)).sum(axis=1)
    got = got.astype(np.float64)
    assert got.shape == want.shape
    assert (np.isnan(got) == np.isnan(want)).all()
    inf = np.isinf(want)
    assert (got[inf] == want[inf]).all()
    finite = np.isfinite(want)
    got, want, size = got[finite], want[finite], size[finite]
    assert (np.abs(got - want) <= bound * size + eps(w.dtype) * np.abs(want)).all()


def test_infinities_stored_in_the_tensor_count() -> None:
    w = np.array([[np.inf, 0, 0, 0], [0, np.nan, 0, 0], [0, 0, 1, 0]])
    for fmt in FORMATS:
        if fmt == "nm1:32" or fmt.startswith("nm31"):
            continue
        got = sf.encode(w, fmt) @ np.array([1.0, 1.0, 2.0, 3.0])
        assert got[0] == np.inf
        assert np.isnan(got[1])
        assert got[2] == 2


@pytest.mark.parametrize("density", [0.001, 0.5])
@pytest.mark.parametrize("fmt", ["coo", "csr", "csc", "bitmask@64", "bsr16x16", "nm2:4"])
def test_large_products_in_blocks(fmt: str, density: float) -> None:
    w, t = packed(values(F32, (700, 3000), 1, density), fmt)
    x, y = values(F32, (3000, 5), 2), values(F32, (4, 700), 3)
    check(t @ x, w, x)
    check(y @ t, y, w)


@pytest.mark.parametrize("layout", ["F", "reversed", "big-endian", "list"])
def test_operand_of_any_layout(layout: str) -> None:
    w, t = packed(values(F64, (12, 20), 0, 0.4), "csr")
    x = values(F64, (20, 6), 1)
    other: Any = {
        "F": np.asfortranarray(x),
        "reversed": x[::-1].copy()[::-1],
        "big-endian": x.astype(">f8"),
        "list": x.tolist(),
    }[layout]
    check(t @ other, w, x)


@pytest.mark.parametrize(
    ("shape", "x"),
    [
        ((3, 4), (3,)),
        ((3, 4), (3, 4)),
        ((3, 4), (2, 3, 5)),
        ((2, 3, 4), (2, 4, 5)),
        ((2, 3, 4), (3,)),
        ((4,), (3, 4)),
    ],
)
def test_shapes_that_do_not_fit_are_named(shape: tuple[int, ...], x: tuple[int, ...]) -> None:
    t = sf.encode(np.ones(shape), "csr")
    with pytest.raises(sf.FormatError) as e:
        t @ np.ones(x)
    assert str(shape) in str(e.value)
    assert str(x) in str(e.value)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(("shape", "x"), [((3, 4), (4,)), ((3, 4), (2, 4)), ((2, 3, 4), (5, 2)), ((4,), (5, 3))])
def test_left_shapes_that_do_not_fit_are_named(shape: tuple[int, ...], x: tuple[int, ...]) -> None:
    t = sf.encode(np.ones(shape), "csr")
    with pytest.raises(sf.FormatError) as e:
        np.ones(x) @ t
    assert str(shape) in str(e.value)
    assert str(x) in str(e.value)


def test_views_name_shapes_too() -> None:
    v = sf.encode(np.ones((3, 4)), "nm4:4").T
    for call in (lambda: v @ np.ones(4), lambda: np.ones((2, 3)) @ v):
        with pytest.raises(sf.FormatError, match=r"\(4, 3\)"):
            call()
    with pytest.raises(sf.FormatError, match="rank 2"):
        sf.encode(np.ones((2, 3, 4)), "csr").T @ np.ones(2)


def hyper(shape: tuple[int, int]) -> sf.SparseTensor:
    row = np.array([0, shape[0] // 2, shape[0] - 1], np.int64)
    col = np.array([1, 0, shape[1] - 1], np.int64)
    return sf.SparseTensor(Coo(row, col, shape), Raw(np.array([1.0, 2.0, 3.0])), shape)


@pytest.mark.parametrize("target", ["csr", "bitmask", "nm2:4", "dense", "bsr4x4", "nm2:4@64", "bitmask@64"])
def test_hyper_sparse_conversion_is_refused_at_once(target: str) -> None:
    start = time.monotonic()
    with pytest.raises(sf.SizeError, match="set_max_bytes"):
        hyper((2**40, 4)).convert(target)
    with pytest.raises(sf.SizeError):
        hyper((2**40, 4)).to_dense()
    assert time.monotonic() - start < 5


def test_hyper_sparse_products() -> None:
    start = time.monotonic()
    tall, flat = hyper((2**40, 4)), hyper((4, 2**40))
    with pytest.raises(sf.SizeError):
        tall @ np.ones(4)
    with pytest.raises(sf.SizeError):
        np.ones((2, 4)) @ flat
    with pytest.raises(sf.SizeError):
        flat.T @ np.ones(4)
    assert tall.convert("csc").convert("coo").slots == 3
    assert sf.equal(tall.convert("csc").convert("coo"), tall)
    assert sf.equal(flat.convert("csr").convert("coo"), flat)
    square = hyper((2**31 + 7, 2**31 + 7))
    assert square.T.shape == square.shape
    assert square.nnz == 3
    assert time.monotonic() - start < 5


def test_hyper_sparse_product_that_fits_is_right() -> None:
    t = hyper((2**20, 2**20))
    x = np.arange(2**20, dtype=np.float64)
    got = t @ x
    assert got[[0, 2**19, 2**20 - 1]].tolist() == [1.0, 0.0, 3.0 * (2**20 - 1)]
    assert np.count_nonzero(got) == 2
    assert np.count_nonzero(x @ t) == 2


def test_arrays_leave_the_operator_to_the_tensor() -> None:
    t = sf.encode(np.eye(3), "nm1:3")
    same(np.arange(6.0).reshape(2, 3) @ t, np.arange(6.0).reshape(2, 3))
    with pytest.raises(TypeError):
        np.ones(3) * t
    with pytest.raises(TypeError):
        t + t  # type: ignore[operator]
    with pytest.raises(TypeError, match="packed"):
        t @ t
