"""The compiled kernels of csr, csc, coo and bitmask equal their NumPy definitions, byte for byte."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsefmt.kernels import bitmask as bitmask_kernels
from sparsefmt.kernels import coo as coo_kernels
from sparsefmt.kernels import csc as csc_kernels
from sparsefmt.kernels import csr as csr_kernels
from sparsefmt.kernels import equal as equal_kernels
from sparsefmt.kernels import registry
from sparsefmt.kernels.items import Array, nonzero, pack_bits

if not registry.NATIVE:
    pytest.skip("there are only the definitions", allow_module_level=True)

from sparsefmt import _native

WIDTHS: list[type] = [np.uint8, np.uint16, np.uint32, np.uint64, np.complex128]
INDICES: list[type] = [np.int32, np.int64]
Args = tuple[Any, ...]


@dataclass
class Case:
    """A matrix, and the choices that kernels are called with."""

    w: Array
    index: type
    value_rule: bool
    padding: int
    first: int
    last: int

    @property
    def zero(self) -> int:
        bits = 8 * min(self.w.dtype.itemsize, 8)
        return int((1 << (bits - self.value_rule)) - 1)

    @property
    def keep(self) -> Array:
        return nonzero(self.w, self.zero)

    @property
    def coords(self) -> tuple[Array, Array, Array]:
        row, col = np.nonzero(self.keep)
        return row.astype(self.index), col.astype(self.index), self.w[self.keep]

    @property
    def indptr(self) -> Array:
        return self.offsets(self.keep.sum(axis=1))

    @property
    def bits(self) -> Array:
        bits = np.zeros((len(self.w), -(-self.w.shape[1] // 8) + self.padding), np.uint8)
        pack_bits(self.keep, bits)
        return bits

    def offsets(self, counts: Array) -> Array:
        return np.append(0, np.cumsum(counts)).astype(self.index)

    def block(self, a: Array, more: int = 0) -> Array:
        """The rows first..last of an array by rows, or the offsets that belong to them."""
        return a[self.first : self.last + more].copy()

    def dirty(self, shape: int | tuple[int, ...], dtype: type | np.dtype[Any] | None = None) -> Array:
        """Something to write to, with what was there before."""
        out = np.empty(shape, self.index if dtype is None else dtype)
        out.view(np.uint8)[...] = 0xA5
        return out


def items_of(codes: Array, width: type) -> Array:
    """Turns small numbers into zeros, ones, signs, all bits, and something else."""
    size = np.dtype(width).itemsize
    choice = np.zeros((5, size), np.uint8)
    choice[1, 0] = 1
    choice[2, -1] = 0x80
    choice[3] = 0xFF
    choice[4, size // 2 :] = 7
    return np.asarray(choice.view(width)[np.minimum(codes, 4), 0])


def dense_row_counts(c: Case) -> Args:
    return c.block(c.w), c.zero, c.dirty(c.last - c.first)


def dense_to_csr(c: Case) -> Args:
    total = int(c.indptr[-1])
    return c.block(c.w), c.zero, c.block(c.indptr, 1), c.dirty(total), c.dirty(total, c.w.dtype)


def dense_to_csr_within(c: Case) -> Args:
    total = int(c.indptr[c.last] - c.indptr[c.first])
    room = c.dirty(total + c.first), c.dirty(total + c.first, c.w.dtype)
    return c.block(c.w), c.zero, c.dirty(c.last - c.first + 1), *room


def dense_sample(c: Case) -> Args:
    return c.w, c.zero, (1 + c.first % 3, 1 + c.last * 9), c.dirty(c.last * 7, np.int64)


def count_nonzero(c: Case) -> Args:
    return c.w.reshape(-1), c.zero


def dense_col_counts(c: Case) -> Args:
    return c.w, c.zero, c.dirty(c.w.shape[1])


def dense_to_csc(c: Case) -> Args:
    indptr = c.offsets(c.keep.sum(axis=0))
    total = int(indptr[-1])
    first, last = min(c.first, c.w.shape[1]), min(c.last, c.w.shape[1])
    w = np.ascontiguousarray(c.w[:, first:last])
    return w, c.zero, indptr[first : last + 1], c.dirty(total), c.dirty(total, c.w.dtype)


def dense_to_bits(c: Case) -> Args:
    return c.block(c.w), c.zero, c.dirty(c.block(c.bits).shape, np.uint8), c.dirty(c.last - c.first)


def dense_to_bits_within(c: Case) -> Args:
    total = int(c.indptr[c.last] - c.indptr[c.first])
    bits, row_offsets = c.dirty(c.block(c.bits).shape, np.uint8), c.dirty(c.last - c.first + 1)
    return c.block(c.w), c.zero, bits, row_offsets, c.dirty(total + c.first, c.w.dtype)


def bits_gather(c: Case) -> Args:
    total = int(c.indptr[-1])
    return c.block(c.w), c.block(c.bits), c.block(c.indptr, 1), c.dirty(total, c.w.dtype)


def csr_to_dense(c: Case) -> Args:
    _, col, slots = c.coords
    return c.block(c.indptr, 1), col, slots, c.dirty(c.block(c.w).shape, c.w.dtype)


def csc_to_dense(c: Case) -> Args:
    col, row = np.nonzero(c.keep.T)
    indptr = c.offsets(c.keep.sum(axis=0))
    out = c.dirty(c.block(c.w).shape, c.w.dtype)
    return indptr, row.astype(c.index), c.w[row, col], c.first, out


def coo_to_dense(c: Case) -> Args:
    row, col, slots = c.coords
    inside = (row >= c.first) & (row < c.last)
    return row[inside], col[inside], slots[inside], c.first, c.dirty(c.block(c.w).shape, c.w.dtype)


def bits_to_dense(c: Case) -> Args:
    return c.block(c.bits), c.block(c.indptr, 1), c.coords[2], c.dirty(c.block(c.w).shape, c.w.dtype)


def wanted(c: Case) -> Array:
    """Rows to compare with, of which one in three has another last item."""
    w = c.block(c.w)
    if w.size and (c.first + c.last + w.shape[1]) % 3 == 0:
        w.reshape(-1).view(np.uint8)[-1] ^= 1
    return w


def csr_equal(c: Case) -> Args:
    _, col, slots = c.coords
    return c.block(c.indptr, 1), col, slots, wanted(c)


def bits_equal(c: Case) -> Args:
    return c.block(c.bits), c.block(c.indptr, 1), c.coords[2], wanted(c)


def expand_indptr(c: Case) -> Args:
    indptr = c.block(c.indptr, 1)
    return indptr, c.dirty(int(indptr[-1] - indptr[0]))


def compress_rows(c: Case) -> Args:
    return c.coords[0], c.dirty(len(c.w) + 1)


def count_indices(c: Case) -> Args:
    return c.coords[1], c.dirty(c.w.shape[1])


def csr_transpose(c: Case) -> Args:
    _, col, slots = c.coords
    return c.indptr, col, slots, c.offsets(c.keep.sum(axis=0)), c.dirty(len(col)), c.dirty(len(col), c.w.dtype)


def csr_to_bits(c: Case) -> Args:
    return c.block(c.indptr, 1), c.coords[1], c.w.shape[1], c.dirty(c.block(c.bits).shape, np.uint8)


def bits_to_indices(c: Case) -> Args:
    indptr = c.block(c.indptr, 1)
    return c.block(c.bits), indptr, c.dirty(int(indptr[-1] - indptr[0]))


def coo_order(c: Case) -> Args:
    row, col, _ = c.coords
    shuffled = np.random.default_rng(len(row)).permutation(len(row))
    if len(row) > 2:
        shuffled[1] = shuffled[0]  # two slots in one place keep their order
    return row[shuffled], col[shuffled], c.w.shape, c.dirty(len(row), np.int64)


def coo_to_csr(c: Case) -> Args:
    row, col, shape, _ = coo_order(c)
    n = len(row)
    slots = np.resize(c.coords[2], n)
    return row, col, slots, shape, c.dirty(shape[0] + 1), c.dirty(n), c.dirty(n, c.w.dtype)


def csr_check(c: Case) -> Args:
    return c.indptr, c.coords[1], c.w.shape[1]


def coo_check(c: Case) -> Args:
    return *c.coords[:2], c.w.shape


def bits_check(c: Case) -> Args:
    return c.bits, c.indptr, c.w.shape[1]


BUILDERS: list[Callable[[Case], Args]] = [
    dense_row_counts, dense_to_csr, dense_to_csr_within, dense_sample, count_nonzero,
    dense_col_counts, dense_to_csc, dense_to_bits, dense_to_bits_within, bits_gather,
    csr_to_dense, csc_to_dense, coo_to_dense, bits_to_dense, csr_equal, bits_equal, expand_indptr, compress_rows,
    count_indices,
    csr_transpose, csr_to_bits, bits_to_indices, coo_order, coo_to_csr, csr_check, coo_check, bits_check,
]  # fmt: skip
builders = pytest.mark.parametrize("builder", BUILDERS, ids=lambda builder: builder.__name__)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    rows = draw(st.integers(0, 6))
    cols = draw(st.sampled_from([0, 1, 7, 8, 9, 31, 64, 65, 130]))
    codes = draw(st.binary(min_size=rows * cols, max_size=rows * cols))
    one_in = draw(st.sampled_from([5, 20, 255]))
    grid = np.frombuffer(codes, np.uint8).reshape(rows, cols) % one_in
    first = draw(st.integers(0, rows))
    return Case(
        items_of(np.where(grid < 5, grid, 0), draw(st.sampled_from(WIDTHS))),
        draw(st.sampled_from(INDICES)),
        value_rule=draw(st.booleans()),
        padding=draw(st.sampled_from([0, 1, 60])),
        first=first,
        last=draw(st.integers(first, rows)),
    )


def copies(args: Args) -> Args:
    return tuple(a.copy() if isinstance(a, np.ndarray) else a for a in args)


def outcome(function: Callable[..., Any], args: Args) -> tuple[Any, list[bytes]] | None:
    """What the function gives and leaves in its arguments; None if it raises."""
    args = copies(args)
    try:
        result = function(*args)
    except (ValueError, IndexError):
        return None
    return result, [a.tobytes() for a in args if isinstance(a, np.ndarray)]


def both(builder: Callable[[Case], Args]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The compiled kernel, and its definition."""
    rooms = (csr_kernels, csc_kernels, coo_kernels, bitmask_kernels, equal_kernels)
    kernel: Any = next(getattr(room, builder.__name__) for room in rooms if hasattr(room, builder.__name__))
    return kernel, kernel.__wrapped__


