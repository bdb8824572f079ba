"""NumPy's arrays, one a file."""

from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from sparsefmt.base.dtypes import Array, native
from sparsefmt.checkpoint.readers.base import Source
from sparsefmt.checkpoint.readers.lone import One, reading


def sniff(path: Path) -> bool:
    """Whether the name ends in .npy."""
    return path.suffix == ".npy" and not path.is_dir()


def npy_header(file: object) -> tuple[tuple[int, ...], "np.dtype[np.generic]"]:
    """Shape and dtype of an array in NumPy's format."""
    version = npy.read_magic(file)  # type: ignore[arg-type]
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read(file)  # type: ignore[arg-type]
    return shape, dtype


def open(path: Path) -> Source:
    """One array, mapped."""
    status = path.stat()
    with reading(path):
        with path.open("rb") as file:  # numpy.load would take other kinds of files for what they are
            _, dtype = npy_header(file)
        native(dtype)
        a: Array = np.load(path, mmap_mode="r", allow_pickle=False)
        return One(path, a, status)
