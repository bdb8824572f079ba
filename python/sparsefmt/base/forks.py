"""What threads share, and a child made by fork has without them.

Such a child has none of the other threads, but every lock as they held it, and nobody lets go of those. So whatever
holds a lock of its own says here how a child mends it, and what is made when it is asked for first needs no lock.
"""

import functools
import os
from collections.abc import Callable
from typing import Any, TypeVar

from sparsefmt.base.weak import WeakIdentityDict

T = TypeVar("T")
V = TypeVar("V")

_mends: WeakIdentityDict[Any, Callable[[Any], object]] = WeakIdentityDict()


def in_child(thing: T, mend: Callable[[T], object]) -> None:
    """Calls `mend(thing)` in every child made by fork, before anything else happens there, while `thing` lives.

    Locks are replaced, not let go of: who held one may be the thread that forked, and lets go of what it took.
    """
    _mends[thing] = mend


def kept(make: Callable[[T], V]) -> Callable[[T], V]:
    """A method, below `property`, whose first result is kept with its object.

    Two threads may make it at once, and one result is used. `functools.cached_property` holds a lock meanwhile, before
    Python 3.12, one for all objects of the class.

    >>> class Thing:
    ...     @property
    ...     @kept
    ...     def parts(self):
    ...         return []
    >>> thing = Thing()
    >>> thing.parts is thing.parts, thing.parts is Thing().parts
    (True, False)
    """
    name = make.__name__

    @functools.wraps(make)
    def get(thing: T) -> V:
        held = vars(thing)
        found: V = held[name] if name in held else held.setdefault(name, make(thing))
        return found

    return get


def _in_child() -> None:
    for thing, mend in _mends.items():
        mend(thing)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
