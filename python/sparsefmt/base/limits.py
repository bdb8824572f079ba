"""The largest array that any function of this package makes."""

import contextlib
import functools
import operator
import os
import sys
from pathlib import Path

from sparsefmt.base.errors import FormatError, SizeError

_max_bytes: int | None = None


def _physical_memory() -> int:
    """Bytes of memory; where the system does not say, what a pointer can address."""
    try:
        found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not on every system
        found = 0
    return found if found > 0 else sys.maxsize


@functools.cache
def machine_limit() -> int:
    """The least of physical memory, cgroup limits and RLIMIT_AS, in bytes."""
    limits = [_physical_memory()]
    group = Path("/sys/fs/cgroup")
    with contextlib.suppress(OSError, IndexError):
        own = Path("/proc/self/cgroup").read_text().strip().splitlines()[-1].split(":")[2].lstrip("/")
        folder = group / own
        while folder != group.parent:
            with contextlib.suppress(OSError, ValueError):
                limits.append(int((folder / "memory.max").read_text()))
            folder = folder.parent
    with contextlib.suppress(OSError, ValueError):
        limits.append(int((group / "memory/memory.limit_in_bytes").read_text()))
    with contextlib.suppress(ImportError, OSError):
        import resource  # not on every system

        soft = resource.getrlimit(resource.RLIMIT_AS)[0]
        if soft != resource.RLIM_INFINITY:
            limits.append(soft)
    return min(limits)


def max_bytes() -> int:
    """The largest array that may be made, in bytes."""
    return machine_limit() if _max_bytes is None else _max_bytes


def set_max_bytes(n: int | None) -> None:
    """Sets the largest array, in bytes, that any function of this package makes; larger ones raise SizeError.

    Args:
        n: bytes, or None for the default: the least of physical memory, cgroup limit and RLIMIT_AS.

    Raises:
        FormatError: n is negative or no integer.

    >>> set_max_bytes(10**9)
    >>> set_max_bytes(None)
    """
    global _max_bytes
    _max_bytes = None if n is None else byte_count(n)


def byte_count(n: object, what: str = "max_bytes") -> int:
    """A limit in bytes as an int.

    Raises:
        FormatError: n is negative or no integer.
    """
    try:
        value = -1 if isinstance(n, bool) else operator.index(n)  # type: ignore[arg-type]
    except TypeError:
        value = -1
    if value < 0:
        msg = f"{what} = {n!r}; want a number of bytes (int >= 0) or None"
        raise FormatError(msg)
    return value


def is_default() -> bool:
    """Whether no limit was set, so that small arrays need not be compared with it."""
    return _max_bytes is None


def check_size(nbytes: int, what: str, limit: int | None = None) -> None:
    """Raises SizeError if an array of `nbytes` is larger than allowed."""
    allowed = max_bytes() if limit is None else byte_count(limit)
    if nbytes > allowed:
        way = "pass a larger max_bytes=" if limit is not None else "raise the limit with sparsefmt.set_max_bytes"
        msg = f"{what} would take {nbytes} bytes; allowed {allowed}; work on a part, or {way}"
        raise SizeError(msg)
