"""Calls that threads make ahead of who uses their results, which come in order."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from itertools import chain
from typing import Generic, TypeVar

from sparsefmt.base.threads import Threads
from sparsefmt.kernels.settings import get_num_threads, work_alone

R = TypeVar("R")

PIECE = 8 << 20
"""Bytes of dense rows that a thread reads and works on at once."""


def worked(calls: Iterable[Callable[[], R]], threads: int | None = None) -> Generator[R, None, None]:
    """The results of calls, in their order.

    So many calls wait or are under way as there are threads twice, whatever the number of calls, and none when the
    iterator is closed. An error comes in its turn, and the calls behind it are given up.

    Args:
        calls: each may be made in any thread, at any time.
        threads: that make calls; default: as many as kernels use. The caller's is one of them, while it has to wait.

    >>> list(worked([lambda i=i: i * i for i in range(4)], 2))
    [0, 1, 4, 9]
    """
    threads = get_num_threads() if threads is None else threads
    if threads < 2:
        yield from (call() for call in calls)
        return
    feed, waiting = iter(calls), deque[Turn[R]]()
    first, second = next(feed, None), next(feed, None)
    if first is None:
        return
    if second is None:  # nothing that could be done meanwhile
        yield first()
        return
    feed = chain((first, second), feed)
    pool = Threads(threads - 1, "sparsefmt-ahead", work_alone)
    try:
        while True:
            while len(waiting) < 2 * threads and (call := next(feed, None)) is not None:
                waiting.append(Turn(call, pool.submit(call)))
            if not waiting:
                return
            helped = any(turn.help() for turn in waiting) if not waiting[0].is_done else False
            if not helped:
                yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


class Turn(Generic[R]):
    """A call that a thread was asked to make, and that its owner may make in its place."""

    def __init__(self, call: Callable[[], R], future: Future[R]) -> None:
        self._call, self._future = call, future

    @property
    def is_done(self) -> bool:
        """Whether the result is there."""
        return self._future.done()

    def help(self) -> bool:
        """Makes the call here if no thread has begun; whether it did."""
        if not self._future.cancel():
            return False
        self._future = Future()
        work_alone()
        try:
            self._future.set_result(self._call())
        except Exception as e:
            self._future.set_exception(e)
        finally:
            work_alone(False)
        return True

    def result(self) -> R:
        """The result, when it is there; or the error."""
        return self._future.result()
