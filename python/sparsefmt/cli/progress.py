"""A progress bar on stderr, and tables on stdout."""

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table
from rich.text import Text

from sparsefmt.cli.failures import printable

Advance = Callable[[str, int], None]


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
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=quiet or not sys.stderr.isatty()) as bar:
        task = bar.add_task("", total=total, at="")

        def advance(name: str, nbytes: int) -> None:
            bar.update(task, advance=nbytes, at=Text(printable(name)).markup)

        yield advance


def table(headings: list[str], rows: list[list[str]], left: int = 1) -> None:
    """Prints a table; the first `left` columns and those of text are on the left. Wide where stdout is no terminal."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for i, heading in enumerate(headings):
        made.add_column(heading, justify="left" if i < left else "right", overflow="fold", no_wrap=i > 0)
    for row in rows:
        made.add_row(*(Text(printable(cell)) for cell in row))
    if sys.stdout.isatty():
        Console(highlight=False).print(made)
        return
    console = Console(file=io.StringIO(), width=10_000, highlight=False)
    with console.capture() as captured:
        console.print(made)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))


def size(nbytes: float) -> str:
    """Bytes for people: "17.3 MiB"."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if nbytes < 1024:
            return f"{nbytes:.0f} B" if unit == "B" else f"{nbytes:.1f} {unit}"
        nbytes /= 1024
    return f"{nbytes:.1f} TiB"
