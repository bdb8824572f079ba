"""Kernels that return new arrays: of the bytes of their NumPy definitions, aligned and read-only."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import sparsefmt as sf
from sparsefmt.base.dtypes import DTYPES, item_dtype
from sparsefmt.kernels.csr import dense_to_csr_new
from sparsefmt.kernels.items import nonzero

WIDTHS = (np.uint8, np.uint16, np.uint32, np.uint64, np.complex128)
SHAPES = st.tuples(st.integers(0, 9), st.sampled_from([0, 1, 7, 63, 64, 65, 300]))


@settings(max_examples=80, deadline=None)
@given(st.data(), SHAPES, st.sampled_from(WIDTHS), st.booleans())
def test_small_csr_equals_the_definition(data: st.DataObject, shape: tuple[int, int], width: type, signs: bool) -> None:
    chosen = data.draw(hnp.arrays(np.uint8, shape, elements=st.sampled_from([0, 0, 0, 1, 2, 3])))
    size = np.dtype(width).itemsize
    patterns = np.zeros((4, size), np.uint8)
    patterns[1, -1], patterns[2, 0], patterns[3] = 0x80, 1, 0xFF
    w = patterns[chosen].view(width)[..., 0]
    zero = (1 << (8 * min(size, 8) - signs)) - 1
    got, want = dense_to_csr_new(w, zero), getattr(dense_to_csr_new, "__wrapped__", dense_to_csr_new)(w, zero)
    for made, meant in zip(got, want, strict=True):
        assert made.tobytes() == meant.tobytes()
        assert not made.flags.writeable
        assert made.ctypes.data % 64 == 0
    assert got[0].dtype == got[1].dtype == np.int32
    assert int(got[0][-1]) == len(got[1]) == int(nonzero(w, zero).sum())


def test_what_no_kernel_takes_names_dtype_and_shape() -> None:
    for wrong in (np.zeros(5, np.uint32), np.zeros((2, 2), "m8[s]")[..., None, None]):
        with pytest.raises((TypeError, ValueError)) as caught:
            dense_to_csr_new(wrong, 1)
        assert len(str(caught.value)) < 200


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("zero", ["value", "bits"])
def test_small_matrices_of_every_dtype_come_back(name: str, zero: Any) -> None:  # noqa: ANN401
    rng = np.random.default_rng(1)
    dtype = DTYPES[name]
    bits = rng.integers(0, 2 if name == "bool" else 256, (33, 21, dtype.itemsize), np.uint8)
    bits[rng.random((33, 21)) < 0.7] = 0
    w = bits.view(dtype)[..., 0]
    t = sf.encode(w, "csr", zero=zero)
    back, want = t.to_dense(), w.copy()
    if zero == "value":
        with np.errstate(invalid="ignore"):  # NaNs that signal
            want[want == 0] = 0
    assert back.view(item_dtype(dtype)).tobytes() == want.view(item_dtype(dtype)).tobytes()
    assert t.values.data.dtype == dtype
    assert sf.equal(t, sf.encode(np.asfortranarray(w), "csr", zero=zero))


def test_a_limit_holds_for_small_arrays_too() -> None:
    w = np.ones((8, 8), np.float32)
    sf.set_max_bytes(200)
    try:
        with pytest.raises(sf.SizeError, match="indices of shape"):
            sf.encode(w, "csr")
    finally:
        sf.set_max_bytes(None)
    assert np.array_equal(sf.encode(w, "csr").to_dense(), w)