@builders
@settings(max_examples=40, deadline=None)
@given(case=cases())
def test_equals_the_definition(builder: Callable[[Case], Args], case: Case) -> None:
    kernel, definition = both(builder)
    args = builder(case)
    want = outcome(definition, args)
    assert want is not None
    assert outcome(kernel, args) == want


@builders
@settings(max_examples=40, deadline=None)
@given(case=cases(), data=st.data())
def test_raises_where_the_definition_raises(builder: Callable[[Case], Args], case: Case, data: st.DataObject) -> None:
    kernel, definition = both(builder)
    args = copies(builder(case))
    arrays = [a for a in args if isinstance(a, np.ndarray) and a.size]
    if not arrays:
        return
    target = data.draw(st.sampled_from(arrays))
    at = data.draw(st.integers(0, target.size - 1))
    value = data.draw(st.sampled_from([0, 1, 3, 130, -1, -2, -100]))
    target.reshape(-1)[at] = value if target.dtype.kind == "i" else value % 256
    want, got = outcome(definition, args), outcome(kernel, args)
    if want is None:
        assert got is None
    elif got is not None and builder is not csc_to_dense:  # relies on ascending indices
        assert got == want


@pytest.fixture(params=[1, 3], ids=["1 thread", "3 threads"])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = _native.get_num_threads()
    _native.set_num_threads(request.param)
    yield request.param
    _native.set_num_threads(before)


