"""What every reader offers: named tensors of one file, opened once."""

import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import Protocol, Self

from sparsefmt.base.alloc import empty, reshaped
from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import CorruptFileError, FormatError
from sparsefmt.checkpoint.entry import Entry, Value
from sparsefmt.checkpoint.rows import cut
from sparsefmt.checkpoint.snapshot import Identity, check_unchanged
from sparsefmt.tensor.layout import is_moved
from sparsefmt.tensor.rows import part as part_of_rows
from sparsefmt.tensor.sparse import SparseTensor


class Source(ABC):
    """A file of named tensors, which was opened once and stays the version that it was then.

    Args:
        path: of the file.
        status: of the file before anything of it was read.
    """

    entries: Mapping[str, Entry]
    """What the header says, by name."""

    metadata: Mapping[str, str] = MappingProxyType({})
    """Texts that the file holds beside its tensors."""

    others: tuple[str, ...] = ()
    """What the file holds beside tensors: members of an archive that are no arrays, texts and
    tables, what a matrix has no use for. They are not read."""

    concurrent = False
    """Whether several threads may read rows at the same time."""

    _latest: tuple[str, Value] | None = None  # whose rows were read last: they are asked for block by block

    def __init__(self, path: Path, status: os.stat_result) -> None:
        self.path = path
        self.identity = Identity.of(status)
        self._place = path.absolute()  # where it is, whatever folder the process goes to
        self._regular = stat.S_ISREG(status.st_mode)

    @abstractmethod
    def read(self, name: str) -> Value:
        """A tensor: mapped where that is possible.

        Raises:
            SparsefmtError: its contents make no sense.
        """

    @property
    def keys(self) -> Mapping[str, str]:
        """The names that an index of shards may list, and the tensor that each belongs to."""
        return {name: name for name in self.entries}

    def rows(self, name: str, low: int, high: int) -> Array:
        """Rows `low..high` (exclusive) of the matrix (leading axes flattened; rank 1 is one row), decoded.

        Args:
            name: of the tensor.
            low: first row.
            high: one behind the last row.

        Returns:
            (high - low, cols) in the dtype of the tensor; a copy, or a read-only view of the file.

        Raises:
            FormatError: the rows are out of range.
        """
        if self._latest is None or self._latest[0] != name:
            self._latest = name, self.read(name)
        value = self._latest[1]
        check_rows(name, value.shape, low, high)
        return decoded_rows(value, low, high)

    def has_place(self, name: str) -> bool:
        """Whether a safetensors file can hold the tensor: npz archives hold texts, dates and objects too."""
        return True

    def origin(self, name: str) -> str:
        """How the file holds a tensor, where that is not as the tensor is read; else empty."""
        return ""

    def check(self) -> None:
        """Checks that the file is still the one that was opened.

        Raises:
            CheckpointError: it was replaced, changed or removed meanwhile; what was read may mix two versions.
        """
        if self._regular:  # a pipe is read once
            check_unchanged(self._place, self.identity)

    def close(self) -> None:
        """Lets go of the file; arrays that were mapped stay valid."""
        self._latest = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()


class RowsOf(Source):
    """Rows `low..high` of one tensor of a file, as if the file held nothing else."""

    def __init__(self, source: Source, name: str, low: int, high: int) -> None:
        entry = source.entries[name]
        rows, cols = matrix_of(entry.shape)
        check_rows(name, entry.shape, low, high)
        self.path, self.identity, self.metadata = source.path, source.identity, source.metadata
        self.concurrent = source.concurrent
        nbytes = entry.nbytes * high // rows - entry.nbytes * low // rows
        self.entries = {name: replace(entry, shape=(high - low, cols), nbytes=nbytes)}
        self._source, self._low, self._high = source, low, high

    def read(self, name: str) -> Value:
        """The rows, decoded where they cannot be cut out as they are packed."""
        value = self._source.read(name) if self.entries[name].is_packed else None
        part = cut(value, self._low, self._high) if isinstance(value, SparseTensor) else None
        return self.rows(name, 0, self._high - self._low) if part is None else part

    def rows(self, name: str, low: int, high: int) -> Array:
        """Rows, counted from the first of these."""
        check_rows(name, self.entries[name].shape, low, high)
        return self._source.rows(name, self._low + low, self._low + high)

    def check(self) -> None:
        """See `Source.check`."""
        self._source.check()


class Reader(Protocol):
    """A module of `sparsefmt.checkpoint.readers`."""

    def sniff(self, path: Path) -> bool:
        """Whether it can open this path: a file, or a folder of a format that is one. Looks at a few bytes at most."""

    def open(self, path: Path) -> Source:
        """Opens it.

        Raises:
            FormatError: the contents make no sense.
            OSError: it cannot be read.
        """


def matrix_of(shape: tuple[int, ...]) -> tuple[int, int]:
    """(rows, cols): leading axes flattened; rank 1 is one row, a scalar one element."""
    return (prod(shape[:-1]), shape[-1]) if shape else (1, 1)


def check_rows(name: str, shape: tuple[int, ...], low: int, high: int) -> None:
    """Raises FormatError where `low..high` are no rows of a tensor of this shape."""
    rows = matrix_of(shape)[0]
    if not 0 <= low <= high <= rows:
        msg = f"{name}: rows {low}..{high} are out of range for shape {shape}, which has {rows} rows"
        raise FormatError(msg)


def as_said(value: Value, entry: Entry) -> Value:
    """The tensor, if it has the shape and dtype that the header of its file says.

    Raises:
        CorruptFileError: it has others.
    """
    if (tuple(value.shape), value.dtype.name) != (entry.shape, entry.dtype):
        said = f"its header says {entry.dtype} of shape {entry.shape}"
        msg = f"{said}, its data are {value.dtype} of shape {tuple(value.shape)}"
        raise CorruptFileError(msg)
    return value


def decoded_rows(value: Value, low: int, high: int) -> Array:
    """Rows of a tensor at hand, as `Source.rows` returns them."""
    if isinstance(value, SparseTensor):
        return sparse_rows(value, low, high)
    return reshaped(value, matrix_of(value.shape), "rows of a tensor")[low:high]


def sparse_rows(t: SparseTensor, low: int, high: int) -> Array:
    """Decodes rows of a packed tensor without decoding the others; packed along another axis, without most others."""
    if is_moved(t):
        part, first = part_of_rows(t, low, high)
        return part.to_dense().reshape(matrix_of(part.shape))[low - first : high - first]
    (rows, cols), step = t.structure.shape, t.structure.row_step
    start, stop = low // step * step, min(-(-high // step) * step, rows)
    out = empty((stop - start, cols), t.dtype, "rows of a tensor")
    if out.size:
        t.values.decode_rows(t.structure, start, stop, out)
    return out[low - start : high - start]
