"""From an array to a packed tensor."""

from typing import Any, Literal

from sparsefmt.base.coerce import as_array, is_device_array
from sparsefmt.tensor.axes import checked_axis, turned
from sparsefmt.tensor.backend import Backend, backends
from sparsefmt.tensor.base import Packed
from sparsefmt.tensor.layout import outer
from sparsefmt.tensor.sparse import SparseTensor


def encode(
    w: object,
    fmt: str,
    *,
    prune: bool = False,
    score: object = None,
    zero: Literal["value", "bits"] = "value",
    codebook: object = None,
    axis: int = -1,
) -> SparseTensor:
    """Packs an array.

    Args:
        w: array-like of rank 1 or more; leading axes are flattened to rows. Not modified, never borrowed. An array on
            a GPU (CuPy) is packed there, and the tensor stays there: nm, bitmask and csr.
        fmt: a format text, e.g. "nm2:4", "csr", "bsr16x16", "bitmask"; see `sparsefmt.formats`.
        prune: nm only: keep the N largest of every M columns instead of raising PatternError. Equals
            `sparsefmt.prune.nm`, then `encode`, in one pass.
        score: with `prune`: (rows, cols) of the matrix or the shape of w, larger is kept; default the magnitude.
        zero: "value": -0.0 is a zero and may become +0, as in SciPy; "bits": only +0 is a zero.
        axis: the one that columns, and so groups of N:M and of scales, run along; default the last. Of a convolution
            (out, in, height, width), 1 groups input channels. The matrix is that of `numpy.moveaxis(w, axis, -1)`.
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
    on_gpu = is_device_array(w)
    if type(axis) is int and axis == -1:
        home: Backend[SparseTensor] = backends["cuda" if on_gpu else "cpu"]
        return home.encode(w, fmt, prune=prune, score=score, zero=zero, codebook=codebook)
    a: Any = w if on_gpu else as_array(w)
    at = checked_axis(axis, a.ndim)
    if score is not None:
        score = score if is_device_array(score) else as_array(score, "score")
        score = turned(score, at) if score.shape == a.shape else score  # type: ignore[attr-defined]
    made = encode(turned(a, at), fmt, prune=prune, score=score, zero=zero, codebook=codebook)
    return outer(made, at)
