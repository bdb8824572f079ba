"""Binsparse: a JSON descriptor and named arrays, in any container.

Source: Binary Sparse Format Specification 0.1.0 (https://binsparse.org); older drafts, which spell levels and versions
otherwise, are read too.
"""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from sparsefmt.base.alloc import empty, zeros
from sparsefmt.base.coerce import as_array, checked_shape, plain
from sparsefmt.base.dtypes import Array, index_dtype
from sparsefmt.base.errors import FormatError
from sparsefmt.codecs.raw import Raw
from sparsefmt.interop.binsparse_formats import VERSION, check_version, format_name
from sparsefmt.interop.triplets import from_triplets, narrowed
from sparsefmt.structures.registry import STRUCTURES
from sparsefmt.tensor.layout import along_last
from sparsefmt.tensor.sparse import SparseTensor

DENSE = {"DVEC": 1, "DMAT": 2, "DMATR": 2, "DMATC": 2}
"""Dense formats and their rank."""

MEMBERS = ("values", "indices_0", "indices_1", "pointers_to_1", "fill_value")
"""Names of the arrays that a descriptor may speak of."""

_NUMBERS = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)] + ["float32", "float64"]


def from_binsparse(descriptor: Mapping[str, Any], arrays: Mapping[str, Array]) -> SparseTensor | Array:
    """The array that a descriptor and its arrays hold.

    Args:
        descriptor: the JSON, with or without the outer "binsparse".
        arrays: `values`, `indices_0`, `indices_1`, `pointers_to_1` as the format wants them.

    Returns:
        csr for CSR and DCSR, csc for CSC and DCSC, coo for COO, COOR, COOC and CVEC, an ndarray for DVEC and DMAT*. One
        value for all (iso) is repeated; of a symmetric matrix both triangles are stored. Nothing is lost.

    Raises:
        FormatError: a format, dtype or structure that is not known, arrays that are missing, contradict each other or
            the shape, indices that are not sorted or not unique, a fill value other than 0.
        VersionError: a version of the specification that is not known.

    >>> arrays = {"pointers_to_1": np.array([0, 1, 1]), "indices_1": np.array([2]), "values": np.array([7], np.int8)}
    >>> types = {"pointers_to_1": "int64", "indices_1": "int64", "values": "iso[int8]"}
    >>> from_binsparse({"format": "CSR", "shape": [2, 3], "data_types": types}, arrays).to_dense()
    array([[0, 0, 7],
           [0, 0, 0]], dtype=int8)
    """
    inner = descriptor.get("binsparse", descriptor) if isinstance(descriptor, Mapping) else descriptor
    if not isinstance(inner, Mapping):
        msg = f"descriptor: want a JSON object as a dict, got {type(inner).__name__}"
        raise FormatError(msg)
    check_version(inner.get("version", VERSION))
    kind = format_name(inner)
    shape = _shape(inner, kind)
    types = inner.get("data_types", {})
    if not isinstance(types, Mapping):
        msg = f"data_types: want a JSON object, got {type(types).__name__}"
        raise FormatError(msg)
    _check_fill(inner, arrays)
    found = _Arrays(arrays, types, inner.get("number_of_stored_values"))
    structure = inner.get("structure")
    general = structure in (None, "general")
    if kind in DENSE:
        if not general:
            msg = f"structure {str(structure)[:80]!r} of a dense array is not read; write all of its elements"
            raise FormatError(msg)
        return _dense(kind, shape, found)
    made = _sparse(kind, shape, found)
    return made if general else _mirrored(made, structure)


