"""The device layout: the canonical bytes, in another order."""

import numpy as np
import own_cases
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sparsefmt as sf
from sparsefmt.cuda import prepared
from sparsefmt.cuda.own import layout, product
from sparsefmt.tensor.sparse import SparseTensor

FORMATS = (
    *("nm2:4/int8", "nm2:4/int4", "nm2:4/int8:g32:asym", "nm2:4/int4:g64:f32", "nm2:4/int4:tensor:asym"),
    *(f"nm2:4/kmeans{k}" for k in (2, 3, 5, 16, 17, 40, 100, 256)),
)


def stored(t: SparseTensor) -> np.ndarray:
    arrays = t.values.arrays()
    return arrays["data" if "data" in arrays else "codes"]


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 140),
    cols=st.integers(1, 300),
    fmt=st.sampled_from(FORMATS),
    dtype=st.sampled_from(["float16", "bfloat16"]),
    budget=st.sampled_from([1, 10_000, 1 << 24]),
)
def test_bytes_come_back(rows: int, cols: int, fmt: str, dtype: str, budget: int) -> None:
    t = own_cases.tensor(fmt, (rows, cols), dtype)
    comes_back(t, budget)


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(1, 140), cols=st.integers(1, 300), dtype=st.sampled_from(["float16", "bfloat16", "int8"]))
def test_raw_bytes_come_back(rows: int, cols: int, dtype: str) -> None:
    comes_back(own_cases.tensor("nm2:4", (rows, cols), dtype), 1 << 24)


def comes_back(t: SparseTensor, budget: int) -> None:
    before = layout._BUDGET
    layout._BUDGET = budget
    try:
        codes, values = layout.restore(layout.prepare(t), stored(t).dtype)
    finally:
        layout._BUDGET = before
    np.testing.assert_array_equal(codes, t.structure.arrays()["codes"])
    np.testing.assert_array_equal(values.view(np.uint8), stored(t).view(np.uint8))


@pytest.mark.parametrize("fmt", ["nm2:4", *FORMATS, "nm2:4@64/int4"])
def test_it_takes_the_bytes_of_the_tensor(fmt: str) -> None:
    t = own_cases.tensor(fmt, (1024, 4096), "bfloat16")
    assert abs(layout.prepare(t).nbytes / t.nbytes - 1) <= 0.02


def test_aligned_rows_give_the_same_bricks() -> None:
    for fmt in ("", "/int8", "/int4:g64", "/kmeans7"):
        w = own_cases.tensor("nm2:4", (70, 200), "float16").to_dense()
        t, same = sf.encode(w, "nm2:4" + fmt), sf.encode(w, "nm2:4@64" + fmt)
        np.testing.assert_array_equal(layout.prepare(t).bricks, layout.prepare(same).bricks)


def test_every_code_word_is_a_permutation() -> None:
    for codec, width in [("raw16", 16), ("raw8", 8), ("int8", 8), ("int4", 4), *(("lut", w) for w in (8, 4, 2, 1))]:
        assert sorted(layout.value_order(codec, width)) == list(range(2048))
    for codec in ("raw16", "raw8"):
        assert sorted(layout.meta_order(codec).reshape(-1)) == list(range(1024))


@pytest.mark.usefixtures("cpu")
def test_it_is_made_once_and_dies_with_the_tensor() -> None:
    t = sf.encode(np.zeros((64, 64), np.float16), "nm2:4")
    assert product.laid_out(t) is product.laid_out(t)
    held = len(prepared._forms)
    del t
    assert len(prepared._forms) == held - 1
