"""Processes that work for a command, and end without a word when it does, however it ends."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, InvalidStateError, ProcessPoolExecutor
from multiprocessing import parent_process
from multiprocessing.connection import wait
from multiprocessing.context import SpawnContext, SpawnProcess
from types import FrameType, TracebackType
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_ENDS = {getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)}
_MASKS = hasattr(signal, "pthread_sigmask")


def _begin() -> None:
    """In a worker: what ends the whole group is the command's to answer, which ends its workers."""
    for number in _ENDS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _leave)
    if _MASKS:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDS)
    with contextlib.suppress(RuntimeError):  # the system has no thread to give
        threading.Thread(target=_end_with_command, name="sparsefmt-command", daemon=True).start()


def _leave(signum: int, frame: FrameType | None) -> None:
    """Ends a worker whose command is no more."""
    command = parent_process()
    if command is None or not command.is_alive():
        sys.exit(128 + signum)


def _end_with_command() -> None:
    """Ends the process when its command has been killed: it would wait for the next job for ever."""
    if (command := parent_process()) is not None:
        wait([command.sentinel])
        os._exit(1)  # what it is writing has no name yet


@contextlib.contextmanager
def _held_back() -> Iterator[None]:
    """Signals wait until the block ends, and in processes that it starts until `_begin`."""
    if not _MASKS:
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Worker(SpawnProcess):
    def terminate(self) -> None:
        """Kills it: SIGTERM is the command's. An executor that lost a worker ends the others, and waits for them."""
        self.kill()


class _Spawned(SpawnContext):
    Process = _Worker


class _Work(Future[T]):
    """A call that may be cancelled when its processes are killed, which ends the executor of Python 3.11 halfway."""

    def set_exception(self, exception: BaseException | None) -> None:
        """Does nothing where it is cancelled."""
        with contextlib.suppress(InvalidStateError):
            super().set_exception(exception)


class Workers(ProcessPoolExecutor):
    """So many spawned processes, which end at once when the block is left by what ends the program."""

    def __init__(self, count: int) -> None:
        with _held_back():  # what keeps count of semaphores is started here, and would end by a SIGHUP of all
            super().__init__(count, mp_context=_Spawned(), initializer=_begin)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """As the base class, which starts all processes here; without a handler they would print tracebacks."""
        with _held_back():
            future = super().submit(fn, *args, **kwargs)
        future.__class__ = _Work
        return future

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """As the base class, which waits for the jobs that have begun; a signal does not wait for them."""
        if error is not None and not isinstance(error, Exception):
            for process in list((self._processes or {}).values()):
                process.kill()  # what it is writing has no name yet
        super().__exit__(kind, error, trace)
