"""Tensors on the CPU: packing, unpacking, converting, multiplying."""

from dataclasses import replace

import numpy as np

from sparsefmt.base.alloc import empty
from sparsefmt.base.coerce import as_array, matrix_shape
from sparsefmt.base.dtypes import Array, items, zero_mask
from sparsefmt.base.errors import CodecError, DtypeError, FormatError
from sparsefmt.base.matrix import Matrix, blocks
from sparsefmt.codecs.codebook import Codebook
from sparsefmt.codecs.raw import Raw
from sparsefmt.encoding import fused
from sparsefmt.encoding.format_text import Format, parse
from sparsefmt.kernels.csr import count_nonzero
from sparsefmt.structures.base import Structure
from sparsefmt.structures.nm import Nm
from sparsefmt.structures.nm_packed import PackedNm
from sparsefmt.tensor import change, decode, products
from sparsefmt.tensor.backend import backends
from sparsefmt.tensor.sparse import SparseTensor

_MOST_SLOTS = 32 << 20
"""Bytes of slots that are decoded at once; where rows can be decoded apart, more are not."""
_SPARSEST = 64
"""Elements per slot from which on blocks of rows cost more than slots do."""


class Cpu:
    """The backend of NumPy's arrays."""

    def encode(self, w: object, fmt: str, *, prune: bool, score: object, zero: str, codebook: object) -> SparseTensor:
        """See `sparsefmt.encode`."""
        if prune is not False and type(prune) not in (bool, np.bool_):
            msg = f"prune = {prune!r:.60}; want True or False; a density is for sf.prune.magnitude(w, density)"
            raise FormatError(msg)
        target, a = parse(fmt), as_array(w)
        if codebook is not None and target.codec is not Codebook:
            msg = f"codebook= is for kmeans codecs; {fmt!r} is none"
            raise CodecError(msg)
        if score is not None and not prune:
            msg = "score= chooses what prune=True keeps; pass prune=True"
            raise FormatError(msg)
        matrix = Matrix(a)
        mask = zero_mask(matrix.dtype, zero)
        outer, inner = target.structure, target.structure.inner
        if inner is not None and target.codec is not None:
            target = replace(target, structure=inner, params=outer.inner_params(target.params))
        if prune and not outer.prunes:
            msg = f"prune=True is for nm, not {fmt!r}; use sf.prune.magnitude or sf.prune.block first"
            raise FormatError(msg)
        structure: Structure
        ranks = score_matrix(score, a.shape)
        options = {**target.options, "codebook": codebook} if codebook is not None else target.options
        both = None if target.codec is None else fused.encode(matrix, mask, target, options, prune, ranks)
        if both is not None:
            return SparseTensor.from_checked(outer.wrapped(both[0]), both[1], a.shape)
        if prune:
            assert issubclass(target.structure, Nm | PackedNm)
            structure, slots = target.structure.encode_pruned(matrix, mask, target.params, ranks)
        else:
            structure, slots = target.structure.encode(matrix, mask, target.params)
        values = slots.view(matrix.dtype)
        codec = Raw if target.codec is None else target.codec
        made = structure if isinstance(structure, outer) else outer.wrapped(structure)
        return SparseTensor.from_checked(made, codec.encode(structure, values, options), a.shape)

    def move(self, t: SparseTensor, device: str) -> SparseTensor:
        """The tensor itself; a GPU fetches it."""
        return t if device == "cpu" else backends["cuda"].move(t, device)

    def convert(self, t: SparseTensor, fmt: str, target: Format) -> SparseTensor:
        """Along the cheapest route."""
        return change.along_route(t, target)

    def nnz(self, t: SparseTensor) -> int:
        """Counts in the decoded slots, all of them at once or a block of rows at a time."""
        if not t.slots:
            return 0
        zero = zero_mask(t.dtype, "value")
        if not _by_blocks(t):
            return count_nonzero(items(t.values.decode(t.structure)).reshape(-1), zero)
        (rows, cols), total = t.structure.shape, 0
        for low, high in blocks(rows, cols * t.dtype.itemsize, t.structure.row_step):
            block = empty((high - low, cols), t.dtype, "a block of rows")
            t.values.decode_rows(t.structure, low, high, block)
            total += count_nonzero(items(block).reshape(-1), zero)
        return total

    def to_dense(self, t: SparseTensor, out: Array | None, max_bytes: int | None) -> Array:
        """Decodes, a block of rows at a time where `out` has strides."""
        return decode.to_dense(t, out, max_bytes)

    def transposed(self, t: SparseTensor, out: Array | None, max_bytes: int | None) -> Array:
        """Decodes into the transpose of `out`."""
        return decode.transposed(t, out, max_bytes)

    def matmul(self, t: SparseTensor, x: object) -> Array:
        """By the way that is planned."""
        return products.left(t, x)

    def rmatmul(self, t: SparseTensor, x: object) -> Array:
        """By decoded rows, but for csc."""
        return products.right(t, x)

    def transposed_matmul(self, t: SparseTensor, x: object) -> Array:
        """The transpose of `x.T @ t`."""
        return products.turned_left(t, x)

    def matmul_transposed(self, t: SparseTensor, x: object) -> Array:
        """The transpose of `t @ x.T`."""
        return products.turned_right(t, x)


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


def _by_blocks(t: SparseTensor) -> bool:
    """Whether the values are counted a block of rows at a time: many codes, in rows that are neither empty nor wide."""
    (rows, cols), itemsize = t.structure.shape, t.dtype.itemsize
    if isinstance(t.values, Raw) or t.slots * itemsize <= _MOST_SLOTS or not t.structure.by_rows:
        return False
    return rows * cols <= _SPARSEST * t.slots and cols * t.structure.row_step * itemsize <= _MOST_SLOTS
