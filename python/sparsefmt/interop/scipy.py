"""SciPy sparse arrays and matrices, in and out, sharing memory where that is possible."""

from typing import Any, Literal

import numpy as np

from sparsefmt.base.alloc import empty
from sparsefmt.base.coerce import as_array, matrix_shape, plain, without_negative_zeros
from sparsefmt.base.dtypes import Array, Dtype, index_dtype, native, zero_mask
from sparsefmt.base.errors import FormatError
from sparsefmt.codecs.raw import Raw
from sparsefmt.interop.triplets import from_triplets, rows_from_triplets
from sparsefmt.kernels import checks
from sparsefmt.kernels import coo as coo_kernels
from sparsefmt.kernels import csr as csr_kernels
from sparsefmt.kernels.coo import expand_indptr
from sparsefmt.structures.base import Structure, as_index_pair
from sparsefmt.structures.bsr import Bsr
from sparsefmt.structures.coo import Coo
from sparsefmt.structures.csr import Csc, Csr, check_compressed, compressed_error
from sparsefmt.tensor.backend import lent
from sparsefmt.tensor.layout import along_last
from sparsefmt.tensor.sparse import SparseTensor, as_tensor
from sparsefmt.tensor.transposed import Transposed

WIDENED = ("float16", "bfloat16", "float8_e4m3fn", "float8_e5m2")
"""SciPy computes with none of them, and files of NumPy and HDF5 do not hold the last three."""

Built = tuple[Structure, Array, tuple[int, ...]]


def from_scipy(
    m: Any,  # noqa: ANN401
    fmt: str | None = None,
    *,
    copy: bool | None = None,
    zero: Literal["value", "bits"] = "bits",
) -> SparseTensor:
    """Takes a SciPy sparse array or matrix of any format.

    Indices are checked, sorted, and duplicates summed (in the dtype of the data; bool: or) where needed; the arrays
    of `m` are never changed. Explicit zeros stay slots of coo, csr, csc and bitmask.

    Args:
        m: coo, csr, csc, bsr, dia, lil or dok; an n-d coo_array keeps its shape.
        fmt: a format text; default: the format of `m` where there is one (bsr with its block), else csr (coo for n-d).
        copy: as in NumPy 2. None: share the arrays of `m` where they are canonical; True: never; False: share or
            raise. A tensor that shares is immutable only as long as nobody writes to the arrays of `m`.
        zero: "bits" keeps a stored -0.0, which is a value to N:M; "value" makes it an explicit 0.0.

    Returns:
        A tensor of the shape and dtype of `m`.

    Raises:
        PatternError: `m` does not have the pattern of the format.
        FormatError: indices out of range, offsets that fall, data that is too short, or `copy=False` and a copy is
            needed.
        DtypeError: a dtype that no format holds (object, longdouble).
        TypeError: `m` is not SciPy's.

    >>> import scipy.sparse
    >>> from_scipy(scipy.sparse.csr_array([[0, 5], [0, 0]])).format
    'csr'
    """
    builder = _BUILDERS.get(getattr(m, "format", ""))
    if builder is None or (not type(m).__module__.startswith("scipy.sparse") and not _is_scipy(m)):
        msg = f"m: want a SciPy sparse array or matrix, got {type(m).__name__}; for dense arrays use sparsefmt.encode"
        raise TypeError(msg)
    zero_mask(np.dtype(bool), zero)  # refuses an unknown rule
    structure, data, shape = builder(m)
    if zero == "value":
        data = without_negative_zeros(data)
    source = [a for a in _arrays_of(m) if a.size]
    parts = [*structure.arrays().values(), data]
    shared = all(any(np.may_share_memory(a, b) for b in source) for a in (*_essential(structure), data) if a.size)
    if copy is False and not shared:
        msg = "copy=False, but the arrays of m must be sorted, summed, cast or freed of -0.0; pass copy=None"
        raise FormatError(msg)
    if copy is True and any(np.may_share_memory(a, b) for a in parts for b in source):
        structure, data = structure.map(_copied), _copied(data)
    t = SparseTensor.from_checked(structure, Raw(data, check=False), shape)
    if fmt is None:
        return t.convert("coo") if m.format == "coo" else t
    converted = t.convert(fmt)
    if copy is False and converted is not t:
        msg = f"copy=False, but {t.format} must be converted to {converted.format}; pass copy=None"
        raise FormatError(msg)
    return converted


def from_scipy_parts(m: Any) -> SparseTensor:  # noqa: ANN401
    """The tensor of anything that has the attributes of a SciPy matrix: `format`, `shape`, `data` and its indices.

    Raises:
        FormatError: they contradict each other.
        DtypeError: a dtype that no format holds.
    """
    structure, data, shape = _BUILDERS[m.format](m)
    t = SparseTensor.from_checked(structure, Raw(data, check=False), shape)
    return t.convert("coo") if m.format == "coo" else t


