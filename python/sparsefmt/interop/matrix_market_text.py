"""Writing Matrix Market files, so that reading them gives the same values."""

import gzip
import os
from collections.abc import Iterator
from typing import IO, Any

import numpy as np

from sparsefmt.base.alloc import empty
from sparsefmt.base.coerce import as_array
from sparsefmt.base.dtypes import COMPLEX, FLOATS, Array, Dtype, native
from sparsefmt.base.errors import FormatError
from sparsefmt.io.atomic import replacing
from sparsefmt.io.paths import check_ending
from sparsefmt.kernels import matrix_market as kernels
from sparsefmt.structures.coo import Coo
from sparsefmt.structures.csr import Csr
from sparsefmt.tensor.layout import along_last
from sparsefmt.tensor.sparse import SparseTensor

_LINES = 1 << 16  # written at once


def write_matrix_market(path: str | os.PathLike[str], t: object) -> None:
    """Writes a matrix to a Matrix Market file, whole or not at all; exact.

    A real number is the shortest decimal that reads back as the same float64; float32 and smaller are widened first.
    A name that ends in ".gz" is compressed.

    Args:
        path: of the file; its folder must exist. An ending that is that of another kind of file is refused.
        t: a packed tensor of rank 2, whose slots become a `coordinate` file, explicit zeros included; or an array of
            rank 2, which becomes an `array` file.

    Raises:
        FormatError: not of rank 2, an ending that says another kind, or a NaN with a payload, which no decimal holds.
        DtypeError: an array of a dtype that no format holds.
        OSError: the file cannot be written.

    Source: Boisvert, Pozo, Remington, NISTIR 5935, 1996.

    >>> import sparsefmt as sf, tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp(), "m.mtx")
    >>> write_matrix_market(path, sf.encode(np.array([[0, 0.1]]), "csr"))
    >>> print(path.read_text())
    %%MatrixMarket matrix coordinate real general
    1 2 1
    1 2 0.1
    <BLANKLINE>
    """
    check_ending(path, (".mtx",), "Matrix Market")
    held = t if isinstance(t, SparseTensor) else as_array(t, "t")
    if held.ndim != 2:
        msg = f"a Matrix Market file holds a matrix, rank 2; got shape {held.shape}"
        raise FormatError(msg)
    kind, (rows, cols) = _field(held.dtype), held.shape
    if isinstance(held, SparseTensor):
        structure, data = _listed(held)
        layout, sizes, parts = "coordinate", f"{rows} {cols} {len(data)}", _entries(structure, data)
    else:
        layout, sizes, parts = "array", f"{rows} {cols}", _columns(held)
    with replacing(path) as file:
        out: Any = gzip.GzipFile("", "wb", 6, file, 0) if os.fspath(path).endswith(".gz") else file
        out.write(f"%%MatrixMarket matrix {layout} {kernels.FIELDS[kind]} general\n{sizes}\n".encode())
        _write(out, parts, kind)
        if out is not file:
            out.close()


def _listed(t: SparseTensor) -> tuple[Coo | Csr, Array]:
    """The matrix with its entries in the order of rows, and their values."""
    held = along_last(t.to("cpu"))
    made = held if isinstance(held.structure, Coo | Csr) else held.convert("csr")
    assert isinstance(made.structure, Coo | Csr)
    return made.structure, made.values.decode(made.structure)


def _entries(s: Coo | Csr, data: Array) -> Iterator[tuple[Array, Array, Array]]:
    """Rows, columns and values of the entries by parts; rows of csr are listed only for a part."""
    for start in range(0, len(data), _LINES):
        part = slice(start, min(start + _LINES, len(data)))
        if isinstance(s, Coo):
            yield s.row[part], s.col[part], data[part]
            continue
        first = int(np.searchsorted(s.indptr, part.start, "right")) - 1
        last = int(np.searchsorted(s.indptr, part.stop, "left"))
        ends = np.clip(s.indptr[first : last + 1], part.start, part.stop)
        row = np.repeat(np.arange(first, last, dtype=s.indices.dtype), np.diff(ends))
        yield row, s.indices[part], data[part]


def _columns(a: Array) -> Iterator[tuple[Array, Array, Array]]:
    """The values column by column, by parts of whole columns, or of one that is long."""
    none = np.empty(0, np.int64)
    rows, cols = a.shape
    for left in range(0, cols, max(_LINES // max(rows, 1), 1)):
        some = a[:, left : left + max(_LINES // max(rows, 1), 1)].T.reshape(-1)
        for start in range(0, len(some), _LINES):
            yield none, none, some[start : start + _LINES]


def _field(dtype: Dtype) -> int:
    name = native(dtype).name
    if name in FLOATS:
        return kernels.REAL
    if name in COMPLEX:
        return kernels.COMPLEX
    return kernels.UNSIGNED if name.startswith("uint") else kernels.SIGNED


_WIDE = {
    kernels.SIGNED: np.int64,
    kernels.UNSIGNED: np.uint64,
    kernels.REAL: np.float64,
    kernels.COMPLEX: np.complex128,
}
_PLAIN_NANS = np.array([0x7FF8000000000000, 0xFFF8000000000000], np.uint64)


def _write(file: IO[bytes], parts: Iterator[tuple[Array, Array, Array]], kind: int) -> None:
    room, start = np.empty(0, np.uint8), 0
    for row, col, data in parts:
        need = kernels.text_room(len(data), kind, len(row) > 0)
        room = room if len(room) >= need else empty(need, np.uint8, "a part of the text")
        with np.errstate(all="ignore"):
            values: Array = np.ascontiguousarray(data.astype(_WIDE[kind]))
        bits = values.view(np.uint64)
        if kind in (kernels.REAL, kernels.COMPLEX):
            nans = np.flatnonzero(np.isnan(values.view(np.float64)))
            odd = nans[~np.isin(bits[nans], _PLAIN_NANS)]
            if odd.size:
                at = start + int(odd[0]) // (2 if kind == kernels.COMPLEX else 1)
                msg = f"entry {at} is a NaN with a payload, which no decimal holds; replace it by numpy.nan"
                raise FormatError(msg)
        used = kernels.matrix_market_text(row, col, bits, kind, room)
        file.write(room[:used].data)
        start += len(data)
