"""The largest array that any function of this package makes."""

import contextlib
import functools
import operator
import os
import sys
import time
from pathlib import Path

from sparsefmt.base.errors import FormatError, SizeError

_max_bytes: int | None = None
_SURE = 16 << 20  # bytes for which the default is not asked: to read it takes longer than to fill them
_GOOD_FOR = 0.1  # seconds for which a reading holds for arrays of up to half of it: it takes a millisecond or two
_reading = (0.0, 0)  # until when, and what is left of it

_GROUPS = Path("/sys/fs/cgroup")


def cgroup_folders(listing: str, root: Path = _GROUPS) -> list[Path]:
    """The folders of the cgroups that bound the memory of a process, and of their parents.

    `listing` is /proc/self/cgroup: a line `0::PATH` for version 2, `N:...memory...:PATH` for version 1.
    """
    folders = []
    for line in listing.splitlines():
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        if controllers and "memory" not in controllers.split(","):
            continue
        top = root / "memory" if controllers else root
        folder = top / path.lstrip("/")
        folders += [f for f in (folder, *folder.parents) if f == top or top in f.parents]
        folders.append(top)
    return list(dict.fromkeys(folders))


def cgroup_room(folders: list[Path]) -> list[int]:
    """The limit of each cgroup that has one, less what is used there and cannot be dropped, in bytes."""
    found = []
    for folder in folders:
        for limit, usage in (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")):
            with contextlib.suppress(OSError, ValueError):
                most = int((folder / limit).read_text())
                used = int((folder / usage).read_text())
                stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
                cache = int(stat.get("inactive_file", stat.get("total_inactive_file", 0)))
                found.append(max(most - max(used - cache, 0), 0))
    return found


def available() -> int:
    """What can be had now: the least of the system's estimate and the room in every cgroup, in bytes."""
    limits = []
    with contextlib.suppress(OSError, ValueError, StopIteration):
        with open("/proc/meminfo", encoding="ascii") as file:
            line = next(line for line in file if line.startswith("MemAvailable:"))
        limits.append(int(line.split()[1]) * 1024)
    with contextlib.suppress(OSError):
        limits += cgroup_room(cgroup_folders(Path("/proc/self/cgroup").read_text()))
    return min(limits, default=machine_limit())


def _physical_memory() -> int:
    """Bytes of memory; where the system does not say, what a pointer can address."""
    try:
        found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not on every system
        found = 0
    return found if found > 0 else sys.maxsize


@functools.cache
def machine_limit() -> int:
    """The least of physical memory, cgroup limits (also of parents) and RLIMIT_AS, in bytes."""
    limits = [_physical_memory()]
    with contextlib.suppress(OSError):
        for folder in cgroup_folders(Path("/proc/self/cgroup").read_text()):
            for name in ("memory.max", "memory.limit_in_bytes"):
                with contextlib.suppress(OSError, ValueError):
                    limits.append(int((folder / name).read_text()))
    with contextlib.suppress(ImportError, OSError):
        import resource  # not on every system

        soft = resource.getrlimit(resource.RLIMIT_AS)[0]
        if soft != resource.RLIM_INFINITY:
            limits.append(soft)
    return min(limits)


def max_bytes() -> int:
    """The largest array that may be made, in bytes."""
    return min(machine_limit(), available()) if _max_bytes is None else _max_bytes


def set_max_bytes(n: int | None) -> None:
    """Sets the largest array, in bytes, that any function of this package makes; larger ones raise SizeError.

    Args:
        n: bytes, or None for the default: the least of what the system has available at the time, of the room in the
            cgroups of the process (version 1 and 2, parents too) and of RLIMIT_AS.

    Raises:
        FormatError: n is negative or no integer.

    >>> set_max_bytes(10**9)
    >>> set_max_bytes(None)
    """
    global _max_bytes, _reading
    _max_bytes = None if n is None else byte_count(n)
    _reading = (0.0, 0)


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


def _fits_surely(nbytes: int) -> bool:
    """Whether it is at most half of what was left when the system was asked last, a moment ago at most."""
    global _reading
    until, left = _reading
    if (now := time.monotonic()) > until:
        until, left = now + _GOOD_FOR, max_bytes()
    fits = 2 * nbytes <= left
    _reading = (until, left - nbytes if fits else left)
    return fits


def check_size(nbytes: int, what: str, limit: int | None = None) -> None:
    """Raises SizeError if an array of `nbytes` is larger than allowed."""
    if limit is None and _max_bytes is None and (nbytes <= _SURE or _fits_surely(nbytes)):
        return
    allowed = max_bytes() if limit is None else byte_count(limit)
    if nbytes > allowed:
        way = "pass a larger max_bytes=" if limit is not None else "raise the limit with sparsefmt.set_max_bytes"
        msg = f"{what} would take {nbytes} bytes; allowed {allowed}; work on a part, or {way}"
        raise SizeError(msg)
