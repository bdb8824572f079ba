"""Encode and decode give every bit back: all formats, dtypes, shapes, memory layouts, zero rules, thread counts."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sparsefmt as sf
from contract import Array, decoded, is_zero, parts, same
from strategies import DTYPES, FORMATS, LAYOUTS, arrays, dtypes, fit, formats, laid_out, make, shapes, zeros


def encoded(w: Array, fmt: str, zero: str) -> sf.SparseTensor | None:
    """The tensor, or None where nm refuses complex, as it must."""
    if fmt.startswith("nm") and w.dtype.kind == "c":
        with pytest.raises(sf.DtypeError, match="nm does not hold complex"):
            sf.encode(w, fmt, zero=zero)
        return None
    return sf.encode(w, fmt, zero=zero)


def arrays_of(t: sf.SparseTensor) -> dict[str, Array]:
    return {**t.structure.arrays(), **t.values.arrays()}


@pytest.mark.parametrize("fmt", FORMATS)
@given(w=arrays(), zero=zeros, seed=st.integers(0, 99))
def test_every_format_gives_every_bit_back(fmt: str, w: Array, zero: str, seed: int) -> None:
    w = fit(w, fmt, zero, seed)
    before = w.copy()
    t = encoded(w, fmt, zero)
    same(w, before)
    if t is None:
        return
    assert (t.shape, t.ndim, t.size, t.dtype, t.device) == (w.shape, w.ndim, w.size, w.dtype, "cpu")
    assert t.format == fmt
    got = t.to_dense()
    assert got.flags.c_contiguous
    assert got.flags.writeable
    same(got, decoded(w, fmt, zero))
    same(t.toarray(), got)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@given(shape=shapes(), fmt=formats, density=st.sampled_from([0.05, 0.7]), zero=zeros)
@settings(max_examples=25)
def test_every_dtype_gives_every_bit_back(
    dtype: np.dtype[Any], shape: tuple[int, ...], fmt: str, density: float, zero: str
) -> None:
    w = fit(make(dtype, shape, density, 1), fmt, zero)
    t = encoded(w, fmt, zero)
    if t is not None:
        same(t.to_dense(), decoded(w, fmt, zero))


@pytest.mark.parametrize("fmt", FORMATS)
@given(w=arrays(shape=shapes((1, 3), 400)), zero=zeros)
@settings(max_examples=20)
def test_stored_arrays_are_those_of_the_contract(fmt: str, w: Array, zero: str) -> None:
    w = fit(w, fmt, zero)
    t = encoded(w, fmt, zero)
    if t is None:
        return
    got, want = arrays_of(t), parts(w, fmt, zero)
    assert sorted(got) == sorted(want)
    for name, a in want.items():
        same(got[name], a)
        assert not got[name].flags.writeable
        assert got[name].ctypes.data % 64 == 0 or not got[name].size
    assert t.nbytes == sum(a.nbytes for a in want.values())
    assert t.bits_per_weight == (8 * t.nbytes / w.size if w.size else 0.0)
    stored = want["data"].size
    assert t.slots == (stored if not fmt.endswith("@64") or fmt.startswith("bitmask") else nm_slots(fmt, w))
    assert t.nnz == int((~is_zero(w, "value")).sum())


def nm_slots(fmt: str, w: Array) -> int:
    n, m = (int(x) for x in fmt[2:-3].split(":"))
    return (w.size // max(w.shape[-1], 1)) * -(-w.shape[-1] // m) * n


@pytest.mark.parametrize("layout", [*LAYOUTS, "read-only", "broadcast", "list"])
@given(w=arrays(shape=shapes((1, 4), 500)), fmt=formats, zero=zeros)
def test_input_of_any_layout_gives_the_same_tensor(layout: str, w: Array, fmt: str, zero: str) -> None:
    if layout == "broadcast":
        w = np.broadcast_to(w[:1], w.shape)
    w = fit(w, fmt, zero)
    t = encoded(np.array(w), fmt, zero)
    if t is None:
        return
    if layout == "read-only":
        a: Any = w.copy()
        a.flags.writeable = False
    elif layout == "list":
        if w.dtype not in (np.float64, np.int64, np.bool_, np.complex128) or not w.size:
            return
        a = w.tolist()
    else:
        a = w if layout == "broadcast" else laid_out(w, layout)
    other = sf.encode(a, fmt, zero=zero)
    assert sf.equal(other, t)
    assert not any(np.may_share_memory(x, a) for x in arrays_of(other).values() if isinstance(a, np.ndarray))


@pytest.mark.parametrize("layout", LAYOUTS)
@given(w=arrays(shape=shapes((1, 4), 500)), fmt=formats)
def test_out_of_any_layout_is_filled(layout: str, w: Array, fmt: str) -> None:
    w = fit(w, fmt, "bits")
    t = encoded(w, fmt, "bits")
    if t is None:
        return
    out, want = LAYOUTS[layout](w.shape, w.dtype), LAYOUTS[layout](w.shape, w.dtype)
    for a in (out, want):
        memory_of(a)[...] = 1
    want[...] = w if want.dtype == w.dtype else w.byteswap().view(want.dtype)
    assert t.to_dense(out=out) is out
    same(memory_of(out), memory_of(want))  # what lies between the items is as it was


def memory_of(a: Array) -> Array:
    """The whole array that `a` is a view of."""
    return a if a.base is None else memory_of(a.base)


@pytest.mark.parametrize("fmt", FORMATS)
def test_thread_count_changes_nothing(fmt: str) -> None:
    rng = np.random.default_rng(5)
    w = rng.standard_normal((1030, 517)).astype(np.float32)
    w[rng.random(w.shape) < 0.8] = 0
    w = fit(w, fmt, "value")
    tensors = []
    for threads in (1, 2, 5):
        sf.set_num_threads(threads)
        t = sf.encode(w, fmt)
        tensors.append(t)
        same(t.to_dense(), w)
        assert sf.equal(t.convert("csc"), tensors[0].convert("csc"))
    assert all(sf.equal(t, tensors[0]) for t in tensors)


@given(w=arrays(dtypes, shapes((1, 3), 300)), fmt=formats, zero=zeros)
def test_format_text_of_a_tensor_encodes_to_the_same(w: Array, fmt: str, zero: str) -> None:
    w = fit(w, fmt, zero)
    t = encoded(w, fmt, zero)
    if t is not None:
        again = sf.encode(w, t.format, zero=zero)
        assert again.format == t.format
        assert sf.equal(again, t)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [("2:4", "nm2:4"), ("nm2:4/raw", "nm2:4"), ("4:8@64", "nm4:8@64"), ("csr/raw", "csr"), ("bsr04x4", "bsr4x4")],
)
def test_canonical_text(text: str, canonical: str) -> None:
    assert sf.encode(np.zeros((4, 8)), text).format == canonical


@pytest.mark.parametrize("m", [1, 2, 3, 4, 5, 7, 8, 12, 16, 24, 31, 32])
def test_every_n_of_m(m: int) -> None:
    for n in range(1, m + 1):
        w = fit(make(np.dtype("i2"), (5, 3 * m + 1), 0.8, n), f"nm{n}:{m}", "bits")
        t = sf.encode(w, f"nm{n}:{m}")
        same(t.to_dense(), w)
        for name, a in parts(w, f"nm{n}:{m}", "value").items():
            same(arrays_of(t)[name], a)
        assert sf.equal(sf.encode(w, "csr").convert(f"nm{n}:{m}"), t)
