"""Archives of NumPy's arrays, and SciPy's matrices in them."""

import os
import zipfile
from math import prod
from pathlib import Path

import numpy as np

from sparsefmt.base.dtypes import Array, native
from sparsefmt.base.errors import FormatError
from sparsefmt.checkpoint.entry import PLAIN, Entry, Value
from sparsefmt.checkpoint.readers.base import Source
from sparsefmt.checkpoint.readers.lone import One, reading
from sparsefmt.checkpoint.readers.npy import npy_header
from sparsefmt.interop.scipy import from_scipy


def sniff(path: Path) -> bool:
    """Whether the name ends in .npz."""
    return path.suffix == ".npz" and not path.is_dir()


class Npz(Source):
    """Arrays that `numpy.savez` wrote."""

    def __init__(self, path: Path, status: os.stat_result) -> None:
        super().__init__(path, status)
        self.entries = {}
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                if not member.filename.endswith(".npy"):
                    msg = f"{member.filename!r} is no array; numpy.savez writes only .npy members"
                    raise FormatError(msg)
                with archive.open(member) as file:
                    shape, dtype = npy_header(file)
                nbytes = prod(shape) * dtype.itemsize
                if nbytes > member.file_size:
                    msg = f"{member.filename!r} claims {nbytes} bytes, has {member.file_size}"
                    raise FormatError(msg)
                self.entries[member.filename.removesuffix(".npy")] = Entry(
                    shape, native(dtype).name, nbytes, PLAIN, path.name
                )

    def read(self, name: str) -> Value:
        """The array, in memory."""
        with reading(self.path), np.load(self.path, allow_pickle=False) as arrays:
            a: Array = arrays[name]
            return a


def is_scipy(path: Path) -> bool:
    """Whether `scipy.sparse.save_npz` wrote this archive."""
    with zipfile.ZipFile(path) as archive:
        if not {"format.npy", "shape.npy", "data.npy"} <= set(archive.namelist()):
            return False
        with archive.open("format.npy") as file:
            shape, dtype = npy_header(file)
        return shape == () and dtype.kind in "SU"


def open(path: Path) -> Source:
    """Dense arrays, or the matrix that SciPy saved."""
    status = path.stat()
    with reading(path):
        if not is_scipy(path):
            return Npz(path, status)
        import scipy.sparse  # not at the top: takes long, and is only an extra

        return One(path, from_scipy(scipy.sparse.load_npz(path)), status)
