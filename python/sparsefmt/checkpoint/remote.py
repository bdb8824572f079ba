"""Paths and files behind a URL that fsspec knows (s3://, gs://, memory://, ...): read by ranges, nothing is cached."""

import errno
import os
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeAlias, cast

from sparsefmt.base.errors import CheckpointError, CorruptFileError, SparsefmtError
from sparsefmt.io.paths import checked_path

Located: TypeAlias = "str | os.PathLike[str] | RemotePath"

_NUMBERS = {PermissionError: errno.EACCES, TimeoutError: errno.ETIMEDOUT, IsADirectoryError: errno.EISDIR}

MOST = 8 << 20
"""Bytes of a request; larger ranges are read piece by piece, so that no second copy of them is held."""


@contextmanager
def asking(url: str, *passes: type[Exception]) -> Iterator[None]:
    """Turns what the package of a filesystem raises, of classes of its own, into an OSError that names the URL.

    Credentials that are missing, hosts that do not answer: to a user these are files that cannot be opened.
    """
    try:
        yield
    except Exception as e:
        if isinstance(e, (MemoryError, SparsefmtError, *passes)):
            raise
        if isinstance(e, FileNotFoundError) and not isinstance(e.__cause__, OSError):
            raise  # else of HTTP, where a host that does not answer is a file that is missing
        why = e.__cause__ if isinstance(e, FileNotFoundError) else e
        if not isinstance(why, OSError):
            raise OSError(errno.EIO, f"{type(why).__name__}: {why}", url) from e
        if why.filename is not None:
            raise
        number = why.errno or _NUMBERS.get(type(why), errno.EIO)
        raise OSError(number, why.strerror or str(why) or type(why).__name__, url) from e


class _Asked:
    """A filesystem of fsspec, asked as `asking` has it."""

    def __init__(self, fs: Any, url: str) -> None:  # noqa: ANN401
        self._fs, self._url = fs, url

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self._fs, name)

        def asked(*args: Any, **options: Any) -> Any:  # noqa: ANN401
            with asking(self._url):
                return call(*args, **options)

        return asked


