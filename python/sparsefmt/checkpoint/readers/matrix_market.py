"""Matrix Market files."""

from pathlib import Path

from sparsefmt.checkpoint.readers.base import Source
from sparsefmt.checkpoint.readers.lone import One, reading
from sparsefmt.interop.scipy import from_scipy


def sniff(path: Path) -> bool:
    """Whether the name ends in .mtx or .mtx.gz."""
    return path.name.endswith((".mtx", ".mtx.gz")) and not path.is_dir()


def open(path: Path) -> Source:
    """The matrix of a Matrix Market file: sparse from `coordinate`, dense from `array`."""
    import scipy.io  # not at the top: takes long, and is only an extra
    import scipy.sparse

    status = path.stat()
    path.open("rb").close()  # so that a missing file is one, and no matter of the format
    with reading(path):
        m = scipy.io.mmread(path, spmatrix=False)
        return One(path, from_scipy(m) if scipy.sparse.issparse(m) else m, status)
