"""The arrays of a packed tensor under the names that SciPy's users know, its line of text, and its token."""

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import FormatError
from sparsefmt.kernels.checksum import checksum
from sparsefmt.structures.bsr import Bsr
from sparsefmt.structures.coo import Coo
from sparsefmt.structures.csr import Csc, Csr
from sparsefmt.tensor.arithmetic import decoded
from sparsefmt.tensor.layout import is_moved
from sparsefmt.tensor.stored import Stored, T

_OWNERS = {
    "data": (Csr, Csc, Coo, Bsr),
    "indices": (Csr, Csc, Bsr),
    "indptr": (Csr, Csc, Bsr),
    "row": (Coo,),
    "col": (Coo,),
}


def named(t: Stored, name: str) -> Array:
    """`t.data` and the like, read-only.

    Raises:
        AttributeError: the structure has no such array.
    """
    owners = _OWNERS[name]
    if not isinstance(t.structure, owners):
        have = ", ".join(owner.kind for owner in owners)
        msg = f"{t.structure.text} has no {name}; {have} have it: t.convert({owners[0].example!r}).{name}"
        raise AttributeError(msg)
    if name != "data":
        found: Array = getattr(t.structure, name)
        return found
    values = decoded(t)
    if values.flags.writeable:
        values = values.view()
        values.flags.writeable = False
    return values


def reordered(t: T, axes: object) -> T:
    """Raises FormatError unless `axes` reverse the axes of `t`."""
    if axes not in (None, tuple(range(t.ndim))[::-1], list(range(t.ndim))[::-1]):
        msg = f"transpose: axes = {axes!r}; packed tensors reverse all axes or none; use t.to_dense().transpose(...)"
        raise FormatError(msg)
    return t


def text(t: Stored) -> str:
    """One line."""
    along = f" along axis {t.axis}" if is_moved(t) else ""
    place = "" if t.device == "cpu" else f", {t.device}"
    return (
        f"<sparsefmt {t.format} of {t.dtype}, shape {t.shape}{along}, {t.slots} slots, {t.nbytes} bytes, "
        f"{t.bits_per_weight:.2f} bits per weight{place}>"
    )


def token(t: Stored) -> tuple[object, ...]:
    """What tells a tensor from others, in every process: format, shape, dtype, and the XXH3-128 of each array."""
    if t.device != "cpu":
        return token(t.to("cpu"))
    arrays = (a for part in (t.structure, t.values) for a in part.arrays().values())
    sums = tuple(checksum(np.ascontiguousarray(a).reshape(-1).view(np.uint8)) for a in arrays)
    return "sparsefmt", t.format, t.shape, t.axis, t.dtype.name, sums
