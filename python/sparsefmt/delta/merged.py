"""What tasks make of a base: places and items, whole tensors, and the tensor that readers see."""

import threading
from dataclasses import dataclass, field

import numpy as np

from sparsefmt.base.dtypes import COMPLEX, INTEGERS, Array
from sparsefmt.base.errors import DeltaError
from sparsefmt.delta.placed import Placed
from sparsefmt.delta.vectors import Exact, Vector

Patch = dict[str, tuple[Placed, ...]]
"""By tensor: what goes where."""


@dataclass(frozen=True, slots=True)
class Merged:
    """What the tasks of a key make of the base: what goes where, and whole tensors, where they are kept."""

    patch: Patch = field(default_factory=dict)
    whole: dict[str, Array] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return sum(part.nbytes for parts in self.patch.values() for part in parts) + sum(
            a.nbytes for a in self.whole.values()
        )


@dataclass(slots=True)
class Weight:
    """A tensor that tasks change: readers share it, a switch has it alone.

    `array` is what they read: the base, a merged tensor, or `own`, the base with what is `applied` to it.
    """

    array: Array
    own: Array | None = None
    applied: tuple[Placed, ...] = ()
    readers: int = 0
    turn: threading.Condition = field(default_factory=threading.Condition)


def summed(name: str, base: Array, parts: list[tuple[Vector, float]]) -> tuple[Array, Array]:
    """The places that any part changes, and base + sum of weight * difference there, rounded once."""
    if base.dtype.name in (*INTEGERS, *COMPLEX):
        msg = f"tensor {name!r} is {base.dtype}: a task that changes it is activated alone, with weight 1"
        raise DeltaError(msg)
    wide = np.float64 if base.dtype == np.float64 else np.float32
    flat, found = base.reshape(-1), []
    for vector, weight in parts:
        if isinstance(vector, Exact):
            where, values = vector.values(name, base)
            difference = values.astype(wide) - flat[where].astype(wide)
        else:
            where, difference = vector.differences(name, base.size)
            difference = difference.astype(wide)
        found.append((where, difference * wide(weight)))
    where = np.unique(np.concatenate([w for w, _ in found]))
    total = flat[where].astype(wide)
    for places, difference in found:
        total[np.searchsorted(where, places)] += difference
    return where, total.astype(base.dtype)
