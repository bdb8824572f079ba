"""Every native kernel for block-sparse rows gives the bytes or the error of its definition."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsefmt.base.errors import FormatError
from sparsefmt.kernels import bsr, items
from sparsefmt.kernels.registry import NATIVE

Array = np.ndarray[Any, Any]
pytestmark = pytest.mark.skipif(not NATIVE, reason="compares the extension with the definitions")

DTYPES = [np.uint8, np.uint16, np.uint32, np.uint64, np.complex128]
INDICES = [np.int32, np.int64]
examples = settings(max_examples=150, deadline=None)


@pytest.fixture(params=[1, 3], ids=["1 thread", "3 threads"], autouse=True, scope="module")
def threads(request: pytest.FixtureRequest) -> Iterator[None]:
    from sparsefmt import _native

    _native.set_num_threads(request.param)
    yield
    _native.set_num_threads(0)


def outcome(kernel: Callable[..., Any], args: tuple[Any, ...], outs: tuple[Array, ...]) -> str | list[bytes]:
    """The bytes a kernel leaves, or the error it raises."""
    outs = tuple(out.copy() for out in outs)
    try:
        kernel(*args, *outs)
    except FormatError as error:
        return str(error)
    return [out.tobytes() for out in outs]


def agree(kernel: Callable[..., Any], args: tuple[Any, ...], *outs: Array) -> None:
    definition = kernel.__wrapped__  # type: ignore[attr-defined]
    assert outcome(kernel, args, outs) == outcome(definition, args, outs)


def junk(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> Array:  # noqa: ANN401
    """An output that holds no zero by chance."""
    return rng.integers(1, 127, shape).astype(dtype)


def matrix(rng: np.random.Generator, shape: tuple[int, int], block: tuple[int, int], dtype: Any) -> Array:  # noqa: ANN401
    """Some blocks are empty, some hold only bits that one zero rule ignores."""
    dtype = np.dtype(dtype)
    size = min(dtype.itemsize, 8)
    halves = (*shape, dtype.itemsize // size)
    sign = np.uint64(1 << (8 * size - 1))
    w = np.where(rng.random(halves) < 0.3, sign, rng.integers(0, 2**63, halves, np.uint64))
    w = np.where(rng.random(halves) < rng.choice([0.02, 0.3, 1.0]), w, 0)
    tiles = rng.random((-(-shape[0] // block[0]), -(-shape[1] // block[1]))) < rng.choice([0.0, 0.3, 1.0])
    keep = np.kron(tiles, np.ones(block, bool))[: shape[0], : shape[1]]
    w = np.where(keep[..., None], w, 0).astype(f"u{size}")
    return np.ascontiguousarray(w).view(dtype).reshape(shape)


def pointers(counts: Array, index: Any, before: int = 0) -> Array:  # noqa: ANN401
    return np.concatenate([[before], before + np.cumsum(counts)]).astype(index)


def csr(w: Array, index: Any) -> tuple[Array, Array, Array]:  # noqa: ANN401
    keep = items.nonzero(w, items.every_bit(w))
    return pointers(keep.sum(axis=1), index), np.nonzero(keep)[1].astype(index), w[keep]


@st.composite
def cases(draw: st.DrawFn) -> tuple[int, tuple[int, int], tuple[int, int], Any, Any]:
    """A seed, a block, a shape that it often does not divide, the dtypes of items and indices."""
    sides = st.one_of(st.integers(1, 5), st.sampled_from([8, 16, 17]))
    block = draw(st.tuples(sides, sides))
    rows, cols = draw(st.integers(0, 40)), draw(st.integers(0, 60))
    if draw(st.integers(0, 9)) == 0:
        rows, cols = rows % 4, cols + draw(st.sampled_from([2000, 4090]))
    if draw(st.integers(0, 9)) == 0:
        block = (block[0], draw(st.sampled_from([cols + 1, 2048, 3000])))
    return (
        draw(st.integers(0, 2**32)),
        block,
        (rows, cols),
        draw(st.sampled_from(DTYPES)),
        draw(st.sampled_from(INDICES)),
    )


@examples
@given(cases())
def test_dense_to_bsr_and_back(case: Any) -> None:  # noqa: ANN401
    seed, block, shape, dtype, index = case
    rng = np.random.default_rng(seed)
    w = matrix(rng, shape, block, dtype)
    every = items.every_bit(w)
    for zero in (every, every >> 1):
        counts = junk(rng, (-(-shape[0] // block[0]),), index)
        agree(bsr.bsr_block_counts, (w, zero, block), counts)
        bsr.bsr_block_counts(w, zero, block, counts)
        before = int(rng.integers(0, 3))
        indptr = pointers(counts, index, before)
        room = int(indptr[-1]) + int(rng.integers(0, 3))
        outs = junk(rng, (room,), index), junk(rng, (room, *block), dtype)
        agree(bsr.dense_to_bsr, (w, zero, indptr), *outs)
        bsr.dense_to_bsr(w, zero, indptr, *outs)
        agree(bsr.bsr_to_dense, (indptr, *outs), junk(rng, shape, dtype))
        agree(bsr.dense_to_bsr_within, (w, zero), junk(rng, (len(indptr),), index), *outs)
        if len(counts) > 1 and counts.any():
            indptr[1:-1] = indptr[-1] if counts[-1] else indptr[0]
            agree(bsr.dense_to_bsr, (w, zero, indptr), *outs)


@examples
@given(cases())
def test_bsr_to_csr_and_back(case: Any) -> None:  # noqa: ANN401
    seed, block, shape, dtype, index = case
    rng = np.random.default_rng(seed)
    w = matrix(rng, shape, block, dtype)
    counts = np.zeros(-(-shape[0] // block[0]), index)
    bsr.bsr_block_counts(w, items.every_bit(w), block, counts)
    indptr = pointers(counts, index)
    indices, blocks = np.zeros(indptr[-1], index), np.zeros((indptr[-1], *block), dtype)
    bsr.dense_to_bsr(w, items.every_bit(w), indptr, indices, blocks)
    # What lies outside the shape does not count.
    blocks[:, -1, -1] = 1
    agree(bsr.bsr_row_counts, (indptr, indices, blocks, shape), junk(rng, shape[:1], index))
    rows = np.zeros(shape[0], index)
    bsr.bsr_row_counts(indptr, indices, blocks, shape, rows)
    out = pointers(rows, index)
    outs = junk(rng, (out[-1],), index), junk(rng, (out[-1],), dtype)
    agree(bsr.bsr_to_csr, (indptr, indices, blocks, shape[1], out), *outs)
    if shape[0] > 1 and rows.any():
        out[1:-1] = out[-1] if rows[-1] else out[0]
        agree(bsr.bsr_to_csr, (indptr, indices, blocks, shape[1], out), *outs)


@examples
@given(cases())
def test_csr_to_bsr(case: Any) -> None:  # noqa: ANN401
    seed, block, shape, dtype, index = case
    rng = np.random.default_rng(seed)
    indptr, indices, slots = csr(matrix(rng, shape, block, dtype), index)
    slots[rng.random(len(slots)) < 0.3] = 0
    counts = junk(rng, (-(-shape[0] // block[0]),), index)
    agree(bsr.csr_block_counts, (indptr, indices, slots, block, shape[1]), counts)
    bsr.csr_block_counts(indptr, indices, slots, block, shape[1], counts)
    out = pointers(counts, index)
    outs = junk(rng, (out[-1],), index), junk(rng, (out[-1], *block), dtype)
    agree(bsr.csr_to_bsr, (indptr, indices, slots, shape[1], out), *outs)
    if len(counts) > 1 and counts.any():
        out[1:-1] = out[-1] if counts[-1] else out[0]
        agree(bsr.csr_to_bsr, (indptr, indices, slots, shape[1], out), *outs)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("block", [(16, 16), (3, 5), (1, 32)])
def test_many_rows_in_many_threads(dtype: Any, block: tuple[int, int]) -> None:  # noqa: ANN401
    rng = np.random.default_rng(0)
    shape = 530, 700
    w = matrix(rng, shape, block, dtype)
    w[:100] = 0
    w[7, 9] = 1
    every = items.every_bit(w)
    counts = np.zeros(-(-shape[0] // block[0]), np.int32)
    agree(bsr.bsr_block_counts, (w, every, block), counts)
    bsr.bsr_block_counts(w, every, block, counts)
    indptr = pointers(counts, np.int32)
    outs = junk(rng, (indptr[-1],), np.int32), junk(rng, (indptr[-1], *block), dtype)
    agree(bsr.dense_to_bsr, (w, every, indptr), *outs)
    bsr.dense_to_bsr(w, every, indptr, *outs)
    agree(bsr.bsr_to_dense, (indptr, *outs), junk(rng, shape, dtype))
    rows, (want_indptr, want_indices, slots) = np.zeros(shape[0], np.int32), csr(w, np.int32)
    agree(bsr.bsr_row_counts, (indptr, *outs, shape), rows)
    agree(bsr.bsr_to_csr, (indptr, *outs, shape[1], want_indptr), want_indices, slots)
    agree(bsr.csr_block_counts, (want_indptr, want_indices, slots, block, shape[1]), counts)
    agree(bsr.csr_to_bsr, (want_indptr, want_indices, slots, shape[1], indptr), *outs)


def test_a_block_column_out_of_range_is_refused() -> None:
    blocks = np.ones((4, 2, 2), np.uint16)
    out = np.zeros((6, 5), np.uint16)
    for bad in (-1, 3, 2**31 - 1):
        indices = np.array([7, 0, bad, 8], np.int32)
        # Positions count from the first block of the slice; a bad index outside of it does no harm.
        agree(bsr.bsr_to_dense, (np.array([1, 2, 3, 3], np.int32), indices, blocks), out)
        agree(bsr.bsr_to_dense, (np.array([1, 2, 2, 2], np.int32), indices, blocks), out)


def test_a_column_out_of_range_is_refused() -> None:
    indptr, slots = np.array([0, 1, 3], np.int32), np.array([1, 0, 1], np.uint16)
    for bad in (-1, 5, 2**31 - 1):
        for indices in ([0, bad, 1], [bad, 0, 1], [0, 1, bad]):
            given = np.array(indices, np.int32)
            agree(bsr.csr_block_counts, (indptr, given, slots, (2, 2), 5), np.zeros(1, np.int32))
            with pytest.raises(FormatError):
                bsr.csr_to_bsr(indptr, given, slots, 5, indptr[:2], given[:1].copy(), np.zeros((1, 2, 2), np.uint16))


def test_columns_in_any_order_and_twice() -> None:
    rng = np.random.default_rng(5)
    indptr = np.array([0, 40, 90, 90, 200], np.int32)
    indices = rng.integers(0, 50, 200).astype(np.int32)
    slots = rng.integers(0, 3, 200).astype(np.uint16)
    counts = np.zeros(2, np.int32)
    agree(bsr.csr_block_counts, (indptr, indices, slots, (3, 4), 50), counts)
    bsr.csr_block_counts(indptr, indices, slots, (3, 4), 50, counts)
    out = pointers(counts, np.int32)
    agree(
        bsr.csr_to_bsr,
        (indptr, indices, slots, 50, out),
        np.zeros(out[-1], np.int32),
        np.zeros((out[-1], 3, 4), np.uint16),
    )


def test_columns_far_apart() -> None:
    cols = 2**62
    indptr = np.array([0, 3, 5, 8], np.int64)
    indices = np.array([0, 2**40, cols - 1, 2**40 + 1, 2**50, 3, 2**40 - 1, 2**40], np.int64)
    slots = np.arange(1, 9, dtype=np.uint16)
    counts = np.zeros(2, np.int64)
    agree(bsr.csr_block_counts, (indptr, indices, slots, (2, 2), cols), counts)
    bsr.csr_block_counts(indptr, indices, slots, (2, 2), cols, counts)
    assert counts.tolist() == [4, 3]
    out = pointers(counts, np.int64)
    agree(bsr.csr_to_bsr, (indptr, indices, slots, cols, out), np.zeros(7, np.int64), np.zeros((7, 2, 2), np.uint16))


def test_wide_shapes_without_items_return_at_once() -> None:
    wide = 2**40
    counts, indptr, none = np.zeros(1, np.int64), np.zeros(2, np.int64), np.zeros(0, np.int64)
    w = np.zeros((wide, 0), np.uint16)
    bsr.bsr_block_counts(w, 1, (wide, 1), counts)
    assert counts.tolist() == [0]
    blocks = np.zeros((0, wide, 1), np.uint16)
    bsr.dense_to_bsr(w, 1, indptr, none.copy(), blocks)
    bsr.bsr_to_dense(indptr, none, blocks, w)
    across = np.zeros((0, wide), np.uint16)
    bsr.bsr_block_counts(across, 1, (1, 1), counts[:0])
    bsr.bsr_to_dense(indptr[:1], none, np.zeros((0, 1, 1), np.uint16), across)
    bsr.csr_block_counts(indptr, none, none.view(np.uint64), (1, 1), wide, counts)
    assert counts.tolist() == [0]


def test_shapes_that_contradict_each_other_are_refused() -> None:
    w, counts = np.zeros((4, 4), np.uint16), np.zeros(2, np.int32)
    for block in [(0, 2), (2, 0), (1, 2), (2**63, 2**63)]:
        with pytest.raises((FormatError, OverflowError)):
            bsr.bsr_block_counts(w, 1, block, counts)
    indptr, indices, blocks = np.array([0, 1, 9], np.int32), np.zeros(1, np.int32), np.zeros((1, 2, 2), np.uint16)
    with pytest.raises(FormatError):
        bsr.bsr_to_dense(indptr, indices, blocks, w)
    with pytest.raises(FormatError):
        bsr.dense_to_bsr(w, 1, indptr, indices, blocks)
    with pytest.raises(FormatError):
        bsr.bsr_row_counts(indptr[:1], indices, blocks, (4, 4), np.zeros(4, np.int32))
