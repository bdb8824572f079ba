"""What users of NumPy and SciPy try in their first hour: it works, or is refused with the way out."""

import copy
import warnings
from typing import Any

import numpy as np
import pytest

import sparsefmt as sf
from sparsefmt.structures.registry import STRUCTURES

Array = np.ndarray[Any, Any]
CODECS = ["", "/int8", "/int8:g4:asym", "/int4:g4", "/int4:row:asym", "/int4:tensor", "/kmeans16", "/kmeans5:row"]
FORMATS = [
    f + c
    for f in dict.fromkeys([*(s.example for s in STRUCTURES.values()), "bitmask@64", "nm2:4@64", "bsr4x4", "bsr5x3"])
    for c in CODECS
]
KEYS: list[Any] = [
    [3], [0, 0, 5, 11], [], list(range(12)), [11, 2, 2], [4, 5, 6, 7], [-1], slice(None), slice(2, 9), slice(9, 2, -3),
    slice(4, 8), slice(5, 5), 3, -12, np.uint8(3), np.array([[1, 2], [3, -4]]), np.arange(12) % 3 == 0, ..., (2,),
    (slice(1, 4), slice(None)),
]  # fmt: skip


def weights(rows: int = 12, cols: int = 16) -> Array:
    rng = np.random.default_rng(0)
    return (rng.standard_normal((rows, cols)) * (rng.random((rows, cols)) < 0.3)).astype(np.float32)


def packed(fmt: str, w: Array | None = None) -> sf.SparseTensor:
    return sf.encode(weights() if w is None else w, fmt, prune=fmt.startswith("nm"))


@pytest.mark.parametrize("fmt", FORMATS)
def test_rows_of_every_format(fmt: str) -> None:
    t = packed(fmt)
    dense = t.to_dense()
    for key in KEYS:
        got = t[key]
        sf.SparseTensor(got.structure, got.values, got.shape)  # checks all parts
        assert got.dtype == t.dtype
        assert got.format == t.format or "kmeans" in fmt  # a codebook may lack the zero that a short block needs
        assert got.to_dense().tobytes() == dense[key].tobytes()
        assert got.shape == dense[key].shape
    assert np.array_equal(np.take(t, [[1], [2]], axis=0).to_dense(), dense[[[1], [2]]])
    assert np.array_equal(t.take(3, 0).to_dense(), dense[3])


def test_rows_of_more_axes_and_no_rows() -> None:
    w = weights(24, 10).reshape(4, 3, 2, 10)
    for fmt in ("csr", "coo", "bitmask", "dense/int8:g3", "bsr4x4", "nm1:8", "csc"):
        t = packed(fmt, w)
        for key in (1, slice(1, 3), [3, 0, 3], [[0], [1]]):
            assert np.array_equal(t[key].to_dense(), t.to_dense()[key])
    empty = sf.encode(np.zeros((0, 5)), "csr")
    assert empty[[]].shape == (0, 5)
    with pytest.raises(IndexError, match="row 0 is out of range for 0 rows"):
        empty[0]


def test_an_embedding_table_is_not_decoded() -> None:
    table = np.broadcast_to(np.float32(1.5), (200_000, 64))
    t = sf.encode(table, "dense/int4:g32")
    sf.set_max_bytes(8 << 20)  # less than the table
    try:
        got = t[[0, 199_999, 5]]
        assert got.to_dense().shape == (3, 64)
    finally:
        sf.set_max_bytes(None)


@pytest.mark.parametrize("key", [(0, 1), (slice(None), slice(0, 2)), (slice(None), 3), None, 1.5, [0.5], "a", (..., 1)])
def test_columns_and_odd_keys_are_refused(key: Any) -> None:  # noqa: ANN401
    with pytest.raises(TypeError, match=r"t\.to_dense\(\)|t\.to_scipy\(\)"):
        packed("csr")[key]


