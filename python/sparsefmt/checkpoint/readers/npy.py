"""NumPy's arrays, one a file."""

from pathlib import Path

from sparsefmt.checkpoint.readers.base import Source
from sparsefmt.checkpoint.readers.lone import One
from sparsefmt.interop.npz import read_npy


def sniff(path: Path) -> bool:
    """Whether the name ends in .npy."""
    return path.suffix == ".npy" and not path.is_dir()


def open(path: Path) -> Source:
    """One array, mapped."""
    status = path.stat()
    return One(path, read_npy(path), status)
