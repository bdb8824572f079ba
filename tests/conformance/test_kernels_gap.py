"""Kernels for gap: every implementation gives the bytes of the NumPy definition."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsefmt.base.errors import FormatError
from sparsefmt.kernels import checks, gap
from sparsefmt.kernels.settings import set_num_threads

Array = np.ndarray[Any, Any]
SHAPES = st.one_of(
    st.tuples(st.integers(0, 5), st.integers(0, 70)), st.sampled_from([(300, 517), (1, 40000), (3, 2049)])
)
DENSITIES = st.sampled_from([0.0, 0.001, 0.003, 0.05, 0.5, 1.0])


@pytest.fixture(params=[1, 3], autouse=True, scope="module")
def threads(request: pytest.FixtureRequest) -> Iterator[None]:
    set_num_threads(request.param)
    yield
    set_num_threads(None)


def definition(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """The NumPy definition behind a kernel, which is itself where the extension is switched off."""
    found: Callable[..., Any] = getattr(kernel, "__wrapped__", kernel)
    return found


def agree(kernel: Callable[..., Any], *args: Any, out: list[Array]) -> None:  # noqa: ANN401
    """Runs the kernel and its definition with `out` as last arguments; they must give the same bits."""
    want = [a.copy() for a in out]
    assert kernel(*args, *out) == definition(kernel)(*args, *want)
    assert [a.tobytes() for a in out] == [a.tobytes() for a in want]


def matrix(seed: int, shape: tuple[int, int], density: float, item: str = "u2") -> Array:
    rng = np.random.default_rng(seed)
    w = rng.integers(1, 255, shape).astype(item)
    w[rng.random(shape) >= density] = 0
    return w


def plain_gaps(row: Array) -> list[int]:
    """The bytes of a row, one slot at a time."""
    out, before = [], -1
    for col in np.flatnonzero(row):
        left = int(col) - before - 1
        while left >= 255:
            out.append(255)
            left -= 255
        out.append(left)
        before = int(col)
    return out


@settings(max_examples=120, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    shape=SHAPES,
    density=DENSITIES,
    index=st.sampled_from([np.int32, np.int64]),
    low=st.integers(0, 3),
)
def test_every_way_in_and_out(seed: int, shape: tuple[int, int], density: float, index: type, low: int) -> None:
    w = matrix(seed, shape, density)
    rows, cols = shape
    low = min(low, rows)
    indptr = np.concatenate([[0], np.cumsum((w != 0).sum(axis=1))]).astype(index)
    indices = np.nonzero(w)[1].astype(index)
    slots = w[w != 0]
    agree(gap.csr_gap_counts, indptr[low:], indices, out=[np.zeros(rows - low, np.int64)])
    counts = [np.zeros(rows, np.int64), np.zeros(rows, np.int64)]
    agree(gap.dense_gap_counts, w, 0xFFFF, out=counts)
    byte_offsets = np.concatenate([[0], np.cumsum(counts[1])]).astype(index)
    assert np.array_equal(counts[0], np.diff(indptr))
    gaps = np.zeros(int(byte_offsets[-1]), np.uint8)
    agree(gap.csr_to_gaps, indptr[low:], indices, byte_offsets[low:], out=[gaps])
    agree(gap.csr_to_gaps, indptr, indices, byte_offsets, out=[gaps])
    assert gaps.tolist() == [b for row in w for b in plain_gaps(row)]
    made = [np.zeros_like(gaps), np.zeros_like(slots)]
    agree(gap.dense_to_gaps, w[low:], 0xFFFF, byte_offsets[low:], indptr[low:], out=made)
    agree(gap.dense_to_gaps, w, 0xFFFF, byte_offsets, indptr, out=made)
    assert made[0].tobytes() == gaps.tobytes()
    assert made[1].tobytes() == slots.tobytes()
    back = np.zeros(len(indices), index)
    agree(gap.gaps_to_indices, gaps, byte_offsets[low:], indptr[low:], cols, out=[back])
    agree(gap.gaps_to_indices, gaps, byte_offsets, indptr, cols, out=[back])
    assert np.array_equal(back, indices)
    out = np.ones((rows - low, cols), np.uint16)
    agree(gap.gaps_to_dense, gaps, byte_offsets[low:], indptr[low:], slots, out=[out])
    assert np.array_equal(out, w[low:])
    agree(gap.gap_check, gaps, byte_offsets, indptr, cols, out=[])
    assert gap.gap_check(gaps, byte_offsets, indptr, cols) == (0, 0)


@pytest.mark.parametrize("item", ["u1", "u4", "u8", "c16"])
def test_items_of_every_width(item: str) -> None:
    w = matrix(3, (9, 3000), 0.01, item)
    zero = (1 << (8 * min(w.itemsize, 8))) - 1
    counts = np.zeros((2, 9), np.int64)
    gap.dense_gap_counts(w, zero, *counts)
    slot, byte = (np.concatenate([[0], np.cumsum(c)]).astype(np.int32) for c in counts)
    made = [np.zeros(int(byte[-1]), np.uint8), np.zeros(int(slot[-1]), item)]
    agree(gap.dense_to_gaps, w, zero, byte, slot, out=made)
    out = np.ones_like(w)
    agree(gap.gaps_to_dense, made[0], byte, slot, made[1], out=[out])
    assert np.array_equal(out, w)


BROKEN: list[tuple[int, int, list[int], list[int], list[int]]] = [
    (checks.START, 0, [1], [1, 1], [0, 1]),
    (checks.START, 0, [1], [0, 1], [1, 2]),
    (checks.FALLS, 1, [1, 1], [0, 2, 1, 2], [0, 2, 2, 3]),
    (checks.END, 0, [1, 2], [0, 1], [0, 1]),
    (checks.COUNT, 1, [1, 255, 3], [0, 1, 3], [0, 1, 3]),
    (checks.COUNT, 0, [255], [0, 1], [0, 1]),
    (checks.PADDING, 0, [1, 255], [0, 2], [0, 1]),
    (checks.RANGE, 1, [9, 10], [0, 1, 2], [0, 1, 2]),
    (checks.RANGE, 0, [4, 5], [0, 2], [0, 2]),
    (checks.OK, 0, [4, 4], [0, 2], [0, 2]),
]


@pytest.mark.parametrize(("code", "at", "gaps", "byte_offsets", "row_offsets"), BROKEN)
def test_check_finds_the_first_fault(
    code: int, at: int, gaps: list[int], byte_offsets: list[int], row_offsets: list[int]
) -> None:
    args = np.array(gaps, np.uint8), np.array(byte_offsets, np.int32), np.array(row_offsets, np.int32), 10
    assert gap.gap_check(*args) == (code, at)
    assert definition(gap.gap_check)(*args) == (code, at)


@settings(max_examples=200, deadline=None)
@given(
    gaps=st.lists(st.sampled_from([0, 1, 7, 254, 255]), max_size=40),
    byte_offsets=st.lists(st.integers(-2, 45), min_size=1, max_size=5),
    row_offsets=st.lists(st.integers(-2, 45), min_size=1, max_size=5),
    slots=st.integers(0, 45),
    cols=st.integers(0, 600),
)
def test_any_arrays_give_a_result_or_an_error(
    gaps: list[int], byte_offsets: list[int], row_offsets: list[int], slots: int, cols: int
) -> None:
    args = np.array(gaps, np.uint8), np.array(byte_offsets, np.int32), np.array(row_offsets, np.int32)
    rows = len(row_offsets) - 1
    for call in (
        lambda: gap.gaps_to_indices(*args, cols, np.zeros(slots, np.int32)),
        lambda: gap.gaps_to_dense(*args, np.zeros(slots, np.uint8), np.zeros((rows, cols), np.uint8)),
        lambda: gap.csr_to_gaps(args[2], np.array(gaps, np.int32), args[1], np.zeros(slots, np.uint8)),
        lambda: gap.csr_gap_counts(args[2], np.array(gaps, np.int32), np.zeros(rows, np.int64)),
    ):
        try:
            call()
        except (FormatError, ValueError, IndexError):
            continue