def test_keys_out_of_range() -> None:
    t = packed("csr")
    for key in (12, -13, [0, 12], np.array([2**63], np.uint64)):
        with pytest.raises(IndexError, match="out of range"):
            t[key]
    with pytest.raises(IndexError, match="12 rows"):
        t[np.ones(5, bool)]
    with pytest.raises(TypeError, match="rank 1"):
        t[0][0]
    with pytest.raises(sf.FormatError, match="axis"):
        t.take([0])


@pytest.mark.parametrize("fmt", FORMATS)
def test_arithmetic_and_sums(fmt: str) -> None:
    t = packed(fmt)
    dense = t.to_dense()
    results: list[tuple[sf.SparseTensor, Array]] = [
        (abs(t), abs(dense)), (-t, -dense), (t * 2, dense * 2), (np.float32(3) * t, dense * np.float32(3)),
        (t / 4, dense / 4), (t * np.float64(0.5), dense * np.float64(0.5)), (t.astype("float16"), dense.astype("f2")),
        (t.copy(), dense), (copy.copy(t), dense), (t.astype(np.float64), dense.astype(float)),
    ]  # fmt: skip
    for got, want in results:
        sf.SparseTensor(got.structure, got.values, got.shape)
        assert got.dtype == want.dtype
        assert np.array_equal(got.to_dense(), want)
    for axis in (None, 0, 1, -1, (0, 1), (1,)):
        assert np.allclose(t.sum(axis), dense.sum(axis), atol=1e-5)
        assert np.shape(t.sum(axis)) == dense.sum(axis).shape
        assert t.sum(axis, keepdims=True).shape == dense.sum(axis, keepdims=True).shape
        assert np.array_equal(t.count_nonzero(axis), np.count_nonzero(dense, axis))
        assert np.allclose(np.sum(t, axis), dense.sum(axis), atol=1e-5)
    for order in (None, "fro", 1, np.inf):
        assert np.isclose(t.norm(order), np.linalg.norm(dense, order))
        assert np.isclose(np.linalg.norm(t, order), np.linalg.norm(dense, order))
    for order in (None, 0, 1, 2, np.inf):
        for axis in (0, 1, -1, (1,)):
            want = np.linalg.norm(dense, order, axis[0] if isinstance(axis, tuple) else axis, keepdims=True)
            assert np.allclose(t.norm(order, axis, keepdims=True), want)
            assert np.allclose(np.linalg.norm(t, order, axis), want.reshape(-1))
    x, y = np.ones(16), np.ones((2, 12))
    for product in (np.matmul(t, x), t.dot(x), np.dot(t, x), t.matvec(x)):
        assert np.array_equal(product, t @ x)
    assert np.array_equal(np.matmul(y, t), y @ t)
    assert np.allclose(t.rmatvec(np.ones(12)), dense.sum(0), atol=1e-5)
    assert np.array_equal(t.dot(2).to_dense(), dense * 2)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint64", "int64", "float16", "float64", "complex64", "complex128"])
def test_dtypes_of_sums_are_those_of_numpy(dtype: str) -> None:
    w = (weights().astype(np.float64) * 9).astype(dtype)
    t = sf.encode(w.reshape(3, 4, 16), "coo")
    dense = t.to_dense()
    for axis in (None, 0, 1, 2, (0, 2), (1, 2), -3):
        got, want = t.sum(axis), dense.sum(axis)
        assert got.dtype == want.dtype
        assert np.allclose(got, want, rtol=1e-2 if dtype == "float16" else 1e-6, atol=1e-2)
    big = sf.encode(np.full((2, 3), 2**63 - 1), "csr")
    assert big.sum(1).tolist() == np.full((2, 3), 2**63 - 1).sum(1).tolist()


def test_norms_neither_overflow_nor_vanish() -> None:
    for scale in (1e200, 1e-200, 5e-324, 1e308):
        t = sf.encode(np.array([[3.0, 0, 4.0]]) * (scale / 10), "csr")
        assert np.isclose(t.norm(), np.hypot(*(np.array([3.0, 4.0]) * (scale / 10))))
    apart = sf.encode(
        np.array([[3e200, 0, 4e200], [3e-200, 0, 4e-200], [0, 0, 0], [np.inf, 1, 0], [np.nan, 0, 1]]), "csr"
    )
    assert np.allclose(apart.norm(axis=1), [5e200, 5e-200, 0, np.inf, np.nan], rtol=1e-15, atol=0, equal_nan=True)
    assert np.isnan(apart.norm())
    assert np.isnan(apart.norm(np.inf, axis=0)).tolist() == [True, False, False]


