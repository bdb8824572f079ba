"""Conversions as functions."""

from sparsefmt.encoding import routes
from sparsefmt.encoding.format_text import parse
from sparsefmt.tensor.sparse import SparseTensor, as_tensor


def change(t: SparseTensor, fmt: str) -> SparseTensor:
    """The same as `t.convert(fmt)`."""
    return as_tensor(t, gpu=True).convert(fmt)


def explain(t: SparseTensor, fmt: str) -> str:
    """Tells on which way `t.convert(fmt)` goes, and about how many bytes it moves.

    Returns:
        One line: the kinds on the way, each direct conversion with its bytes.

    Raises:
        FormatError: fmt is unknown.

    >>> import numpy as np, sparsefmt as sf
    >>> sf.explain(sf.encode(np.eye(8), "bitmask"), "coo")
    'bitmask -> csr -> coo, about 264 bytes'
    """
    t, target = as_tensor(t, gpu=True), parse(fmt)
    way, nbytes = routes.plan(t.structure, target.structure, target.params, t.values.lifted_bits // 8)
    if len(way) == 1:
        return f"{t.format}: nothing to do"
    return f"{' -> '.join(way)}, about {nbytes} bytes"
