"""Whether two tensors are the same."""

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.tensor.sparse import SparseTensor, as_tensor


def equal(a: SparseTensor, b: SparseTensor) -> bool:
    """Whether two tensors have the same format, shape, axis, dtype and stored bits.

    Args:
        a: a tensor.
        b: a tensor. Index dtypes may differ.

    >>> import sparsefmt as sf
    >>> equal(sf.encode(np.eye(4), "csr"), sf.encode(np.eye(4), "coo").convert("csr"))
    True
    """
    a, b = (as_tensor(t, gpu=True).to("cpu") for t in (a, b))
    if (a.format, a.shape, a.axis, a.dtype) != (b.format, b.shape, b.axis, b.dtype):
        return False
    pairs = [
        (x, getattr(q, name))
        for p, q in ((a.structure, b.structure), (a.values, b.values))
        for name, x in p.arrays().items()
    ]
    return all(_same_bits(x, y) for x, y in pairs)


def _same_bits(x: Array, y: Array) -> bool:
    if x.shape != y.shape:
        return False
    if x.dtype != y.dtype:  # indices of two widths
        return bool(np.array_equal(x, y))
    x, y = (np.ascontiguousarray(a).reshape(-1).view(np.uint8) for a in (x, y))
    return bool(np.array_equal(x, y))
