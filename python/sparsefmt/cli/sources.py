"""Files that tensors are read from: safetensors, NumPy's and SciPy's, Matrix Market."""

import gzip
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from types import MappingProxyType

import sparsefmt as sf
from sparsefmt.arrays import COMPLEX, FLOATS, Array, native
from sparsefmt.errors import DtypeError, FormatError
from sparsefmt.interop.matrix_market import read_matrix_market
from sparsefmt.interop.npz import NpzArchive, read_npy
from sparsefmt.interop.npz_scipy import scipy_matrix
from sparsefmt.io import container, schema
from sparsefmt.io.dtypes import VIEWS
from sparsefmt.io.read import Catalog, read_metadata

DAMAGED = (zipfile.BadZipFile, zlib.error, gzip.BadGzipFile)
SUFFIXES = (".safetensors", ".npy", ".npz", ".mtx", ".mtx.gz")
Value = Array | sf.SparseTensor


@dataclass(frozen=True)
class Entry:
    """What is known of a tensor before it is read."""

    shape: tuple[int, ...]
    dtype: str
    nbytes: int
    format: str = "plain"  # or, of a packed one, the structure's kind
    lone: bool = False  # the file is made for one tensor

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def is_inexact(self) -> bool:
        """Floating or complex, of a dtype that can be packed."""
        return self.dtype in FLOATS + COMPLEX


class Source(ABC):
    """A file of named tensors."""

    entries: dict[str, Entry]
    metadata: Mapping[str, str] = MappingProxyType({})

    def __init__(self, path: Path) -> None:
        self.path = path

    @abstractmethod
    def read(self, name: str) -> Value:
        """A tensor: mapped where that is possible."""


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turns what readers of foreign files raise for bad contents into a FormatError that names the file."""
    try:
        yield
    except (FormatError, DtypeError) as e:
        if str(e).startswith(f"{path}: "):
            raise
        text = f"{path}: {e}"
        raise type(e)(text) from e
    except (ValueError, OverflowError, TypeError, IndexError, KeyError, EOFError, *DAMAGED) as e:
        if isinstance(e, sf.SparsefmtError):
            raise
        msg = f"{path}: {e}"
        raise FormatError(msg) from e


class Safetensors(Source):
    """A safetensors file, with packed or plain tensors or both. Opening it reads the header only."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        with container.reading(path) as file:
            catalog = Catalog(file)
            self.entries = {name: stored_entry(catalog, name) for name in catalog.names}
        self.metadata = read_metadata(path)

    def read(self, name: str) -> Value:
        """The tensor, mapped and checked."""
        value: Value = sf.load(self.path, [name])[name]
        return value


def stored_entry(catalog: Catalog, name: str) -> Entry:
    """What the header says of a tensor."""
    stored = catalog.file.stored
    if name not in catalog.entries:
        found = stored[name]
        dtype = VIEWS[found.dtype].name if found.dtype in VIEWS else found.dtype
        return Entry(found.shape, dtype, found.end - found.start)
    entry = schema.parse(catalog.entries[name])
    keys = catalog.owned.get(name, [name])
    fmt = entry.parts["structure"].kind if entry.parts else "plain"
    return Entry(entry.shape, entry.dtype, sum(s.end - s.start for s in map(stored.__getitem__, keys)), fmt)


class One(Source):
    """A file with one tensor, which gets the name of the file."""

    def __init__(self, path: Path, value: Value) -> None:
        super().__init__(path)
        self._value = value
        fmt = value.format if isinstance(value, sf.SparseTensor) else "plain"
        entry = Entry(tuple(value.shape), native(value.dtype).name, value.nbytes, fmt, lone=True)
        self.entries = {path.name.removesuffix(".gz").rpartition(".")[0] or path.name: entry}

    def read(self, name: str) -> Value:
        """The tensor."""
        return self._value


class Npz(Source):
    """Arrays that `numpy.savez` wrote."""

    def __init__(self, path: Path, archive: NpzArchive) -> None:
        super().__init__(path)
        self._archive, self.entries = archive, {}
        if not len(archive) and archive.others:
            msg = f"{archive.others[0]!r} is no array; numpy.savez writes only .npy members"
            raise FormatError(msg)
        for name in archive:
            member = archive.header(name)
            self.entries[name] = Entry(member.shape, member.dtype.name, member.nbytes)

    def read(self, name: str) -> Value:
        """The array, in memory."""
        return self._archive[name]


def open_npz(path: Path) -> Source:
    """Dense arrays, or the matrix that SciPy saved."""
    archive = NpzArchive(path)
    matrix = scipy_matrix(archive)
    return Npz(path, archive) if matrix is None else One(path, matrix)


def open_npy(path: Path) -> Source:
    """One array, mapped."""
    return One(path, read_npy(path))


def open_mtx(path: Path) -> Source:
    """The matrix of a Matrix Market file: sparse from `coordinate`, dense from `array`."""
    return One(path, read_matrix_market(path))


READERS = {".npy": open_npy, ".npz": open_npz, ".mtx": open_mtx, ".gz": open_mtx}


def open_file(path: Path) -> Source:
    """Opens a file by its suffix.

    Raises:
        FormatError: the suffix is unknown, or the contents make no sense.
        OSError: it cannot be opened.
    """
    if path.suffix == ".safetensors":
        return Safetensors(path)
    if not path.name.endswith(SUFFIXES):
        path.open("rb").close()
        msg = f"{path}: the suffix is unknown; have {', '.join(SUFFIXES)}, or a folder with safetensors files"
        raise FormatError(msg)
    with reading(path):
        return READERS[path.suffix](path)
