"""Other formats of the same tensor, and its transpose where that is a tensor."""

from sparsefmt.encoding import routes
from sparsefmt.encoding.format_text import Format
from sparsefmt.structures.coo import Coo
from sparsefmt.structures.csr import Csc, Csr, column_order
from sparsefmt.tensor.layout import is_moved
from sparsefmt.tensor.stored import T


def along_route(t: T, target: Format) -> T:
    """Converts on the CPU; arrays that do not change are shared."""
    way = routes.route(t.structure, target.structure, target.params, t.values.lifted_bits // 8)
    if len(way) == 1:
        return t
    structure, slots = routes.along(way, t.structure, t.values.lift(t.structure), target.structure, target.params)
    return t.replaced(structure, t.values.lower(structure, slots))


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
