"""Large blocks of memory: in huge pages where the system has them, and kept for a while when they are let go.

To touch fresh memory for the first time costs more than to copy what goes there: the kernel hands it out page by page
and zeroes each. Huge pages (2 MiB) are cheaper by far than those of 4 KiB, and memory that was used before is cheaper
still. So blocks start at a huge page, and blocks that are freed wait, up to a limit, for the next array of their size.
The latest of them stay as they are; of the others the system may take the pages back (MADV_FREE) when it needs them.
To allow that costs more than a small product, because every CPU must forget where the pages were.
"""

import contextlib
import ctypes
import math
import mmap
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from sparsefmt.base import limits
from sparsefmt.base.dtypes import Array, Dtype
from sparsefmt.base.errors import SizeError
from sparsefmt.base.finalizers import when_gone

ALIGNMENT = 64
SMALL = 1 << 16  # bytes up to which the heap has room at once, so that nothing is asked or caught
LARGE = 1 << 20  # bytes from which on an array gets a block of its own
HUGE_PAGE = 2 << 20
_PIECE = 1 << 17  # items that are made at a time
KEPT_AT_MOST = 256 << 20  # unless told otherwise
WARM_AT_MOST = 64 << 20  # of these, bytes whose pages the system may not take

_BYTES = np.dtype(np.uint8)
_BYTE: Callable[[Any], ctypes.c_char] = ctypes.c_char.from_buffer
_address = ctypes.addressof
_PRIVATE = getattr(mmap, "MAP_PRIVATE", 0) | getattr(mmap, "MAP_ANONYMOUS", 0)