def test_norms_of_other_ranks_and_moved_axes() -> None:
    w = np.random.default_rng(5).normal(size=(3, 4, 8))
    for axis in (0, 1):
        t = sf.encode(w, "nm2:4", prune=True, axis=axis)
        dense = t.to_dense()
        assert np.isclose(t.norm(), np.sqrt(np.square(dense).sum()))
        for along in (0, 1, 2, (0, 2)):
            assert np.allclose(t.norm(axis=along), np.linalg.norm(dense, axis=along))
        with pytest.raises(sf.FormatError, match="axis = None"):
            t.norm(1)
    vector = sf.encode(np.array([3.0, 0, -4]), "coo")
    assert [float(vector.norm(order)) for order in (None, 0, 1, 2, np.inf)] == [5, 2, 7, 5, 4]
    with pytest.raises(sf.FormatError, match="to_dense"):
        vector.norm("nuc")


def test_arithmetic_that_would_fill_zeros_is_refused() -> None:
    t = packed("csr")
    for call in (lambda: t * np.inf, lambda: t * np.nan, lambda: t / 0):
        with pytest.raises(sf.FormatError, match=r"t\.to_dense\(\)"):
            call()
    with pytest.raises(sf.DtypeError, match="imaginary"):
        sf.encode(np.eye(2) * 1j, "csr").astype(float)
    with pytest.raises(sf.DtypeError, match="casting"):
        t.astype("int8", casting="safe")
    with pytest.raises(sf.DtypeError, match="nm does not hold"):
        packed("nm2:4").astype(complex)


def test_names_of_scipy() -> None:
    t = packed("nm2:4")
    assert t.tocsr().format == "csr"
    assert t.tocsc().format == "csc"
    assert t.tocoo().format == "coo"
    assert t.tobsr((2, 2)).format == "bsr2x2"
    assert t.asformat("bitmask").format == "bitmask"
    assert t.asformat(None) is t
    assert np.array_equal(t.todense(), t.toarray())
    assert t.getnnz() == t.nnz
    assert t.transpose().shape == t.transpose((1, 0)).shape == np.transpose(t).shape == (16, 12)
    assert (np.shape(t), np.ndim(t), np.size(t)) == ((12, 16), 2, 192)
    csr, coo, bsr = t.tocsr(), t.tocoo(), t.tobsr((2, 2))
    want = csr.to_scipy()
    assert np.array_equal(csr.data, want.data)
    assert np.array_equal(csr.indices, want.indices)
    assert np.array_equal(csr.indptr, want.indptr)
    assert np.array_equal(coo.row, want.tocoo().row)
    assert np.array_equal(coo.col, want.tocoo().col)
    assert bsr.data.shape[1:] == (2, 2)
    assert not csr.data.flags.writeable
    for name in ("data", "indices", "indptr", "row", "col"):
        with pytest.raises(AttributeError, match=r"t\.convert"):
            getattr(t, name)
    with pytest.raises(AttributeError):
        _ = csr.row
    with pytest.raises(sf.FormatError, match="axes"):
        sf.encode(np.ones((2, 3, 4)), "csr").transpose((1, 0, 2))
    assert "<table>" in t._repr_html_()
    assert "nm2:4" in t._repr_html_()


def test_scipy_algorithms_take_tensors() -> None:
    linalg = pytest.importorskip("scipy.sparse.linalg")
    for fmt in ("csr", "bitmask", "bsr4x4"):
        t = packed(fmt, weights(40, 30).astype(np.float64))
        found = linalg.svds(
            linalg.aslinearoperator(t), k=3, return_singular_vectors=False, rng=np.random.default_rng(0)
        )
        assert np.allclose(np.sort(found), np.sort(np.linalg.svd(t.to_dense(), compute_uv=False))[-3:])
    z = packed("csr", weights(6, 5) * (1 + 2j))
    x = np.arange(6) * (1 - 1j)
    assert np.allclose(linalg.aslinearoperator(z).rmatvec(x), z.to_dense().conj().T @ x)


