"""Other formats of the same tensor, and its transpose where that is a tensor."""

from sparsefmt.base.dtypes import items, zero_mask
from sparsefmt.base.errors import PatternError
from sparsefmt.codecs.raw import Raw
from sparsefmt.encoding import routes
from sparsefmt.encoding.format_text import Format
from sparsefmt.kernels.csr import count_nonzero
from sparsefmt.structures.coo import Coo
from sparsefmt.structures.csr import Csc, Csr, column_order
from sparsefmt.tensor.layout import is_moved
from sparsefmt.tensor.stored import T


def along_route(t: T, target: Format) -> T:
    """Converts on the CPU; arrays that do not change are shared."""
    way = routes.route(t.structure, target.structure, target.params, t.values.lifted_bits // 8)
    if len(way) == 1:
        return t
    try:
        structure, slots = routes.along(way, t.structure, t.values.lift(t.structure), target.structure, target.params)
    except PatternError as e:
        if count := negative_zeros(t):
            hint = "sparsefmt.from_scipy(m, zero='value') makes them 0.0"
            msg = f"{e}; {count} stored values are -0.0, which count: {hint}"
            raise PatternError(msg) from None
        raise
    return t.replaced(structure, t.values.lower(structure, slots))


def negative_zeros(t: T) -> int:
    """How many stored values are -0.0."""
    if not isinstance(t.values, Raw):
        return 0
    slots = items(t.values.data).reshape(-1)
    return count_nonzero(slots, zero_mask(t.dtype, "bits")) - count_nonzero(slots, zero_mask(t.dtype, "value"))


def flipped(t: T) -> T | None:
    """The transpose of csr, csc and coo whose values mean the same anywhere, and of rank 1; None for others."""
    if t.ndim == 1:
        return t
    if t.ndim == 2 and is_moved(t):
        return t.replaced(shape=(t.shape[1], t.shape[0]))
    if t.ndim != 2 or not t.values.anywhere or t.device != "cpu":
        return None
    s, shape = t.structure, (t.shape[1], t.shape[0])
    if isinstance(s, Csr | Csc):
        other = Csc if isinstance(s, Csr) else Csr
        return t.replaced(other(s.indptr, s.indices, shape, check=False), shape=shape)
    if isinstance(s, Coo):
        order = column_order(s)
        turned = Coo(s.col[order], s.row[order], shape, check=False)
        return t.replaced(turned, t.values.lower(turned, t.values.lift(s)[order]), shape)
    return None