class RemotePath:
    """What checkpoints ask of a `pathlib.Path`, for a URL. Picklable by its URL.

    Args:
        url: with a protocol that fsspec knows.

    Raises:
        CheckpointError: fsspec, or the package for the protocol, is not installed, or the protocol is unknown.
    """

    __slots__ = ("_fs", "_key", "url")

    def __init__(self, url: str) -> None:
        self.url = url if url.endswith("://") else url.rstrip("/")
        try:
            from fsspec.core import url_to_fs  # not at the top: only for URLs, and only an extra
        except ModuleNotFoundError:
            msg = f"{url}: URLs need fsspec: pip install 'sparsefmt[remote]'"
            raise CheckpointError(msg) from None
        try:
            with asking(self.url, ValueError, ImportError):
                fs, self._key = url_to_fs(self.url)
        except (ValueError, ImportError) as e:
            msg = f"{url}: {e}"
            raise CheckpointError(msg) from e
        self._fs = _Asked(fs, self.url)

    def __reduce__(self) -> tuple[Any, ...]:
        return RemotePath, (self.url,)

    def __str__(self) -> str:
        return self.url

    def __fspath__(self) -> str:
        return self.url

    def __repr__(self) -> str:
        return f"RemotePath({self.url!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RemotePath) and other.url == self.url

    def __hash__(self) -> int:
        return hash(self.url)

    def __lt__(self, other: "RemotePath") -> bool:
        return self.url < other.url

    def __truediv__(self, name: str | os.PathLike[str]) -> "RemotePath":
        return RemotePath(f"{self.url.rstrip('/')}/{os.fspath(name)}")

    @property
    def name(self) -> str:
        """The last part."""
        return self.url.rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """The ending of the name, with its dot."""
        return Path(self.name).suffix

    @property
    def parent(self) -> "RemotePath":
        """The folder."""
        return RemotePath(self.url.rpartition("/")[0])

    def absolute(self) -> "RemotePath":
        """Itself."""
        return self

    def exists(self) -> bool:
        """Whether there is a file or a folder."""
        return bool(self._fs.exists(self._key))

    def is_dir(self) -> bool:
        """Whether there is a folder: keys that begin with it."""
        return bool(self._fs.isdir(self._key))

    def is_file(self) -> bool:
        """Whether there is a file."""
        return bool(self._fs.isfile(self._key))

    def samefile(self, other: object) -> bool:
        """Whether both are one URL."""
        return self == other

    def iterdir(self) -> Iterator["RemotePath"]:
        """What the folder holds."""
        for found in self._fs.ls(self._key, detail=False):
            yield self / str(found).rstrip("/").rpartition("/")[2]

    def walk(self) -> Iterator[tuple[str, "RemotePath"]]:
        """All files below, with their name relative to this folder."""
        root = self._key.rstrip("/") + "/"
        for found in sorted(self._fs.find(self._key)):
            name = str(found).removeprefix(root)
            yield name, self / name

    def stat(self) -> os.stat_result:
        """Size, and what stands for the version: the time of the last change, and the checksum that the store keeps.

        Raises:
            FileNotFoundError: there is nothing.
        """
        self._fs.invalidate_cache(self._key)
        try:
            found = self._fs.info(self._key)
        except FileNotFoundError:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self.url) from None
        folder = found["type"] == "directory"
        version = repr([str(found.get(k)) for k in ("ETag", "etag", "md5Hash", "VersionId", "mtime", "created")])
        changed = found.get("LastModified") or found.get("mtime") or found.get("created") or 0
        when = changed.timestamp() if hasattr(changed, "timestamp") else float(changed)
        status = SimpleNamespace(
            st_mode=stat.S_IFDIR if folder else stat.S_IFREG, st_dev=0, st_ino=zlib.crc32(version.encode()),
            st_size=int(found.get("size") or 0), st_mtime_ns=int(when * 1e9),
        )  # fmt: skip
        return cast(os.stat_result, status)

    def read_bytes(self) -> bytes:
        """The whole file."""
        return bytes(self._fs.cat_file(self._key))

    def read_range(self, start: int, stop: int) -> bytes:
        """Bytes `start..stop`, by one request."""
        return bytes(self._fs.cat_file(self._key, start=start, end=stop))

    def write_bytes(self, data: bytes) -> None:
        """Writes a small file."""
        self._fs.pipe_file(self._key, data)

    def put(self, local: Path) -> None:
        """Uploads a file; the filesystem cuts it into the parts that its store likes."""
        self._fs.put_file(str(local), self._key)
        self._fs.invalidate_cache()

    def fetch(self, local: Path) -> None:
        """Downloads a file."""
        self._fs.get_file(self._key, str(local))

    def remove(self) -> None:
        """Removes the file, or the folder with all in it; what is not there is no error."""
        if self.exists():
            self._fs.rm(self._key, recursive=True)
        self._fs.invalidate_cache()


class RemoteFile:
    """A file behind a URL, read by ranges: what `sparsefmt.io.container` asks of an open file.

    Raises:
        FileNotFoundError: there is none.
        IsADirectoryError: it is a folder.
    """

    def __init__(self, path: RemotePath) -> None:
        self._path = path
        self.status = path.stat()
        if stat.S_ISDIR(self.status.st_mode):
            raise IsADirectoryError(errno.EISDIR, "a folder, want a safetensors file", path.url)
        self.size = self.status.st_size

    def fileno(self) -> int:
        """None: it is no file of the system."""
        return -1

    def read_into(self, buffer: memoryview, start: int) -> None:
        """Fills `buffer` with the bytes from `start` on.

        Raises:
            CorruptFileError: the file ends before.
        """
        for low in range(0, len(buffer), MOST):
            high = min(low + MOST, len(buffer))
            data = self._path.read_range(start + low, start + high)
            if len(data) != high - low:
                msg = "the file became shorter while it was read"
                raise CorruptFileError(msg)
            buffer[low:high] = data

    def close(self) -> None:
        """Nothing is held."""


def is_url(path: object) -> bool:
    """Whether a path is a URL, of another place than this machine's files.

    >>> is_url("s3://bucket/model"), is_url("model/")
    (True, False)
    """
    return isinstance(path, str) and "://" in path and not path.startswith("file://")


def located(path: Located) -> Path:
    """A path of this machine, or what stands for one behind a URL; both answer what checkpoints ask.

    Raises:
        CheckpointError: fsspec does not know the URL, or is not installed.
        TypeError: it is no path, e.g. an open file.
    """
    if isinstance(path, RemotePath):
        return cast(Path, path)
    checked_path(path)
    if isinstance(path, str) and path.startswith("file://"):
        path = path.removeprefix("file://")
    return cast(Path, RemotePath(str(path))) if is_url(path) else Path(path)


def remote(path: object) -> RemotePath | None:
    """The path, if it is a remote one."""
    return path if isinstance(path, RemotePath) else None
