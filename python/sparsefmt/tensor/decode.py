"""From packed to dense: into a new array, or one of the caller's."""

import numpy as np

from sparsefmt.base.alloc import empty
from sparsefmt.base.coerce import is_plain
from sparsefmt.base.dtypes import Array, native
from sparsefmt.base.errors import DtypeError, FormatError
from sparsefmt.base.matrix import blocks, copy_rows
from sparsefmt.tensor.axes import turned
from sparsefmt.tensor.stored import Stored


def to_dense(t: Stored, out: Array | None, max_bytes: int | None) -> Array:
    """See `SparseTensor.to_dense`; for tensors on the CPU."""
    s, values = t.structure, t.values
    made = out is None
    if out is None:
        out = empty(t.shape, values.dtype, "the dense array", max_bytes)
    else:
        _check_out(t, out)
    if not out.size:
        return out
    shape, step = s.shape, s.row_step
    rows, cols = shape
    view = turned(out, t.axis)
    if (made and view is out) or is_plain(view):
        values.decode_rows(s, 0, rows, view if view.shape == shape else view.reshape(shape))
        return out
    buffer = empty(0, values.dtype)
    for low, high in blocks(rows, cols * values.dtype.itemsize, step):
        if high - low != len(buffer):
            buffer = empty((high - low, cols), values.dtype, "a block of rows")
        values.decode_rows(s, low, high, buffer)
        copy_rows(view, low, high, buffer, back=True)
    return out


def transposed(t: Stored, out: Array | None, max_bytes: int | None) -> Array:
    """The dense transpose, C-contiguous, or in `out`; for tensors on the CPU."""
    shape = t.shape[::-1]
    if out is None:
        out = empty(shape, t.dtype, "the dense array", max_bytes)
    elif not isinstance(out, np.ndarray) or out.shape != shape:
        got = out.shape if isinstance(out, np.ndarray) else type(out).__name__
        msg = f"out: want an array of shape {shape}, got {got}"
        raise FormatError(msg)
    to_dense(t, out.T, None)
    return out


def _check_out(t: Stored, out: Array) -> None:
    if not isinstance(out, np.ndarray) or out.shape != t.shape:
        got = out.shape if isinstance(out, np.ndarray) else type(out).__name__
        msg = f"out: want an array of shape {t.shape}, got {got}"
        raise FormatError(msg)
    if native(out.dtype) != t.dtype:
        msg = f"out: want {t.dtype}, got {out.dtype}"
        raise DtypeError(msg)
    if not out.flags.writeable:
        msg = "out: the array is read-only"
        raise FormatError(msg)
    parts = (*t.structure.arrays().values(), *t.values.arrays().values())
    if any(np.may_share_memory(out, a) for a in parts):
        msg = "out: the array shares memory with the tensor"
        raise FormatError(msg)
