"""Files and archives of NumPy arrays; archives are read by the names of their members."""

import ast
import errno
import io
import math
import os
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.lib import format as npy

from sparsefmt.base.alloc import empty
from sparsefmt.base.dtypes import Array, Dtype, has_divisor, native
from sparsefmt.base.errors import DtypeError, FormatError, SparsefmtError
from sparsefmt.base.forks import in_child
from sparsefmt.io.mapping import address_space

_SUFFIX = ".npy"
_LONGEST_HEADER = 1 << 16
_LONGEST_SENTENCE = 500  # zipfile quotes the file
_PART = 1 << 22  # bytes that are read at once


@dataclass(frozen=True)
class Member:
    """What the header of an array says."""

    shape: tuple[int, ...]
    dtype: Dtype
    fortran: bool
    header: int  # bytes before the data

    @property
    def nbytes(self) -> int:
        """Bytes of the data."""
        return math.prod(self.shape) * self.dtype.itemsize


class NpzArchive(Mapping[str, Array]):
    """The arrays of an `.npz` archive by exact name, `.npy` taken off; nothing is ever unpickled.

    Opening reads the directory. An array is read when it is asked for.

    Args:
        path: of the archive.

    Raises:
        FormatError: it is no zip archive, or one name stands twice. Later, with the member: damaged, encrypted or
            compressed by a method that Python lacks; a header that makes no sense or claims other than the member has;
            objects.
        DtypeError: a dtype that no format holds.
        SizeError: an array would be larger than allowed.
        OSError: the file cannot be read.

    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp(), "a.npz")
    >>> np.savez(path, w=np.eye(2))
    >>> NpzArchive(path)["w"]
    array([[1., 0.],
           [0., 1.]])
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = path
        with self._reading(None):
            self._file = _Placed(path)
            self._open()
            members = [info.filename for info in self._archive.infolist() if not info.is_dir()]
            twice = [name for name, count in Counter(members).items() if count > 1]
            if twice:
                self.close()
                msg = f"the name {twice[0]!r} stands twice in the archive"
                raise FormatError(msg)
        self._members = {name.removesuffix(_SUFFIX): name for name in members if name.endswith(_SUFFIX)}
        self.others = tuple(name for name in members if not name.endswith(_SUFFIX))
        """Members that are no arrays by their names."""

        in_child(self, NpzArchive._in_child)

    def _open(self) -> None:
        self._archive = zipfile.ZipFile(self._file)

    def _in_child(self) -> None:
        if not self._file.closed:  # an archive has a lock, which another thread may have held
            self._open()

    def close(self) -> None:
        """Closes the file; arrays that were read stay."""
        self._archive.close()
        self._file.close()

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, name: object) -> bool:
        return name in self._members

    def header(self, name: str) -> Member:
        """Shape and dtype of an array, without its data."""
        with self._reading(name):
            info = self._archive.getinfo(self._members[name])
            with self._archive.open(info) as file:
                return _header(info, file)

    def __getitem__(self, name: str) -> Array:
        """The array, in memory."""
        with self._reading(name):
            info = self._archive.getinfo(self._members[name])
            with self._archive.open(info) as file:
                member = _header(info, file)
                _check_dtype(member)
                flat = empty(math.prod(member.shape), member.dtype, f"the array {name!r}")
                _fill(flat.view(np.uint8) if flat.size else flat, file, info)
        order = member.shape[::-1] if member.fortran else member.shape
        a = flat.reshape(order)
        return a.T if member.fortran else a

    def raw(self, name: str) -> Array:
        """The bytes of an array of any dtype without objects, uint8."""
        with self._reading(name):
            info = self._archive.getinfo(self._members[name])
            with self._archive.open(info) as file:
                flat = empty(_header(info, file).nbytes, np.uint8, f"the array {name!r}")
                _fill(flat, file, info)
                return flat

    def _reading(self, name: str | None) -> "_Reading":
        member = None if name is None else self._members.get(name)
        if name is not None and member is None:
            raise KeyError(name)
        return _Reading(os.fspath(self.path), member)


class _Placed(io.FileIO):
    """A file that is read at a place of its own: a child made by fork shares that of the system, and would move it."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(path)
        self._at = 0

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401
        count = os.preadv(self.fileno(), [buffer], self._at)
        self._at += count
        return count

    def read(self, size: int | None = -1) -> bytes:
        return io.RawIOBase.read(self, -1 if size is None else size) or b""

    def readall(self) -> bytes:
        return io.RawIOBase.readall(self) or b""

    def seek(self, offset: int, whence: int = 0) -> int:
        start = (0, self._at, os.fstat(self.fileno()).st_size)[whence]
        if start + offset < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def __del__(self) -> None:
        self.close()  # without a warning: an archive may be left open


