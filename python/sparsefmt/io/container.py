"""Reading the safetensors container: its header, and its bytes as arrays."""

import contextlib
import errno
import math
import os
import re
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, NoReturn, Protocol

import numpy as np

from sparsefmt.base.alloc import empty
from sparsefmt.base.coerce import is_aligned
from sparsefmt.base.dtypes import DTYPES, Array, name_of
from sparsefmt.base.errors import CorruptFileError, DtypeError, SizeError
from sparsefmt.io.dtypes import PAIRED, VIEWS, has_odd_bools
from sparsefmt.io.flood import check_flood
from sparsefmt.io.foreign import SNIFFED, kind_of
from sparsefmt.io.mapping import read_only
from sparsefmt.io.paths import checked_path, naming_file
from sparsefmt.kernels.header import parse_header

_CLOSED = "the file is closed; read its arrays before"

MAX_HEADER = 100_000_000  # bytes, the limit of the format
_UNPRINTED = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")  # what a file may put into a message that is one line
LENGTH = 8  # bytes that say how long the header is


class Stored(NamedTuple):
    """Where an array is in the file, in bytes from its start, and as what; a tuple, since there may be a million."""

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
    """A safetensors file. `fetch` gives the bytes of a range, mapped or copied."""

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
        elif dtype is not None and name_of(view) != dtype:
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


class naming:
    """Errors of this package that are raised inside name the path."""

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, CorruptFileError | DtypeError | SizeError):
            msg = f"{self.path}: {_UNPRINTED.sub(' ', str(error))}"
            raise type(error)(msg) from None


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
    with naming(checked_path(path)), File(path) as file:
        yield container(path, file, mapped=mapped)


class Readable(Protocol):
    """What a header and arrays are read from."""

    @property
    def size(self) -> int:
        """Bytes."""

    @property
    def status(self) -> os.stat_result:
        """As it was when it was opened."""

    def fileno(self) -> int:
        """The number of the open file; negative where there is none."""

    def read_into(self, buffer: memoryview, start: int) -> None:
        """Fills `buffer` with the bytes from `start` on."""

    def close(self) -> None:
        """Lets go of it."""


class File:
    """A regular file that is open to be read at any place; it is closed with its last user at the latest.

    Args:
        path: of the file.

    Raises:
        CorruptFileError: it is no regular file.
        FileNotFoundError: there is no such file.
        IsADirectoryError: it is a folder.
    """

    __slots__ = ("_number", "_path", "size", "status")

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._number, self._path = -1, path
        kind = os.stat(path).st_mode  # a pipe would be waited for
        if stat.S_ISDIR(kind):
            raise IsADirectoryError(errno.EISDIR, "a folder, want a safetensors file", os.fsdecode(path))
        if not stat.S_ISREG(kind):
            msg = "no regular file"
            raise CorruptFileError(msg)
        self._number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.status = os.fstat(self._number)
        self.size = self.status.st_size

    def fileno(self) -> int:
        """The number of the open file."""
        return self._number

    def read_into(self, buffer: memoryview, start: int) -> None:
        """Fills `buffer` with the bytes from `start` on.

        Raises:
            CorruptFileError: the file ends before, or is closed.
        """
        while buffer:
            if self._number < 0:
                raise CorruptFileError(_CLOSED)
            with naming_file(self._path):
                read = os.preadv(self._number, [buffer], start)  # at most 2 GiB at a time
            if not read:
                msg = "the file became shorter while it was read"
                raise CorruptFileError(msg)
            buffer, start = buffer[read:], start + read

    def close(self) -> None:
        """Closes the file; what was mapped stays valid."""
        number, self._number = self._number, -1
        if number >= 0:
            os.close(number)

    def __reduce__(self) -> NoReturn:  # for `copy` too: whichever of two ended first would close the number of both
        msg = f"{os.fsdecode(self._path)} is an open file, which is neither copied nor pickled; open it again there"
        raise TypeError(msg)

    def __enter__(self) -> "File":
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


def container(path: str | os.PathLike[str], file: Readable, *, mapped: bool = True) -> Container:
    """Reads the header of an open file, which must stay open for what is not mapped.

    Raises:
        CorruptFileError: it is no safetensors file, or its header contradicts itself or the file.
    """
    data, text = _header(file)
    found, metadata = parsed(text, data, file.size)
    return Container(os.fsdecode(path), found, metadata, _map(path, file) if mapped else copying(file))


def parsed(text: bytes | bytearray, data: int, size: int) -> tuple[dict[str, Stored], dict[str, str]]:
    """The arrays and the metadata of a header; the data starts at `data` of the `size` bytes of the file.

    Raises:
        CorruptFileError: it contradicts itself or the size.
        SizeError: it says more than its data can be about, or would take more memory than allowed.
    """
    check_flood(text, size - data)
    stored, metadata = parse_header(np.frombuffer(text, np.uint8), size - data)
    found = {}
    stored.reverse()
    while stored:  # let go one by one: there may be hundreds of thousands
        name, dtype, shape, start, end = stored.pop()
        found[name] = Stored(sys.intern(dtype), tuple(shape), data + start, data + end)
    return found, metadata


def _header(file: Readable) -> tuple[int, bytearray]:
    """Where the data starts, and the text of the header."""
    size = file.size
    if size < LENGTH:
        msg = f"not a safetensors file: it holds {size} bytes, want at least {LENGTH}"
        raise CorruptFileError(msg)
    start = bytearray(min(size, SNIFFED))
    file.read_into(memoryview(start), 0)
    length = int.from_bytes(start[:LENGTH], "little")
    if length > min(MAX_HEADER, size - LENGTH) and (kind := kind_of(bytes(start))):
        msg = f"not a safetensors file, but {kind}"
        raise CorruptFileError(msg)
    if length > MAX_HEADER:
        msg = f"not a safetensors file, or damaged: the header claims {length} bytes, allowed {MAX_HEADER}"
        raise CorruptFileError(msg)
    if length > size - LENGTH:
        msg = f"not a safetensors file, or cut off: the header claims {length} bytes, {size - LENGTH} follow"
        raise CorruptFileError(msg)
    text = bytearray(length)
    file.read_into(memoryview(text), LENGTH)
    return LENGTH + length, text


def _map(path: str | os.PathLike[str], file: Readable) -> Callable[[int, int], Array]:
    """Views of the file, which is mapped when the first one is wanted."""
    found: list[Array] = []

    def fetch(start: int, end: int) -> Array:
        if not found:
            with naming_file(path):
                found.append(_mapped(file))
        return found[0][start:end]

    return fetch


def _mapped(file: Readable) -> Array:
    if file.fileno() < 0:  # it would map zeros
        raise CorruptFileError(_CLOSED)
    return np.frombuffer(read_only(file.fileno(), file.size), np.uint8)


def copying(file: Readable) -> Callable[[int, int], Array]:
    """Copies of ranges of the file, from any thread."""

    def fetch(start: int, end: int) -> Array:
        a = empty(end - start, np.uint8, "the copy of an array")
        file.read_into(memoryview(a.data), start)
        return a

    return fetch
