"""Changing some groups of a packed N:M tensor, and only those."""

import numpy as np

from sparsefmt.base.coerce import as_array
from sparsefmt.base.dtypes import Array, items, zero_mask
from sparsefmt.base.errors import CodecError, FormatError, PatternError
from sparsefmt.codecs.raw import Raw
from sparsefmt.kernels.nm import nm_update
from sparsefmt.structures.nm import Nm
from sparsefmt.tensor.layout import refuse
from sparsefmt.tensor.sparse import SparseTensor, as_tensor

_ALL = np.empty((0, 0), np.uint8)


class LivePacked:
    """A packed N:M tensor whose groups can be written anew, one by one.

    Tensors are immutable; this one owns a copy of the arrays, writes to it, and hands it out as a tensor. Whoever
    multiplies with `tensor` during an update gets old and new groups mixed, never a bad access.

    Args:
        t: nm with raw values; copied once.

    Raises:
        FormatError: t is no nm.
        CodecError: t has a codec; its scales may depend on all values.

    >>> import sparsefmt as sf
    >>> w = np.array([[1.0, 2.0, 0.0, 0.0, 3.0, 4.0, 0.0, 0.0]])
    >>> live = LivePacked(sf.encode(w, "nm2:4"))
    >>> w[0, 4:] = [0.0, 5.0, 0.0, 6.0]
    >>> live.update(w, [[0, 1]])
    1
    >>> sf.equal(live.tensor, sf.encode(w, "nm2:4"))
    True
    """

    def __init__(self, t: SparseTensor) -> None:
        t = as_tensor(t)
        refuse(t, "updating groups in place")
        s = t.structure
        if not isinstance(s, Nm):
            msg = f"want a tensor in nmN:M, got {t.format}"
            raise FormatError(msg)
        if not isinstance(t.values, Raw):
            msg = f"the codec is {t.values.text!r}, whose scales may depend on all values; pack anew"
            raise CodecError(msg)
        self._codes, self._slots = s.codes.copy(), t.values.data.copy()
        self._structure = Nm(self._codes, s.n, s.m, s.shape, s.align, check=False)
        self.tensor = SparseTensor.from_checked(self._structure, Raw(self._slots, check=False), t.shape)

    def update(self, w: object, groups: object, *, mask: object = None) -> int:
        """Writes the groups that changed; the tensor is then, bit for bit, what packing anew gives.

        Args:
            w: the weights, of the shape and dtype of the tensor; only the named groups are read.
            groups: (changed, 2) rows and groups, as `MaskEMA.update` gives them; one that is there twice is written
                once.
            mask: (rows, cols) bool, what is kept of `w`; default: what is not zero.

        Returns:
            How many groups were written.

        Raises:
            FormatError: shapes or dtypes that differ, a group beyond the tensor. Nothing is written then.
            PatternError: a group holds more than N. Nothing is written then.
        """
        s, t = self._structure, self.tensor
        a = as_array(w)
        if a.shape != t.shape or a.dtype != t.dtype:
            msg = f"w: want {t.dtype} of shape {t.shape}, got {a.dtype} of shape {a.shape}"
            raise FormatError(msg)
        keep = _ALL
        if mask is not None:
            chosen = np.asarray(mask)
            if chosen.dtype != bool or chosen.shape not in (t.shape, s.shape):
                msg = f"mask: want bool of shape {t.shape}, got {chosen.dtype} of shape {chosen.shape}"
                raise FormatError(msg)
            keep = np.ascontiguousarray(chosen.reshape(s.shape)).view(np.uint8)
        row, group = _places(groups, s)
        if not len(row):
            return 0
        block = items(np.ascontiguousarray(a).reshape(s.shape))
        zero = zero_mask(t.dtype, "value")
        found = nm_update(block, keep, zero, s.n, s.m, row, group, self._codes, items(self._slots))
        if found[0]:
            msg = (
                f"row {found[1]}, group {found[2]} holds {found[3]} nonzeros; {s.text} keeps {s.n} "
                f"({found[0]} of {len(row)} groups are over); prune first, or give mask="
            )
            raise PatternError(msg)
        return len(row)


def _places(groups: object, s: Nm) -> tuple[Array, Array]:
    """Rows and groups, ascending, each pair once."""
    at = np.asarray(groups)
    if not at.size:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    if at.ndim != 2 or at.shape[1] != 2 or at.dtype.kind not in "iu":
        msg = f"groups: want (changed, 2) whole numbers, got {at.dtype} of shape {at.shape}"
        raise FormatError(msg)
    row, group = at[:, 0], at[:, 1]
    if min(row.min(), group.min()) < 0 or row.max() >= s.shape[0] or group.max() >= s.groups:
        first = int(np.argmax((row < 0) | (group < 0) | (row >= s.shape[0]) | (group >= s.groups)))
        where = f"row {row[first]}, group {group[first]}"
        msg = f"groups: {where} is beyond the {s.shape[0]} rows of {s.groups} groups"
        raise FormatError(msg)
    row, group = (np.ascontiguousarray(a).astype(np.int64, copy=False) for a in (row, group))
    flat = row * s.groups
    flat += group
    if (flat[1:] > flat[:-1]).all():
        return row, group
    row, group = np.divmod(np.unique(flat), s.groups)
    return row, group
