"""The way that is planned and printed is the way that is taken: the extension counts what it does."""

import os
from typing import Any

import numpy as np
import pytest

import sparsefmt as sf
from sparsefmt.base.dtypes import DTYPES
from sparsefmt.kernels.plan import product_ways_taken
from sparsefmt.product import multiply
from sparsefmt.product.packed import packed
from sparsefmt.product.plan import estimates
from sparsefmt.structures.registry import STRUCTURES

Array = np.ndarray[Any, Any]
pytestmark = pytest.mark.skipif(os.environ.get("SPARSEFMT_NATIVE") == "0", reason="the extension plans")
CASES = [
    ("nm2:4", "float32", 1.0), ("nm2:4", "bfloat16", 1.0), ("nm2:4/int4:g64", "float16", 1.0), ("nm4:8", "int8", 1.0),
    ("bitmask", "float16", 0.5), ("dense/int8", "float32", 1.0), ("nm2:4/kmeans16", "float16", 1.0),
    ("csr", "float32", 0.5), ("csr", "float32", 0.2), ("csr", "float32", 0.02), ("csr/int8", "float32", 0.3),
    ("coo", "float32", 0.2), ("csc", "float32", 0.2), ("gap", "float32", 0.2),
    ("gap/int8", "float16", 0.02), ("bsr4x4", "float32", 0.2), ("bsr4x4/int8", "float32", 0.2),
]  # fmt: skip


def tensor(fmt: str, dtype: str, density: float, shape: tuple[int, int]) -> sf.SparseTensor:
    """A matrix of small whole numbers."""
    rng = np.random.default_rng(0)
    w = np.where(rng.random(shape) < density, rng.integers(1, 5, shape), 0)
    return sf.encode(w.astype(DTYPES[dtype]), fmt, prune=fmt.startswith("nm"))


def taken_by(t: sf.SparseTensor, x: Array, *, bf16: bool) -> dict[str, int]:
    """How often each way is taken when a kernel multiplies."""
    before = product_ways_taken()
    made = packed(t.structure, t.values, x, None, np.dtype(np.float32), bf16=bf16)
    assert made is not None
    return {way: count - before[way] for way, count in product_ways_taken().items() if count != before[way]}


@pytest.mark.parametrize("shape", [(64, 128), (300, 1000), (20, 40000)])
@pytest.mark.parametrize(("fmt", "dtype", "density"), CASES)
def test_the_planned_way_is_the_one_taken(fmt: str, dtype: str, density: float, shape: tuple[int, int]) -> None:
    t = tensor(fmt, dtype, density, shape)
    for k in (1, 2, 8, 9, 16, 17, 64, 65, 200):
        for kind in ("float32", "bfloat16"):
            x = np.ones((shape[1], k), DTYPES[kind])
            found = [plan for plan in estimates(t.structure, t.values, k, x.dtype) if plan.kernel]
            assert len(found) == 1
            assert taken_by(t, x, bf16=found[0].bf16) == {found[0].kernel: 1}


def test_batches_are_planned_as_they_are_called() -> None:
    t = tensor("nm2:4", "float32", 1.0, (64, 128))
    for lead, k in [((3,), 4), ((40, 2), 1), ((5,), 100)]:
        x = np.ones((*lead, 128, k), np.float32)
        columns, calls = multiply.columns_of(x.shape)
        found = next(plan for plan in estimates(t.structure, t.values, columns, x.dtype, calls) if plan.kernel)
        ways = taken_by(t, x, bf16=False)
        assert sum(ways.values()) == calls
        assert found.kernel in ways


def test_what_is_printed_is_what_runs() -> None:
    chosen = set()
    for fmt, dtype, density in CASES:
        t = tensor(fmt, dtype, density, (512, 512))
        for k in (1, 4, 64):
            x = np.ones((512, k), np.float32)
            lines = sf.explain_matmul(t, x).splitlines()
            before = product_ways_taken()
            t @ x
            ran = [way for way, count in product_ways_taken().items() if count != before[way]]
            named = f" kernel {ran[0]}: " if ran else ("decoded rows" if "decoded" in lines[1] else "NumPy")
            assert named in lines[1]
            chosen.update(ran)
    assert len(chosen) > 3


def test_integers_are_planned() -> None:
    t = tensor("nm2:4/int8:g64", "float16", 1.0, (64, 128))
    before = product_ways_taken()["integers"]
    sf.matmul(t, np.ones((128, 3), np.float32), compute="int8")
    assert product_ways_taken()["integers"] == before + 1


def test_a_plan_dies_with_its_matrix() -> None:
    from sparsefmt.product.plan import _plans

    t = tensor("csr", "float32", 0.2, (64, 64))
    t @ np.ones(64, np.float32)
    assert t.structure in _plans
    count = len(_plans)
    del t
    assert len(_plans) == count - 1


@pytest.mark.parametrize("kind", [k for k, s in STRUCTURES.items() if s.keeps_slots])
def test_what_is_nearly_empty_is_not_decoded(kind: str) -> None:
    """20,000 x 20,000 with 100 values: decoding takes seconds."""
    at = np.arange(100)
    w = sf.from_parts(
        ("csr", {"indptr": np.minimum(np.arange(20_001), 100), "indices": 7 * at}), at + 1.0, (20_000, 20_000)
    )
    t, x = w.convert(kind), np.arange(20_000.0)
    assert not [plan for plan in estimates(t.structure, t.values, 1, x.dtype) if "decoded rows" in plan.way]
    want = np.concatenate([(at + 1.0) * 7 * at, np.zeros(19_900)])
    np.testing.assert_array_equal(t @ x, want)


@pytest.mark.parametrize("codec", ["", "/int8:g16", "/int4:row:asym", "/kmeans5"])
def test_gap_multiplies_as_csr(codec: str) -> None:
    w = sf.encode(tensor("csr", "float32", 0.05, (70, 900)).to_dense(), f"csr{codec}")
    for k in (1, 3, 40, 130):
        x = np.random.default_rng(k).standard_normal((900, k)).astype(np.float32)
        np.testing.assert_allclose(w.convert("gap") @ x, w.to_dense().astype(np.float64) @ x, rtol=1e-4, atol=1e-4)
