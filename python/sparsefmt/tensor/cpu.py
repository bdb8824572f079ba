"""Tensors on the CPU: packing, unpacking, converting, multiplying."""

from typing import NoReturn

import numpy as np

from sparsefmt.base.alloc import empty
from sparsefmt.base.coerce import as_array, is_plain, matrix_shape
from sparsefmt.base.dtypes import Array, items, native, zero_mask
from sparsefmt.base.errors import CodecError, DtypeError, FormatError
from sparsefmt.base.matrix import Matrix, blocks, copy_rows
from sparsefmt.codecs.codebook import Codebook
from sparsefmt.codecs.raw import Raw
from sparsefmt.encoding import fused, routes
from sparsefmt.encoding.format_text import Format, parse
from sparsefmt.kernels.rowwise import count_nonzero
from sparsefmt.product import multiply
from sparsefmt.structures.base import Structure
from sparsefmt.structures.nm import Nm
from sparsefmt.tensor.base import operand
from sparsefmt.tensor.sparse import SparseTensor, backends


class Cpu:
    """The backend of NumPy's arrays."""

    def encode(self, w: object, fmt: str, *, prune: bool, score: object, zero: str, codebook: object) -> SparseTensor:
        """See `sparsefmt.encode`."""
        target, a = parse(fmt), as_array(w)
        if codebook is not None and target.codec is not Codebook:
            msg = f"codebook= is for kmeans codecs; {fmt!r} is none"
            raise CodecError(msg)
        if score is not None and not prune:
            msg = "score= chooses what prune=True keeps; pass prune=True"
            raise FormatError(msg)
        matrix = Matrix(a)
        mask = zero_mask(matrix.dtype, zero)
        if prune and target.structure is not Nm:
            msg = f"prune=True is for nm, not {fmt!r}; use sf.prune.magnitude or sf.prune.block first"
            raise FormatError(msg)
        structure: Structure
        ranks = score_matrix(score, a.shape)
        options = {**target.options, "codebook": codebook} if codebook is not None else target.options
        both = fused.encode(matrix, mask, target, options, prune, ranks)
        if both is not None:
            return SparseTensor.from_checked(*both, a.shape)
        if prune:
            structure, slots = Nm.encode_pruned(matrix, mask, target.params, ranks)
        else:
            structure, slots = target.structure.encode(matrix, mask, target.params)
        values = slots.view(matrix.dtype)
        codec = Raw if target.codec is None else target.codec
        return SparseTensor.from_checked(structure, codec.encode(structure, values, options), a.shape)

    def move(self, t: SparseTensor, device: str) -> SparseTensor:
        """The tensor itself; a GPU fetches it."""
        return t if device == "cpu" else backends["cuda"].move(t, device)

    def convert(self, t: SparseTensor, fmt: str, target: Format) -> SparseTensor:
        """Along the cheapest route; arrays that do not change are shared."""
        way = routes.route(t.structure, target.structure, target.params, t.values.lifted_bits // 8)
        if len(way) == 1:
            return t
        structure, slots = routes.along(way, t.structure, t.values.lift(t.structure), target.params)
        return SparseTensor.from_checked(structure, t.values.lower(structure, slots), t.shape)

    def nnz(self, t: SparseTensor) -> int:
        """Counts in the decoded slots."""
        return count_nonzero(items(t.values.decode(t.structure)).reshape(-1), zero_mask(t.dtype, "value"))

    def to_dense(self, t: SparseTensor, out: Array | None, max_bytes: int | None) -> Array:
        """Decodes, a block of rows at a time where `out` has strides."""
        if out is None:
            out = empty(t.shape, t.dtype, f"the dense array of shape {t.shape}", max_bytes)
        else:
            _check_out(t, out)
        if not t.size:
            return out
        (rows, cols), step = t.structure.shape, t.structure.row_step
        if is_plain(out):
            t.values.decode_rows(t.structure, 0, rows, out.reshape(rows, cols))
            return out
        buffer = empty(0, t.dtype)
        for low, high in blocks(rows, cols * t.dtype.itemsize, step):
            if high - low != len(buffer):
                buffer = empty((high - low, cols), t.dtype, "a block of rows")
            t.values.decode_rows(t.structure, low, high, buffer)
            copy_rows(out, low, high, buffer, back=True)
        return out

    def transposed(self, t: SparseTensor, out: Array | None, max_bytes: int | None) -> Array:
        """Decodes into the transpose of `out`."""
        shape = t.shape[::-1]
        if out is None:
            out = empty(shape, t.dtype, f"the dense array of shape {shape}", max_bytes)
        elif not isinstance(out, np.ndarray) or out.shape != shape:
            got = out.shape if isinstance(out, np.ndarray) else type(out).__name__
            msg = f"out: want an array of shape {shape}, got {got}"
            raise FormatError(msg)
        self.to_dense(t, out.T, None)
        return out

    def matmul(self, t: SparseTensor, x: object) -> Array:
        """By the way that is planned."""
        x = operand(x)
        fits = x.shape[-2 if x.ndim > 1 else 0] == t.shape[-1] and (t.ndim <= 2 or x.ndim <= 2)
        if not fits:
            _misfit("t @ x", t.shape, x.shape)
        out = multiply.matmul(t.structure, t.values, x)
        if t.ndim == 1:
            return out[0] if x.ndim == 1 else out[..., 0, :]
        return out if t.ndim == 2 else out.reshape(*t.shape[:-1], *out.shape[1:])

    def rmatmul(self, t: SparseTensor, x: object) -> Array:
        """By decoded rows, but for csc."""
        x = operand(x)
        if t.ndim > 2 or x.shape[-1] != t.shape[0]:
            _misfit("x @ t", x.shape, t.shape)
        if t.ndim == 1:  # a vector on the right: the one row of the matrix times the last axis of x
            row = multiply.matmul(t.structure, t.values, x.reshape(matrix_shape(x.shape)).T)[0]
            return np.asarray(row.reshape(x.shape[:-1])[()])
        return multiply.rmatmul(t.structure, t.values, x)

    def transposed_matmul(self, t: SparseTensor, x: object) -> Array:
        """The transpose of `x.T @ t`."""
        x = operand(x)
        _check_rank(t)
        if x.shape[-2 if x.ndim > 1 else 0] != t.shape[0]:
            _misfit("t.T @ x", t.shape[::-1], x.shape)
        if x.ndim == 1:
            return multiply.rmatmul(t.structure, t.values, x)
        return np.swapaxes(multiply.rmatmul(t.structure, t.values, np.swapaxes(x, -1, -2)), -1, -2)

    def matmul_transposed(self, t: SparseTensor, x: object) -> Array:
        """The transpose of `t @ x.T`."""
        x = operand(x)
        _check_rank(t)
        if x.shape[-1] != t.shape[1]:
            _misfit("x @ t.T", x.shape, t.shape[::-1])
        if x.ndim == 1:
            return multiply.matmul(t.structure, t.values, x)
        return np.swapaxes(multiply.matmul(t.structure, t.values, np.swapaxes(x, -1, -2)), -1, -2)


def _check_out(t: SparseTensor, out: Array) -> None:
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


def _misfit(what: str, left: tuple[int, ...], right: tuple[int, ...]) -> NoReturn:
    msg = f"{what}: shapes {left} and {right} do not fit"
    raise FormatError(msg)


def _check_rank(t: SparseTensor) -> None:
    if t.ndim != 2:
        msg = f"the product with a transpose wants rank 2, got {t.ndim}"
        raise FormatError(msg)


def score_matrix(score: object, shape: tuple[int, ...]) -> Array | None:
    """`score` as (rows, cols).

    Raises:
        FormatError: another shape.
        DtypeError: a dtype that has no order.
    """
    if score is None:
        return None
    a, matrix = as_array(score, "score"), matrix_shape(shape)
    if a.shape not in (shape, matrix):
        msg = f"score: want shape {shape}, got {a.shape}"
        raise FormatError(msg)
    if a.dtype.kind == "c":
        msg = f"score: {a.dtype} has no order; use abs(score)"
        raise DtypeError(msg)
    return a.reshape(matrix)


CPU = Cpu()
backends["cpu"] = CPU
