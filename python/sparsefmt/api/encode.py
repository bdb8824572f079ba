"""From an array to a packed tensor."""

from typing import Literal

import numpy as np

from sparsefmt.base.coerce import as_array, is_device_array, matrix_shape
from sparsefmt.base.dtypes import Array, zero_mask
from sparsefmt.base.errors import CodecError, DtypeError, FormatError
from sparsefmt.base.matrix import Matrix
from sparsefmt.codecs.codebook import Codebook
from sparsefmt.codecs.raw import Raw
from sparsefmt.encoding import fused
from sparsefmt.encoding.format_text import parse
from sparsefmt.structures.base import Structure
from sparsefmt.structures.nm import Nm
from sparsefmt.tensor.backend import EXPORTS
from sparsefmt.tensor.base import Packed
from sparsefmt.tensor.sparse import SparseTensor


def encode(
    w: object,
    fmt: str,
    *,
    prune: bool = False,
    score: object = None,
    zero: Literal["value", "bits"] = "value",
    codebook: object = None,
) -> SparseTensor:
    """Packs an array.

    Args:
        w: array-like of rank 1 or more; leading axes are flattened to rows. Not modified, never borrowed. An array on
            a GPU (CuPy) is packed there, and the tensor stays there: nm, bitmask and csr.
        fmt: a format text, e.g. "nm2:4", "csr", "bsr16x16", "bitmask"; see `sparsefmt.formats`.
        prune: nm only: keep the N largest of every M columns instead of raising PatternError. Equals
            `sparsefmt.prune.nm`, then `encode`, in one pass.
        score: with `prune`: (rows, cols) or the shape of w, larger is kept; default the magnitude.
        zero: "value": -0.0 is a zero and may become +0, as in SciPy; "bits": only +0 is a zero.
        codebook: for kmeans: (K,) or, with `:row`, (rows, K), ascending; default: the best for `w`.

    Returns:
        A tensor that decodes to `w` bit for bit (after `w[w == 0] = 0` under "value", where zeros are not stored).

    Raises:
        PatternError: w does not have the pattern of the format; prune first.
        DtypeError: a dtype that no format, or nm, does not hold.
        FormatError: an unknown format, or arguments that do not fit together.
        CodecError: an unknown codec.
        BackendError: w is on a GPU, and the structure is not packed there.
        SizeError: the result would be larger than allowed.

    >>> import numpy as np
    >>> encode(np.array([[1., 2., 3., 0.]]), "nm2:4", prune=True).to_dense()
    array([[0., 2., 3., 0.]])
    """
    if isinstance(w, Packed):
        msg = "w is packed already; use t.convert(fmt)"
        raise TypeError(msg)
    if is_device_array(w):
        device_encode = EXPORTS["device.encode"]
        made: SparseTensor = device_encode(w, fmt, prune=prune, score=score, zero=zero, codebook=codebook)
        return made
    if type(prune) not in (bool, np.bool_):
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