class _Arrays:
    """The arrays of a descriptor as their data types say."""

    def __init__(self, arrays: Mapping[str, Array], types: Mapping[str, Any], stated: object) -> None:
        self._arrays = arrays
        self._types = types
        self._stated = stated

    def flat(self, name: str) -> Array:
        if name not in self._arrays:
            msg = f"array {name!r} is missing"
            raise FormatError(msg)
        a = np.asarray(self._arrays[name])
        if a.ndim != 1:
            msg = f"array {name!r}: want rank 1, got shape {a.shape}"
            raise FormatError(msg)
        return a

    def index(self, name: str) -> Array:
        a = self.flat(name)
        if a.dtype.kind not in "iu":
            msg = f"array {name!r}: want integers, got {a.dtype}"
            raise FormatError(msg)
        if a.size and (int(a.min()) < 0 or int(a.max()) > np.iinfo(np.int64).max):
            msg = f"array {name!r}: want 0..2^63 - 1, got {int(a.min())}..{int(a.max())}"
            raise FormatError(msg)
        return a.astype(np.int64)

    def values(self, count: int) -> Array:
        """The values, `count` of them."""
        if self._stated is not None and (type(self._stated) is not int or self._stated != count):
            msg = f"number_of_stored_values = {str(self._stated)[:80]}, but the other arrays describe {count} values"
            raise FormatError(msg)
        text = self._types.get("values")
        a = _typed(self.flat("values"), str(text)) if text is not None else self.flat("values")
        if str(text).startswith("iso["):
            if a.size != 1:
                msg = f"values: {text} wants one value, got {a.size}"
                raise FormatError(msg)
            out = empty(count, a.dtype, "the values of an iso array")
            out[...] = a[0]
            return out
        if a.size != count:
            msg = f"values: want {count}, got {a.size}"
            raise FormatError(msg)
        return a


def _typed(a: Array, text: str) -> Array:
    """Stored items as a data type says."""
    if found := re.fullmatch(r"iso\[(.*)\]", text):
        return _typed(a, found[1])
    if found := re.fullmatch(r"complex\[(float32|float64)\]", text):
        parts = plain(a, np.dtype(found[1]))
        if parts.size % 2:
            msg = f"values: {text} wants pairs, got {parts.size} numbers"
            raise FormatError(msg)
        return parts.view(np.complex64 if found[1] == "float32" else np.complex128)
    if text == "bint8":
        if a.dtype.itemsize != 1 or ((items := a.view(np.uint8)) > 1).any():
            msg = f"values: bint8 wants bytes 0 and 1, got {a.dtype}"
            raise FormatError(msg)
        return items.view(bool)
    if text not in _NUMBERS:
        msg = f"data type {text!r} is unknown; have {', '.join(_NUMBERS)}, bint8, complex[...], iso[...]"
        raise FormatError(msg)
    if a.dtype.newbyteorder("=") != np.dtype(text):
        msg = f"values: the descriptor says {text}, the array is {a.dtype}"
        raise FormatError(msg)
    return plain(a, np.dtype(text))


def _shape(inner: Mapping[str, Any], kind: str) -> tuple[int, ...]:
    given = inner.get("shape")
    rank = 1 if kind in ("CVEC", "DVEC") else 2
    if not isinstance(given, list | tuple) or len(given) != rank or any(type(n) is not int or n < 0 for n in given):
        msg = f"shape = {str(given)[:80]}; {kind} wants {rank} lengths of 0 and more"
        raise FormatError(msg)
    return checked_shape(tuple(given))