class _Reading:
    """Turns whatever a damaged archive raises into an error that names the file and the member."""

    def __init__(self, path: str, member: str | None) -> None:
        self._where = path if member is None else f"{path}: {member!r}"

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, e: BaseException | None, trace: object) -> None:
        if isinstance(e, SparsefmtError):
            msg = f"{self._where}: {e}"
            raise type(e)(msg) from e
        # whatever the decoders of zipfile raise for damage: they are many, and RuntimeError for a password
        if isinstance(e, Exception) and not isinstance(e, MemoryError) and not _of_the_system(e):
            msg = f"{self._where}: {_sentence(e)}"
            raise FormatError(msg) from e


def _of_the_system(e: Exception) -> bool:
    """Whether the system refused; a directory that points before the file makes it call an argument invalid."""
    return isinstance(e, OSError) and e.errno not in (None, errno.EINVAL)


def _sentence(e: Exception) -> str:
    text = str(e).rstrip(".") or type(e).__name__
    text = text if len(text) <= _LONGEST_SENTENCE else f"{text[:_LONGEST_SENTENCE]}..."
    return text if isinstance(e, FormatError) else f"damaged, or of an unknown kind: {text}"


def _header(info: zipfile.ZipInfo | None, file: Any, size: int = 0) -> Member:  # noqa: ANN401
    """Reads the header of an array of `size` bytes, or of a member; no more of it than NumPy itself takes."""
    size = size if info is None else info.file_size
    try:
        version = npy.read_magic(file)
        if version not in ((1, 0), (2, 0), (3, 0)):
            msg = f"version {version} of NumPy's format is unknown"
            raise FormatError(msg)
        length = int.from_bytes(file.read(2 if version == (1, 0) else 4), "little")
        if length > _LONGEST_HEADER:
            msg = f"the header claims {length} bytes, allowed {_LONGEST_HEADER}"
            raise FormatError(msg)
        body = file.read(length)
        if b"/" in body or b"\\" in body:  # else there is none, and the header is parsed once
            _check_texts(ast.literal_eval(body.decode("utf-8" if version == (3, 0) else "latin1").strip()))
        text = io.BytesIO(length.to_bytes(2 if version == (1, 0) else 4, "little") + body)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, dtype = read(text, max_header_size=_LONGEST_HEADER)
    except FormatError:
        raise
    except Exception as e:  # the header is Python source, parsed: it raises what it likes
        msg = f"the header of the array makes no sense: {str(e).splitlines()[0][:200] if str(e) else type(e).__name__}"
        raise FormatError(msg) from e
    start = 6 + 2 + (2 if version == (1, 0) else 4) + length
    if any(n < 0 for n in shape):
        msg = f"shape {shape} has a negative length"
        raise FormatError(msg)
    found = Member(shape, dtype, bool(fortran), start)
    if found.nbytes != size - start and not dtype.hasobject:
        msg = f"the array claims {found.nbytes} bytes, has {size} with a header of {start}"
        raise FormatError(msg)
    return found


def _check_texts(said: object) -> None:
    """Refuses what NumPy would divide by nothing for, which ends the process; `numpy.save` writes no divisor."""
    if isinstance(said, str):
        if has_divisor(said):
            msg = f"the header says {said[:40]!r}, a time in parts of a unit; want whole multiples of one"
            raise FormatError(msg)
        return
    for part in said.values() if isinstance(said, dict) else said if isinstance(said, list | tuple) else ():
        _check_texts(part)


def _check_dtype(member: Member) -> None:
    if member.dtype.hasobject:
        msg = "the array holds Python objects, which are never unpickled"
        raise DtypeError(msg)
    native(member.dtype)


def _fill(out: Array, file: Any, info: zipfile.ZipInfo) -> None:  # noqa: ANN401
    """Reads the data; the last read checks the sum of the archive."""
    at, room = 0, out.view(np.uint8).data if out.size else memoryview(b"")
    while at < len(room):
        some = file.read(min(_PART, len(room) - at))
        if not some:
            msg = f"the data ends after {at} of {len(room)} bytes"
            raise FormatError(msg)
        room[at : at + len(some)] = some
        at += len(some)
    if file.read(1):
        msg = f"{info.filename!r} is longer than its header says"
        raise FormatError(msg)


def read_npy(path: str | os.PathLike[str]) -> Array:
    """The array of an `.npy` file, mapped; nothing is ever unpickled.

    Raises:
        FormatError: the file is no such array, or damaged.
        DtypeError: a dtype that no format holds.
        OSError: the file cannot be read.
    """
    with _Reading(os.fspath(path), None):
        with open(path, "rb") as file:
            member = _header(None, file, os.fstat(file.fileno()).st_size)
        _check_dtype(member)
        if not member.nbytes:
            return np.empty(member.shape, member.dtype)
        order: Literal["F", "C"] = "F" if member.fortran else "C"
        with address_space(member.nbytes):
            return np.memmap(path, member.dtype, "r", member.header, member.shape, order)
