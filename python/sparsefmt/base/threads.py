"""Threads beside the caller's, which are done without where the system has none to give."""

import mmap
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

ROOM = 64 << 20
"""Bytes of address space that there must be for a thread: its stack, what is local to it, a buffer of BLAS."""


class Threads(ThreadPoolExecutor):
    """An executor for calls that the caller may make as well.

    A thread that finds no memory for what is local to it ends the process, and one that a limit of processes forbids
    is a RuntimeError, with the call left where nobody may ever find it. Here the caller makes it instead, within
    `submit`.

    >>> with Threads(2) as threads:
    ...     list(threads.map(abs, [-1, 2]))
    [1, 2]
    """

    def submit(self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """As the base does, or makes the call at once."""
        call = _Call(lambda: fn(*args, **kwargs))
        if not has_room():
            call()
            return call.future
        try:
            super().submit(call)
        except RuntimeError as e:
            if "new thread" not in str(e):  # a call that comes too late
                raise
            call()
        return call.future


class _Call(Generic[R]):
    """A call that two threads may come upon, and one makes."""

    def __init__(self, call: Callable[[], R]) -> None:
        self.future: Future[R] = Future()
        self._turn = [call]

    def __call__(self) -> None:
        try:
            call = self._turn.pop()
        except IndexError:
            return
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            self.future.set_result(call())
        except Exception as e:
            self.future.set_exception(e)
        except BaseException as e:
            self.future.set_exception(e)
            raise


def has_room() -> bool:
    """Whether the system would hand out the address space for a thread."""
    if not hasattr(mmap, "MAP_ANONYMOUS"):
        return True
    try:
        mmap.mmap(-1, ROOM, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=0).close()
    except OSError:
        return False
    return True
