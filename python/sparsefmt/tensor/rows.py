"""Rows of a packed tensor, packed as it is, without decoding the others."""

import math
import operator
from typing import Any

import numpy as np

from sparsefmt.base.alloc import counted, empty, repeated
from sparsefmt.base.coerce import is_device_array
from sparsefmt.base.dtypes import Array, Dtype, index_dtype
from sparsefmt.base.errors import BackendError, CodecError, FormatError, SizeError
from sparsefmt.codecs.raw import Raw
from sparsefmt.codecs.rows import taken
from sparsefmt.structures.base import Structure
from sparsefmt.structures.bitmask import Bitmask
from sparsefmt.structures.bsr import Bsr
from sparsefmt.structures.coo import Coo
from sparsefmt.structures.csr import Csr
from sparsefmt.structures.dense import Dense
from sparsefmt.structures.nm import Nm
from sparsefmt.tensor.layout import along_last, inner, is_moved, outer
from sparsefmt.tensor.stored import T

_FEW = 1 << 20  # rows for which offsets cost nothing
_WAY = "only rows can be taken: t[i], t[a:b], t[ids]; for more use t.to_scipy() or t.to_dense()"


def take(t: T, key: Any) -> T:  # noqa: ANN401
    """`t[key]` along the first axis.

    Raises:
        IndexError: a row is out of range.
        TypeError: the key is no choice of rows.
    """
    if key is Ellipsis:
        return t
    if isinstance(key, tuple):
        if len(key) == 1 or all(k is Ellipsis or (isinstance(k, slice) and k == slice(None)) for k in key[1:]):
            return take(t, key[0]) if key else t
        msg = f"t[{', '.join(map(_shown, key))}]: columns are not packed apart; {_WAY}"
        raise TypeError(msg)
    if t.ndim == 1:
        msg = f"t[{_shown(key)}]: a tensor of rank 1 has no rows; use t.to_dense()[{_shown(key)}]"
        raise TypeError(msg)
    if t.device != "cpu":
        msg = f'rows are taken on the CPU, and the tensor is on {t.device}; move it first: t.to("cpu")'
        raise BackendError(msg)
    if isinstance(key, slice):
        if key == slice(None):
            return t
        start, stop, step = key.indices(t.shape[0])
        chosen = range(start, stop, step)
        ids = counted(len(chosen), what="the numbers of the rows")
        return _matrix_rows(t, ids * step + start, (len(chosen),))
    ids = _ids(key, t.shape[0])
    return _matrix_rows(t, ids.reshape(-1), ids.shape)


def _shown(key: object) -> str:
    if isinstance(key, slice):
        return ":".join("" if k is None else str(k) for k in (key.start, key.stop, *([key.step] if key.step else [])))
    return "..." if key is Ellipsis else f"{key!r:.40}"


def _ids(key: object, rows: int) -> Array:
    """The rows that a key names, int64, none negative."""
    if is_device_array(key):
        msg = "the ids of rows are on a GPU; bring them to the CPU first: ids.get()"
        raise BackendError(msg)
    try:
        ids = np.asarray(operator.index(key) if not hasattr(key, "shape") else key)  # type: ignore[arg-type]
    except TypeError:
        ids = np.asarray(key)
    if ids.dtype == bool:
        if ids.shape != (rows,):
            msg = f"t[mask]: want one bool for each of {rows} rows, got shape {ids.shape}"
            raise IndexError(msg)
        return np.flatnonzero(ids)
    if ids.size == 0 and ids.dtype.kind == "f" and isinstance(key, list | tuple):
        ids = ids.astype(np.int64)
    if ids.dtype.kind not in "iu":
        msg = f"t[{type(key).__name__}]: rows are whole numbers; {_WAY}"
        raise TypeError(msg)
    bad = (ids >= rows) | (ids < -rows) if ids.dtype.kind == "i" else ids >= np.uint64(rows)
    if bad.any():
        msg = f"row {int(ids[bad][0])} is out of range for {rows} rows"
        raise IndexError(msg)
    ids = ids.astype(np.int64)
    return np.where(ids < 0, ids + rows, ids)


def _matrix_rows(t: T, ids: Array, lead: tuple[int, ...]) -> T:
    """The tensor of shape (*lead, *t.shape[1:]) from these indices along the first axis."""
    if is_moved(t):
        if t.axis == 0:
            return _matrix_rows(along_last(t), ids, lead)
        return outer(_matrix_rows(inner(t), ids, lead), t.axis - 1 + len(lead))
    per = math.prod(t.shape[1:-1])
    shape = (*lead, *t.shape[1:])
    if math.prod(shape[:-1]) > 2**63 - 1:
        msg = f"shape {shape} has more than {2**63 - 1} rows"
        raise SizeError(msg)
    if per != 1:
        ids = (ids[:, None] * per + counted(per)).reshape(-1)
    made = rows_of(t.replaced(shape=t.structure.shape), ids)
    return made.replaced(shape=shape)


def rows_of(t: T, ids: Array) -> T:
    """Rows of a matrix, in any order, some of them often; bit for bit, in its format."""
    s = t.structure
    if isinstance(s, Bsr):
        return _of_blocks(t, s, ids)
    found = _direct(s, ids)
    if found is None:
        by = "csr" if s.shape[0] <= max(_FEW, 4 * s.slots) else "coo"  # of which empty rows take nothing
        return rows_of(t.convert(by), ids).convert(s.text)
    structure, at = found
    return t.replaced(structure, taken(t.values, s, structure, at, ids), structure.shape)


