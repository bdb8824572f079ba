"""One run at a time for each result: a lock on a file in its working folder, which says who holds it.

The system takes the lock (flock) away when its process ends, however it does, so that the next run takes over what was
killed without help. Threads are told apart as processes are. Where the file system has no locks, nobody holds anything.
"""

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import datetime
from pathlib import Path

from sparsefmt.base.errors import BusyError
from sparsefmt.io.paths import naming_file
from sparsefmt.io.temporary import LOCKS, is_held

LOCK = "lock"
"""The name of the file."""

_lent: ContextVar[frozenset[str]] = ContextVar("sparsefmt.holding", default=frozenset())
_numbers: set[int] = set()


def _let_go() -> None:
    """In a fork: a lock ends with the process that took it, and must not live on in workers that it leaves behind."""
    while _numbers:
        os.close(_numbers.pop())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go)


@contextlib.contextmanager
def holding(folder: Path, result: Path, *, lend: bool = False) -> Iterator[None]:
    """Keeps others from working on a result while the block runs.

    Args:
        folder: where the work waits; made if it is missing, and removed at the end if nothing is left in it.
        result: the path that the work leads to.
        lend: whether work of this thread, within the block, may hold the result in its turn; one at a time.

    Raises:
        BusyError: another process or thread is at it, or work of this thread that does not lend.
        OSError: the folder cannot be made.
    """
    key = os.path.abspath(folder)
    if not LOCKS:
        yield
    elif key in _lent.get():
        with _set(_lent.get() - {key}):
            yield
    else:
        note, owner = folder / LOCK, os.getpid()
        number = _taken(note, result)
        try:
            with naming_file(note):
                _sign(number)
            with _set(_lent.get() | {key}) if lend else contextlib.nullcontext():
                yield
        finally:
            if os.getpid() == owner:
                _released(note, number)


@contextlib.contextmanager
def _set(lent: frozenset[str]) -> Iterator[None]:
    token = _lent.set(lent)
    try:
        yield
    finally:
        _lent.reset(token)


def _taken(note: Path, result: Path) -> int:
    """The number of the lock's file, open and locked."""
    while True:
        note.parent.mkdir(exist_ok=True)
        try:
            number = os.open(note, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        except FileNotFoundError:  # whoever had it has removed the folder right now
            continue
        _numbers.add(number)
        busy = is_held(number)
        if not busy and os.fstat(number).st_nlink:
            return number
        who = _holder(number) if busy else ""
        _closed(number)
        if busy:  # else it was removed before it was locked
            msg = f"{result} is being written by {who}; wait until it has ended, or write to another path"
            raise BusyError(msg)


def _sign(number: int) -> None:
    """Writes down who holds the lock."""
    now = datetime.now().astimezone().isoformat(" ", "seconds")
    os.ftruncate(number, 0)
    os.pwrite(number, json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": now}).encode(), 0)


def _holder(number: int) -> str:
    """Who has signed the file of a lock."""
    try:
        found = json.loads(os.pread(number, 4096, 0))
        pid, host, since = found["pid"], found["host"], found["since"]
    except (OSError, ValueError, KeyError, TypeError):  # it has not signed yet
        return "another process"
    if host != socket.gethostname():
        return f"process {pid} on {host}, since {since}"
    return f"{'other work of this process,' if pid == os.getpid() else 'process'} {pid}, since {since}"


def _released(note: Path, number: int) -> None:
    """Removes the file of a lock while it is locked, and the folder if it is empty; lets go."""
    with contextlib.suppress(OSError):
        if os.path.samestat(os.stat(note), os.fstat(number)):  # else somebody has cleared the folder away
            note.unlink()
    _closed(number)
    with contextlib.suppress(OSError):  # there are parts to go on from, or the next run is there
        note.parent.rmdir()


def _closed(number: int) -> None:
    _numbers.discard(number)
    os.close(number)
