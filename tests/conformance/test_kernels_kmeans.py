"""Kernels for codebooks and streams: every implementation gives the bytes of the NumPy definition."""

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sparsefmt.base.dtypes import INFINITIES
from sparsefmt.base.errors import FormatError
from sparsefmt.kernels import clustered, kmeans, stream
from sparsefmt.kernels import codebook as codebooks
from sparsefmt.kernels import nm as nm_kernels
from sparsefmt.kernels.settings import set_num_threads

Array = np.ndarray[Any, Any]
VECTORS = json.loads((Path(__file__).parents[1] / "data" / "kmeans.json").read_text())["kmeans_1d_exact"]


@pytest.fixture(params=[1, 3], autouse=True, scope="module")
def threads(request: pytest.FixtureRequest) -> Iterator[None]:
    set_num_threads(request.param)
    yield
    set_num_threads(None)


def definition(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """The NumPy definition behind a kernel, which is itself where the extension is switched off."""
    found: Callable[..., Any] = getattr(kernel, "__wrapped__", kernel)
    return found


def agree(kernel: Callable[..., Any], *args: Array | int, out: Array) -> Array:
    """Runs the kernel and its definition with `out` as last argument; they must give the same bits."""
    want = out.copy()
    got_result, want_result = kernel(*args, out), definition(kernel)(*args, want)
    assert out.tobytes() == want.tobytes()
    assert np.float64(got_result or 0.0).tobytes() == np.float64(want_result or 0.0).tobytes()
    return out


def fit(values: Array, weights: Array, k: int, zero: int) -> tuple[Array, float]:
    codebook = np.full(k, np.nan)
    agree(kmeans.kmeans_fit, values, weights, k, zero, out=codebook)
    return codebook, kmeans.kmeans_fit(values, weights, k, zero, codebook)


def cluster_cost(v: Array, w: Array, centre: float | None) -> float:
    if len(v) == 0:
        return 0.0
    return float((w * (v - (np.average(v, weights=w) if centre is None else centre)) ** 2).sum())


def brute_force(v: Array, w: Array, k: int, zero: int) -> float:
    """The least cost over all ways to cut v into k runs; with `zero`, over all choices of the run that is at 0."""
    best = np.inf
    for cuts in itertools.combinations_with_replacement(range(len(v) + 1), k - 1):
        borders = [0, *cuts, len(v)]
        for at in range(k) if zero else [-1]:
            runs = enumerate(itertools.pairwise(borders))
            best = min(best, sum(cluster_cost(v[i:j], w[i:j], 0.0 if t == at else None) for t, (i, j) in runs))
    return best


small_values = st.one_of(
    st.lists(st.integers(-8, 8).map(float), max_size=8),
    st.lists(st.floats(-10, 10, width=16), max_size=8),
    st.lists(st.floats(-1, 1, width=32).map(lambda x: 1000 + x), max_size=7),
).map(lambda v: np.unique(np.array(v, np.float64) + 0.0))


@settings(max_examples=60, deadline=None)
@given(values=small_values, k=st.integers(1, 5), zero=st.integers(0, 1), data=st.data())
def test_fit_is_the_global_optimum(values: Array, k: int, zero: int, data: st.DataObject) -> None:
    weights = data.draw(hnp.arrays(np.float64, len(values), elements=st.integers(1, 9).map(float)))
    codebook, cost = fit(values, weights, k, zero)
    assert (np.diff(codebook) >= 0).all()
    if zero:
        assert 0.0 in codebook
    scale = float((weights * values**2).sum())
    reached = (weights * np.abs(values[:, None] - codebook).min(axis=1) ** 2).sum()
    assert cost == pytest.approx(brute_force(values, weights, k, zero), rel=1e-9, abs=1e-14 * scale)
    assert reached == pytest.approx(cost, rel=1e-9, abs=1e-14 * scale)


any_floats = st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=60, deadline=None)
@given(
    values=hnp.arrays(np.float64, st.integers(0, 70), elements=st.one_of(any_floats, st.integers(-99, 99).map(float))),
    k=st.sampled_from([1, 2, 3, 5, 16, 256]),
    zero=st.integers(0, 1),
    data=st.data(),
)
def test_fit_equals_its_definition_at_any_scale(values: Array, k: int, zero: int, data: st.DataObject) -> None:
    values = np.unique(values + 0.0)
    weight = st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0, allow_infinity=False))
    codebook, _ = fit(values, data.draw(hnp.arrays(np.float64, len(values), elements=weight)), k, zero)
    assert (np.diff(codebook) >= 0).all()