def _is_scipy(m: object) -> bool:
    import scipy.sparse  # optional dependency

    return bool(scipy.sparse.issparse(m))


def _copied(a: Array) -> Array:
    made = empty(a.shape, a.dtype, "the copy")
    made[...] = a
    return made


def _essential(structure: Structure) -> list[Array]:
    """The arrays that come from SciPy's; the row of a vector or of an n-d array is computed."""
    return [structure.col] if isinstance(structure, Coo) else list(structure.arrays().values())


def _arrays_of(m: Any) -> list[Array]:  # noqa: ANN401
    named = [getattr(m, name, None) for name in ("data", "indices", "indptr", "offsets")]
    return [a for a in (*named, *getattr(m, "coords", ())) if isinstance(a, np.ndarray)]


def _data(m: Any, rank: int) -> Array:  # noqa: ANN401
    data = as_array(m.data)
    if data.ndim != rank:
        msg = f"data: want rank {rank}, got shape {data.shape}"
        raise FormatError(msg)
    return plain(data, native(data.dtype))


def _compressed(m: Any, kind: type[Csr] | type[Csc]) -> Built:  # noqa: ANN401
    shape = tuple(int(n) for n in m.shape)
    matrix = matrix_shape(shape)
    lines, bound = (matrix[kind.axis], matrix[1 - kind.axis])
    indptr, indices, data = _trimmed(m, lines, 1, matrix)
    finding = csr_kernels.csr_check(indptr, indices, bound)
    if finding[0] == checks.ORDER:
        line = empty(len(indices), indices.dtype, "rows")
        expand_indptr(indptr, line)
        found = rows_from_triplets(line, indices, data, (lines, bound))
        if found is None:
            line, indices, data = from_triplets(line, indices, data, (lines, bound))
            found = np.searchsorted(line, np.arange(lines + 1)).astype(indptr.dtype), indices, data
        indptr, indices, data = found
    elif finding[0]:
        raise compressed_error(finding, indptr, indices, bound)
    return kind(indptr, indices, matrix, check=False), data, shape


def _trimmed(m: Any, lines: int, rank: int, shape: tuple[int, int]) -> tuple[Array, Array, Array]:  # noqa: ANN401
    """The arrays of a compressed matrix, cut to what the offsets say; SciPy allows them to be longer."""
    data = _data(m, rank)
    indptr, indices = as_index_pair(m.indptr, m.indices, ("indptr", "indices"), *shape, data.size)
    if len(indptr) != lines + 1:
        msg = f"indptr has {len(indptr)} entries, want {lines + 1}"
        raise FormatError(msg)
    end = int(indptr[-1])
    if end > min(len(indices), len(data)):
        msg = f"indptr ends at {end}, but there are {len(indices)} indices and {len(data)} data"
        raise FormatError(msg)
    return indptr, indices[: max(end, 0)], data[: max(end, 0)]


