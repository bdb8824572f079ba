"""Tensors that are packed along another axis than the last: what NumPy gives for `moveaxis`, everywhere."""

import copy
import pickle
from pathlib import Path
from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sparsefmt as sf
from commandline import same_bits

SHAPES = hnp.array_shapes(min_dims=2, max_dims=4, min_side=0, max_side=6)
VALUES = st.sampled_from([0.0, 0.0, 0.0, 1.0, -2.0, 3.5, 100.0])
FORMATS = ["dense", "coo", "csr", "csc", "gap", "bitmask", "bitmask@64", "bsr2x3", "nm4:4", "nm8:8@64"]
CODED = ["csr/int8", "nm4:4/int8:f32", "dense/int4:g2:f32", "bitmask/kmeans4", "bitmask@64/int8:tensor"]


def moved(w: np.ndarray, axis: int) -> np.ndarray:
    return np.moveaxis(w, axis, -1)


@st.composite
def arrays(draw: st.DrawFn, dtype: str = "float32") -> tuple[np.ndarray, int]:
    w = draw(hnp.arrays(dtype, draw(SHAPES), elements=VALUES))
    return w, draw(st.integers(-w.ndim, w.ndim - 1))


@pytest.mark.parametrize("fmt", [*FORMATS, *CODED])
@settings(deadline=None, max_examples=12)
@given(case=arrays())
def test_it_is_the_moved_array_packed(fmt: str, case: tuple[np.ndarray, int], tmp_path_factory: Any) -> None:  # noqa: ANN401
    w, axis = case
    t, u = sf.encode(w, fmt, axis=axis), sf.encode(moved(w, axis), fmt)
    want = np.moveaxis(u.to_dense(), -1, axis)
    assert (t.shape, t.axis, t.format, t.nbytes, t.nnz) == (w.shape, axis % w.ndim, fmt, u.nbytes, u.nnz)
    assert same_bits(t.to_dense(), want)
    out = np.empty(w.shape[::-1], w.dtype).T
    assert t.to_dense(out) is out
    assert same_bits(np.ascontiguousarray(out), np.ascontiguousarray(want))
    assert same_bits(t.T.to_dense(), np.ascontiguousarray(want.T))
    for again in (pickle.loads(pickle.dumps(t)), copy.deepcopy(t), t.copy()):
        assert sf.equal(again, t)
    path = tmp_path_factory.mktemp("axis") / "t.safetensors"
    sf.save(path, {"t": t})
    assert sf.equal(sf.load(path)["t"], t)
    assert sf.equal(sf.load(path, mmap=False)["t"], t)
    assert sf.compare(t, want).max_abs == 0
    assert sf.compare(t, sf.encode(want, "csr")).max_abs == 0
    assert same_bits(sf.to_scipy(t).toarray(), want)
    with sf.open_checkpoint(path) as c:
        rows = want.reshape(int(np.prod(w.shape[:-1])), w.shape[-1])
        for low, high in ((0, len(rows)), (len(rows) // 3, len(rows) - len(rows) // 4)):
            assert same_bits(np.asarray(c.rows("t", low, high)), np.ascontiguousarray(rows[low:high]))


@pytest.mark.parametrize("target", FORMATS)
@settings(deadline=None, max_examples=12)
@given(case=arrays())
def test_conversions_keep_the_axis(target: str, case: tuple[np.ndarray, int]) -> None:
    w, axis = case
    for fmt in ("csr", "nm4:4"):
        t = sf.encode(w, fmt, axis=axis).convert(target)
        assert t.axis == axis % w.ndim
        assert same_bits(t.to_dense(), w)


@settings(deadline=None, max_examples=30)
@given(case=arrays("float64"), data=st.data())
def test_rows_sums_and_products(case: tuple[np.ndarray, int], data: st.DataObject) -> None:
    w, axis = case
    t = sf.encode(w, data.draw(st.sampled_from(FORMATS)), axis=axis)
    for axes in [None, *range(w.ndim), tuple(range(w.ndim - 1)), (0, w.ndim - 1) if w.ndim > 2 else 0]:
        for keepdims in (False, True):
            np.testing.assert_array_equal(t.sum(axes, keepdims=keepdims), w.sum(axes, keepdims=keepdims))
            np.testing.assert_array_equal(
                t.count_nonzero(axes, keepdims=keepdims), np.count_nonzero(w, axes, keepdims=keepdims)
            )
    n = len(w)
    for key in (slice(1, None, 2), slice(None, None, -1), np.arange(n)[::-1], *([n - 1] if n else [])):
        assert same_bits(t[key].to_dense(), np.ascontiguousarray(w[key]))
    x = np.arange(w.shape[-1] * 3, dtype=np.float64).reshape(-1, 3)
    np.testing.assert_allclose(t @ x, w @ x)
    np.testing.assert_allclose(t @ x[:, 0], w @ x[:, 0])
    if w.ndim == 2:
        y = np.arange(n * 2, dtype=np.float64).reshape(2, n)
        np.testing.assert_allclose(y @ t, y @ w)
        np.testing.assert_allclose(t.T @ y.T, w.T @ y.T)
        assert (t.T.T.shape, t.T.shape) == (w.shape, w.T.shape)
    assert same_bits((-t).to_dense(), -w + 0.0)
    assert same_bits((t * 2).to_dense(), w * 2)
    assert t.astype(np.float32).axis == t.axis
    for other in range(w.ndim):
        both = np.concatenate([w, w], other)
        position = [a for a in range(w.ndim) if a != t.axis] + [t.axis]
        if t.format not in ("dense", "csr") or position.index(other) not in (0, w.ndim - 1):
            continue
        assert same_bits(np.concatenate([t, t], other).to_dense(), both)  # type: ignore[list-item]


@pytest.mark.parametrize("shape", [(8, 16, 3, 3), (4, 8, 1, 1), (4, 6, 5), (8, 8)])
def test_pruning_lies_along_the_axis(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    w = rng.standard_normal(shape).astype(np.float16)
    score = rng.random(shape)
    for axis in range(w.ndim):
        for ranks in (None, score):
            turned = None if ranks is None else moved(ranks, axis)
            want = np.moveaxis(sf.prune.nm(moved(w, axis), 2, 4, turned), -1, axis)
            assert same_bits(sf.prune.nm(w, 2, 4, ranks, axis=axis), np.ascontiguousarray(want))
            assert same_bits(sf.encode(w, "nm2:4", prune=True, score=ranks, axis=axis).to_dense(), want)
        for mine, theirs in (
            (sf.prune.block(w, (2, 2), 0.5, axis=axis), sf.prune.block(moved(w, axis), (2, 2), 0.5)),
            (sf.prune.magnitude(w, 0.5, "row", axis=axis), sf.prune.magnitude(moved(w, axis), 0.5, "row")),
        ):
            assert same_bits(mine, np.ascontiguousarray(np.moveaxis(theirs, -1, axis)))
    groups = sf.prune.nm(w, axis=1)[:, : shape[1] // 4 * 4].reshape(shape[0], -1, 4, *shape[2:])
    assert (np.count_nonzero(groups, axis=2) <= 2).all()


def test_a_convolution_of_one_by_one_gets_smaller() -> None:
    w = np.random.default_rng(0).standard_normal((64, 256, 1, 1)).astype(np.float16)
    t = sf.encode(w, "nm2:4", prune=True, axis=1)
    assert t.bits_per_weight == 8.75
    assert np.count_nonzero(t.to_dense()) == w.size // 2
    assert sf.quantize(t, "int4:g128").bits_per_weight == 2.875
    assert "along axis 1" in repr(t)


def test_codes_scales_and_weights_follow_the_axis() -> None:
    w = np.random.default_rng(0).standard_normal((4, 16, 3)).astype(np.float32)
    t, u = sf.encode(w, "csr", axis=1), sf.encode(moved(w, 1), "csr")
    for made, want in (
        (sf.quantize(t, "int4:g8"), sf.quantize(u, "int4:g8")),
        (sf.cluster(t, 4, weights=np.abs(w)), sf.cluster(u, 4, weights=np.abs(moved(w, 1)))),
    ):
        assert same_bits(made.to_dense(), np.ascontiguousarray(np.moveaxis(want.to_dense(), -1, 1)))
        assert sf.dequantize(made).axis == 1
        found, same = sf.compare(made, w), sf.compare(want, moved(w, 1))
        assert (found.rel_frobenius, found.worst_group) == (same.rel_frobenius, same.worst_group)


def test_parts_carry_the_axis() -> None:
    t = sf.encode(np.arange(24.0).reshape(2, 4, 3), "csr", axis=1)
    again = sf.from_parts(("csr", t.structure.arrays()), t.values, t.shape, axis=1)
    assert sf.equal(again, t)
    assert not sf.equal(sf.encode(np.ones((2, 2)), "csr", axis=0), sf.encode(np.ones((2, 2)), "csr"))
    with pytest.raises(sf.FormatError, match="does not fit the matrix"):
        sf.from_parts(t.structure, t.values, t.shape)


def test_axes_that_are_none() -> None:
    w = np.ones((2, 4))
    for axis in (2, -3, 1.5, None, True):
        for call in (sf.encode, sf.prune.nm):
            with pytest.raises(sf.FormatError, match="axis = "):
                call(w, *(["csr"] if call is sf.encode else []), axis=axis)
    with pytest.raises(sf.FormatError, match="axes"):
        np.concatenate([sf.encode(w, "csr", axis=0), sf.encode(w, "csr")])  # type: ignore[list-item]
    with pytest.raises(sf.FormatError, match="knows no axis"):
        sf.dynamic.LivePacked(sf.encode(np.zeros((4, 4)), "nm2:4", axis=0))


def test_files_say_the_axis_and_refuse_others(tmp_path: Path) -> None:
    path = tmp_path / "t.safetensors"
    sf.save(
        path, {"t": sf.encode(np.ones((2, 4, 3), np.int8), "nm4:4", axis=1), "u": sf.encode(np.ones((2, 4)), "csr")}
    )
    raw = path.read_bytes()
    assert raw.count(b'\\"version\\":3') == 1
    assert raw.count(b'\\"axis\\":1') == 1
    for bad in (b"2", b"9", b'\\"'):
        damaged = tmp_path / "bad.safetensors"
        text = raw.replace(b'\\"axis\\":1', b'\\"axis\\":' + bad)
        length = int.from_bytes(raw[:8], "little") + len(text) - len(raw)
        damaged.write_bytes(length.to_bytes(8, "little") + text[8:])
        with pytest.raises(sf.CorruptFileError):
            sf.load(damaged)
