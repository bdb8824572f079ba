"""Writing Matrix Market files, so that reading them gives the same values."""

import gzip
import os
from typing import IO, Any

import numpy as np

from sparsefmt.base.alloc import empty
from sparsefmt.base.coerce import as_array
from sparsefmt.base.dtypes import COMPLEX, FLOATS, Array, native
from sparsefmt.base.errors import FormatError
from sparsefmt.io.atomic import replacing
from sparsefmt.kernels import matrix_market as kernels
from sparsefmt.structures.coo import Coo
from sparsefmt.tensor.layout import along_last
from sparsefmt.tensor.sparse import SparseTensor

_LINES = 1 << 16  # written at once


def write_matrix_market(path: str | os.PathLike[str], t: object) -> None:
    """Writes a matrix to a Matrix Market file, whole or not at all; exact.

    A real number is the shortest decimal that reads back as the same float64; float32 and smaller are widened first.
    A name that ends in ".gz" is compressed.

    Args:
        path: of the file; its folder must exist.
        t: a packed tensor of rank 2, whose slots become a `coordinate` file, explicit zeros included; or an array of
            rank 2, which becomes an `array` file.

    Raises:
        FormatError: not of rank 2, or a NaN with a payload, which no decimal holds.
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
    held = t if isinstance(t, SparseTensor) else as_array(t, "t")
    if held.ndim != 2:
        msg = f"a Matrix Market file holds a matrix, rank 2; got shape {held.shape}"
        raise FormatError(msg)
    if isinstance(held, SparseTensor):
        coo = along_last(held.to("cpu")).convert("coo")
        assert isinstance(coo.structure, Coo)
        row, col, data = coo.structure.row, coo.structure.col, coo.values.decode(coo.structure)
        layout, sizes = "coordinate", f"{held.shape[0]} {held.shape[1]} {len(row)}"
    else:
        row = col = np.empty(0, np.int64)
        data, layout, sizes = held.T.reshape(-1), "array", f"{held.shape[0]} {held.shape[1]}"
    kind = _field(data)
    with replacing(path) as file:
        out: Any = gzip.GzipFile("", "wb", 6, file, 0) if os.fspath(path).endswith(".gz") else file
        out.write(f"%%MatrixMarket matrix {layout} {kernels.FIELDS[kind]} general\n{sizes}\n".encode())
        _write(out, row, col, data, kind)
        if out is not file:
            out.close()


def _field(data: Array) -> int:
    name = native(data.dtype).name
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


def _write(file: IO[bytes], row: Array, col: Array, data: Array, kind: int) -> None:
    room = empty(kernels.text_room(min(_LINES, len(data)), kind, len(row) > 0), np.uint8, "a part of the text")
    for start in range(0, len(data), _LINES):
        part = slice(start, start + _LINES)
        with np.errstate(all="ignore"):
            values: Array = np.ascontiguousarray(data[part].astype(_WIDE[kind]))
        bits = values.view(np.uint64)
        if kind in (kernels.REAL, kernels.COMPLEX):
            odd = np.isnan(values.view(np.float64)) & ~np.isin(bits, _PLAIN_NANS)
            if odd.any():
                at = start + int(np.argmax(odd)) // (2 if kind == kernels.COMPLEX else 1)
                msg = f"entry {at} is a NaN with a payload, which no decimal holds; replace it by numpy.nan"
                raise FormatError(msg)
        used = kernels.matrix_market_text(row[part], col[part], bits, kind, room)
        file.write(room[:used].data)
