"""Kernels for affine codes in segments: every implementation gives the bytes of the NumPy definition."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsefmt.base.dtypes import DTYPES, FLOATS, INTEGERS, items
from sparsefmt.base.errors import FormatError
from sparsefmt.kernels import affine, affine_segments
from sparsefmt.kernels import bitmask as bitmask_kernels
from sparsefmt.kernels.settings import set_num_threads

Array = np.ndarray[Any, Any]
NAMES = [name for name in INTEGERS + FLOATS if name != "bool"]
NONE = np.empty((0, 0), np.uint8)


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
    kernel(*args, *out)
    definition(kernel)(*args, *want)
    assert [a.tobytes() for a in out] == [a.tobytes() for a in want]


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    shape=st.one_of(st.tuples(st.integers(0, 6), st.integers(0, 70)), st.sampled_from([(300, 517), (1, 40000)])),
    group=st.sampled_from([1, 2, 3, 7, 8, 16, 64, 128, 1000, 2**40]),
    density=st.sampled_from([0.0, 0.05, 0.5, 1.0]),
    index=st.sampled_from([np.int32, np.int64]),
    first=st.integers(0, 3),
    stride=st.integers(0, 2),
)
def test_segments_of_csr_and_bits(
    seed: int, shape: tuple[int, int], group: int, density: float, index: type, first: int, stride: int
) -> None:
    rows, cols = shape
    w = (np.random.default_rng(seed).random(shape) < density).astype(np.uint8)
    low = min(first, rows)
    indptr = np.concatenate([[0], np.cumsum(w.sum(axis=1))]).astype(index)
    indices = np.nonzero(w)[1].astype(index)
    count = (rows - low) * -(-cols // group) + 1
    found = [np.full(count, -7, np.int64)]
    agree(affine_segments.csr_segments, indptr[low:], indices, group, out=found)
    bits = np.zeros((rows, -(-cols // 8) + stride), np.uint8)
    if w.size:
        bitmask_kernels.dense_to_bits(w, 255, bits, np.empty(rows, np.int32))
    same = [np.full(count, -7, np.int64)]
    agree(affine_segments.bits_segments, bits[low:], indptr[low:], cols, group, out=same)
    assert np.array_equal(found[0], same[0])
    for row in range(rows - low):
        for at in range(-(-cols // group)):
            want = int(w[low : low + row].sum()) + int(w[low + row, : at * group].sum())
            assert found[0][row * -(-cols // group) + at] == want
        if rows * cols > 1000:
            break


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    name = draw(st.sampled_from(NAMES))
    lengths = draw(
        st.one_of(
            st.lists(st.sampled_from([0, 0, 1, 2, 13, 64, 511, 512, 513, 1500]), max_size=40),
            st.sampled_from([[70_000], [3] * 20_000, [0] * 100 + [40_000] + [1] * 5000]),
        )
    )
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    count, grid = int(offsets[-1]), (1, draw(st.sampled_from([1, len(lengths)])))
    drawn = rng.standard_normal(count) * 10.0 ** rng.integers(-3, 2)
    x = (drawn.astype(np.int64) if DTYPES[name].kind == "u" else drawn).astype(DTYPES[name])  # CPUs differ below 0
    if draw(st.booleans()):
        x = np.frombuffer(rng.bytes(count * DTYPES[name].itemsize), DTYPES[name])
    kind = draw(st.sampled_from(["f2", "f4"]))
    scale = (2.0 ** rng.uniform(-14, 6, grid)).astype(kind)
    if draw(st.booleans()):
        scale = np.frombuffer(rng.bytes(grid[1] * scale.itemsize), kind).reshape(grid)
    point = rng.integers(0, 256, grid, np.uint8) if draw(st.booleans()) and grid[1] else NONE
    return {"rng": rng, "name": name, "x": items(x), "offsets": offsets, "scale": scale, "point": point}


@settings(max_examples=200, deadline=None)
@given(case=cases(), bits=st.sampled_from([4, 8]))
def test_extremes_quantize_and_dequantize(case: dict[str, Any], bits: int) -> None:
    name, x, offsets = case["name"], case["x"], case["offsets"]
    compute = affine.compute_dtype(DTYPES[name])
    if len(offsets) < 200:
        room = [np.full(len(offsets) - 1, 7, compute) for _ in range(2)]
        agree(affine_segments.segment_extremes, x, name, offsets, out=room)
    grid = case["scale"], case["point"]
    agree(affine_segments.segment_quantize, x, name, offsets, *grid, bits, out=[np.full(len(x), 77, np.uint8)])
    codes = case["rng"].integers(0, 256, len(x), np.uint8)
    agree(affine_segments.segment_dequantize, codes, offsets, *grid, name, out=[np.zeros(len(x), x.dtype)])


@pytest.mark.parametrize("offsets", [[], [0], [0, 5, 3, 6], [1, 6], [0, 7], [0, 5], [-1, 6], [0, 2**62, 6]])
def test_offsets_that_are_none_are_refused(offsets: list[int]) -> None:
    at, scale = np.array(offsets, np.int64), np.ones((1, max(len(offsets) - 1, 0)), np.float16)
    x, codes, out = np.ones(6, np.uint16), np.zeros(6, np.uint8), np.zeros(6, np.uint16)
    ends = np.zeros(max(len(offsets) - 1, 0), np.float32)
    calls = [
        (affine_segments.segment_extremes, (x, "float16", at, ends, ends.copy())),
        (affine_segments.segment_quantize, (x, "float16", at, scale, NONE, 8, codes)),
        (affine_segments.segment_dequantize, (codes, at, scale, NONE, "float16", out)),
    ]
    for kernel, args in calls:
        for function in (kernel, definition(kernel)):
            with pytest.raises((FormatError, ValueError)):
                function(*args)


@pytest.mark.skipif(not hasattr(affine_segments.csr_segments, "__wrapped__"), reason="only the extension checks")
def test_hostile_rows_are_refused_or_give_anything() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        indptr, indices = rng.integers(-3, 9, 4), rng.integers(-9, 99, 6)
        bits, out = rng.integers(0, 256, (3, 2), np.uint8), np.zeros(7, np.int64)
        for kernel, args in (
            (affine_segments.csr_segments, (indptr, indices, int(rng.integers(0, 9)), out)),
            (affine_segments.bits_segments, (bits, indptr, 12, int(rng.integers(0, 9)), out)),
        ):
            try:
                kernel(*args)
            except FormatError:
                continue