@pytest.mark.parametrize("zero", [0, 1])
@pytest.mark.parametrize("spread", ["normal", "shifted", "outliers", "bits"])
def test_fit_equals_its_definition_on_many_values(spread: str, zero: int) -> None:
    rng = np.random.default_rng(3)
    values = {
        "normal": lambda: rng.standard_normal(20000).astype(np.float16),
        "shifted": lambda: 300 + rng.standard_normal(5000).astype(np.float32),
        "outliers": lambda: np.append(rng.standard_normal(5000), [-1e38, 1e30, 1e37]),
        "bits": lambda: rng.integers(0, 0x7F80, 9000, np.uint32).__lshift__(16).astype("u4").view("f4"),
    }[spread]()
    distinct, counts = np.unique(values.astype(np.float64), return_counts=True)
    codebook, cost = fit(distinct, counts.astype(np.float64), 9, zero)
    assert np.isfinite(cost)
    assert len(np.unique(codebook)) == 9


@pytest.mark.parametrize("case", VECTORS["results"], ids=lambda case: f"k={case['k']}")
def test_fit_equals_published_optimum(case: dict[str, Any]) -> None:
    values, counts = np.unique(VECTORS["input"], return_counts=True)
    codebook, cost = fit(values, counts.astype(np.float64), case["k"], 0)
    np.testing.assert_allclose(codebook, case["centroids"], rtol=1e-12)
    assert cost == pytest.approx(case["sse"], rel=1e-9)
    codes = agree(codebooks.assign, np.array(VECTORS["input"]), codebook, out=np.empty(8, np.uint8))
    assert np.bincount(codes).tolist() == case["sizes"]


def test_an_outlier_does_not_blur_the_rest() -> None:
    values = np.array([-1e30, 1.0, 1.5, 2.0, 7.0, 7.25, 1e30])
    codebook, cost = fit(values, np.ones(7), 4, 0)
    assert codebook.tolist() == [-1e30, 1.5, 7.125, 1e30]
    assert cost == 0.53125


def test_more_entries_than_values_repeat_the_last() -> None:
    values = np.array([-2.0, 1.0, 3.0])
    assert fit(values, np.ones(3), 5, 0)[0].tolist() == [-2, 1, 3, 3, 3]
    assert fit(values, np.ones(3), 5, 1)[0].tolist() == [-2, 0, 1, 3, 3]
    assert fit(values, np.array([0.0, 1.0, 0.0]), 3, 0)[0].tolist() == [1, 1, 1]


@pytest.mark.parametrize("zero", [0, 1])
def test_fit_without_weight_is_all_zeros(zero: int) -> None:
    for values in (np.empty(0), np.array([3.0, 4.0])):
        codebook, cost = fit(values, np.zeros(len(values)), 3, zero)
        assert codebook.tolist() == [0, 0, 0]
        assert cost == 0.0


@pytest.mark.parametrize(
    ("values", "weights", "k", "entries", "text"),
    [
        ([1.0, 1.0], [1.0, 1.0], 2, 2, "values[1]: want finite and ascending"),
        ([np.nan], [1.0], 2, 2, "values[0]: want finite and ascending"),
        ([0.0, np.inf], [1.0, 1.0], 2, 2, "values[1]: want finite and ascending"),
        ([1.0], [-1.0], 2, 2, "weights[0]: want finite and not negative"),
        ([1.0], [np.nan], 2, 2, "weights[0]: want finite and not negative"),
        ([1.0], [1.0, 1.0], 2, 2, "weights holds 2 items, want 1"),
        ([1.0], [1.0], 2, 3, "codebook holds 3 items, want 2"),
        ([1.0], [1.0], 0, 0, "k = 0 is not supported"),
        ([1.0], [1.0], 257, 257, "k = 257 is not supported"),
    ],
)
def test_fit_refuses(values: list[float], weights: list[float], k: int, entries: int, text: str) -> None:
    for function in (kmeans.kmeans_fit, definition(kmeans.kmeans_fit)):
        with pytest.raises(FormatError) as caught:
            function(np.array(values), np.array(weights), k, 0, np.empty(entries))
        assert str(caught.value) == text


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("count", [0, 1, 17, 100_003])
def test_histogram_and_lookup(dtype: type, count: int) -> None:
    rng = np.random.default_rng(count)
    bins = int(np.iinfo(dtype).max) + 1
    for slots in (rng.integers(0, bins, count, dtype), np.full(count, bins - 1, dtype)):
        counts = agree(kmeans.histogram16, slots, out=np.full(bins, -1, np.int64))
        assert counts.sum() == count
        agree(codebooks.lookup, slots, rng.integers(0, 256, bins, np.uint8), out=np.empty(count, np.uint8))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "int16", "uint16"])
