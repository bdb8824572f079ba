"""Matrix Market files."""

from pathlib import Path

from sparsefmt.checkpoint.readers.base import Source
from sparsefmt.checkpoint.readers.lone import One
from sparsefmt.interop.matrix_market import read_matrix_market


def sniff(path: Path) -> bool:
    """Whether the name ends in .mtx or .mtx.gz."""
    return path.name.endswith((".mtx", ".mtx.gz")) and not path.is_dir()


def open(path: Path) -> Source:
    """The matrix of a Matrix Market file: sparse from `coordinate`, dense from `array`."""
    status = path.stat()
    return One(path, read_matrix_market(path), status)