def _bsr(m: Any) -> Built:  # noqa: ANN401
    rows, cols = (int(n) for n in m.shape)
    data = _data(m, 3)
    r, c = data.shape[1:]
    if r < 1 or c < 1 or rows % r or cols % c:
        msg = f"data: blocks of {r} x {c} do not divide the shape {(rows, cols)}"
        raise FormatError(msg)
    indptr, indices, data = _trimmed(m, rows // r, 3, (rows, cols))
    finding = csr_kernels.csr_check(indptr, indices, cols // c)
    if finding[0] == checks.ORDER:
        line = empty(len(indices), indices.dtype, "rows")
        expand_indptr(indptr, line)
        line, indices, data = from_triplets(line, indices, data, (rows // r, cols // c))
        indptr = np.searchsorted(line, np.arange(rows // r + 1)).astype(indptr.dtype)
    else:
        check_compressed(indptr, indices, cols // c, rows // r)
    return Bsr(indptr, indices, (r, c), (rows, cols), check=False), data, (rows, cols)


def _coo(m: Any) -> Built:  # noqa: ANN401
    return _from_coords(tuple(m.coords), _data(m, 1), tuple(int(n) for n in m.shape))


def _from_coords(coords: tuple[Array, ...], data: Array, shape: tuple[int, ...]) -> Built:
    """Coordinates of any rank, unsorted, with duplicates."""
    matrix = matrix_shape(shape)
    if len(coords) != len(shape) or max(matrix) > np.iinfo(np.int64).max:
        msg = f"coords: want one array for each axis of {shape}, and rows that int64 can count; got {len(coords)} axes"
        raise FormatError(msg)
    for axis, (a, n) in enumerate(zip(coords, shape, strict=True)):
        if not isinstance(a, np.ndarray) or a.ndim != 1 or a.dtype.kind not in "iu" or len(a) != len(data):
            got = f"{getattr(a, 'dtype', type(a).__name__)} {np.shape(a)}"
            odd = np.flatnonzero(a % 1 != 0)[:1] if isinstance(a, np.ndarray) and a.dtype.kind == "f" else ()
            place = "".join(f"; coords[{axis}][{at}] = {a.flat[at]}" for at in odd)
            msg = f"coords[{axis}]: want {len(data)} integers, got {got}{place}"
            raise FormatError(msg)
        if len(shape) > 2 or a.dtype not in (np.dtype("i4"), np.dtype("i8")):
            bad = (a < 0) | (a >= n)
            if bad.any():
                raise _misplaced(coords, shape, axis, int(np.argmax(bad)))
    if len(shape) == 2:
        row = coords[0]
    else:
        row = np.zeros(len(data), index_dtype(*matrix, len(data)))
        for a, n in zip(coords[:-1], shape[:-1], strict=True):
            row = row * row.dtype.type(n) + a.astype(row.dtype)
    row, col = as_index_pair(row, coords[-1], ("row", "col"), *matrix, len(data))
    code, at = coo_kernels.coo_check(row, col, matrix)
    if code == checks.ROW_RANGE or code == checks.RANGE:
        raise _misplaced(coords, shape, 0 if code == checks.ROW_RANGE else len(shape) - 1, at)
    if code == checks.ORDER:
        found = rows_from_triplets(row, col, data, matrix)
        if found is not None:
            return Csr(found[0], found[1], matrix, check=False), found[2], shape
        row, col, data = from_triplets(row, col, data, matrix)
    return Coo(row, col, matrix, check=False), data, shape


def _misplaced(coords: tuple[Array, ...], shape: tuple[int, ...], axis: int, at: int) -> FormatError:
    return FormatError(f"coords[{axis}][{at}] = {int(coords[axis][at])} is out of range 0..{shape[axis] - 1}")


def _dia(m: Any) -> Built:  # noqa: ANN401
    """The diagonals; elements that are zero by value are not stored, as in SciPy's own conversions."""
    data, offsets = _data(m, 2), np.asarray(m.offsets)
    rows, cols = (int(n) for n in m.shape)
    if offsets.ndim != 1 or offsets.dtype.kind not in "iu" or len(offsets) != len(data):
        msg = f"offsets: want {len(data)} integers, got {offsets.dtype} of shape {offsets.shape}"
        raise FormatError(msg)
    if offsets.size and int(offsets.max()) > np.iinfo(np.int64).max:
        at = int(np.argmax(offsets))
        msg = f"offsets[{at}] = {int(offsets[at])} is out of range for shape {(rows, cols)}"
        raise FormatError(msg)
    col = np.arange(data.shape[1])[None, :]
    row = col - offsets.astype(np.int64)[:, None]
    keep = (row >= 0) & (row < rows) & (col < cols) & (data != 0)
    kept = np.broadcast_to(col, data.shape)[keep]
    built, items, shape = _from_coords((row[keep], kept), data[keep], (rows, cols))
    return _as_csr(built, items, shape)


def _lil(m: Any) -> Built:  # noqa: ANN401
    lengths = [len(line) for line in m.rows]
    if lengths != [len(line) for line in m.data]:
        msg = "rows and data of the lil matrix do not fit together"
        raise FormatError(msg)
    row = np.repeat(np.arange(len(lengths)), lengths)
    col = _whole("rows", [c for line in m.rows for c in line])
    data = _listed("data", [v for line in m.data for v in line], native(m.dtype))
    return _as_csr(*_from_coords((row, col), data, tuple(int(n) for n in m.shape)))


def _dok(m: Any) -> Built:  # noqa: ANN401
    shape = tuple(int(n) for n in m.shape)
    keys = [k if isinstance(k, tuple) else (k,) for k in m.keys()]  # noqa: SIM118 (m is no dict)
    bad = next((k for k in keys if len(k) != len(shape)), None)
    if bad is not None:
        msg = f"key {bad} of the dok array does not fit the shape {shape}"
        raise FormatError(msg)
    coords = [_whole("keys", [key[axis] for key in keys]) for axis in range(len(shape))]
    data = _listed("values", list(m.values()), native(m.dtype))
    return _as_csr(*_from_coords(tuple(coords), data, shape))


def _whole(what: str, found: list[Any]) -> Array:
    """Indices of a lil or dok array as an array; those beyond int64 stay what they are, and out of range."""
    for at, n in enumerate(found):
        if type(n) is not int and (isinstance(n, bool | np.bool_) or not hasattr(n, "__index__")):
            msg = f"{what}: index {at} is {n!r}, want an integer"
            raise FormatError(msg)
    try:
        return np.array(found, np.int64)
    except OverflowError:
        at = next(i for i, n in enumerate(found) if not -(2**63) <= n < 2**63)
        msg = f"{what}: index {at} is {found[at]}, which no shape allows"
        raise FormatError(msg) from None


def _listed(what: str, found: list[Any], dtype: Dtype) -> Array:
    """Values of a lil or dok array as an array; none is cut."""
    try:
        made = np.array(found, dtype)
        wide = np.array(found)
    except (ValueError, TypeError, OverflowError) as e:
        msg = f"{what}: not all are {dtype}: {e}"
        raise FormatError(msg) from None
    if made.size and dtype.kind in "biu" and wide.dtype != dtype and (bad := wide != made).any():
        at = int(np.argmax(bad))
        msg = f"{what}: value {at} is {found[at]!r}, which {dtype} does not hold"
        raise FormatError(msg)
    if made.size and dtype.kind == "f" and wide.dtype.kind == "c":
        msg = f"{what}: they are complex, the matrix is {dtype}"
        raise FormatError(msg)
    return made


def _as_csr(structure: Structure, data: Array, shape: tuple[int, ...]) -> Built:
    t = SparseTensor.from_checked(structure, Raw(data, check=False), shape).convert("csr")
    return t.structure, t.values.decode(t.structure), shape


_BUILDERS = {
    "csr": lambda m: _compressed(m, Csr),
    "csc": lambda m: _compressed(m, Csc),
    "bsr": _bsr,
    "coo": _coo,
    "dia": _dia,
    "lil": _lil,
    "dok": _dok,
}


def to_scipy(t: SparseTensor | Transposed, *, copy: bool | None = None) -> Any:  # noqa: ANN401
    """Gives a SciPy sparse array: coo, csr, csc and bsr as they are, everything else as csr.

    float16, bfloat16 and float8 are cast up to float32, which SciPy can compute with. Rank 1 gives 1-d arrays, rank
    above 2 an n-d coo_array, a ragged bsr gives csr.

    Args:
        t: a tensor.
        copy: as in NumPy 2. None: share memory with `t` where format and dtype allow; shared arrays are read-only,
            so SciPy's in-place methods need `copy=True`. True: own, writable arrays. False: share or raise.

    Raises:
        FormatError: `copy=False` and a copy is needed.
        SizeError: the csr form would be larger than allowed.

    >>> import numpy as np
    >>> import sparsefmt as sf
    >>> to_scipy(sf.encode(np.eye(3), "csr")).nnz
    3
    """
    import scipy.sparse as sp  # optional dependency

    if isinstance(t, Transposed):
        return t.to_scipy(copy=copy)
    t = along_last(as_tensor(t))
    source = t if has_scipy_form(t) else t.convert("coo" if t.ndim > 2 else "csr")
    data = source.values.decode(source.structure)
    if data.dtype.name in WIDENED:
        data = data.astype(np.float32)
    if copy is False and (source is not t or data.dtype != t.dtype):
        msg = f"copy=False, but {t.format} of {t.dtype} has to be converted for SciPy; pass copy=None"
        raise FormatError(msg)

    def own(a: Array) -> Array:
        return a.copy() if copy else a

    s = source.structure
    if isinstance(s, Coo):
        made = sp.coo_array(t.shape, dtype=data.dtype)
        made.data, made.coords = own(data), tuple(own(a) for a in coords_of(s, t.shape))
        made.has_canonical_format = True
        return made
    assert isinstance(s, Csr | Csc | Bsr)
    if isinstance(s, Bsr):
        made = sp.bsr_array(t.shape, blocksize=s.block, dtype=data.dtype)
    else:
        made = {"csr": sp.csr_array, "csc": sp.csc_array}[s.kind](t.shape, dtype=data.dtype)
    # set, not passed: the constructor copies views that are much shorter than their base, as aligned arrays are
    made.data, made.indices, made.indptr = own(data), own(s.indices), own(s.indptr)
    made.has_sorted_indices = True
    made.has_canonical_format = True
    return made


def coords_of(s: Coo, shape: tuple[int, ...]) -> tuple[Array, ...]:
    """One array per axis."""
    if len(shape) <= 2:
        return (s.row, s.col)[-len(shape) :]
    try:
        return (*np.unravel_index(s.row, shape[:-1]), s.col)
    except ValueError as e:  # borrowed, and written to since it was checked
        msg = f"row: {e}"
        raise FormatError(msg) from None


def has_scipy_form(t: SparseTensor) -> bool:
    """Whether SciPy has this structure for this rank and shape."""
    s = t.structure
    if isinstance(s, Bsr):
        return t.ndim == 2 and s.shape[0] % s.block[0] == 0 and s.shape[1] % s.block[1] == 0
    return s.kind == "coo" or (s.kind == "csr" and t.ndim <= 2) or (s.kind == "csc" and t.ndim == 2)


lent["to_scipy"] = to_scipy
