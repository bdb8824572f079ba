"""Every native kernel for N:M gives the bytes, the report or the error of its definition."""

from collections.abc import Callable, Iterator
from math import comb
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsefmt.base.errors import FormatError
from sparsefmt.kernels import equal, nm
from sparsefmt.kernels.registry import NATIVE

Array = np.ndarray[Any, Any]
pytestmark = pytest.mark.skipif(not NATIVE, reason="compares the extension with the definitions")

WIDTHS = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}
DTYPES = [
    *(np.dtype(name) for name in ("bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64")),
    *(np.dtype(name) for name in ("float16", "float32", "float64")),
    *(np.dtype(kind) for kind in (ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2)),
]
# Patterns with a path of their own, and some of every kind of table: up to 16, and 17 to 32.
PATTERNS = [(2, 4), (1, 4), (2, 8), (4, 8), (8, 16), (16, 32), (1, 1), (4, 4), (32, 32), (1, 32), (31, 32), (3, 7)]
patterns = st.one_of(
    st.sampled_from(PATTERNS), st.integers(1, 32).flatmap(lambda m: st.tuples(st.integers(1, m), st.just(m)))
)
examples = settings(max_examples=150, deadline=None)


@pytest.fixture(params=[1, 3], ids=["1 thread", "3 threads"], autouse=True, scope="module")
def threads(request: pytest.FixtureRequest) -> Iterator[None]:
    from sparsefmt import _native

    _native.set_num_threads(request.param)
    yield
    _native.set_num_threads(0)


def outcome(kernel: Callable[..., Any], args: tuple[Any, ...], outs: tuple[Array, ...]) -> tuple[Any, list[bytes]]:
    """What a kernel gives or raises, and the bytes it leaves, unless it says that they are of no use."""
    outs = tuple(out.copy() for out in outs)
    try:
        result = kernel(*args, *outs)
    except FormatError as error:
        return str(error), []
    return result, [] if isinstance(result, tuple) and result[0] else [out.tobytes() for out in outs]


def agree(kernel: Callable[..., Any], args: tuple[Any, ...], *outs: Array) -> Any:  # noqa: ANN401
    definition = kernel.__wrapped__  # type: ignore[attr-defined]
    want = outcome(definition, args, outs)
    assert outcome(kernel, args, outs) == want
    return want[0]


