"""A delta as places and new values, for receivers that assign."""

from collections.abc import Iterator, Mapping

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import DeltaError, FormatError
from sparsefmt.delta.apply import fitting, new_version
from sparsefmt.delta.change import Change, Parts
from sparsefmt.delta.grid import part_dtype
from sparsefmt.delta.pieces import as_gaps, places

Patch = tuple[str, tuple[int, ...], str, Array, Array]


def patches(parts: Parts, kind: str, base: object, nan: str) -> Iterator[Patch]:
    """See `Delta.patches`."""
    if nan not in ("error", "keep"):
        msg = f'nan = {nan!r} is unknown; allowed "error" and "keep"'
        raise FormatError(msg)
    if base is None and any(c.pieces for c in parts.changes.values()):
        msg = "the new values follow from the old ones: pass the base, d.patches(base)"
        raise DeltaError(msg)
    for name, change in parts.changes.items():
        if change.pieces:
            a = fitting(change, _tensor(base, kind, name), name)
            where = _places(change, a)
            values = new_version(change, a, name).reshape(-1)[where]
            yield name, change.shape, change.dtype, where, _checked(values, where, name, nan)
    for name, whole in parts.wholes.items():
        if whole.new_sum is not None:
            new = whole.arrived(name)
            where, values = np.arange(new.size, dtype=np.int64), np.ravel(new)
            yield name, new.shape, new.dtype.name, where, _checked(values, where, name, nan)


def _tensor(base: object, kind: str, name: str) -> object:
    if kind == "array":
        return base
    if not isinstance(base, Mapping) or name not in base:
        what = f"has no tensor {name!r}" if isinstance(base, Mapping) else f"is {type(base).__name__}"
        msg = f"the base {what}; want a dict of the tensors of the old version, or its path"
        raise DeltaError(msg)
    return base[name]


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
