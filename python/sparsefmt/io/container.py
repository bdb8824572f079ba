"""Reading the safetensors container: its header, and its bytes as arrays."""

import contextlib
import errno
import math
import mmap
import os
import re
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from sparsefmt.arrays import DTYPES, Array, empty, is_aligned
from sparsefmt.errors import CorruptFileError, DtypeError, SizeError
from sparsefmt.io.dtypes import PAIRED, VIEWS, has_odd_bools
from sparsefmt.kernels.header import parse_header

MAX_HEADER = 100_000_000  # bytes, the limit of the format
_UNPRINTED = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")  # what a file may put into a message that is one line
LENGTH = 8  # bytes that say how long the header is


@dataclass(frozen=True, slots=True)
class Stored:
    """Where an array is in the file, in bytes from its start, and as what."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class Container:
    """An open file. `fetch` gives the bytes of a range, mapped or copied."""

    path: str
    stored: dict[str, Stored]
    metadata: dict[str, str]
    fetch: Callable[[int, int], Array]

    def array(self, key: str, dtype: str | None = None) -> Array:
        """An array under its key; `dtype` is what it must be, None: what the container says.

        Raises:
            CorruptFileError: there is none, it has another dtype, or it is a bool array with bytes beyond 0 and 1.
            DtypeError: NumPy has no such dtype.
            SizeError: a shape that NumPy does not hold.
        """
        if key not in self.stored:
            msg = f"array {key!r} is missing"
            raise CorruptFileError(msg)
        s = self.stored[key]
        view, shape = VIEWS.get(s.dtype), s.shape
        if view is None:
            msg = f"{key!r} is {s.dtype}, for which NumPy has no dtype; leave it out with names=[...]"
            raise DtypeError(msg)
        if dtype == PAIRED and s.dtype == "F64" and shape[-1:] == (2,):
            view, shape = DTYPES[PAIRED], shape[:-1]
        elif dtype is not None and view.name != dtype:
            msg = f"array {key!r} is {s.dtype} of shape {shape}, want {dtype}"
            raise CorruptFileError(msg)
        try:
            a = self.fetch(s.start, s.end).view(view).reshape(shape)
        except ValueError as e:
            msg = f"array {key!r} of shape {shape}: {e}"
            raise SizeError(msg) from None
        if has_odd_bools(a):
            msg = f"bool array {key!r} holds bytes other than 0 and 1"
            raise CorruptFileError(msg)
        return a if is_aligned(a) else _aligned(a)


def _aligned(a: Array) -> Array:
    copy = empty(a.shape, a.dtype, "an array that is not aligned in its file")
    copy[...] = a
    copy.flags.writeable = a.flags.writeable
    return copy


@contextlib.contextmanager
def reading(path: str | os.PathLike[str], *, mapped: bool = True) -> Iterator[Container]:
    """The container at `path`. Errors of this package that are raised inside name the path.

    Args:
        path: of the file.
        mapped: arrays are read-only views of the mapped file, else writable copies.

    Raises:
        CorruptFileError: it is no safetensors file, or its header contradicts itself or the file.
        FileNotFoundError: there is no such file.
        IsADirectoryError: it is a folder.
    """
    where = os.fsdecode(path)
    kind = os.stat(path).st_mode
    if stat.S_ISDIR(kind):
        raise IsADirectoryError(errno.EISDIR, "a folder, want a safetensors file", where)
    try:
        if not stat.S_ISREG(kind):
            msg = "no regular file"
            raise CorruptFileError(msg)
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            data, text = _header(file, size)
            stored, metadata = parse_header(np.frombuffer(text, np.uint8), size - data)
            found = {n: Stored(dtype, tuple(shape), data + a, data + b) for n, dtype, shape, a, b in stored}
            yield Container(where, found, metadata, _map(file, size) if mapped else _copy(file))
    except (CorruptFileError, DtypeError, SizeError) as e:
        msg = f"{where}: {_UNPRINTED.sub(' ', str(e))}"
        raise type(e)(msg) from None


def _header(file: BinaryIO, size: int) -> tuple[int, bytes]:
    """Where the data starts, and the text of the header."""
    if size < LENGTH:
        msg = f"not a safetensors file: it holds {size} bytes, want at least {LENGTH}"
        raise CorruptFileError(msg)
    length = int.from_bytes(file.read(LENGTH), "little")
    if length > MAX_HEADER:
        msg = f"not a safetensors file, or damaged: the header claims {length} bytes, allowed {MAX_HEADER}"
        raise CorruptFileError(msg)
    text = file.read(length) if length <= size - LENGTH else b""
    if len(text) != length:
        msg = f"not a safetensors file, or cut off: the header claims {length} bytes, {size - LENGTH} follow"
        raise CorruptFileError(msg)
    return LENGTH + length, text


def _map(file: BinaryIO, size: int) -> Callable[[int, int], Array]:
    """Views of the mapped file."""
    if sys.version_info >= (3, 13):
        mapped = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ, trackfd=False)
    else:
        mapped = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
    whole = np.frombuffer(mapped, np.uint8)
    return lambda start, end: whole[start:end]


def _copy(file: BinaryIO) -> Callable[[int, int], Array]:
    """Copies of ranges of the file."""

    def fetch(start: int, end: int) -> Array:
        a = empty(end - start, np.uint8, "the copy of an array")
        file.seek(start)
        if file.readinto(a.data) != end - start:  # type: ignore[attr-defined]
            msg = "the file became shorter while it was read"
            raise CorruptFileError(msg)
        return a

    return fetch
