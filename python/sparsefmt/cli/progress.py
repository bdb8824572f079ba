"""A progress bar on stderr, and sizes for people."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

from sparsefmt.cli.failures import printable

Advance = Callable[[str, int], None]
_PAUSE = 0.1  # seconds between two updates


@contextmanager
def progress(total: int, *, quiet: bool = False) -> Iterator[Advance]:
    """Gives a function to call with (name, bytes) after each tensor; shows nothing unless stderr is a terminal."""
    columns = (
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[at]}"),
    )
    if quiet or not sys.stderr.isatty():
        yield lambda name, nbytes: None
        return
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield Bars(bar, total)


class Bars:
    """A bar for the run, and one for each worker that is at a shard.

    Args:
        bar: where they are shown.
        total: bytes of the run.
    """

    def __init__(self, bar: Progress, total: int) -> None:
        self._bar = bar
        self._task = bar.add_task("", total=total, at="")
        self._waiting, self._shown = 0, 0.0
        self._workers: dict[int, tuple[str, TaskID]] = {}

    def __call__(self, name: str, nbytes: int) -> None:
        """So many more bytes are done."""
        self._waiting += nbytes
        if (now := time.monotonic()) - self._shown >= _PAUSE:  # a tensor may take less time than a line on a terminal
            self._bar.update(self._task, advance=self._waiting, at=Text(printable(name)).markup)
            self._waiting, self._shown = 0, now

    def worker(self, worker: int, name: str, done: int, total: int) -> None:
        """A worker is at a shard, and has done so much of it; see `sparsefmt.checkpoint.ticks.Watch`."""
        held = self._workers.get(worker)
        if held is not None and (held[0] != name or done >= total):
            self._bar.remove_task(held[1])
            del self._workers[worker]
        if done < total:
            at = Text(f"worker {worker}: {printable(name)}").markup
            if worker not in self._workers:
                self._workers[worker] = name, self._bar.add_task("", total=total, at=at)
            self._bar.update(self._workers[worker][1], completed=done)


def size(nbytes: float) -> str:
    """Bytes for people: "17.3 MiB"."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if nbytes < 1024:
            return f"{nbytes:.0f} B" if unit == "B" else f"{nbytes:.1f} {unit}"
        nbytes /= 1024
    return f"{nbytes:.1f} TiB"
