"""How far jobs are that run elsewhere: each notes it in a small file, and whoever waits reads them."""

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self, TypeAlias

Advance: TypeAlias = Callable[[str, int], None]
"""Called with the name of a tensor and the bytes of it that are done."""

PAUSE = 0.25
"""Seconds between two notes, and between two looks."""


def note_of(manifest: Path) -> Path:
    """Where a job notes how far it is."""
    return manifest.with_suffix(".ticks")


class Ticker:
    """Notes how many bytes a job has done, a few times a second; the note is gone when the block ends.

    Args:
        manifest: of the job.
    """

    def __init__(self, manifest: Path) -> None:
        self._note = note_of(manifest)
        self._done, self._last = 0, 0.0

    def __enter__(self) -> Self:
        self._write()
        return self

    def __call__(self, name: str, nbytes: int) -> None:
        """Counts."""
        self._done += nbytes
        if time.monotonic() - self._last > PAUSE:
            self._write()

    def _write(self) -> None:
        self._last = time.monotonic()
        with contextlib.suppress(OSError):  # it is no part of the result
            self._note.write_text(f"{os.getpid():20} {self._done:20}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._note.unlink()


class Watch:
    """Tells a progress what the notes say.

    Args:
        progress: to be called. A method `worker` of it is called with the id of a process, the shard it is at, the
            bytes of that which are done, and all of them; once more at the end.
    """

    def __init__(self, progress: Advance) -> None:
        self._progress = progress
        self._by_worker: Callable[[int, str, int, int], None] | None = getattr(progress, "worker", None)
        self._seen: dict[Path, tuple[int, int]] = {}

    def look(self, name: str, manifest: Path, total: int) -> None:
        """Reads the note of a job that runs."""
        with contextlib.suppress(OSError, ValueError):
            worker, done = map(int, note_of(manifest).read_text().split())
            before = self._seen.get(manifest, (0, 0))[1]
            self._seen[manifest] = worker, max(done, before)
            self._tell(name, worker, max(done, before) - before, max(done, before), total)

    def finish(self, name: str, manifest: Path, total: int) -> None:
        """A job is done."""
        worker, before = self._seen.pop(manifest, (0, 0))
        self._tell(name, worker, max(total - before, 0), total, total)

    def _tell(self, name: str, worker: int, more: int, done: int, total: int) -> None:
        self._progress(name, more)
        if worker and self._by_worker is not None:
            self._by_worker(worker, name, done, total)