class Block:
    """Mapped memory; `start` bytes in, `size` bytes are for use."""

    __slots__ = ("memory", "size", "start")

    def __init__(self, nbytes: int) -> None:
        self.memory = mmap.mmap(-1, nbytes + HUGE_PAGE, flags=_PRIVATE)
        self.size = nbytes
        self.start = -_address(_BYTE(self.memory)) % HUGE_PAGE
        # The rest behind the last whole huge page takes another only if that wastes little.
        rest = nbytes % HUGE_PAGE
        huge = nbytes - rest + (HUGE_PAGE if rest and HUGE_PAGE - rest <= nbytes // 10 else 0)
        if huge and hasattr(mmap, "MADV_HUGEPAGE"):
            with contextlib.suppress(OSError):  # a kernel without huge pages
                self.memory.madvise(mmap.MADV_HUGEPAGE, self.start, huge)

    def let_go(self) -> None:
        """Lets the system take the pages when it wants them; until then they stay."""
        if hasattr(mmap, "MADV_FREE"):
            with contextlib.suppress(OSError):  # a kernel before 4.5
                self.memory.madvise(mmap.MADV_FREE)


# The latest blocks to be freed, and those before them that were let go. Changed by single operations only, and a block
# is in neither while it changes hands: arrays die in any thread, at any time.
_warm: list[Block] = []
_cold: list[Block] = []
_limit = 0


def keep(nbytes: int) -> None:
    """Sets how many bytes of freed blocks are kept at most; frees what is beyond."""
    global _limit
    _limit = nbytes
    _trim()


def cache_bytes() -> int:
    """How many bytes of freed blocks are kept at most."""
    return _limit


def kept() -> int:
    """How many bytes of freed blocks wait for another use."""
    return _size(_warm) + _size(_cold)


def _size(blocks: list[Block]) -> int:
    return sum(block.size for block in tuple(blocks))


def _trim() -> None:
    while kept() > _limit:
        with contextlib.suppress(IndexError):  # another thread took it
            (_cold or _warm).pop(0)


def _give_back(block: Block) -> None:
    if block.size > _limit:
        return
    _warm.append(block)
    while _size(_warm) > WARM_AT_MOST:
        with contextlib.suppress(IndexError):  # another thread took it
            oldest = _warm.pop(0)
            oldest.let_go()
            _cold.append(oldest)
    _trim()


def _take(nbytes: int) -> Block | None:
    """A kept block of that size, or of an eighth more at most."""
    for blocks in (_warm, _cold):
        fitting = [block for block in tuple(blocks) if nbytes <= block.size <= nbytes + nbytes // 8]
        for block in sorted(fitting, key=lambda block: block.size):
            with contextlib.suppress(ValueError):  # another thread took it
                blocks.remove(block)
                # Who dug out the memory behind an array and still holds it, keeps it for himself.
                if sys.getrefcount(block.memory) == 2:
                    return block
    return None


def _new(nbytes: int) -> Block:
    try:
        return Block(nbytes)
    except (OSError, MemoryError):
        if not kept():
            raise
        _warm.clear()
        _cold.clear()
        return Block(nbytes)


def allocate(shape: tuple[int, ...], dtype: np.dtype[Any], nbytes: int, *, zeroed: bool = False) -> Array:
    """An array of `nbytes` of undefined content, or `zeroed`, at an address that is a multiple of 64.

    Raises:
        MemoryError, ValueError, OSError, OverflowError: the system has not that much.
    """
    if nbytes < LARGE or not _PRIVATE:
        raw = (np.zeros if zeroed else np.empty)(nbytes + ALIGNMENT, np.uint8)
        return np.ndarray(shape, dtype, raw, -_address(_BYTE(raw)) % ALIGNMENT)
    used = _take(nbytes)
    block = used or _new(nbytes)
    # All views of an array refer to this one, so when it dies, nobody sees the memory any more.
    made: Array = np.ndarray(shape, dtype, block.memory, block.start)
    when_gone(made, _give_back, block)
    if zeroed and used:
        made.fill(0)
    return made


def empty(
    shape: int | tuple[int, ...], dtype: Dtype | type, what: str = "the result", limit: int | None = None
) -> Array:
    """An array of undefined content whose address is a multiple of 64; large ones come in huge pages.

    Raises:
        SizeError: it is larger than allowed, or the system has not that much memory.
    """
    if limit is None and limits.is_default():  # most arrays are small, and made within microseconds
        dtype = dtype if isinstance(dtype, np.dtype) else np.dtype(dtype)
        shape = shape if isinstance(shape, tuple) else (shape,)
        nbytes = math.prod(shape) * dtype.itemsize
        if 0 < nbytes <= SMALL:
            return np.ndarray(shape, dtype, *_aligned(nbytes))
    return _allocated(shape, dtype, what, limit, zeroed=False)


def _aligned(nbytes: int) -> tuple[Array, int]:
    """So many bytes, and some more, and where in them is the first multiple of 64."""
    raw = np.empty(nbytes + ALIGNMENT, _BYTES)
    return raw, -_address(_BYTE(raw)) % ALIGNMENT


def zeros(shape: int | tuple[int, ...], dtype: Dtype | type, what: str = "the result") -> Array:
    """An array of zeros, aligned like `empty`; the system hands out its pages when they are first written."""
    return _allocated(shape, dtype, what, None, zeroed=True)


def _allocated(shape: int | tuple[int, ...], dtype: Dtype | type, what: str, limit: int | None, zeroed: bool) -> Array:
    dtype = dtype if isinstance(dtype, np.dtype) else np.dtype(dtype)
    shape = shape if isinstance(shape, tuple) else (shape,)
    nbytes = math.prod(shape) * dtype.itemsize
    if limit is not None or nbytes > LARGE or not limits.is_default():
        limits.check_size(nbytes, f"{what} of shape {shape}", limit)
    try:
        return allocate(shape, dtype, nbytes, zeroed=zeroed)
    except (MemoryError, ValueError, OSError, OverflowError) as e:
        msg = f"{what} of shape {shape} and {nbytes} bytes cannot be made: {e}"
        raise SizeError(msg) from e


def counted(stop: int, dtype: Dtype | type = np.int64, what: str = "a range of numbers") -> Array:
    """0, 1, ... below `stop`.

    Raises:
        SizeError: they are more than allowed.
    """
    made = empty(stop, dtype, what)
    for low in range(0, stop, _PIECE):
        part = made[low : low + _PIECE]
        part[...] = np.arange(low, low + len(part))
    return made


def repeated(a: Array, count: int | Array, axis: int = 0, what: str = "repeated items") -> Array:
    """`numpy.repeat` behind the gate of memory.

    Raises:
        SizeError: the result would be larger than allowed.
    """
    total = int(count.sum()) if isinstance(count, np.ndarray) else a.shape[axis] * count
    nbytes = math.prod((*a.shape[:axis], total, *a.shape[axis + 1 :])) * a.itemsize
    if nbytes > LARGE or not limits.is_default():
        limits.check_size(nbytes, what)
    try:
        return np.repeat(a, count, axis)
    except MemoryError as e:
        msg = f"{what} of {nbytes} bytes cannot be made: {e}"
        raise SizeError(msg) from e


def cast(a: Array, dtype: Dtype, what: str) -> Array:
    """`a` in another dtype, itself if it has it: of a view that repeats its items, the result is far larger than `a`.

    Raises:
        SizeError: the result would be larger than allowed, or the system has not that much memory.
    """
    if a.dtype == dtype:
        return a
    nbytes = a.size * dtype.itemsize
    if nbytes > LARGE or not limits.is_default():
        limits.check_size(nbytes, f"{what} in {dtype.name} of shape {a.shape}")
    try:
        return a.astype(dtype)
    except MemoryError as e:
        msg = f"{what} in {dtype.name} of shape {a.shape} and {nbytes} bytes cannot be made: {e}"
        raise SizeError(msg) from e


def spread(a: Array, shape: tuple[int, ...], what: str = "an array") -> Array:
    """`numpy.broadcast_to`, for shapes that may be too large to be arrays.

    Raises:
        SizeError: NumPy cannot count the bytes of such an array.
    """
    if math.prod(shape) * a.itemsize >= 1 << 63:
        msg = f"{what} of shape {shape} would have {math.prod(shape)} items of {a.itemsize} bytes"
        raise SizeError(msg)
    return np.broadcast_to(a, shape)


def reshaped(a: Array, shape: tuple[int, ...], what: str = "an array") -> Array:
    """`a.reshape(shape)`, for shapes without items whose other lengths may be too large for an array.

    Raises:
        SizeError: NumPy cannot count the bytes of such an array.
    """
    try:
        return a.reshape(shape)
    except ValueError as e:
        msg = f"{what} of shape {shape} cannot be made: {e}"
        raise SizeError(msg) from e


def check_countable(shape: tuple[int, ...], itemsize: int, what: str) -> None:
    """Raises SizeError where NumPy cannot make an array of that shape, were it as empty as it may be."""
    if math.prod(n for n in shape if n) * itemsize >= 1 << 63:
        msg = f"{what} of shape {shape} would have items of {itemsize} bytes, more than NumPy counts"
        raise SizeError(msg)


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
    keep(min(KEPT_AT_MOST, limits.machine_limit() // 16) if n is None else limits.byte_count(n, "set_cache_bytes: n"))


set_cache_bytes(None)