@builders
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(("shape", "one_in"), [((3, 5000), 5), ((5000, 3), 7), ((400, 700), 9), ((300, 4200), 200)])
def test_large_ones_on_threads(
    builder: Callable[[Case], Args], width: type, shape: tuple[int, int], one_in: int, threads: int
) -> None:
    grid = np.random.default_rng(threads).integers(0, one_in, shape, np.uint8)
    index = INDICES[np.dtype(width).itemsize // 2 % 2]
    last = shape[0] - 1
    w = items_of(np.where(grid < 5, grid, 0), width)
    case = Case(w, index, value_rule=True, padding=3, first=1, last=last)
    kernel, definition = both(builder)
    args = builder(case)
    want = outcome(definition, args)
    assert want is not None
    assert outcome(kernel, args) == want


@pytest.mark.parametrize("shape", [(1 << 40, 0), (0, 1 << 40)])
def test_shapes_without_elements_take_no_time(shape: tuple[int, int]) -> None:
    none = np.zeros(0, np.int64)
    out = np.zeros(shape, np.uint8)
    coo_kernels.coo_to_dense(none, none, np.zeros(0, np.uint8), 0, out)
    coo_kernels.coo_order(none, none, (1 << 62, 1 << 62), none.copy())
    assert tuple(coo_kernels.coo_check(none, none, (1 << 62, 1 << 62))) == (0, 0)
    if shape[1] == 0:
        start = np.zeros(1, np.int64)
        csc_kernels.csc_to_dense(start, none, np.zeros(0, np.uint8), 0, out)
        csc_kernels.dense_to_csc(out, 255, start, none, np.zeros(0, np.uint8))
        csc_kernels.dense_col_counts(out, 255, none.copy())


@pytest.mark.parametrize("first_row", [-(1 << 63), -1, 1, (1 << 63) - 1])
def test_a_block_that_starts_anywhere(first_row: int) -> None:
    row, slots, out = np.array([0, 1, 2]), np.ones(3, np.uint8), np.full((3, 3), 9, np.uint8)
    with pytest.raises(ValueError, match="out of range"):
        coo_kernels.coo_to_dense(row, row, slots, first_row, out)
    csc_kernels.csc_to_dense(np.array([0, 1, 2, 3]), row, slots, first_row, out)
    want = np.zeros((3, 3))
    if abs(first_row) == 1:
        want = np.eye(3, k=first_row)
    np.testing.assert_array_equal(out, want)


def test_slots_in_any_order_and_twice_in_one_place() -> None:
    row, col, slots = np.array([1, 0, 1]), np.array([0, 1, 0]), np.array([5, 6, 7], np.uint8)
    out = np.full((2, 2), 9, np.uint8)
    coo_kernels.coo_to_dense(row, col, slots, 0, out)
    np.testing.assert_array_equal(out, [[0, 6], [7, 0]])


def test_an_error_names_the_index_and_its_place() -> None:
    out = np.zeros((2, 3), np.uint8)
    with pytest.raises(ValueError, match=r"index 3 at position 1 is out of range 0\.\."):
        csr_kernels.csr_to_dense(np.array([1, 2, 3]), np.array([9, 0, 3]), np.ones(3, np.uint8), out)
