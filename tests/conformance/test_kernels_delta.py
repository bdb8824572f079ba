"""Kernels for deltas: every implementation gives the bytes of the NumPy definition."""

from collections.abc import Callable, Iterator
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsefmt.base.errors import FormatError
from sparsefmt.kernels import delta, gap_items
from sparsefmt.kernels.settings import set_num_threads

Array = np.ndarray[Any, Any]
WIDTHS = st.sampled_from([1, 2, 4, 8])
FLOATS = {1: ml_dtypes.float8_e5m2, 2: np.float16, 4: np.float32, 8: np.float64}


@pytest.fixture(params=[1, 3], autouse=True, scope="module")
def threads(request: pytest.FixtureRequest) -> Iterator[None]:
    set_num_threads(request.param)
    yield
    set_num_threads(None)


def definition(kernel: Callable[..., Any]) -> Callable[..., Any]:
    found: Callable[..., Any] = getattr(kernel, "__wrapped__", kernel)
    return found


def agree(kernel: Callable[..., Any], *args: Any, out: list[Array]) -> Any:  # noqa: ANN401
    want = [a.copy() for a in out]
    got = kernel(*args, *out)
    assert got == definition(kernel)(*args, *want)
    assert [a.tobytes() for a in out] == [a.tobytes() for a in want]
    return got


def pair(seed: int, width: int, count: int, share: float) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    old = np.frombuffer(rng.bytes(count * width), f"u{width}").copy()
    new = np.where(rng.random(count) < share, np.frombuffer(rng.bytes(count * width), f"u{width}"), old)
    return old, new


def test_keys_follow_the_order_of_values() -> None:
    for width, dtype in FLOATS.items():
        bits = np.arange(1 << (8 * min(width, 2)), dtype=f"u{width}") << np.asarray(
            8 * (width - min(width, 2)), f"u{width}"
        )
        values, keys = bits.view(dtype), delta.keys(bits, 1)
        assert len(np.unique(keys)) == len(bits)
        assert np.array_equal(delta.bits_of(keys, 1), bits)
        order = np.argsort(keys, kind="stable")
        with np.errstate(invalid="ignore"):  # signalling NaN
            real = values[order].astype(np.float64)
        real = real[~np.isnan(real)]
        assert (np.diff(real) >= 0).all()


def test_zeros_are_neighbours() -> None:
    zeros = np.array([-0.0, 0.0], np.float32).view(np.uint32)
    assert np.diff(delta.keys(zeros, 1).astype(np.int64)).tolist() == [1]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    width=WIDTHS,
    floats=st.integers(0, 1),
    count=st.one_of(st.integers(0, 60), st.sampled_from([2048, 2049, 70_000, 200_001])),
    share=st.sampled_from([0.0, 0.0005, 0.02, 0.5, 1.0]),
    cols=st.sampled_from([1, 7, 64, 2048, 5000, 65536]),
    index=st.sampled_from([np.int32, np.int64]),
)
def test_there_and_back(seed: int, width: int, floats: int, count: int, share: float, cols: int, index: type) -> None:
    if cols < 2048 and count > 2000:
        cols = 2048  # the definition takes checksums of every row
    old, new = pair(seed, width, count, share)
    steps = np.zeros_like(old)
    changed = agree(delta.delta_steps, old, new, floats, out=[steps])
    assert changed == np.count_nonzero(old != new)
    values = old.copy()
    agree(delta.add_steps, steps, floats, out=[values])
    assert np.array_equal(values, new)

    rows = -(-count // cols)
    sums, a, b = np.zeros((rows, delta.ROW_SUMS), np.uint64), old.view(np.uint8), new.view(np.uint8)
    offsets = [np.zeros(rows + 1, index), np.zeros(rows + 1, index)]
    none = [np.zeros(0, np.uint8), np.zeros(0, old.dtype)]
    total, found = agree(delta.delta_gaps, a, b, floats, cols, out=[*offsets, sums, *none])
    assert found == changed
    parts = [np.zeros(total, np.uint8), np.zeros(found, old.dtype)]
    assert agree(delta.delta_gaps, a, b, floats, cols, out=[*offsets, sums, *parts]) == (total, found)
    none, gaps = np.zeros(0, np.uint8), [parts[0], *offsets, parts[1], floats, cols]
    for wanted, columns in ((delta.NOTHING, 0), (delta.MOVED, slice(4, 6)), (delta.ALL, slice(0, 6))):
        for base, values in ((none, a.copy()), (a, np.zeros_like(a))):
            seen = np.zeros_like(sums)
            agree(delta.add_gaps, base, *gaps, wanted, out=[seen, values])
            assert np.array_equal(values, b)
            assert np.array_equal(seen[:, columns], sums[:, columns] if wanted else seen[:, columns])
    taken, values = np.zeros(found, old.dtype), a.copy()
    agree(gap_items.gaps_take, parts[0], *offsets, cols, b, out=[taken])
    assert np.array_equal(taken, new[old != new])
    agree(gap_items.gaps_put, parts[0], *offsets, cols, taken, out=[values])
    assert np.array_equal(values, b)


def bytes_of(a: Array) -> Array:
    return a.copy().view(np.uint8)


@pytest.mark.parametrize("native", [True, False])
def test_what_does_not_fit_is_refused(native: bool) -> None:
    run = (lambda k: k) if native else definition
    a, b = np.zeros(5, np.uint16), np.zeros(4, np.uint16)
    with pytest.raises(FormatError):
        run(delta.delta_steps)(a, b, 0, a.copy())
    with pytest.raises(FormatError):
        run(delta.add_steps)(a, 0, b)
    offsets, sums = np.zeros(2, np.int32), np.zeros((1, delta.ROW_SUMS), np.uint64)
    with pytest.raises(FormatError):
        run(delta.delta_gaps)(bytes_of(a), bytes_of(a), 0, 2, offsets, offsets.copy(), sums, bytes_of(b), a.copy())
    one, none, values = np.array([0, 1], np.int32), np.zeros(0, np.uint8), bytes_of(a)
    for gap, count in ((7, 1), (1, 2)):  # leads to place 7 of 5; two items, one gap
        places = np.array([gap], np.uint8), one, one.copy()
        with pytest.raises(FormatError):
            run(delta.add_gaps)(none, *places, np.ones(count, np.uint16), 0, 9, 0, sums, values)
        with pytest.raises(FormatError):
            run(gap_items.gaps_put)(*places, 9, np.ones(count, np.uint16), values)
        with pytest.raises(FormatError):
            run(gap_items.gaps_take)(*places, 9, values, np.ones(count, np.uint16))
    good = np.array([1], np.uint8), one, one.copy()
    with pytest.raises(FormatError):  # a base of another size
        run(delta.add_gaps)(values[2:], *good, np.ones(1, np.uint16), 0, 9, 0, sums, values.copy())
    with pytest.raises(FormatError):  # sums for no row
        run(delta.add_gaps)(none, *good, np.ones(1, np.uint16), 0, 9, 0, sums[:0], values)
