"""A progress bar on stderr, and sizes for people."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
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
        task = bar.add_task("", total=total, at="")
        waiting, shown = 0, 0.0

        def advance(name: str, nbytes: int) -> None:
            nonlocal waiting, shown
            waiting += nbytes
            if (now := time.monotonic()) - shown >= _PAUSE:  # a tensor may take less time than a line on a terminal
                bar.update(task, advance=waiting, at=Text(printable(name)).markup)
                waiting, shown = 0, now

        yield advance


def size(nbytes: float) -> str:
    """Bytes for people: "17.3 MiB"."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if nbytes < 1024:
            return f"{nbytes:.0f} B" if unit == "B" else f"{nbytes:.1f} {unit}"
        nbytes /= 1024
    return f"{nbytes:.1f} TiB"
