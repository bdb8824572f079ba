"""Kernels for merging: every implementation gives the bits of its NumPy definition, whatever the arrays hold."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsefmt.base.dtypes import DTYPES, items
from sparsefmt.kernels import merge, philox
from sparsefmt.kernels.settings import set_num_threads

Array = np.ndarray[Any, Any]
NAMES = ("float32", "bfloat16", "float16")
LENGTHS = (0, 1, 5, 63, 1023, 1024, 1025, 5000, 70001, 200000)


@pytest.fixture(params=[1, 3], autouse=True, scope="module")
def threads(request: pytest.FixtureRequest) -> Iterator[None]:
    set_num_threads(request.param)
    yield
    set_num_threads(None)


def definition(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """The NumPy definition behind a kernel, which is itself where the extension is switched off."""
    found: Callable[..., Any] = getattr(kernel, "__wrapped__", kernel)
    return found


def any_items(rng: np.random.Generator, name: str, count: int, kind: str) -> Array:
    """Stored items: usual values with zeros and ties among them, or any bits."""
    if kind == "bits":
        made = np.frombuffer(rng.bytes(count * DTYPES[name].itemsize), DTYPES[name]).copy()
    else:
        made = rng.choice([0.0, -0.0, 0.5, -0.5, 1e-30, 3e4, *rng.standard_normal(20)], count).astype(DTYPES[name])
        some = rng.random(count) < 0.5
        made[some] = rng.standard_normal(int(some.sum())).astype(DTYPES[name])
    return items(made)


def any_band(rng: np.random.Generator, count: int) -> tuple[int, int, int, int]:
    if rng.random() < 0.3:
        return merge.OPEN
    low, high = sorted(int(np.float32(v).view(np.uint32)) for v in rng.choice([0.0, 0.5, 0.3, 1.0, 2.0, 3e4], 2))
    cuts = rng.choice([0, 1, count // 2, count, 1 << 62], 2)
    return low, int(cuts[0]), high if rng.random() < 0.5 else 1 << 32, int(cuts[1])


def mix_arguments(seed: int, count: int, kind: str, straight: bool = False) -> tuple[list[Any], str]:
    """`straight`: votes of masses on bfloat16, for which there are loops of their own."""
    rng = np.random.default_rng(seed)
    models = int(rng.integers(1, 6 if straight else 5))
    names = [str(n) for n in rng.choice(NAMES[1:2] if straight else NAMES, models + 2)]
    rule = merge.Rule(*(int(rng.integers(0, n)) for n in (3, 2, 3, 4, 3)))
    if straight:
        rule = rule._replace(vote=merge.MASS, basis=merge.DIFFERENCE, divide=int(rng.integers(0, 3)))
    weights = rng.choice([1.0, -0.5, 0.3, 0.0, 1e-7], models).astype(np.float32)
    if straight and rng.random() < 0.5:
        weights[:] = 1
    factors = rng.choice([1.0, 1.0, 0.7, 3.0], (models, 2)).astype(np.float32)
    total = np.array([rng.choice([1.0, 0.3]), rng.choice([1.0, 0.7]), rng.choice([0.0, 1e-6])], np.float32)
    bands = np.array([any_band(rng, count) for _ in range(models)], np.int64)
    draws = np.array([(rng.choice([0, 2**31, 2**32]), rng.integers(0, 2**63)) for _ in range(models)], np.uint64)
    masks = tuple(
        (rng.random(count if rng.random() < (0.05 if straight else 0.3) else 0) < 0.5).view(np.uint8)
        for _ in range(models)
    )
    found = [
        any_items(rng, names[0], count, kind),
        tuple(any_items(rng, n, count, kind) for n in names[1:-1]),
        tuple(names),
        masks,
        (weights, factors, total, bands, draws),
        int(rng.integers(0, 2**63)),
        int(rng.choice([0, 1, 1000, 2**33 + 3])),
        tuple(rule),
    ]
    return found, names[-1]


@given(
    seed=st.integers(0, 2**32),
    count=st.sampled_from(LENGTHS),
    kind=st.sampled_from(["values", "bits"]),
    straight=st.booleans(),
)
def test_mix_equals_its_definition(seed: int, count: int, kind: str, straight: bool) -> None:
    arguments, name = mix_arguments(seed, count, kind, straight)
    want, got = (np.zeros(count, items(np.empty(0, DTYPES[name])).dtype) for _ in range(2))
    first = definition(merge.merge_mix)(*arguments, want)
    assert merge.merge_mix(*arguments, got) == first
    assert np.array_equal(want, got)


@given(
    seed=st.integers(0, 2**32),
    count=st.sampled_from(LENGTHS),
    kind=st.sampled_from(["values", "bits"]),
    basis=st.integers(0, 2),
    straight=st.booleans(),
)
def test_statistics_equal_their_definitions(seed: int, count: int, kind: str, basis: int, straight: bool) -> None:
    arguments, _ = mix_arguments(seed, count, kind, straight)
    base, models, names, masks, numbers, key, start, _ = arguments
    for shift, prefix, bins in ((15, -1, 1 << 16), (15, 0x3F000000 >> 15, 1 << 15), (0, 0x3F000000, 1)):
        want, got = np.ones(bins, np.int64), np.ones(bins, np.int64)
        definition(merge.merge_histogram)(base, models[0], names[:2], basis, shift, prefix, want)
        merge.merge_histogram(base, models[0], names[:2], basis, shift, prefix, got)
        assert np.array_equal(want, got)
    for low, high, every in ((0, 0x7F800002, 1), (0x3F000000, 0x40000000, 1), (1, 0x3F800000, 3), (0, 1, 64)):
        want, got = np.zeros(count, np.uint32), np.zeros(count, np.uint32)
        seen = definition(merge.merge_between)(base, models[0], names[:2], basis, low, high, every, want)
        assert merge.merge_between(base, models[0], names[:2], basis, low, high, every, got) == seen
        assert np.array_equal(want, got)
    blocks, pairs = -(-count // merge.BLOCK), len(models) * (len(models) + 1) // 2
    sums = [np.zeros((blocks, pairs)) for _ in range(2)]
    definition(merge.merge_gram)(base, models, names[:-1], basis, sums[0])
    merge.merge_gram(base, models, names[:-1], basis, sums[1])
    assert np.array_equal(sums[0], sums[1], equal_nan=True)
    norms = [np.zeros((blocks, 2)) for _ in range(2)]
    rest = (masks[0], (numbers[3][0], numbers[4][0]), key, start)
    definition(merge.merge_norms)(base, models[0], names[:2], basis, *rest, norms[0])
    merge.merge_norms(base, models[0], names[:2], basis, *rest, norms[1])
    assert np.array_equal(norms[0], norms[1], equal_nan=True)
    assert merge.merge_finite(base, names[0]) == definition(merge.merge_finite)(base, names[0])


@given(
    seed=st.integers(0, 2**64 - 1),
    stream=st.integers(0, 2**64 - 1),
    start=st.integers(0, 2**40),
    count=st.sampled_from(LENGTHS),
)
def test_words_equal_their_definition(seed: int, stream: int, start: int, count: int) -> None:
    want, got = np.zeros(count, np.uint32), np.zeros(count, np.uint32)
    definition(philox.philox_words)(seed, stream, start, want)
    philox.philox_words(seed, stream, start, got)
    assert np.array_equal(want, got)


def test_arrays_that_do_not_fit_are_refused() -> None:
    single = np.zeros(4, np.uint32)
    for base, model, dtypes in ((single[:3], single, ("float32",) * 2), (single, single, ("float32", "bfloat16"))):
        with pytest.raises((ValueError, TypeError)):
            merge.merge_histogram(base, model, dtypes, 1, 15, -1, np.zeros(1 << 16, np.int64))
    with pytest.raises(ValueError, match=r"counts|broadcast|shape"):
        merge.merge_histogram(single, single, ("float32",) * 2, 1, 15, -1, np.zeros((3, 2), np.int64))
