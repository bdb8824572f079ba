"""What is known about objects, kept by identity as long as they live."""

import weakref
from collections.abc import Iterator
from typing import Generic, TypeVar, overload

K = TypeVar("K")
V = TypeVar("V")


class WeakIdentityDict(Generic[K, V]):
    """A value for each of some objects, which are told apart by identity and may refuse to be compared.

    `weakref.WeakKeyDictionary` compares its keys, and packed tensors raise where they are compared. An entry goes when
    its object does.

    >>> class Thing:
    ...     pass
    >>> thing, known = Thing(), WeakIdentityDict()
    >>> known.setdefault(thing, 3), known.get(thing), known.get(Thing(), 0), len(known)
    (3, 3, 0, 1)
    >>> del thing
    >>> len(known)
    0
    """

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: dict[int, tuple[weakref.ref[K], V]] = {}

    @overload
    def get(self, key: K) -> V | None: ...

    @overload
    def get(self, key: K, default: V) -> V: ...

    def get(self, key: K, default: V | None = None) -> V | None:
        """The value of an object, or the default."""
        found = self._held.get(id(key))
        return default if found is None else found[1]

    def setdefault(self, key: K, value: V) -> V:
        """The value of an object; `value` from now on if it has none."""
        found = self._held.get(id(key))
        if found is None:
            self[key] = value
            return value
        return found[1]

    def pop(self, key: K, default: V | None = None) -> V | None:
        """Drops the value of an object and returns it, or the default."""
        found = self._held.pop(id(key), None)
        return default if found is None else found[1]

    def items(self) -> Iterator[tuple[K, V]]:
        """The objects that live now, and their values."""
        for ref, value in list(self._held.values()):
            key = ref()
            if key is not None:
                yield key, value

    def __setitem__(self, key: K, value: V) -> None:
        held, number = self._held, id(key)
        held[number] = weakref.ref(key, lambda ref: held.pop(number, None)), value

    def __getitem__(self, key: K) -> V:
        return self._held[id(key)][1]

    def __contains__(self, key: K) -> bool:
        return id(key) in self._held

    def __len__(self) -> int:
        return len(self._held)
