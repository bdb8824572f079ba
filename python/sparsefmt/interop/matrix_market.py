"""Matrix Market files, read strictly: what has one reading is taken, anything else is an error with its line.

Source: Boisvert, Pozo, Remington, "The Matrix Market Exchange Formats: Initial Design", NISTIR 5935, 1996.
"""

import gzip
import io
import os
import re
import stat
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from sparsefmt.base.alloc import empty, reshaped, zeros
from sparsefmt.base.dtypes import Array, index_dtype
from sparsefmt.base.errors import FormatError, SizeError
from sparsefmt.base.limits import check_size, max_bytes
from sparsefmt.codecs.raw import Raw
from sparsefmt.interop.triplets import from_triplets, rows_from_triplets
from sparsefmt.io.mapping import read_only
from sparsefmt.io.paths import checked_path
from sparsefmt.kernels import matrix_market as kernels
from sparsefmt.kernels.coo import coo_check
from sparsefmt.kernels.matrix_market import COMPLEX, HERMITIAN, PATTERN, SKEW, UNSIGNED
from sparsefmt.structures.base import Structure
from sparsefmt.structures.coo import Coo
from sparsefmt.structures.csr import Csr
from sparsefmt.tensor.sparse import SparseTensor

_FIELDS = {name: name for name in kernels.FIELDS} | {"float": "real", "double": "real"}
_DTYPES = (np.float64, np.int64, np.uint64, np.float64, np.complex128)
_LONGEST = 2**63 - 1
_PART = 32 << 20  # bytes read between two looks for an interrupt
_SHOWN = 60
_GZIP = b"\x1f\x8b"
_FAULTS = {
    kernels.INDEX: "want a row and a column, counted from 1",
    kernels.NUMBER: "want a number",
    kernels.FEW: "the line ends too soon",
    kernels.EXTRA: "something follows the last number",
    kernels.FRACTION: "want a whole number, as the header says integer",
    kernels.WIDE: "the integer needs more than 64 bits",
    kernels.TRIANGLE: "entries stand on both sides of the diagonal; a symmetric matrix lists one",
    kernels.DIAGONAL: "a skew-symmetric matrix has no entries on the diagonal",
    kernels.IMAGINARY: "a hermitian matrix has a real diagonal",
}


@dataclass(frozen=True)
class _Head:
    """What the first lines say."""

    sparse: bool
    field: int
    symmetry: int
    shape: tuple[int, int]
    entries: int
    line: int  # the first of the body
    at: int  # and where it begins

    @property
    def least(self) -> int:
        """Bytes that an entry takes at least, with the end of its line."""
        return 4 * self.sparse + {PATTERN: 0, COMPLEX: 4}.get(self.field, 2)


def read_matrix_market(path: str | os.PathLike[str]) -> SparseTensor | Array:
    r"""Reads a Matrix Market file, plain or compressed by gzip, on all threads.

    Numbers are rounded correctly, beyond the largest float64 to infinity (`1e400`), as in SciPy. Blanks, tabs and CRLF
    are free, comments and blank lines may stand anywhere, `D` marks an exponent too, and the sign may (`2.3+2`). What
    is symmetric in some way comes whole, entries of one place are summed.

    Args:
        path: of the file.

    Returns:
        A coo tensor from a `coordinate` file, an array from an `array` file; int64, uint64, float64 (also for
        `pattern`, whose values are 1) or complex128.

    Raises:
        FormatError: with the line: a header or a number that is none, a fraction in an integer file, columns too many
            or too few, indices out of range, entries more or fewer than said or than the file can hold; both triangles
            of a symmetric matrix, a skew diagonal, a hermitian one that is not real, a shape that is not square.
        SizeError: the matrix would be larger than allowed.
        OSError: the file cannot be read.

    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp(), "m.mtx")
    >>> text = "%%MatrixMarket matrix coordinate real general\n2 3 1\n2 3 1.5D+02\n"
    >>> _ = path.write_text(text)
    >>> read_matrix_market(path).to_dense()
    array([[  0.,   0.,   0.],
           [  0.,   0., 150.]])
    """
    name = checked_path(path)
    try:
        return _matrix(_text(Path(name)))
    except (FormatError, SizeError) as e:
        msg = f"{name}: {e}"
        raise type(e)(msg) from e


def _matrix(text: Any) -> SparseTensor | Array:  # noqa: ANN401
    head = _head(text)
    body = len(text) - head.at
    if head.entries * head.least > body + 1:
        msg = (
            f"line {head.line - 1}: the header claims {head.entries} entries, but the {body} bytes that follow hold "
            f"at most {(body + 1) // head.least}"
        )
        raise FormatError(msg)
    return _sparse(text, head) if head.sparse else _dense(text, head)