def _direct(s: Structure, ids: Array) -> tuple[Structure, Array] | None:
    """The structure of the rows, and which slots (along their first axis) stay; None where rows are not one piece."""
    shape = (len(ids), s.shape[1])
    if isinstance(s, Dense):
        return Dense(shape), ids
    if isinstance(s, Nm):
        return Nm(s.codes[ids], s.n, s.m, shape, s.align, check=False), ids
    if isinstance(s, Csr):
        indptr, at = _runs(s.indptr[ids], s.indptr[ids + 1])
        dtype = _index(s.indptr.dtype, shape, len(at))
        return Csr(indptr.astype(dtype), s.indices[at].astype(dtype, copy=False), shape, check=False), at
    if isinstance(s, Bitmask):
        offsets, at = _runs(s.row_offsets[ids], s.row_offsets[ids + 1])
        dtype = _index(s.row_offsets.dtype, shape, len(at))
        return Bitmask(s.bits[ids], offsets.astype(dtype), shape, s.align, check=False), at
    if isinstance(s, Coo):
        wanted = ids.astype(s.row.dtype)
        offsets, at = _runs(np.searchsorted(s.row, wanted), np.searchsorted(s.row, wanted, "right"))
        dtype = _index(s.row.dtype, shape, len(at))
        row = repeated(counted(len(ids), dtype), np.diff(offsets), 0, "rows of slots")
        return Coo(row, s.col[at].astype(dtype, copy=False), shape, check=False), at
    return None


def _index(dtype: Dtype, shape: tuple[int, int], slots: int) -> Dtype:
    """The dtype of indices: as it was, wider where the rows that are taken often need it."""
    return max(dtype, index_dtype(*shape, slots), key=lambda d: d.itemsize)


def _runs(start: Array, stop: Array) -> tuple[Array, Array]:
    """Offsets of runs `start..stop` when they stand one behind the other, and the places in them."""
    offsets = empty(len(start) + 1, np.int64, "offsets of rows")
    offsets[0] = 0
    np.subtract(stop, start, out=offsets[1:], casting="unsafe")
    np.cumsum(offsets, out=offsets)
    at = counted(int(offsets[-1]), what="places of slots")
    at += repeated(start.astype(np.int64) - offsets[:-1], np.diff(offsets), 0, "places of slots")
    return offsets, at


def _of_blocks(t: T, s: Bsr, ids: Array) -> T:
    """Rows of blocks: first the rows of blocks that are touched, then, where they are not whole, by way of csr."""
    (rows, cols), r = s.shape, s.block[0]
    lines = ids // r
    first = np.flatnonzero(np.concatenate(([True], lines[1:] != lines[:-1]))) if len(ids) else np.empty(0, np.int64)
    touched = lines[first]
    whole = np.minimum((touched + 1) * r, rows) - touched * r
    runs = np.diff(np.append(first, len(ids)))
    aligned = np.array_equal(runs, whole) and (runs[:-1] == r).all()
    if aligned and np.array_equal(ids, repeated(touched * r, runs) + _within(runs)):
        part = _lines(t, s, touched, (len(ids), cols))
        return part
    unique, inverse = np.unique(lines, return_inverse=True)
    height = len(unique) * r
    if len(unique) and unique[-1] == (rows - 1) // r and rows % r:
        height -= r - rows % r
    small = _lines(t, s, unique, (height, cols))
    again = rows_of(small.convert("csr"), inverse * r + ids % r)
    try:
        return again.convert(s.text)
    except CodecError:  # a codebook without 0.0, and blocks that have to be filled up
        return again.replaced(values=Raw(again.values.decode(again.structure), check=False)).convert(s.text)


def _within(runs: Array) -> Array:
    """0, 1, ... in each run."""
    return _runs(np.zeros(len(runs), np.int64), runs)[1]


def _lines(t: T, s: Bsr, lines: Array, shape: tuple[int, int]) -> T:
    """Whole rows of blocks."""
    r = s.block[0]
    indptr, at = _runs(s.indptr[lines], s.indptr[lines + 1])
    dtype = _index(s.indptr.dtype, shape, len(at))
    structure = Bsr(indptr.astype(dtype), s.indices[at].astype(dtype, copy=False), s.block, shape, check=False)
    ids = (lines[:, None] * r + counted(r)).reshape(-1)[: shape[0]] if len(lines) else np.empty(0, np.int64)
    return t.replaced(structure, taken(t.values, s, structure, at, ids), shape)


def part(t: T, low: int, high: int) -> tuple[T, int]:
    """A part of `t` along its first axis that holds rows `low..high` of the dense matrix, and the first row of it."""
    per = math.prod(t.shape[1:-1])
    if t.axis == 0 or not per:
        return t, 0
    first, last = low // per, -(-high // per)
    return take(t, slice(first, last)), first * per


def check_axis(axis: object, ndim: int) -> int:
    """An axis as an index from the front.

    Raises:
        FormatError: there is no such axis.
    """
    try:
        n = operator.index(axis)  # type: ignore[arg-type]
    except TypeError:
        n = ndim
    if not -ndim <= n < ndim:
        msg = f"axis = {axis!r}; want an integer in {-ndim}..{ndim - 1}"
        raise FormatError(msg)
    return n % ndim
