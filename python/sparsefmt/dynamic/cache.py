"""Masks and prepared products by pattern, in bounded memory."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from numbers import Integral
from threading import RLock
from typing import Any

from sparsefmt.base.errors import FormatError
from sparsefmt.base.forks import in_child


@dataclass(frozen=True)
class CacheStats:
    """Counters since the cache was made."""

    hits: int
    misses: int
    evicted: int
    uncached: int
    """Entries that were larger than the room that pinned ones leave, and so were served without being kept."""
    entries: int
    nbytes: int


class PatternCache:
    """Pattern id -> mask, packed tensor or prepared product; the least recently used go first. Threads may share it.

    Args:
        capacity: bytes.
        size: gives the bytes of an entry; default its `nbytes`.

    Raises:
        FormatError: a capacity that is no whole number >= 0.

    >>> cache = PatternCache(10)
    >>> cache.get("a", lambda: bytearray(4), size=4) is cache.get("a", lambda: bytearray(4), size=4)
    True
    >>> cache.stats().hits, cache.stats().misses, cache.resident()
    (1, 1, ['a'])
    """

    def __init__(self, capacity: int, *, size: Callable[[Any], int] | None = None) -> None:
        self.capacity = _nbytes(capacity, "capacity")
        self._size = size or _size_of
        self._held: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._pinned: set[Hashable] = set()
        self._hits = self._misses = self._evicted = self._uncached = self._nbytes = 0
        self._lock = RLock()
        in_child(self, PatternCache._in_child)

    def _in_child(self) -> None:
        """Counts again: another thread may have been between an entry and its bytes."""
        self._lock = RLock()
        self._nbytes = sum(nbytes for _, nbytes in self._held.values())
        self._pinned &= self._held.keys()

    def get(self, key: Hashable, make: Callable[[], Any], *, size: int | None = None) -> Any:  # noqa: ANN401
        """The entry of a key, made if it is not there; one larger than the capacity is made each time and not kept.

        Args:
            key: the id of the pattern.
            make: makes the entry; called under the lock, so once.
            size: its bytes, default what the cache's `size` gives.

        Raises:
            FormatError: a size that is no whole number >= 0, or an entry that does not say its own.
        """
        with self._lock:
            if key in self._held:
                self._hits += 1
                self._held.move_to_end(key)
                return self._held[key][0]
            self._misses += 1
            entry = make()
            if key in self._held:  # `make` asked for it too
                return self._held[key][0]
            if not self._keep(key, entry, size):
                self._uncached += 1
            return entry

    def put(self, key: Hashable, entry: Any, *, size: int | None = None, pin: bool = False) -> bool:  # noqa: ANN401
        """Keeps an entry that is at hand; gives whether there was room. A pinned one stays until it is unpinned."""
        with self._lock:
            self.drop(key)
            kept = self._keep(key, entry, size)
            if kept and pin:
                self._pinned.add(key)
            return kept

    def precompute(self, keys: Iterable[Hashable], make: Callable[[Hashable], Any], *, pin: bool = False) -> int:
        """Makes the entries of keys that are not there; gives how many were kept."""
        count = 0
        for key in keys:
            with self._lock:
                if key not in self._held:
                    count += self.put(key, make(key), pin=pin)
                elif pin:
                    self._pinned.add(key)
        return count

    def pin(self, key: Hashable) -> None:
        """Keeps a resident entry until it is unpinned.

        Raises:
            FormatError: it is not there.
        """
        with self._lock:
            if key not in self._held:
                msg = f"{key!r} is not in the cache; put it first"
                raise FormatError(msg)
            self._pinned.add(key)

    def unpin(self, key: Hashable) -> None:
        """Lets an entry go when its time comes."""
        with self._lock:
            self._pinned.discard(key)

    def drop(self, key: Hashable) -> None:
        """Removes an entry, pinned or not, if it is there."""
        with self._lock:
            if key in self._held:
                self._nbytes -= self._held.pop(key)[1]
                self._pinned.discard(key)

    def resident(self) -> list[Hashable]:
        """Keys, the least recently used first."""
        with self._lock:
            return list(self._held)

    def stats(self) -> CacheStats:
        """The counters."""
        with self._lock:
            return CacheStats(self._hits, self._misses, self._evicted, self._uncached, len(self._held), self._nbytes)

    def _keep(self, key: Hashable, entry: Any, size: int | None) -> bool:  # noqa: ANN401
        nbytes = _nbytes(self._size(entry) if size is None else size, "size")
        pinned = sum(self._held[k][1] for k in self._pinned)
        if nbytes > self.capacity - pinned:
            return False
        for old in [k for k in self._held if k not in self._pinned]:
            if self._nbytes + nbytes <= self.capacity:
                break
            self._nbytes -= self._held.pop(old)[1]
            self._evicted += 1
        self._held[key] = (entry, nbytes)
        self._nbytes += nbytes
        return True


def _nbytes(value: object, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 0:
        msg = f"{name} = {value!r}; want bytes, 0 or more"
        raise FormatError(msg)
    return int(value)


def _size_of(entry: Any) -> int:  # noqa: ANN401
    try:
        return int(entry.nbytes)
    except AttributeError:
        msg = f"{type(entry).__name__} does not say its nbytes; give size="
        raise FormatError(msg) from None
