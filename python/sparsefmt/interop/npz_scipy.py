"""Matrices that `scipy.sparse.save_npz` wrote, read without SciPy and checked."""

import os
from types import SimpleNamespace
from typing import Any

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import FormatError
from sparsefmt.interop.npz import NpzArchive
from sparsefmt.interop.scipy import from_scipy_parts
from sparsefmt.tensor.sparse import SparseTensor

_ARRAYS = {
    "csr": ("indptr", "indices"),
    "csc": ("indptr", "indices"),
    "bsr": ("indptr", "indices"),
    "dia": ("offsets",),
    "coo": ("row", "col"),
}


def is_scipy(archive: NpzArchive) -> bool:
    """Whether the archive is a matrix of SciPy's: it names its format, a text."""
    if not {"format", "shape", "data"} <= set(archive):
        return False
    member = archive.header("format")
    return member.shape == () and member.dtype.kind in "SU"


def scipy_matrix(archive: NpzArchive) -> SparseTensor | None:
    """The matrix of the archive; None where it holds plain arrays.

    Raises:
        FormatError: a format that SciPy does not save, or arrays that contradict each other; with the file.
    """
    if not is_scipy(archive):
        return None
    try:
        return _built(archive)
    except KeyError as e:
        msg = f"{os.fspath(archive.path)}: the array {e.args[0]!r} is missing"
        raise FormatError(msg) from None
    except FormatError as e:
        where = f"{os.fspath(archive.path)}: "
        if str(e).startswith(where):
            raise
        msg = f"{where}{e}"
        raise type(e)(msg) from e


def _text(archive: NpzArchive) -> str:
    """The format, a text of bytes or of characters, which are no arrays of ours."""
    member = archive.header("format")
    if member.nbytes > 4096:
        msg = f"'format.npy' has {member.nbytes} bytes, want the name of a format"
        raise FormatError(msg)
    raw = archive.raw("format").view(member.dtype)[0] if member.nbytes else ""
    return raw.decode("latin-1") if isinstance(raw, bytes) else str(raw)


def _built(archive: NpzArchive) -> SparseTensor:
    kind = _text(archive)
    if kind not in _ARRAYS:
        msg = f"the archive holds a sparse matrix of format {kind[:40]!r}; allowed {', '.join(_ARRAYS)}"
        raise FormatError(msg)
    lengths = archive["shape"]
    if lengths.ndim != 1 or lengths.dtype.kind not in "iu" or not len(lengths):
        msg = f"shape: want integers, got {lengths.dtype} of shape {lengths.shape}"
        raise FormatError(msg)
    shape = tuple(int(n) for n in lengths)
    if min(shape) < 0 or max(shape) > np.iinfo(np.int64).max:
        msg = f"shape = {shape}; want integers in 0..2^63-1"
        raise FormatError(msg)
    held: dict[str, Any] = {"data": archive["data"], "shape": shape, "format": kind}
    if kind == "coo":
        held["coords"] = _coords(archive, shape)
    else:
        held |= {name: archive[name] for name in _ARRAYS[kind]}
        if len(shape) != 2 and not (kind == "csr" and len(shape) == 1):
            msg = f"shape = {shape}; {kind} has rank 2"
            raise FormatError(msg)
    return from_scipy_parts(SimpleNamespace(**held))


def _coords(archive: NpzArchive, shape: tuple[int, ...]) -> tuple[Array, ...]:
    """One array per axis: as `row` and `col`, or stacked."""
    if "coords" in archive:
        return tuple(archive["coords"])
    if len(shape) == 1:
        return (archive["col"],)
    return archive["row"], archive["col"]
