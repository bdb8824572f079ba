"""Making a delta."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import DeltaError
from sparsefmt.delta.change import ARRAY, Change, Parts, Whole, checked, compared
from sparsefmt.delta.disk import Arrays, is_path, opened
from sparsefmt.delta.model import Delta, Level
from sparsefmt.delta.rewrite import Progress
from sparsefmt.delta.spool import Spool
from sparsefmt.delta.sums import digest


def diff(
    old: Any,  # noqa: ANN401
    new: Any,  # noqa: ANN401
    level: Level = "store",
    *,
    reversible: bool = True,
    progress: Progress | None = None,
) -> Delta:
    """What leads from `old` to `new`, bit for bit, for every dtype and every pattern of bits.

    Each tensor of one shape and dtype in both becomes integer steps between the bits in value order, packed in the
    smallest exact form; others are kept whole. Reads each input once. Of paths, no more than a few pieces of a tensor
    are in memory at a time: a large delta lies in a temporary file, in the folder that `tempfile` chooses (TMPDIR).

    Args:
        old: an array, a dict of arrays, or the path of a checkpoint (file or folder). Not modified.
        new: another of the same kind.
        level: how `save` stores the delta: "store": packed tensors, mapped and applied in place; "wire": planes of
            bytes, zstd; "archive": an adaptive range coder, smallest and slowest.
        progress: called with the name and the bytes of each tensor that is done.
        reversible: keep the old version of tensors that went or have another shape or dtype, which `invert` needs.

    Raises:
        DeltaError: the kinds differ, or something is no array.
        CheckpointError: the files of a checkpoint contradict each other.

    >>> import numpy as np
    >>> d = diff({"w": np.zeros(4, np.int8)}, {"w": np.array([0, 0, 3, 0], np.int8)})
    >>> d.apply({"w": np.zeros(4, np.int8)})
    {'w': array([0, 0, 3, 0], dtype=int8)}
    """
    told = progress or (lambda name, nbytes: None)
    if is_path(old) and is_path(new):
        with opened(old) as before, opened(new) as after:
            parts = _mappings(before, after, reversible, told, Spool())
            return Delta(parts.changes, parts.wholes, "checkpoint", level, (before.layout, after.layout))
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        parts = _mappings(old, new, reversible, told)
        return Delta(parts.changes, parts.wholes, "mapping", level, base=old)
    if any(isinstance(v, Mapping) or is_path(v) for v in (old, new)):
        msg = f"want two arrays, two dicts or two paths, got {type(old).__name__} and {type(new).__name__}"
        raise DeltaError(msg)
    one = _one(checked(old, ""), checked(new, ""), reversible)
    if isinstance(one, Change):
        return Delta({ARRAY: one}, {}, "array", level, base=old)
    return Delta({}, {ARRAY: one}, "array", level, base=old)


def _mappings(
    old: Mapping[Any, Any], new: Mapping[Any, Any], reversible: bool, told: Progress, spool: Spool | None = None
) -> Parts:
    changes, wholes = dict[str, Change](), dict[str, Whole]()
    for name in [*old, *(n for n in new if n not in old)]:
        if not isinstance(name, str):
            msg = f"a name is no text: {name!r}"
            raise DeltaError(msg)
        a, b = (checked(v[name], name) if name in v else None for v in (old, new))
        made = _one(a, b, reversible, _same_kind(old, new, name), spool)
        if isinstance(made, Change):
            changes[name] = made
        else:
            wholes[name] = made
        told(name, 0 if a is None else a.nbytes)
    return Parts(changes, wholes)


def _same_kind(old: object, new: object, name: str) -> bool:
    """Whether the files say the same of a tensor, also where NumPy has no dtype for it."""
    if isinstance(old, Arrays) and isinstance(new, Arrays) and name in old and name in new:
        return old.kind(name) == new.kind(name)
    return True


def _one(
    old: Array | None, new: Array | None, reversible: bool, alike: bool = True, spool: Spool | None = None
) -> Change | Whole:
    if alike and old is not None and new is not None and (old.dtype, old.shape) == (new.dtype, new.shape):
        return compared(old, new) if spool is None else compared(old, new, spool.piece)
    sums = [None if a is None else digest(a) for a in (old, new)]
    copied = np.array if spool is None else spool.array  # the caller may write to it
    kept = [None if a is None else copied(a) for a in (old if reversible else None, new)]
    return Whole(kept[0], kept[1], sums[0], sums[1])