def _check_fill(inner: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
    if inner.get("fill") and (np.asarray(arrays.get("fill_value", [0])) != 0).any():
        msg = "the array has a fill value other than 0, which no format here holds"
        raise FormatError(msg)


def _dense(kind: str, shape: tuple[int, ...], found: _Arrays) -> Array:
    count = int(np.prod(shape, dtype=object))
    values = found.values(count)
    return values.reshape(shape[::-1]).T if kind == "DMATC" else values.reshape(shape)


def _increasing(name: str, a: Array, starts: Array | None = None) -> None:
    """Raises FormatError where indices do not rise; `starts`: where a new run may begin again."""
    fall = a[1:] <= a[:-1]
    if starts is not None:
        begins = starts[(starts > 0) & (starts < len(a))] - 1
        fall = fall.copy()
        fall[begins] = False
    if fall.any():
        at = int(np.flatnonzero(fall)[0]) + 1
        msg = f"{name}[{at}] = {int(a[at])} follows {int(a[at - 1])}; want sorted and unique indices"
        raise FormatError(msg)


def _sparse(kind: str, shape: tuple[int, ...], found: _Arrays) -> SparseTensor:
    if kind == "CVEC":
        col = found.index("indices_0")
        _increasing("indices_0", col)
        return _coo(np.zeros_like(col), col, found.values(len(col)), (1, shape[0]), shape)
    if kind in ("COOR", "COOC"):
        major, minor = found.index("indices_0"), found.index("indices_1")
        if len(major) != len(minor):
            msg = f"indices_0 and indices_1: want one length, got {len(major)} and {len(minor)}"
            raise FormatError(msg)
        _sorted_pairs(major, minor)
        row, col = (major, minor) if kind == "COOR" else (minor, major)
        return _coo(row, col, found.values(len(row)), (shape[0], shape[1]), shape, in_order=kind == "COOR")
    by_rows = kind in ("CSR", "DCSR")
    majors = shape[0] if by_rows else shape[1]
    pointers, minor = found.index("pointers_to_1"), found.index("indices_1")
    if kind.startswith("D"):
        pointers = _all_pointers(pointers, found.index("indices_0"), majors)
    index = index_dtype(*shape, len(minor))
    arrays = {"indptr": narrowed("pointers_to_1", pointers, index), "indices": narrowed("indices_1", minor, index)}
    structure = STRUCTURES["csr" if by_rows else "csc"].from_parts(arrays, {}, (shape[0], shape[1]))
    return SparseTensor(structure, Raw(found.values(len(minor))), shape)


def _all_pointers(pointers: Array, present: Array, majors: int) -> Array:
    """Offsets of all rows from those of the rows that are not empty."""
    _increasing("indices_0", present)
    if len(pointers) != len(present) + 1 or (len(present) and int(present[-1]) >= majors):
        msg = (
            f"pointers_to_1 and indices_0: want n + 1 and n entries below {majors}, got {len(pointers)}, {len(present)}"
        )
        raise FormatError(msg)
    out = zeros(majors + 1, np.int64, "the offsets of all rows")
    out[present + 1] = np.diff(pointers)
    np.cumsum(out, out=out)
    if len(pointers) and int(pointers[0]) != 0:
        msg = f"pointers_to_1[0] = {int(pointers[0])}; want 0"
        raise FormatError(msg)
    return out


def _sorted_pairs(major: Array, minor: Array) -> None:
    bad = (major[1:] < major[:-1]) | ((major[1:] == major[:-1]) & (minor[1:] <= minor[:-1]))
    if bad.any():
        at = int(np.flatnonzero(bad)[0]) + 1
        pair = (int(major[at]), int(minor[at]))
        msg = f"entry {at}, {pair}, follows a larger or equal one; want sorted, unique pairs"
        raise FormatError(msg)


def _coo(
    row: Array, col: Array, values: Array, matrix: tuple[int, int], shape: tuple[int, ...], *, in_order: bool = True
) -> SparseTensor:
    index = index_dtype(*matrix, len(row))
    for name, a, bound in (("row", row, matrix[0]), ("column", col, matrix[1])):
        if a.size and int(a.max()) >= bound:
            at = int(np.argmax(a))
            msg = f"entry {at}: {name} {int(a[at])} is out of range for shape {shape}"
            raise FormatError(msg)
    row, col = row.astype(index), col.astype(index)
    if not in_order:
        row, col, values = from_triplets(row, col, values, matrix)
    structure = STRUCTURES["coo"].from_parts({"row": row, "col": col}, {}, matrix)
    return SparseTensor(structure, Raw(np.ascontiguousarray(values)), shape)


def _mirrored(t: SparseTensor, structure: object) -> SparseTensor:
    """Both triangles of a matrix of which one is stored."""
    found = re.fullmatch(r"(symmetric|hermitian|skew_symmetric)_(lower|upper)", str(structure))
    if not found:
        msg = (
            f"structure {str(structure)[:80]!r} is unknown; have symmetric, hermitian, skew_symmetric, _lower or _upper"
        )
        raise FormatError(msg)
    kind, half = found[1], found[2]
    if t.ndim != 2 or t.shape[0] != t.shape[1]:
        msg = f"structure {structure}: want a square matrix, got shape {t.shape}"
        raise FormatError(msg)
    coo = t.convert("coo")
    arrays, data = coo.structure.arrays(), coo.values.decode(coo.structure)
    row, col = arrays["row"], arrays["col"]
    if kind == "hermitian" and data.dtype.kind != "c":
        msg = f"structure {structure}: want complex values, got {data.dtype}"
        raise FormatError(msg)
    wrong = row < col if half == "lower" else row > col
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        msg = f"structure {structure}: entry ({int(row[at])}, {int(col[at])}) is in the other triangle"
        raise FormatError(msg)
    off = row != col
    _check_sides(kind, row, data, off)
    other = _across(kind, data[off])
    rows, cols = np.concatenate([row, col[off]]), np.concatenate([col, row[off]])
    merged = from_triplets(rows, cols, np.concatenate([data, other]), coo.structure.shape)
    made = _coo(*merged, coo.structure.shape, t.shape)
    return made.convert(t.structure.text)


def _across(kind: str, values: Array) -> Array:
    """The values of the other triangle."""
    if kind == "skew_symmetric" and values.dtype != bool:  # of bool all are False
        return np.asarray(-values)
    return np.conj(values) if kind == "hermitian" else values


def _check_sides(kind: str, row: Array, data: Array, off: Array) -> None:
    """Raises FormatError for a diagonal that such a matrix has not, and for values without the one across."""
    wrong, why = np.zeros(len(data), bool), ""
    if kind == "hermitian":
        wrong, why = ~off & (data.imag != 0), "a hermitian matrix has a real diagonal"
    elif kind == "skew_symmetric":
        wrong, why = ~off & (data != 0), "a skew-symmetric matrix has zeros on the diagonal"
        if not wrong.any() and data.dtype.kind in "biu":
            least = data == np.iinfo(data.dtype).min if data.dtype.kind == "i" else data != 0
            wrong, why = off & least, f"{data.dtype} does not hold the negative, which stands across the diagonal"
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        msg = f"entry {at}, {data[at]} in row {int(row[at])}: {why}"
        raise FormatError(msg)


def to_binsparse(t: SparseTensor | Array) -> tuple[dict[str, Any], dict[str, Array]]:
    """Descriptor and arrays of a tensor or an ndarray of rank 1 or 2.

    Args:
        t: csr, csc and coo stay (rank 1 becomes CVEC); a codec and other structures are refused; ndarrays become DVEC
            and DMATR. float16, bfloat16 and float8 are refused, for which the specification has no data type.

    Returns:
        The inner descriptor and the arrays by name.

    Raises:
        FormatError: what the specification has no form for.
        DtypeError: masked arrays, text and objects.

    >>> import sparsefmt as sf
    >>> descriptor, arrays = to_binsparse(sf.encode(np.eye(2), "csr"))
    >>> descriptor["format"], arrays["values"]
    ('CSR', array([1., 1.]))
    """
    if isinstance(t, SparseTensor):
        kind, arrays = _tensor_arrays(t)
    else:
        t = a = as_array(t, "t")
        if a.ndim not in (1, 2):
            msg = f"binsparse has dense formats of rank 1 and 2, got shape {a.shape}"
            raise FormatError(msg)
        kind, arrays = ("DVEC" if a.ndim == 1 else "DMATR"), {"values": a.reshape(-1)}
    types, stored = {}, {}
    for name, a in arrays.items():
        stored[name], types[name] = _stored(a)
    count = arrays["values"].size
    descriptor = {"version": VERSION, "format": kind, "shape": list(t.shape), "number_of_stored_values": count}
    return {**descriptor, "data_types": types}, stored


def _tensor_arrays(t: SparseTensor) -> tuple[str, dict[str, Array]]:
    if not isinstance(t.values, Raw) or t.ndim > 2 or t.structure.kind not in ("csr", "csc", "coo"):
        msg = f"binsparse holds csr, csc and coo with raw values up to rank 2, got {t.format} of rank {t.ndim}"
        raise FormatError(msg + '; use sf.dequantize and t.convert("csr")')
    t = along_last(t)  # as csr, where it was packed along the other axis
    values = {"values": t.values.decode(t.structure)}
    if t.ndim == 1:
        return "CVEC", {"indices_0": t.convert("coo").structure.arrays()["col"], **values}
    arrays = t.structure.arrays()
    if t.structure.kind == "coo":
        return "COOR", {"indices_0": arrays["row"], "indices_1": arrays["col"], **values}
    pointers = {"pointers_to_1": arrays["indptr"], "indices_1": arrays["indices"]}
    return t.structure.kind.upper(), {**pointers, **values}


def _stored(a: Array) -> tuple[Array, str]:
    """Items as they lie in a container, and their data type."""
    if a.dtype == bool:
        return a.view(np.uint8), "bint8"
    if a.dtype.kind == "c":
        part = "float32" if a.dtype.itemsize == 8 else "float64"
        return np.ascontiguousarray(a).view(part), f"complex[{part}]"
    if a.dtype.name not in _NUMBERS:
        msg = f"binsparse has no data type for {a.dtype}; use astype(numpy.float32)"
        raise FormatError(msg)
    return a, a.dtype.name