REFUSED = [
    lambda t: t + t, lambda t: t + 1, lambda t: 1 + t, lambda t: t - t, lambda t: np.ones(16) + t, lambda t: t * t,
    lambda t: t * np.ones(16), lambda t: np.ones((12, 16)) * t, lambda t: t / t, lambda t: t**2, lambda t: 1 / t,
    lambda t: t == t, lambda t: t != t, lambda t: t < 1, lambda t: t >= t, lambda t: t == np.ones((12, 16)),
    lambda t: np.ones((12, 16)) == t, lambda t: t == 1, lambda t: t == 1, lambda t: np.array_equal(t, t),
    lambda t: np.array_equal(t.to_dense(), t), lambda t: np.allclose(t, t.to_dense()), lambda t: np.exp(t),
    lambda t: np.mean(t), lambda t: np.stack([t, t]), lambda t: iter(t), lambda t: list(t),
    lambda t: t.reshape(2, -1), lambda t: t.diagonal(), lambda t: t @ t, lambda t: bool(t), lambda t: np.asarray(t),
    lambda t: np.take(t, [0], 0, None, "wrap"), lambda t: t[:, 1:3],
]  # fmt: skip


@pytest.mark.parametrize("call", REFUSED)
@pytest.mark.parametrize("fmt", ["csr", "nm2:4", "dense/int8"])
def test_refused_in_one_sentence(call: Any, fmt: str) -> None:  # noqa: ANN401
    with pytest.raises(TypeError) as e:
        call(packed(fmt))
    assert "\n" not in str(e.value)


def test_products_with_scipy_are_refused_with_the_way_out() -> None:
    sp = pytest.importorskip("scipy.sparse")
    t = packed("csr")
    with pytest.raises(TypeError, match=r"t\.to_scipy\(\) @ x"):
        t @ sp.csr_array(np.eye(16))
    with pytest.raises((TypeError, ValueError)):
        sp.csr_array(np.eye(12)) @ t


def test_comparing_with_other_objects_is_no_question_of_numbers() -> None:
    t = packed("csr")
    assert t != "csr"
    assert t is not None
    assert (t == None) is False  # noqa: E711
    assert {t: 1}[t] == 1
    assert t in [t]


def test_prune_wants_a_bool() -> None:
    for value in (0.5, 1, "yes", None, np.array([True])):
        with pytest.raises(sf.FormatError, match="prune"):
            sf.encode(weights(), "nm2:4", prune=value)  # type: ignore[arg-type]
    assert sf.encode(weights(), "nm2:4", prune=np.True_).format == "nm2:4"  # type: ignore[arg-type]


@pytest.mark.parametrize("fmt", [f for f in FORMATS if "kmeans" not in f])
def test_transposes_have_the_attributes(fmt: str) -> None:
    t = packed(fmt)
    u = t.T
    assert (u.shape, u.ndim, u.dtype, u.size, u.nnz) == ((16, 12), 2, t.dtype, 192, t.nnz)
    assert (u.slots, u.nbytes, u.device) == (t.slots, t.nbytes, "cpu") or fmt.startswith("coo/")
    assert u.density == t.density
    assert u.bits_per_weight > 0
    assert isinstance(u.format, str)
    assert u.values.kind == t.values.kind
    assert u.structure.slots == t.structure.slots
    assert u.storage().total == u.nbytes
    assert np.array_equal(u.toarray(), t.to_dense().T)
    assert len(u) == 16


def test_transposes_are_saved_or_refused_by_name(tmp_path: Any) -> None:  # noqa: ANN401
    sf.save(tmp_path / "a.safetensors", {"w": packed("csr").T})
    with pytest.raises(sf.FormatError, match=r"tensor 'w' is the transpose"):
        sf.save(tmp_path / "b.safetensors", {"w": packed("nm2:4").T})


