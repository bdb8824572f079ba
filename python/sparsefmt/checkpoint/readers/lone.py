"""Files that hold one tensor, and the errors of files that others wrote."""

import gzip
import os
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sparsefmt.base.dtypes import native
from sparsefmt.base.errors import DtypeError, FormatError, SparsefmtError
from sparsefmt.checkpoint.entry import PLAIN, Entry, Value
from sparsefmt.checkpoint.readers.base import Source
from sparsefmt.tensor.sparse import SparseTensor

DAMAGED = (zipfile.BadZipFile, zlib.error, gzip.BadGzipFile)


class One(Source):
    """A file with one tensor, which gets the name of the file."""

    def __init__(self, path: Path, value: Value, status: os.stat_result, others: tuple[str, ...] = ()) -> None:
        super().__init__(path, status)
        self.others = others
        self._value = value
        fmt = value.format if isinstance(value, SparseTensor) else PLAIN
        entry = Entry(tuple(value.shape), native(value.dtype).name, value.nbytes, fmt, path.name, lone=True)
        self.entries = {path.name.removesuffix(".gz").rpartition(".")[0] or path.name: entry}

    def read(self, name: str) -> Value:
        """The tensor."""
        return self._value


def begins_with(path: Path, magic: bytes) -> bool:
    """Whether a file begins so; of a pipe nothing is read here, since it would be missing later."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return False
        with path.open("rb") as file:
            return file.read(len(magic)) == magic
    except OSError:
        return False


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turns what readers of foreign files raise for bad contents into a FormatError that names the file."""
    try:
        yield
    except (FormatError, DtypeError) as e:
        text = f"{path}: {e}"
        raise type(e)(text) from e
    except (ValueError, OverflowError, TypeError, IndexError, KeyError, EOFError, *DAMAGED) as e:
        if isinstance(e, SparsefmtError):
            raise
        msg = f"{path}: {e}"
        raise FormatError(msg) from e
