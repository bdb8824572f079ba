"""The loop that runs jobs, of every operation on whole checkpoints: here, or on any executor."""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from pathlib import Path
from typing import Any, Protocol, TypeVar

from sparsefmt.checkpoint.ticks import PAUSE, Advance, Watch
from sparsefmt.checkpoint.unsettled import SettleBehind

T = TypeVar("T")
R = TypeVar("R")


class Unit(Protocol):
    """What the loop knows of a job, which is picklable, small, and may be done twice.

    Attributes:
        label: what its progress is called.
        manifest: path of the note of what it wrote, when it is complete.
        nbytes: of the work.
    """

    @property
    def label(self) -> str: ...  # noqa: D102
    @property
    def manifest(self) -> Path: ...  # noqa: D102
    @property
    def nbytes(self) -> int: ...  # noqa: D102


def run_all(
    jobs: Sequence[Unit],
    run: Callable[..., R],
    found: Sequence[R | None],
    executor: Executor | None = None,
    progress: Advance | None = None,
) -> list[R]:
    """Runs jobs, and returns what they gave in their order.

    Args:
        jobs: to be done.
        run: a function at the top of a module, which takes a job, whom to tell of its progress or None, whether to
            note beside the manifest how far it is, for whoever waits, and who settles its file and writes its manifest
            while the next job runs, or None.
        found: what an earlier run left of each job; None: it is to be done.
        executor: any `concurrent.futures.Executor`; None: this process. At most two jobs per worker are outstanding.
        progress: called with a name and the bytes that are done.
    """
    results = list(found)
    for job, result in zip(jobs, found, strict=True):
        if result is not None and progress is not None:
            progress(job.label, job.nbytes)
    todo = [i for i, result in enumerate(found) if result is None]
    if executor is None:
        with SettleBehind() if len(todo) > 1 else contextlib.nullcontext() as behind:
            for i in todo:
                results[i] = run(jobs[i], progress, False, behind)
        return [result for result in results if result is not None]
    watch = None if progress is None else Watch(progress)

    def look(at: int) -> None:
        job = jobs[todo[at]]
        if watch is not None:
            watch.look(job.label, job.manifest, job.nbytes)

    each = [(jobs[i], None, watch is not None) for i in todo]
    for at, result in completed(run, each, executor, None if watch is None else look):
        job = jobs[todo[at]]
        if watch is not None:
            watch.finish(job.label, job.manifest, job.nbytes)
        results[todo[at]] = result
    return [result for result in results if result is not None]


def completed(
    function: Callable[..., R],
    each: Sequence[tuple[Any, ...]],
    executor: Executor,
    look: Callable[[int], None] | None = None,
) -> Iterator[tuple[int, R]]:
    """Calls a function with each tuple of arguments; gives numbers and results as they come.

    Two calls per worker are outstanding; the first failure cancels what has not begun, and waits for the others.
    `look` is called now and then with the number of every call that is under way.
    """
    most = 2 * workers(executor)
    waiting = list(reversed(range(len(each))))
    running: dict[Future[R], int] = {}
    try:
        while waiting or running:
            while waiting and len(running) < most:
                i = waiting.pop()
                running[executor.submit(function, *each[i])] = i
            done, _ = wait(running, PAUSE, return_when=FIRST_COMPLETED)  # a signal does not always end an endless one
            if look is not None:
                for i in running.values():
                    look(i)
            for future in done:
                yield running.pop(future), future.result()
    except BaseException as e:
        begun = [future for future in running if not future.cancel()]
        if isinstance(e, Exception):  # what they write is to be removed, and nobody may write there then
            wait(begun)
        raise


def in_order(function: Callable[[T], R], items: Sequence[T], executor: Executor) -> list[R]:
    """What a function gives for every item, in their order."""
    found = dict(completed(function, [(item,) for item in items], executor))
    return [found[i] for i in range(len(items))]


def workers(executor: Executor) -> int:
    """How many workers an executor has, as far as it says."""
    for name in ("_max_workers", "max_workers"):
        if isinstance(found := getattr(executor, name, None), int):
            return max(found, 1)
    client = getattr(executor, "_client", None)  # of Dask
    if client is not None:
        return max(len(client.scheduler_info().get("workers", {})), 1)
    return os.cpu_count() or 1


def threads_each(executor: Executor | None) -> int:
    """Threads for each worker of an executor; 0, as they are, without one."""
    return 0 if executor is None else max((os.cpu_count() or 1) // workers(executor), 1)