def junk(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> Array:  # noqa: ANN401
    """An output that holds no zero by chance."""
    return rng.integers(1, 127, shape).astype(dtype)


def items(rng: np.random.Generator, shape: tuple[int, int], dtype: Any, density: float) -> Array:  # noqa: ANN401
    """Items of a width with special values: equal ones, and the bits of -0.0, NaN, infinity and the least integer."""
    size = 8 * np.dtype(dtype).itemsize
    every = (1 << size) - 1
    special = [1, 2, every, every >> 1, 1 << (size - 1), (1 << (size - 1)) + 1]
    special += {8: [0x7C, 0xFC], 16: [0x7C00, 0x7C01, 0x7F80], 32: [0x7F800000], 64: [0x7FF << 52]}[size]
    w = rng.choice(np.array(special, np.uint64), shape)
    w = np.where(rng.random(shape) < 0.5, w, rng.integers(0, every, shape, np.uint64, endpoint=True))
    return np.where(rng.random(shape) < density, w, 0).astype(dtype)


def masks(dtype: Any) -> list[int]:  # noqa: ANN401
    every = (1 << (8 * np.dtype(dtype).itemsize)) - 1
    return [every, every >> 1]


@st.composite
def cases(draw: st.DrawFn) -> tuple[int, int, int, int, int, Any]:
    """A seed, n, m, rows, columns and a type; columns are often ragged, and rarely more than one tile."""
    n, m = draw(patterns)
    rows, cols = draw(st.integers(0, 4)), draw(st.integers(0, 5 * m + 3))
    if draw(st.integers(0, 9)) == 0:
        cols += draw(st.sampled_from([1984, 2048, 4096]))
    return draw(st.integers(0, 2**32)), n, m, rows, cols, draw(st.sampled_from([*WIDTHS.values()]))


def packed_outs(rng: np.random.Generator, rows: int, cols: int, n: int, m: int, dtype: Any) -> tuple[Array, Array]:  # noqa: ANN401
    """Codes and slots to be written, long enough or longer."""
    groups = -(-cols // m)
    codes = -(-groups * nm.width(n, m) // 8) + int(rng.choice([0, 0, 1, 9]))
    slots = groups * n + int(rng.choice([0, 0, 1, 5]))
    return junk(rng, (rows, codes), np.uint8), junk(rng, (rows, slots), dtype)


def any_codes(rng: np.random.Generator, rows: int, cols: int, n: int, m: int, dtype: Any) -> tuple[Array, Array]:  # noqa: ANN401
    """Legal codes, not only those that encode writes, and slots with some zeros, also beyond the last column."""
    codes, slots = packed_outs(rng, rows, cols, n, m, dtype)
    groups = -(-cols // m)
    nm.pack_codes(rng.integers(0, comb(m, n), (rows, groups)), nm.width(n, m), codes)
    slots[...] = 0
    slots[:, : groups * n] = items(rng, (rows, groups * n), dtype, 0.8)
    return codes, slots


@examples
@given(cases(), st.sampled_from([0.05, 0.4, 1.0]), st.booleans())
def test_encode(case: Any, density: float, prune: bool) -> None:  # noqa: ANN401
    seed, n, m, rows, cols, dtype = case
    rng = np.random.default_rng(seed)
    w = items(rng, (rows, cols), dtype, density)
    if prune:
        nm.nm_prune.__wrapped__(w.copy(), np.dtype(dtype).name, n, m, w)  # type: ignore[attr-defined]
    for zero in masks(dtype):
        report = agree(nm.nm_encode, (w, zero, n, m), *packed_outs(rng, rows, cols, n, m, dtype))
        assert not (prune and report[0])


def test_encode_finds_every_overfull_group_and_the_first_one() -> None:
    rng = np.random.default_rng(1)
    w = items(rng, (300, 2100), np.uint16, 0.1)
    codes, slots = packed_outs(rng, 300, 2100, 2, 4, np.uint16)
    assert agree(nm.nm_encode, (w, 0xFFFF, 2, 4), codes, slots)[0] > 100
    w[:299] = 0
    assert agree(nm.nm_encode, (w, 0xFFFF, 2, 4), codes, slots)[1] == 299


@pytest.mark.parametrize("m", range(1, 33))
def test_encode_and_decode_every_pattern(m: int) -> None:
    rng = np.random.default_rng(m)
    for n in range(1, m + 1):
        for cols in (0, 1, m, 3 * m + 1, 17 * m):
            w = items(rng, (2, cols), np.uint16, 0.6)
            agree(nm.nm_prune, (w, "float16", n, m), junk(rng, w.shape, np.uint16))
            nm.nm_prune(w.copy(), "uint16", n, m, w)
            codes, slots = packed_outs(rng, 2, cols, n, m, np.uint16)
            assert agree(nm.nm_encode, (w, 0xFFFF, n, m), codes, slots) == (0, 0, 0, 0)
            nm.nm_encode(w, 0xFFFF, n, m, codes, slots)
            agree(nm.nm_decode, (codes, slots, n, m), junk(rng, w.shape, np.uint16))
            out = junk(rng, w.shape, np.uint16)
            nm.nm_decode(codes, slots, n, m, out)
            np.testing.assert_array_equal(out, w)


@examples
@given(cases(), st.sampled_from(DTYPES), st.sampled_from([0.3, 1.0]))
def test_prune(case: Any, order: Any, density: float) -> None:  # noqa: ANN401
    seed, n, m, rows, cols, _ = case
    rng = np.random.default_rng(seed)
    dtype = WIDTHS[order.itemsize]
    w = items(rng, (rows, cols), dtype, density)
    if order == np.bool_:
        w = (w != 0).astype(np.uint8)
    agree(nm.nm_prune, (w, order.name, n, m), junk(rng, w.shape, dtype))
    for zero in masks(dtype):
        agree(nm.nm_prune_encode, (w, zero, order.name, n, m), *packed_outs(rng, rows, cols, n, m, dtype))


@examples
@given(cases(), st.sampled_from([0.3, 1.0]))
def test_select(case: Any, density: float) -> None:  # noqa: ANN401
    seed, n, m, rows, cols, _ = case
    rng = np.random.default_rng(seed)
    keys = items(rng, (rows, cols), np.uint64, density)
    agree(nm.nm_select, (keys, n, m), junk(rng, keys.shape, np.uint8))


@examples
@given(cases(), st.booleans())
def test_decode_check_and_csr(case: Any, wide: bool) -> None:  # noqa: ANN401
    seed, n, m, rows, cols, dtype = case
    rng = np.random.default_rng(seed)
    codes, slots = any_codes(rng, rows, cols, n, m, dtype)
    index = np.int64 if wide else np.int32
    agree(nm.nm_decode, (codes, slots, n, m), junk(rng, (rows, cols), dtype))
    agree(nm.nm_check, (codes, slots, n, m, cols))
    agree(nm.nm_row_counts, (codes, slots, n, m, cols), junk(rng, (rows,), index))
    counts = np.zeros(rows, index)
    nm.nm_row_counts(codes, slots, n, m, cols, counts)
    before, behind = (int(v) for v in rng.integers(0, 3, 2))
    indptr = np.concatenate([[before], before + np.cumsum(counts)]).astype(index)
    room = int(indptr[-1]) + behind
    agree(nm.nm_to_csr, (codes, slots, n, m, cols, indptr), junk(rng, (room,), index), junk(rng, (room,), dtype))
    if rows > 1 and counts.sum():
        indptr[1:-1] = indptr[-1]
        agree(nm.nm_to_csr, (codes, slots, n, m, cols, indptr), junk(rng, (room,), index), junk(rng, (room,), dtype))


@examples
@given(cases())
def test_rows_are_compared_bit_for_bit(case: Any) -> None:  # noqa: ANN401
    seed, n, m, rows, cols, dtype = case
    rng = np.random.default_rng(seed)
    codes, slots = any_codes(rng, rows, cols, n, m, dtype)
    want = np.empty((rows, cols), dtype)
    nm.nm_decode(codes, slots, n, m, want)
    assert agree(equal.nm_equal, (codes, slots, n, m, want)) is True
    if want.size:
        want.reshape(-1)[rng.integers(want.size)] ^= np.array(1, dtype)
        assert agree(equal.nm_equal, (codes, slots, n, m, want)) is False


@examples
@given(cases(), st.integers(0, 3))
def test_codes_that_are_none_and_padding_that_is_not_zero(case: Any, what: int) -> None:  # noqa: ANN401
    seed, n, m, rows, cols, dtype = case
    rng = np.random.default_rng(seed)
    codes, slots = any_codes(rng, rows, cols, n, m, dtype)
    if what & 1:
        codes[...] = rng.integers(0, 256, codes.shape)
    else:
        codes.reshape(-1)[-1:] |= 0x80
    if what & 2:
        slots[...] = items(rng, slots.shape, dtype, 1.0)
    agree(nm.nm_check, (codes, slots, n, m, cols))
    agree(nm.nm_decode, (codes, slots, n, m), junk(rng, (rows, cols), dtype))
    agree(nm.nm_row_counts, (codes, slots, n, m, cols), junk(rng, (rows,), np.int32))


@examples
@given(cases(), st.booleans(), st.sampled_from([0.05, 0.5]), st.booleans())
def test_from_csr(case: Any, wide: bool, density: float, prune: bool) -> None:  # noqa: ANN401
    seed, n, m, rows, cols, dtype = case
    rng = np.random.default_rng(seed)
    keep = rng.random((rows, cols)) < density
    if prune:
        keep &= nm.ungrouped(nm.top_n(rng.integers(0, 9, (rows, cols), np.uint64), n, m))[:, :cols]
    before = int(rng.integers(0, 3))
    counts = keep.sum(axis=1)
    indptr = np.concatenate([[before], before + np.cumsum(counts)]).astype(np.int64 if wide else np.int32)
    indices = np.concatenate([np.zeros(before), np.nonzero(keep)[1]]).astype(indptr.dtype)
    slots = items(rng, (1, len(indices)), dtype, 0.8)[0]
    outs = packed_outs(rng, rows, cols, n, m, dtype)
    report = agree(nm.csr_to_nm, (indptr, indices, slots, n, m, cols), *outs)
    assert not (prune and report[0])


@pytest.mark.parametrize("dtype", WIDTHS.values())
@pytest.mark.parametrize(("n", "m"), [(2, 4), (4, 8), (5, 13), (16, 32)])
def test_many_rows_in_many_threads(n: int, m: int, dtype: Any) -> None:  # noqa: ANN401
    rng = np.random.default_rng(n)
    rows, cols, order = 700, 333, f"uint{8 * np.dtype(dtype).itemsize}"
    w = items(rng, (rows, cols), dtype, 0.7)
    every = masks(dtype)[0]
    outs = packed_outs(rng, rows, cols, n, m, dtype)
    agree(nm.nm_encode, (w, every, n, m), *outs)
    agree(nm.nm_prune, (w, order, n, m), junk(rng, w.shape, dtype))
    agree(nm.nm_prune_encode, (w, every, order, n, m), *outs)
    nm.nm_prune_encode(w, every, order, n, m, *outs)
    agree(nm.nm_decode, (*outs, n, m), junk(rng, w.shape, dtype))
    assert agree(nm.nm_check, (*outs, n, m, cols)) == (0, 0, 0, 0)
    counts = np.zeros(rows, np.int32)
    agree(nm.nm_row_counts, (*outs, n, m, cols), counts)
    nm.nm_row_counts(*outs, n, m, cols, counts)
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    indices, slots = np.zeros(indptr[-1], np.int32), np.zeros(indptr[-1], dtype)
    agree(nm.nm_to_csr, (*outs, n, m, cols, indptr), indices, slots)
    nm.nm_to_csr(*outs, n, m, cols, indptr, indices, slots)
    assert agree(nm.csr_to_nm, (indptr, indices, slots, n, m, cols), *outs) == (0, 0, 0, 0)
    outs[1][600, -1] |= 1
    outs[0][601] = 255
    outs[0][500, -1] |= 0x80
    agree(nm.nm_check, (*outs, n, m, cols))
    agree(nm.nm_decode, (*outs, n, m), junk(rng, w.shape, dtype))


def test_a_column_out_of_range_is_refused() -> None:
    indptr, codes, slots = np.array([0, 1], np.int32), np.zeros((1, 1), np.uint8), np.zeros((1, 2), np.uint8)
    for bad in (-1, 4):
        with pytest.raises(FormatError, match=f"index {bad} at position 0 is out of range 0.."):
            nm.csr_to_nm(indptr, np.array([bad], np.int32), np.ones(1, np.uint8), 2, 4, 4, codes, slots)


def test_wide_shapes_without_items_return_at_once() -> None:
    rows = 2**40
    w, codes = np.zeros((rows, 0), np.uint16), np.zeros((rows, 0), np.uint8)
    assert nm.nm_encode(w, 0xFFFF, 2, 4, codes, w.copy()) == (0, 0, 0, 0)
    nm.nm_prune(w, "float16", 2, 4, w.copy())
    nm.nm_prune_encode(w, 0xFFFF, "float16", 2, 4, codes, w.copy())
    nm.nm_decode(codes, w, 2, 4, w.copy())
    assert nm.nm_check(codes, w, 2, 4, 0) == (0, 0, 0, 0)
    with pytest.raises(FormatError):
        nm.nm_check(codes, w, 2, 4, rows)


@pytest.mark.parametrize(("n", "m"), [(0, 4), (5, 4), (1, 33), (0, 0)])
def test_patterns_that_are_none(n: int, m: int) -> None:
    w = np.zeros((1, 8), np.uint16)
    with pytest.raises(FormatError):
        nm.nm_prune(w, "float16", n, m, w.copy())


def test_arrays_of_the_wrong_shape_are_refused() -> None:
    w, codes, slots = np.zeros((2, 8), np.uint16), np.zeros((2, 1), np.uint8), np.zeros((2, 4), np.uint16)
    assert nm.nm_encode(w, 0xFFFF, 2, 4, codes, slots) == (0, 0, 0, 0)
    for bad_codes, bad_slots in [(codes[:1], slots), (codes[:, :0], slots), (codes, slots[:, :3].copy())]:
        with pytest.raises(FormatError):
            nm.nm_encode(w, 0xFFFF, 2, 4, bad_codes, bad_slots)
        with pytest.raises(FormatError):
            nm.nm_decode(bad_codes, bad_slots, 2, 4, w)
