"""A delta as places and new values, for receivers that assign."""

from collections.abc import Iterator, Mapping

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import DeltaError, FormatError
from sparsefmt.delta.apply import base_of
from sparsefmt.delta.change import ARRAY, Change, Parts, moved
from sparsefmt.delta.grid import part_dtype
from sparsefmt.delta.pieces import as_gaps, places

Patch = tuple[str, tuple[int, ...], str, Array, Array]


def patches(parts: Parts, base: object, nan: str) -> Iterator[Patch]:
    """See `Delta.patches`."""
    if nan not in ("error", "keep"):
        msg = f'nan = {nan!r} is unknown; allowed "error" and "keep"'
        raise FormatError(msg)
    if base is None and any(c.pieces for c in parts.changes.values()):
        msg = "the new values follow from the old ones: pass the base, d.patches(base)"
        raise DeltaError(msg)
    for name, change in parts.changes.items():
        if change.pieces:
            old = base[name] if isinstance(base, Mapping) and name != ARRAY else base
            a = base_of(change, old, name)
            where = _places(change, a)
            values = moved(change, a).reshape(-1)[where]
            yield name, change.shape, change.dtype, where, _checked(values, where, name, nan)
    for name, whole in parts.wholes.items():
        if whole.new_sum is not None:
            new = whole.arrived(name)
            where, values = np.arange(new.size, dtype=np.int64), np.ravel(new)
            yield name, new.shape, new.dtype.name, where, _checked(values, where, name, nan)


def _places(change: Change, a: Array) -> Array:
    """The flat places of values that changed."""
    found = [places(as_gaps(p.steps)[0]) + p.start for p in change.pieces]
    where = np.concatenate(found)
    per = a.dtype.itemsize // part_dtype(a.dtype).itemsize
    return where if per == 1 else np.unique(where // per)


def _checked(values: Array, where: Array, name: str, nan: str) -> Array:
    if nan == "error" and values.dtype.kind not in "biu":
        bad = np.isnan(values)
        if bad.any():
            at = int(where[int(np.argmax(bad))])
            msg = (
                f"tensor {name!r}: the new value at {at} is NaN, which means unchanged in a patch; allow it: nan='keep'"
            )
            raise DeltaError(msg)
    return values
