"""Archives of NumPy's arrays, and SciPy's matrices in them."""

import os
from pathlib import Path

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import FormatError
from sparsefmt.checkpoint.entry import PLAIN, Entry, Value
from sparsefmt.checkpoint.readers.base import Source
from sparsefmt.checkpoint.readers.lone import One
from sparsefmt.interop.binsparse import MEMBERS as BINSPARSE
from sparsefmt.interop.npz import NpzArchive
from sparsefmt.interop.npz_binsparse import binsparse_array
from sparsefmt.interop.npz_scipy import MEMBERS as SCIPY
from sparsefmt.interop.npz_scipy import scipy_matrix
from sparsefmt.io.dtypes import is_stored


def sniff(path: Path) -> bool:
    """Whether the name ends in .npz."""
    return path.suffix == ".npz" and not path.is_dir()


class Npz(Source):
    """Arrays that `numpy.savez` wrote; members that are no arrays are left alone."""

    def __init__(self, path: Path, archive: NpzArchive, status: os.stat_result) -> None:
        super().__init__(path, status)
        self._archive, self.entries, self.others = archive, {}, archive.others
        if not len(archive) and archive.others:
            msg = f"{path}: {archive.others[0]!r} is no array; numpy.savez writes only .npy members"
            raise FormatError(msg)
        for name in archive:
            found = archive.header(name)
            self.entries[name] = Entry(found.shape, found.dtype.name, found.nbytes, PLAIN, path.name)

    def read(self, name: str) -> Array:
        """The array, in memory."""
        return self._archive[name]

    def has_place(self, name: str) -> bool:
        """Not texts, dates, records, objects."""
        return is_stored(self.entries[name].dtype)

    def close(self) -> None:
        """Closes the archive."""
        super().close()
        self._archive.close()


def open(path: Path) -> Source:
    """Dense arrays, or the matrix that SciPy saved, or that Binsparse describes."""
    status = path.stat()
    archive = NpzArchive(path)
    matrix: Value | None = binsparse_array(archive) if "binsparse" in archive else scipy_matrix(archive)
    if matrix is None:
        return Npz(path, archive, status)
    archive.close()
    parts = {"binsparse", *BINSPARSE} if "binsparse" in archive else SCIPY
    return One(path, matrix, status, (*(n for n in archive if n not in parts), *archive.others))