def test_inputs_that_are_no_arrays() -> None:
    with pytest.raises(TypeError, match=r"numpy\.frombuffer"):
        sf.encode(b"\0\1", "csr")
    with open(__file__, "rb") as file, pytest.raises(TypeError, match=r"sparsefmt\.load"):
        sf.encode(file, "csr")
    for call in (sf.load, sf.open_checkpoint, sf.inspect, lambda f: sf.save(f, {"w": np.ones(2)})):
        with (
            open(__file__, "rb") as file,
            pytest.raises(TypeError, match="want a path, got BufferedReader"),
        ):
            call(file)
    with pytest.raises(TypeError, match=r"to_dense"):
        sf.prune.nm(packed("csr"))


def test_decode_random_suggest() -> None:
    t = sf.random((30, 40), "csr", density=0.25, dtype="float16", seed=3)
    assert (t.shape, t.dtype, t.nnz) == ((30, 40), np.float16, 300)
    assert sf.equal(t, sf.random((30, 40), "csr", density=0.25, dtype="float16", seed=3))
    assert not sf.equal(t, sf.random((30, 40), "csr", density=0.25, dtype="float16", seed=4))
    for dtype in ("bool", "int8", "uint8", "int64", "bfloat16", "complex64"):
        assert sf.random((9, 9), "coo", density=1, dtype=dtype).nnz == 81
    assert sf.random((8, 8), "nm2:4").format == "nm2:4"
    out = np.empty((30, 40), np.float16)
    assert sf.decode(t, out) is out
    assert np.array_equal(sf.decode(t), t.to_dense())
    found = sf.suggest(t.to_dense())
    exact = [s for s in found if s.exact]
    assert exact == sorted(exact, key=lambda s: s.nbytes)
    for s in found:
        if not s.note:
            assert sf.encode(t.to_dense(), s.format).nbytes == s.nbytes
    assert any(s.note and s.format == "nm2:4" for s in found)
    assert {s.format for s in found} >= {"csr", "bitmask", "dense/int8:g128"}
    assert "bits per weight" in str(found[0])


@pytest.mark.parametrize("fmt", FORMATS)
def test_from_parts_takes_what_a_tensor_is_made_of(fmt: str) -> None:
    t = packed(fmt)
    assert sf.equal(sf.from_parts(t.structure, t.values, t.shape), t)
    s, v = t.structure, t.values
    made = sf.from_parts((s.text, s.arrays()), (v.kind, v.arrays(), {**v.params(), "dtype": t.dtype}), t.shape)
    assert sf.equal(made, t)


def test_from_parts_checks() -> None:
    for structure, values, shape in [
        (("csr", {"indptr": [0, 1], "indices": [9]}), np.ones(1), (1, 4)),
        (("csr", {"indptr": [0, 2], "indices": [1]}), np.ones(1), (1, 4)),
        (("csr", {"indptr": [0, 1]}), np.ones(1), (1, 4)),
        (("csr", {"indptr": [0, 1], "indices": [1], "more": [1]}), np.ones(1), (1, 4)),
        (("csr", {"indptr": [0, 1], "indices": [1]}), np.ones(2), (1, 4)),
        (("csr", {"indptr": [0, 1], "indices": [1]}), ("int8", {"codes": np.ones(1)}), (1, 4)),
        (("csr", {"indptr": [0, 1], "indices": [1]}), ("zip", {}), (1, 4)),
        (("what", {}), np.ones(1), (1, 4)),
        ("csr", np.ones(1), (1, 4)),
        (("csr", {"indptr": [0, 1], "indices": [1]}), np.ones(1), None),
    ]:
        with pytest.raises(sf.SparsefmtError):
            sf.from_parts(structure, values, shape)  # type: ignore[arg-type]


def test_nothing_warns() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        t = packed("csr")
        assert hash(t) == hash(t)
        assert (t * 1e300).dtype == np.float32
