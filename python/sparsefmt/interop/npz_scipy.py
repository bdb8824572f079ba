"""Matrices as `scipy.sparse.save_npz` writes them, read and written without SciPy, and checked."""

import os
import zipfile
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.lib import format as npy

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import FormatError, SizeError
from sparsefmt.interop.npz import NpzArchive
from sparsefmt.interop.scipy import WIDENED, coords_of, from_scipy_parts, has_scipy_form
from sparsefmt.io.atomic import replacing
from sparsefmt.io.paths import check_ending
from sparsefmt.structures.bsr import Bsr
from sparsefmt.structures.coo import Coo
from sparsefmt.structures.csr import Csc, Csr
from sparsefmt.tensor.layout import along_last
from sparsefmt.tensor.sparse import SparseTensor, as_tensor

_ARRAYS = {
    "csr": ("indptr", "indices"),
    "csc": ("indptr", "indices"),
    "bsr": ("indptr", "indices"),
    "dia": ("offsets",),
    "coo": ("row", "col"),
}

MEMBERS = frozenset({"format", "shape", "data", "coords", "_is_array"}.union(*_ARRAYS.values()))
"""Names of all arrays that such an archive may have."""


def is_scipy(archive: NpzArchive) -> bool:
    """Whether the archive is a matrix of SciPy's, or what is left of one: it names its format, a text."""
    if "format" not in archive:
        return False
    member = archive.header("format")
    if member.shape != () or member.dtype.kind not in "SU":
        return False
    kind, found = _text(archive), {*archive}
    return {"shape", "data"} <= found or (kind in _ARRAYS and bool({"shape", "data", *_ARRAYS[kind]} & found))


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
    except (FormatError, SizeError) as e:
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


def save_npz(path: str | os.PathLike[str], t: SparseTensor, *, compressed: bool = False) -> None:
    """Writes a packed tensor as `scipy.sparse.save_npz` does, array by array; `scipy.sparse.load_npz` reads it.

    Args:
        path: of the .npz file; taken as it is, and refused where it ends as another kind of file does.
        t: coo, csr, csc and bsr (whole blocks) stay as they are; others become csr, of rank above 2 coo. float16,
            bfloat16 and float8 become float32, exactly; a codec is decoded.
        compressed: deflate every array.

    Raises:
        FormatError: the ending says another kind.
        SizeError: the csr form would be larger than allowed.
        TypeError: t is no packed tensor.
        OSError: the file cannot be written.

    >>> import sparsefmt as sf, tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp(), "m.npz")
    >>> save_npz(path, sf.encode(np.eye(3), "csr"))
    >>> sf.open_checkpoint(path)["m"]
    <sparsefmt csr of float64, shape (3, 3), 3 slots, 52 bytes, 46.22 bits per weight>
    """
    check_ending(path, (".npz",), "an archive of NumPy's")
    held = along_last(as_tensor(t).to("cpu"))
    made = held if has_scipy_form(held) else held.convert("coo" if held.ndim > 2 else "csr")
    s, data = made.structure, made.values.decode(made.structure)
    arrays: dict[str, Array] = {}
    if isinstance(s, Coo):
        coords = coords_of(s, made.shape)
        arrays = {"row": coords[0], "col": coords[1]} if len(coords) == 2 else {"coords": np.stack(coords)}
    else:
        assert isinstance(s, Csr | Csc | Bsr)
        arrays = {"indices": s.indices, "indptr": s.indptr}
    if data.dtype.name in WIDENED:
        data = data.astype(np.float32)
    arrays |= {"format": np.array(s.kind.encode()), "shape": np.array(made.shape), "data": data}
    method = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with replacing(path) as file, zipfile.ZipFile(file, "w", method) as archive:
        for name, a in {**arrays, "_is_array": np.array(True)}.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                npy.write_array(member, np.asarray(a), allow_pickle=False)
