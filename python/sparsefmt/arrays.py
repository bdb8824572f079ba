"""Arrays: which dtypes there are, items as unsigned integers, and memory that is aligned and bounded."""

import contextlib
import functools
import math
import operator
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import ml_dtypes
import numpy as np

from sparsefmt import memory
from sparsefmt.errors import DtypeError, FormatError, SizeError

Array: TypeAlias = np.ndarray[Any, Any]
Dtype: TypeAlias = np.dtype[Any]

INTEGERS = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
FLOATS = ("float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "float32", "float64")
COMPLEX = ("complex64", "complex128")
DTYPES: dict[str, Dtype] = {
    name: np.dtype(getattr(ml_dtypes, name) if hasattr(ml_dtypes, name) else name)
    for name in INTEGERS + FLOATS + COMPLEX
}
_UNSIGNED: dict[int, Dtype] = {
    1: np.dtype("u1"),
    2: np.dtype("u2"),
    4: np.dtype("u4"),
    8: np.dtype("u8"),
    16: np.dtype("c16"),
}

ALIGNMENT = memory.ALIGNMENT
_INT32, _INT64 = np.dtype(np.int32), np.dtype(np.int64)
_INT64_MAX = 2**63 - 1
BLOCK_BYTES = 1 << 20  # what a block of rows may take where an array must be copied to be worked on


@functools.lru_cache(256)
def native(dtype: Dtype) -> Dtype:
    """The dtype in the byte order of this machine.

    Raises:
        DtypeError: no format holds it.
    """
    found: Dtype | None = DTYPES.get(dtype.name)
    if found is None:
        msg = f"dtype {dtype} is not supported; have {', '.join(DTYPES)}"
        raise DtypeError(msg)
    return found


def dtype_named(name: object) -> Dtype:
    """The dtype of that name.

    Raises:
        DtypeError: there is none.
    """
    if not isinstance(name, str) or name not in DTYPES:
        msg = f"dtype {name!r} is unknown; have {', '.join(DTYPES)}"
        raise DtypeError(msg)
    return DTYPES[name]


def item_dtype(dtype: Dtype) -> Dtype:
    """The unsigned integer that carries an item of `dtype`; complex128 carries 16 bytes."""
    return _UNSIGNED[dtype.itemsize]


def items(a: Array) -> Array:
    """`a` seen as unsigned integers of the same width, in place."""
    return a.view(item_dtype(a.dtype))


def zero_mask(dtype: Dtype, rule: str) -> int:
    """The bits that make an item nonzero: all for "bits", all but the signs for "value"."""
    if rule not in ("value", "bits"):
        msg = f'zero = {rule!r} is unknown; allowed "value" (-0.0 is a zero) and "bits" (only +0 is a zero)'
        raise FormatError(msg)
    return _zero_mask(dtype, rule)


@functools.lru_cache(256)
def _zero_mask(dtype: Dtype, rule: str) -> int:
    size = min(dtype.itemsize, 8)
    full = (1 << (8 * size)) - 1
    if rule == "bits" or dtype.name in INTEGERS:
        return full
    if dtype.name == "complex64":
        return 0x7FFFFFFF_7FFFFFFF
    return full >> 1


def index_dtype(*bounds: int) -> Dtype:
    """int32 if every bound fits, else int64, as SciPy chooses."""
    return _INT32 if max(bounds) <= 2**31 - 1 else _INT64


def as_array(w: object, name: str = "w") -> Array:
    """`w`, called `name` in errors, as an array of rank 1 or more of a supported dtype; order and strides stay.

    Raises:
        DtypeError: object, datetime, longdouble, text or masked arrays.
        FormatError: a scalar, or a ragged list.
        TypeError: a sparse tensor or sparse matrix.
    """
    if type(w) is not np.ndarray and isinstance(w, np.ma.MaskedArray):
        msg = f"{name}: masked arrays are not supported; fill them first: {name}.filled(0)"
        raise DtypeError(msg)
    if not isinstance(w, np.ndarray) and hasattr(w, "tocsr"):
        msg = f"{name} is a {type(w).__name__}; use sparsefmt.from_scipy({name}, fmt)"
        raise TypeError(msg)
    try:
        a = np.asarray(w)
    except ValueError as e:
        msg = f"{name} is no array: {str(e).rstrip('.')}"
        raise FormatError(msg) from e
    native(a.dtype)
    if a.ndim == 0:
        msg = f"{name} is a scalar; want an array of rank 1 or more"
        raise FormatError(msg)
    return a


def is_device_array(a: object) -> bool:
    """Whether `a` lies in the memory of a GPU: CuPy's arrays, and those of others that say so."""
    return not isinstance(a, np.ndarray) and hasattr(a, "__cuda_array_interface__")


def matrix_shape(shape: tuple[int, ...]) -> tuple[int, int]:
    """(rows, cols): leading axes flattened; rank 1 is one row."""
    return math.prod(shape[:-1]), shape[-1]


def checked_shape(shape: object, ranks: tuple[int, int] = (1, 64)) -> tuple[int, ...]:
    """`shape` as a tuple of ints; as many rows as int64 can count.

    Raises:
        FormatError: it is no shape, or has fewer or more axes than `ranks` allow.
    """
    axes = shape if isinstance(shape, tuple | list) else ()
    if not ranks[0] <= len(axes) <= ranks[1]:
        msg = f"shape = {shape!r}; want a tuple of {ranks[0]}..{ranks[1]} integers"
        raise FormatError(msg)
    made = tuple(whole(n, "shape", 0, _INT64_MAX) for n in axes)
    if math.prod(made[:-1]) > _INT64_MAX:
        msg = f"shape {made} has more than {_INT64_MAX} rows"
        raise FormatError(msg)
    return made


def plain(a: Array, dtype: Dtype | type) -> Array:
    """`a` C-contiguous, aligned and of that dtype; itself if it is."""
    made = np.require(a, dtype, ("C", "A"))
    return made if is_aligned(made) else made.copy()


def is_plain(a: Array) -> bool:
    """C-contiguous, aligned and in native byte order: what kernels take as it is."""
    return bool(a.flags.c_contiguous and is_aligned(a) and a.dtype.isnative)


def is_aligned(a: Array) -> bool:
    """Whether kernels can see the items in place: as unsigned integers of their width, or pairs of 8 bytes.

    NumPy asks less of complex64: two halves of 4 bytes.
    """
    if a.dtype.kind != "c" or not a.size:
        return bool(a.flags.aligned)
    return bool(a.flags.aligned) and a.__array_interface__["data"][0] % 8 == 0 and not any(n % 8 for n in a.strides)


# Memory

_max_bytes: int | None = None


@functools.cache
def _machine_limit() -> int:
    """The least of physical memory, cgroup limits and RLIMIT_AS, in bytes."""
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    group = Path("/sys/fs/cgroup")
    with contextlib.suppress(OSError, IndexError):
        own = Path("/proc/self/cgroup").read_text().strip().splitlines()[-1].split(":")[2].lstrip("/")
        folder = group / own
        while folder != group.parent:
            with contextlib.suppress(OSError, ValueError):
                limits.append(int((folder / "memory.max").read_text()))
            folder = folder.parent
    with contextlib.suppress(OSError, ValueError):
        limits.append(int((group / "memory/memory.limit_in_bytes").read_text()))
    with contextlib.suppress(ImportError, OSError):
        import resource  # not on every system

        soft = resource.getrlimit(resource.RLIMIT_AS)[0]
        if soft != resource.RLIM_INFINITY:
            limits.append(soft)
    return min(limits)


def max_bytes() -> int:
    """The largest array that may be made, in bytes."""
    return _machine_limit() if _max_bytes is None else _max_bytes


def set_max_bytes(n: int | None) -> None:
    """Sets the largest array, in bytes, that any function of this package makes; larger ones raise SizeError.

    Args:
        n: bytes, or None for the default: the least of physical memory, cgroup limit and RLIMIT_AS.

    Raises:
        FormatError: n is negative or no integer.

    >>> set_max_bytes(10**9)
    >>> set_max_bytes(None)
    """
    global _max_bytes
    _max_bytes = None if n is None else byte_count(n)


def set_cache_bytes(n: int | None) -> None:
    """Sets how many bytes of freed memory are kept for the next large arrays, which saves their page faults.

    The operating system may take kept pages back at any time without writing them anywhere.

    Args:
        n: bytes, 0 to keep nothing, or None for the default: 256 MiB or 1/16 of the memory of the machine, the lesser.

    Raises:
        FormatError: n is negative or no integer.

    >>> set_cache_bytes(0)
    >>> set_cache_bytes(None)
    """
    memory.keep(min(memory.KEPT_AT_MOST, _machine_limit() // 16) if n is None else byte_count(n, "set_cache_bytes: n"))


def byte_count(n: object, what: str = "max_bytes") -> int:
    """A limit in bytes as an int.

    Raises:
        FormatError: n is negative or no integer.
    """
    try:
        value = -1 if isinstance(n, bool) else operator.index(n)  # type: ignore[arg-type]
    except TypeError:
        value = -1
    if value < 0:
        msg = f"{what} = {n!r}; want a number of bytes (int >= 0) or None"
        raise FormatError(msg)
    return value


def check_size(nbytes: int, what: str, limit: int | None = None) -> None:
    """Raises SizeError if an array of `nbytes` is larger than allowed."""
    allowed = max_bytes() if limit is None else byte_count(limit)
    if nbytes > allowed:
        way = "pass a larger max_bytes=" if limit is not None else "raise the limit with sparsefmt.set_max_bytes"
        msg = f"{what} would take {nbytes} bytes; allowed {allowed}; work on a part, or {way}"
        raise SizeError(msg)


def empty(
    shape: int | tuple[int, ...], dtype: Dtype | type, what: str = "the result", limit: int | None = None
) -> Array:
    """An array of undefined content whose address is a multiple of 64; large ones come in huge pages.

    Raises:
        SizeError: it is larger than allowed, or the system has not that much memory.
    """
    return _allocated(shape, dtype, what, limit, zeroed=False)


def zeros(shape: int | tuple[int, ...], dtype: Dtype | type, what: str = "the result") -> Array:
    """An array of zeros, aligned like `empty`; the system hands out its pages when they are first written."""
    return _allocated(shape, dtype, what, None, zeroed=True)


def _allocated(shape: int | tuple[int, ...], dtype: Dtype | type, what: str, limit: int | None, zeroed: bool) -> Array:
    dtype, shape = np.dtype(dtype), shape if isinstance(shape, tuple) else (shape,)
    nbytes = math.prod(shape) * dtype.itemsize
    if limit is not None or nbytes > memory.LARGE or _max_bytes is not None:
        check_size(nbytes, what, limit)
    try:
        return memory.allocate(shape, dtype, nbytes, zeroed=zeroed)
    except (MemoryError, ValueError, OSError, OverflowError) as e:
        msg = f"{what} of shape {shape} and {nbytes} bytes cannot be made: {e}"
        raise SizeError(msg) from e


def counted(stop: int, dtype: Dtype | type = np.int64, what: str = "a range of numbers") -> Array:
    """0, 1, ... below `stop`.

    Raises:
        SizeError: they are more than allowed.
    """
    made = empty(stop, dtype, what)
    made[...] = np.arange(stop, dtype=dtype) if stop <= 1 << 16 else 1
    if stop > 1 << 16:
        made[0] = 0
        np.add.accumulate(made, 0, None, made)
    return made


def repeated(a: Array, count: int | Array, axis: int = 0, what: str = "repeated items") -> Array:
    """`numpy.repeat` behind the gate of memory.

    Raises:
        SizeError: the result would be larger than allowed.
    """
    total = int(count.sum()) if isinstance(count, np.ndarray) else a.shape[axis] * count
    check_fits((*a.shape[:axis], total, *a.shape[axis + 1 :]), a.dtype, what)
    try:
        return np.repeat(a, count, axis)
    except MemoryError as e:
        msg = f"{what} cannot be made: {e}"
        raise SizeError(msg) from e


def spread(a: Array, shape: tuple[int, ...], what: str = "an array") -> Array:
    """`numpy.broadcast_to`, for shapes that may be too large to be arrays.

    Raises:
        SizeError: NumPy cannot count the bytes of such an array.
    """
    if math.prod(shape) * a.itemsize > _INT64_MAX:
        msg = f"{what} of shape {shape} would have {math.prod(shape)} items of {a.itemsize} bytes"
        raise SizeError(msg)
    return np.broadcast_to(a, shape)


def check_fits(shape: tuple[int, ...], dtype: Dtype | type, what: str) -> None:
    """Raises SizeError if an array of that shape is larger than allowed; the product is taken in Python's integers."""
    nbytes = math.prod(shape) * np.dtype(dtype).itemsize
    if nbytes > memory.LARGE or _max_bytes is not None:
        check_size(nbytes, what)


def frozen(a: Array) -> Array:
    """A read-only view of `a`; the flags of `a` itself stay."""
    view = a.view()
    view.setflags(write=False)
    return view


def blocks(rows: int, row_bytes: int, step: int = 1, budget: int = BLOCK_BYTES) -> Iterator[tuple[int, int]]:
    """Cuts `0..rows` into ranges of at most `budget` bytes (but one `step` at least) that start at multiples of it."""
    per = max(budget // max(row_bytes * step, 1), 1) * step
    for low in range(0, rows, per):
        yield low, min(low + per, rows)


def copy_rows(a: Array, low: int, high: int, buffer: Array, *, back: bool = False) -> None:
    """Copies rows `low..high` (leading axes counted as rows) of `a` to the 2-d `buffer`; `back`: the other way."""
    if a.ndim == 1:
        a = a[None]
    if a.ndim == 2:
        if back:
            a[low:high] = buffer
        else:
            buffer[...] = a[low:high]
        return
    per = math.prod(a.shape[1:-1])
    first, last = -(-low // per), high // per
    if first > last:  # all inside one
        copy_rows(a[last], low - last * per, high - last * per, buffer, back=back)
        return
    if low < first * per:
        copy_rows(a[first - 1], low - (first - 1) * per, per, buffer[: first * per - low], back=back)
    if first < last:
        part, whole = buffer[first * per - low : last * per - low], a[first:last]
        if back:
            whole[...] = part.reshape(whole.shape)
        else:
            part.reshape(whole.shape)[...] = whole
    if last * per < high:
        copy_rows(a[last], 0, high - last * per, buffer[last * per - low :], back=back)


class Matrix:
    """An array seen as rows and columns of items, handed to kernels in blocks that they can take.

    A plain array is one block, in place. Any other (strides, byte order) is copied a block at a time; a block is valid
    until the next one is asked for.
    """

    def __init__(self, a: Array) -> None:
        self.array = a
        self.shape = matrix_shape(a.shape)
        self.dtype = native(a.dtype)
        self._buffer: Array | None = None

    def _room(self, rows: int, cols: int) -> Array:
        """The buffer of all blocks, so that no two of them exist at a time."""
        if self._buffer is None or self._buffer.size < rows * cols:
            self._buffer = empty(rows * cols, self.dtype, "a block of rows")
        return self._buffer[: rows * cols].reshape(rows, cols)

    @property
    def item_dtype(self) -> Dtype:
        """The dtype of the items."""
        return item_dtype(self.dtype)

    def row_blocks(self, step: int = 1, budget: int = BLOCK_BYTES) -> Iterator[tuple[int, int, Array]]:
        """Gives (first row, end, items (rows, cols)), first rows multiples of `step`; nothing without items."""
        rows, cols = self.shape
        if rows == 0 or cols == 0:
            return
        if is_plain(self.array):
            yield 0, rows, items(self.array.reshape(self.shape))
        else:
            for low, high in blocks(rows, cols * self.dtype.itemsize, step, budget):
                buffer = self._room(high - low, cols)
                copy_rows(self.array, low, high, buffer)
                yield low, high, items(buffer)

    def col_blocks(self, budget: int = BLOCK_BYTES) -> Iterator[tuple[int, int, Array]]:
        """Gives (first column, end, items (rows, cols)); nothing where there are no items."""
        rows, cols = self.shape
        if rows == 0 or cols == 0:
            return
        if is_plain(self.array):
            yield 0, cols, items(self.array.reshape(self.shape))
        else:
            for low, high in blocks(cols, rows * self.dtype.itemsize, 1, budget):
                buffer = self._room(rows, high - low)
                copy_rows(self.array[..., low:high], 0, rows, buffer)
                yield low, high, items(buffer)


def whole(n: object, what: str, low: int, high: int) -> int:
    """`n` as an int between `low` and `high`, both allowed.

    Raises:
        FormatError: it is not.
    """
    try:
        value = operator.index(n)  # type: ignore[arg-type]
    except TypeError:
        value = low - 1
    if isinstance(n, bool) or not low <= value <= high:
        msg = f"{what} = {n!r}; want an integer in {low}..{high}"
        raise FormatError(msg)
    return value


set_cache_bytes(None)