@pytest.mark.parametrize("count", [1, 2, 16, 31, 32, 33, 256])
def test_nearest16(dtype: str, count: int) -> None:
    rng = np.random.default_rng(count)
    limits, codes = np.sort(rng.integers(0, 1 << 16, count - 1, np.uint16)), rng.permutation(256)[:count].astype("u1")
    for slots in (np.arange(1 << 16, dtype=np.uint16), rng.integers(0, 0x7C00, 100_008, np.uint16), limits[:0]):
        for bits in (4, 8, 3):
            out = np.empty(-(-len(slots) * bits // 8), np.uint8)
            agree(codebooks.nearest16, slots, dtype, limits, codes, bits, out=out)
    for wrong in ((slots, "float32", limits, codes), (slots, dtype, limits, codes[:-1]), (slots, dtype, limits, codes)):
        with pytest.raises((FormatError, KeyError)):
            codebooks.nearest16(*wrong, 8, np.empty(3, np.uint8))


entries = st.one_of(
    hnp.arrays(np.float32, st.integers(1, 256), elements=st.floats(-4, 4, width=32)),
    hnp.arrays(np.float64, st.integers(1, 256), elements=any_floats),
    hnp.arrays(np.float32, st.integers(1, 20), elements=st.integers(-3, 3).map(float)),
    hnp.arrays(np.float64, st.integers(1, 20), elements=st.integers(0, 9).map(lambda i: i * 5e-324)),
).map(np.sort)


@settings(max_examples=60, deadline=None)
@given(codebook=entries, seed=st.integers(0, 99))
def test_assign_takes_the_nearest_entry(codebook: Array, seed: int) -> None:
    rng = np.random.default_rng(seed)
    middle = (codebook[:-1] / 2 + codebook[1:] / 2) if len(codebook) > 1 else codebook
    special = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0], codebook.dtype)
    with np.errstate(over="ignore"):
        steps = [np.nextafter(middle, codebook.dtype.type(side)) for side in (-np.inf, np.inf)]
    values = np.concatenate([codebook, middle, *steps, special, rng.permutation(codebook)[:9] * rng.random()])
    values = values.astype(codebook.dtype)
    codes = agree(codebooks.assign, values, codebook, out=np.empty(len(values), np.uint8))
    assert (codebook[codes[: len(codebook)]] == codebook).all()
    assert (codes == np.searchsorted(codebook, codebook[codes])).all()
    if codebook.dtype == np.float32:
        finite = np.isfinite(values)
        gaps = np.abs(values[finite, None].astype(np.float64) - codebook)
        taken = gaps[np.arange(len(gaps)), codes[finite]]
        np.testing.assert_allclose(taken, gaps.min(axis=1), rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_assign_sends_a_midpoint_down_on_many_values(dtype: type) -> None:
    codebook = np.arange(-64, 64, dtype=dtype)
    values = np.tile(np.arange(-70, 70, 0.25, dtype=dtype), 300)
    codes = agree(codebooks.assign, values, codebook, out=np.empty(len(values), np.uint8))
    assert (codebook[codes] == np.clip(np.ceil(values - 0.5), -64, 63)).all()


@pytest.mark.parametrize("codebook", [[], [2.0, 1.0], [np.nan], [1.0, np.inf], list(range(257))])
def test_assign_refuses_a_codebook(codebook: list[float]) -> None:
    for function in (codebooks.assign, definition(codebooks.assign)):
        with pytest.raises(FormatError):
            function(np.ones(3), np.array(codebook, np.float64), np.empty(3, np.uint8))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.uint64])
@pytest.mark.parametrize("shape", [(0, 5), (3, 0), (1, 70_001), (7, 33), (300, 301)])
@pytest.mark.parametrize("shared", [True, False])
def test_decode_lut(dtype: type, shape: tuple[int, int], shared: bool) -> None:
    rng = np.random.default_rng(5)
    table = rng.integers(0, np.iinfo(dtype).max, (1 if shared else shape[0], 256), dtype)
    codes = rng.integers(0, 256, shape, np.uint8)
    agree(codebooks.decode_lut, codes, table, out=np.empty(shape, dtype))


