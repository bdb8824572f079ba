"""Processes that work for a command, and end without a word when it is interrupted."""

import contextlib
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_MASKS = hasattr(signal, "pthread_sigmask")


def _begin() -> None:
    """In a worker: from here on an interrupt of the whole group ends it; the command says what happened."""
    signal.signal(signal.SIGINT, lambda signum, frame: sys.exit(128 + signum))
    if _MASKS:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])


@contextlib.contextmanager
def _held_back() -> Iterator[None]:
    """Interrupts wait until the block ends, and in processes that it starts until `_begin`."""
    if not _MASKS:
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Workers(ProcessPoolExecutor):
    """So many spawned processes."""

    def __init__(self, count: int) -> None:
        super().__init__(count, mp_context=get_context("spawn"), initializer=_begin)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """As the base class, which starts all processes here; without a handler they would print tracebacks."""
        with _held_back():
            return super().submit(fn, *args, **kwargs)
