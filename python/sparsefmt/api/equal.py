"""Whether two tensors are the same."""

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.tensor.sparse import as_tensor


def equal(a: object, b: object) -> bool:
    """Whether two tensors have the same format, shape, axis, dtype and stored bits.

    Args:
        a: a tensor.
        b: a tensor. Index dtypes may differ.

    Raises:
        TypeError: one of them is no packed tensor; `numpy.array_equal` compares arrays.

    >>> import sparsefmt as sf
    >>> equal(sf.encode(np.eye(4), "csr"), sf.encode(np.eye(4), "coo").convert("csr"))
    True
    """
    s, t = (as_tensor(x, gpu=True).to("cpu") for x in (a, b))
    if (s.format, s.shape, s.axis, s.dtype) != (t.format, t.shape, t.axis, t.dtype):
        return False
    pairs = [
        (x, getattr(q, name))
        for p, q in ((s.structure, t.structure), (s.values, t.values))
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