@settings(max_examples=60, deadline=None)
@given(bits=st.integers(1, 8), codes=hnp.arrays(np.uint8, st.integers(0, 70)))
def test_streams_round_trip(bits: int, codes: Array) -> None:
    size = -(-len(codes) * bits // 8)
    packed = agree(stream.pack_stream, codes, bits, out=np.empty(size, np.uint8))
    found = agree(stream.unpack_stream, packed, bits, out=np.empty(len(codes), np.uint8))
    assert (found == codes & ((1 << bits) - 1)).all()
    assert stream.stream_padding(packed, bits, len(codes)) == 0
    for bit in range(len(codes) * bits, size * 8):
        dirty = packed.copy()
        dirty[-1] |= 1 << (bit % 8)
        assert stream.stream_padding(dirty, bits, len(codes)) == 1
        assert definition(stream.stream_padding)(dirty, bits, len(codes)) == 1
        agree(stream.unpack_stream, dirty, bits, out=np.empty(len(codes), np.uint8))


@pytest.mark.parametrize("bits", range(1, 9))
def test_long_streams(bits: int) -> None:
    codes = np.random.default_rng(bits).integers(0, 256, 300_005, np.uint8)
    packed = agree(stream.pack_stream, codes, bits, out=np.empty(-(-len(codes) * bits // 8), np.uint8))
    agree(stream.unpack_stream, packed, bits, out=np.empty(len(codes), np.uint8))


def test_streams_put_the_low_nibble_first() -> None:
    packed = np.empty(2, np.uint8)
    stream.pack_stream(np.array([1, 2, 3], np.uint8), 4, packed)
    assert packed.tolist() == [0x21, 0x03]


@pytest.mark.parametrize(("bits", "size"), [(0, 0), (9, 4), (3, 1), (3, 3)])
def test_streams_refuse(bits: int, size: int) -> None:
    codes, packed = np.zeros(3, np.uint8), np.zeros(size, np.uint8)
    calls = [
        (stream.pack_stream, (codes, bits, packed)),
        (stream.unpack_stream, (packed, bits, codes)),
        (stream.stream_padding, (packed, bits, 3)),
    ]
    for kernel, args in calls:
        for function in (kernel, definition(kernel)):
            with pytest.raises(FormatError):
                function(*args)


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    shape=st.one_of(st.tuples(st.integers(0, 5), st.integers(0, 70)), st.sampled_from([(40, 2056), (1, 30000)])),
    nm=st.sampled_from([(2, 4), (1, 3), (4, 8), (3, 3), (16, 32)]),
    k=st.sampled_from([2, 5, 16, 31, 33, 200, 256]),
    dtype=st.sampled_from(["float16", "bfloat16", "int16", "uint16"]),
    prune=st.integers(0, 1),
    room=st.sampled_from([0, 5]),
)
def test_one_pass_over_nm_equals_its_definition(
    seed: int, shape: tuple[int, int], nm: tuple[int, int], k: int, dtype: str, prune: int, room: int
) -> None:
    rng, (rows, cols), (n, m) = np.random.default_rng(seed), shape, nm
    w = rng.integers(0, 2**16, shape, np.uint16)
    if dtype in INFINITIES and rng.random() < 0.8:
        w &= np.uint16(~(INFINITIES[dtype] & -INFINITIES[dtype]) & 0xFFFF)  # finite
    if not prune:
        w *= (np.arange(cols) % m < n).astype(np.uint16)
    limits = np.sort(rng.integers(0, 2**16, k - 1, np.uint16))
    names, bits = rng.permutation(256)[:k].astype(np.uint8), (k - 1).bit_length()
    groups = -(-cols // m)

    def outputs() -> list[Array]:
        codes = np.full((rows, -(-groups * nm_kernels.width(n, m) // 8) + room), 99, np.uint8)
        return [codes, np.full((rows, -(-groups * n * bits // 8) + room), 99, np.uint8)]

    got, want = outputs(), outputs()
    args = w, 0x7FFF, prune, dtype, n, m, limits, names, bits
    found = clustered.nm_nearest_encode(*args, *got)
    known = definition(clustered.nm_nearest_encode)(*args, *want)
    assert found & 1 == known & 1
    if found & 1:
        return
    assert found == known
    assert [a.tobytes() for a in got] == [a.tobytes() for a in want]
    codes, values = got
    values[...] = rng.integers(0, 256, values.shape, np.uint8)
    for item in (np.uint8, np.uint16, np.uint32, np.uint64):
        for books in {1, rows} - {0}:
            table = rng.integers(0, 256, (books, 256)).astype(item)
            agree(clustered.nm_lut_decode, codes, values, n, m, bits, table, out=np.ones(shape, item))


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32), count=st.sampled_from([0, 1, 2, 255, 256, 300, 5000, 200_000]), spread=st.booleans())
def test_singles_are_sorted_and_added_up(seed: int, count: int, spread: bool) -> None:
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2**32, count, np.uint32)
    if not spread:  # most in few buckets
        bits = bits & np.uint32(0x803FFFFF) | np.uint32(0x3F000000)
    bits[bits & 0x7F800000 == 0x7F800000] = 0x80000000
    values = agree(kmeans.sort_f32, bits, out=np.full(count, 7, np.uint32)).view(np.float32)
    starts = np.sort(rng.integers(0, count + 1, 50))
    with np.errstate(over="ignore"):
        agree(kmeans.range_sums, values, starts, np.append(starts[1:], count), out=np.empty(50))
    for run in (kmeans.range_sums, definition(kmeans.range_sums)):
        for wrong in (np.array([-1]), np.array([count + 1])):
            with pytest.raises(FormatError):
                run(values, wrong, np.array([count]), np.empty(1))