def _text(path: Path) -> Any:  # noqa: ANN401
    """The bytes of the file, mapped where it is not compressed."""
    with path.open("rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            text: Any = _all_of(file)
        elif size := os.fstat(file.fileno()).st_size:
            text = read_only(file.fileno(), size)
        else:
            text = b""
    if text[:2] == _GZIP:
        return _inflated(text)
    if path.suffix == ".gz":
        msg = "not compressed by gzip, as its name says"
        raise FormatError(msg)
    return text


def _inflated(text: Any) -> bytes:  # noqa: ANN401
    """What gzip compressed."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(text)) as plain:
            return _all_of(plain)
    except (gzip.BadGzipFile, EOFError, zlib.error) as e:
        msg = f"damaged gzip data: {e}"
        raise FormatError(msg) from e


def _all_of(file: BinaryIO | gzip.GzipFile) -> bytes:
    """What a stream holds that does not say how much: a bomb, or a device without end, ends at the limit of memory."""
    parts, total = [], 0
    try:
        while part := file.read(1 << 24):
            total += len(part)
            check_size(2 * total, "the text of the file", max_bytes())
            parts.append(part)
        return b"".join(parts)
    except MemoryError as e:
        msg = f"no memory for a text of more than {total} bytes"
        raise SizeError(msg) from e


def _lines(text: Any) -> Iterator[tuple[int, int, bytes]]:  # noqa: ANN401
    """Number, end and content of the lines that are neither blank nor comments, and of the first one in any case."""
    at, number = 0, 0
    while at < len(text):
        end = text.find(b"\n", at)
        end = len(text) if end < 0 else end
        number += 1
        start = bytes(text[at : min(end, at + 4096)]).lstrip(b" \t\r")
        if number == 1 or (start and start[:1] != b"%"):
            yield number, end + 1, bytes(text[at:end]) if end - at <= 4096 else start
        at = end + 1


def _shown(line: bytes) -> str:
    """A line of a file as an error may quote it."""
    cut = line[: _SHOWN + 1].decode("latin-1").strip(" \t\r\n")
    return ascii(cut if len(cut) <= _SHOWN else cut[:_SHOWN] + "...")


def _bad(line: int, what: str, content: bytes | None = None) -> FormatError:
    return FormatError(f"line {line}: {what}" + (f": {_shown(content)}" if content is not None else ""))


def _head(text: Any) -> _Head:  # noqa: ANN401
    """Reads the banner and the line of sizes."""
    lines = _lines(text)
    _, _, banner = next(lines, (1, 0, b""))
    words = banner.decode("latin-1").lower().split()
    if not words or words[0] not in ("%%matrixmarket", "%matrixmarket"):
        raise _bad(1, "no Matrix Market file; want %%MatrixMarket matrix ...", banner)
    if len(words) != 5:
        raise _bad(1, "want %%MatrixMarket matrix coordinate|array FIELD SYMMETRY", banner)
    kind, layout, field, symmetry = words[1:]
    for word, known in (
        (kind, ("matrix",)),
        (layout, ("coordinate", "array")),
        (field, tuple(_FIELDS)),
        (symmetry, kernels.SYMMETRIES),
    ):
        if word not in known:
            msg = f"{word[:_SHOWN]!r} is unknown; allowed {', '.join(known)}"
            raise _bad(1, msg)
    form, half = kernels.FIELDS.index(_FIELDS[field]), kernels.SYMMETRIES.index(symmetry)
    sparse = layout == "coordinate"
    allowed = {HERMITIAN: form == COMPLEX, SKEW: form not in (PATTERN, UNSIGNED)}
    if not allowed.get(half, True) or (form == PATTERN and not sparse):
        raise _bad(1, f"{layout} {field} {symmetry} makes no sense")
    number, at, line = next(lines, (0, 0, b""))
    if not number:
        raise _bad(1, "the line of sizes is missing")
    words = [w for w in re.split(r"[ \t\r]+", line.decode("latin-1")) if w]
    want = "rows, columns and entries" if sparse else "rows and columns"
    if len(words) != 2 + sparse or not all(w.isascii() and w.isdigit() and len(w) < 100 for w in words):
        raise _bad(number, f"want {want}", line)
    sizes = [int(w) for w in words]
    if max(sizes) > _LONGEST:
        raise _bad(number, f"{max(sizes)} is beyond 2^63-1", line)
    rows, cols = sizes[:2]
    if half and rows != cols:
        raise _bad(number, f"a {symmetry} matrix is square, this one is {rows} x {cols}")
    count = sizes[2] if sparse else _listed(rows, cols, half)
    return _Head(sparse, form, half, (rows, cols), count, number + 1, min(at, len(text)))


def _listed(rows: int, cols: int, symmetry: int) -> int:
    """Values that an array file lists."""
    if symmetry == 0:
        return rows * cols
    return rows * (rows - 1) // 2 if symmetry == SKEW else rows * (rows + 1) // 2


def _parts(text: Any, start: int) -> Iterator[tuple[int, int]]:  # noqa: ANN401
    """Where parts of whole lines begin and end."""
    while start < len(text):
        end = text.find(b"\n", start + _PART) + 1 if start + _PART < len(text) else 0
        yield start, end or len(text)
        start = end or len(text)


def _body(text: Any, head: _Head, row: Array, col: Array, values: Array) -> None:  # noqa: ANN401
    """Fills the arrays; `row` and `col` have no entries for an array file."""
    whole = np.frombuffer(text, np.uint8)
    width = values.size // head.entries if head.entries else {PATTERN: 0, COMPLEX: 2}.get(head.field, 1)
    found, line, sides = 0, head.line, 0
    for start, end in _parts(text, head.at):
        part, kind, items = whole[start:end], (head.field, head.symmetry, sides), values[found * width :]
        if head.sparse:
            told = kernels.matrix_market_entries(part, line, head.shape, kind, row[found:], col[found:], items)
        else:
            told = kernels.matrix_market_values(part, line, kind, items)
        code, last, place, sides = told
        if code not in (0, kernels.FEWER):
            raise _fault(text, head, code, last, start + place)
        found, line = found + place, last + 1
    if found < head.entries:
        msg = f"the file ends after {found} of the {head.entries} entries that the header claims"
        raise _bad(max(line - 1, head.line - 1), msg)


def _fault(text: Any, head: _Head, code: int, line: int, at: int) -> FormatError:  # noqa: ANN401
    content = bytes(text[at : at + 200]).partition(b"\n")[0]
    if code == kernels.MORE:
        what = f"more entries than the {head.entries} that the header claims"
    elif code in (kernels.ROW, kernels.COL):
        axis = int(code == kernels.COL)
        what = f"the {('row', 'column')[axis]} is out of range 1..{head.shape[axis]}"
    else:
        what = _FAULTS[code]
    return _bad(line, what, content)


def _mirrored(values: Array, symmetry: int) -> Array:
    """The values of the other triangle."""
    if symmetry == SKEW:
        return -values
    return values.conj() if symmetry == HERMITIAN else values


def _sparse(text: Any, head: _Head) -> SparseTensor:  # noqa: ANN401
    index = index_dtype(*head.shape, head.entries * (2 if head.symmetry else 1))
    row, col = empty(head.entries, index, "the rows"), empty(head.entries, index, "the columns")
    dtype = np.dtype(_DTYPES[head.field])
    values = empty(head.entries, dtype, "the values")
    if head.field == PATTERN:
        values[...] = 1
    _body(text, head, row, col, values.view(np.uint64)[: 0 if head.field == PATTERN else None])
    if head.symmetry:
        off = np.flatnonzero(row != col)
        other = _mirrored(values[off], head.symmetry)
        row, col = np.concatenate([row, col[off]]), np.concatenate([col, row[off]])
        values = np.concatenate([values, other])
    structure: Structure = Coo(row, col, head.shape, check=False)
    if coo_check(row, col, head.shape)[0]:
        found = rows_from_triplets(row, col, values, head.shape)
        if found is not None:
            structure, values = Csr(found[0], found[1], head.shape, check=False), found[2]
        else:
            row, col, values = from_triplets(row, col, values, head.shape)
            structure = Coo(row, col, head.shape, check=False)
    return SparseTensor.from_checked(structure, Raw(values, check=False), head.shape).convert("coo")


def _dense(text: Any, head: _Head) -> Array:  # noqa: ANN401
    dtype, (rows, cols) = np.dtype(_DTYPES[head.field]), head.shape
    values = empty(head.entries, dtype, "the values")
    none = empty(0, np.int64)
    _body(text, head, none, none, values.view(np.uint64))
    if not head.symmetry:
        return reshaped(values, (cols, rows), "the matrix").T
    out = zeros(head.shape, dtype, "the matrix")
    first = 0
    for c in range(cols):
        start = c + (head.symmetry == SKEW)
        some = values[first : first + rows - start]
        if head.symmetry == HERMITIAN and some[0].imag != 0:
            raise _bad(_line_of(text, head, first), f"column {c + 1}: {_FAULTS[kernels.IMAGINARY]}")
        out[c, start:] = _mirrored(some, head.symmetry)
        out[start:, c] = some
        first += len(some)
    return out


def _line_of(text: Any, head: _Head, entry: int) -> int:  # noqa: ANN401
    """The line of an entry of an array file."""
    found = (number for number, end, _ in _lines(text) if number >= head.line)
    for _ in range(entry):
        next(found)
    return next(found)
