"""What tasks make of a base: places and items, whole tensors, and the tensor that readers see."""

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from sparsefmt.base.dtypes import COMPLEX, INTEGERS, Array
from sparsefmt.base.errors import DeltaError, FormatError
from sparsefmt.delta.placed import Placed, put
from sparsefmt.delta.vectors import Exact, Vector

Patch = dict[str, tuple[Placed, ...]]
"""By tensor: what goes where."""


Key = tuple[tuple[str, float], ...]
"""Tasks and their weights, by name."""


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

    Neither starves the other: readers that come while a switch waits stand behind it, and a switch that ends lets those
    in before the next one. A thread that reads already may read again, as what waits for it must not make it wait.

    `array` is what they read: the base, a merged tensor, or `own`, the base with what is `applied` to it.
    """

    array: Array
    own: Array | None = None
    applied: tuple[Placed, ...] = ()
    readers: dict[int, int] = field(default_factory=dict)  # blocks by thread
    standing: int = 0  # readers that wait
    admitted: int = 0  # of these, those that the next switch lets pass
    switches: int = 0
    turn: threading.Condition = field(default_factory=threading.Condition)

    @contextmanager
    def shared(self) -> Iterator[Array]:
        """The array for a reader."""
        thread = threading.get_ident()
        with self.turn:
            if self.switches and thread not in self.readers:
                self._stand()
            self.readers[thread] = self.readers.get(thread, 0) + 1
        try:
            yield self.array
        finally:
            with self.turn:
                self.readers[thread] -= 1
                if not self.readers[thread]:
                    del self.readers[thread]
                self.turn.notify_all()

    def _stand(self) -> None:
        self.standing += 1
        try:
            while self.switches and not self.admitted:
                self.turn.wait()
        finally:
            self.standing -= 1
            self.admitted = max(self.admitted - 1, 0)

    def become(self, tensor: str, to: Merged, base: Array) -> None:
        """Waits for its turn and takes the version of `to`; where that is interrupted, `own` is the base."""
        with self.alone():
            if tensor in to.whole or self.own is None:
                self.array = to.whole.get(tensor, base)
                return
            try:
                put(self.applied, self.own, back=True)
                self.applied = to.patch.get(tensor, ())
                put(self.applied, self.own, back=False)
            except BaseException:
                put(self.applied, self.own, back=True)
                self.applied = ()
                raise
            self.array = self.own

    def in_child(self) -> None:
        """Of the readers, a child made by fork has its own thread alone."""
        own = threading.get_ident()
        self.readers = {thread: blocks for thread, blocks in self.readers.items() if thread == own}
        self.standing = self.admitted = self.switches = 0
        self.turn = threading.Condition()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """The turn of a switch."""
        with self.turn:
            self.switches += 1
            try:
                while self.readers or self.admitted:
                    self.turn.wait()
                yield
            finally:
                self.switches -= 1
                self.admitted = self.standing
                self.turn.notify_all()


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


def key_of(tasks: str | Mapping[str, float]) -> Key:
    """Weights by name as the key of what they make, without those that are 0.

    Raises:
        FormatError: they are none, or not finite.
    """
    weights: object = {tasks: 1.0} if isinstance(tasks, str) else tasks
    if not isinstance(weights, Mapping):
        msg = f"tasks: want a name, or weights by name, got {type(tasks).__name__}"
        raise FormatError(msg)
    try:
        numbers = {str(name): float(weight) for name, weight in weights.items()}
    except (TypeError, ValueError):
        numbers = {"": np.nan}
    if not all(map(np.isfinite, numbers.values())):
        msg = f"weights {dict(weights)}: want finite numbers"
        raise FormatError(msg)
    return tuple(sorted((name, weight) for name, weight in numbers.items() if weight != 0))


def keys_of(combinations: object) -> list[Key]:
    """The keys of one combination, or of several.

    Raises:
        FormatError: they are none.
    """
    if isinstance(combinations, str | Mapping):
        combinations = [combinations]
    if not isinstance(combinations, Iterable):
        msg = f"combinations: want a list of names, or of weights by name, got {type(combinations).__name__}"
        raise FormatError(msg)
    return [key_of(tasks) for tasks in combinations]
