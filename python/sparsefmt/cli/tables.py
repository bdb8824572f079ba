"""Tables on stdout: whole numbers at every width of a terminal; names give way first, then the table is stacked."""

import os
import shutil
import sys
from collections.abc import Sequence
from textwrap import wrap

from rich.cells import cell_len

from sparsefmt.cli.failures import printable

GAP = 2  # columns between two cells
NAME = 16  # columns of a name below which a table is stacked
TEXT = 24  # columns of a text below which a table is stacked


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1, *, text: bool = False) -> None:
    """Prints a table: full width where stdout is no terminal, else what fits the terminal.

    Args:
        headings: of the columns.
        rows: cells, of which those of the first column are names.
        left: so many columns, the first ones, are set to the left; the others to the right.
        text: the last column is prose, which is broken between words, and names are never elided.
    """
    width = terminal_width() if sys.stdout.isatty() else 0
    ellipsis = "…" if (sys.stdout.encoding or "").lower().startswith("utf") else "..."
    print("\n".join(laid_out(headings, rows, left, width, text=text, ellipsis=ellipsis)))


def terminal_width() -> int:
    """Columns of the terminal on stdout; of one that does not say it, what COLUMNS says, or 80."""
    return os.get_terminal_size(sys.stdout.fileno()).columns or shutil.get_terminal_size().columns


def laid_out(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    left: int = 1,
    width: int = 0,
    *,
    text: bool = False,
    ellipsis: str = "…",
) -> list[str]:
    """The lines of a table within `width` columns; 0: as wide as it is.

    What does not fit gives way in this order: columns in which all cells are empty, the middle of names (or the prose
    of the last column, which takes more lines), and then, also where two names would look alike, every row becomes
    lines of `heading value`, where no value is cut.

    >>> for line in laid_out(["name", "bytes"], [["layers.0.mlp.down_proj.weight", "1,536"]], width=24):
    ...     print(line)
    name               bytes
    layers.0…j.weight  1,536
    >>> for line in laid_out(["name", "shape", "bytes"], [["layers.0.weight", "64x4096", "1,536"]], 2, width=24):
    ...     print(line)
    layers.0.weight
      shape 64x4096
      bytes 1,536
    """
    cells = [[printable(cell) for cell in row] for row in rows]
    kept = list(range(len(headings)))
    widths = _widths(headings, cells)
    if width and _total(widths) > width:
        kept = [i for i in kept if i == 0 or any(row[i] for row in cells)]
    headings = [headings[i] for i in kept]
    left = sum(i < left for i in kept)
    cells = [[row[i] for i in kept] for row in cells]
    widths = [widths[i] for i in kept]
    over = _total(widths) - width if width else 0
    if over <= 0:
        return _lines(headings, cells, widths, left)
    at = len(widths) - 1 if text else 0
    room = widths[at] - over
    if room < (TEXT if text else NAME):
        return _stacked(headings, cells, width, ellipsis, text=text)
    widths[at] = room
    if not text:
        names = [elided(row[0], room, ellipsis) for row in cells]
        if len(set(names)) < len({row[0] for row in cells}):  # two names look alike
            return _stacked(headings, cells, width, ellipsis, text=text)
        return _lines(headings, [[name, *row[1:]] for name, row in zip(names, cells, strict=True)], widths, left)
    broken = []
    for row in cells:
        first, *others = wrap(row[-1], room) or [""]
        broken.append([*row[:-1], first])
        broken += [[""] * at + [other] for other in others]
    return _lines(headings, broken, widths, len(widths))


def elided(name: str, width: int, ellipsis: str = "…") -> str:
    """`name` in `width` columns; the middle gives way.

    >>> elided("model.layers.0.weight", 11)
    'model…eight'
    """
    if _len(name) <= width:
        return name
    room = max(width - len(ellipsis), 0)
    head, tail = name[: room - room // 2], name[len(name) - room // 2 :]
    while _len(head) + _len(tail) > room:  # of wide characters
        head, tail = (head[:-1], tail) if _len(head) >= _len(tail) else (head, tail[1:])
    return (head + ellipsis + tail)[: max(width, 0)]


def _len(text: str) -> int:
    """Columns that a text takes."""
    return len(text) if text.isascii() else cell_len(text)


def _widths(headings: Sequence[str], cells: Sequence[Sequence[str]]) -> list[int]:
    return [max([len(heading), *(_len(row[i]) for row in cells)]) for i, heading in enumerate(headings)]


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)


def _lines(headings: Sequence[str], cells: Sequence[Sequence[str]], widths: Sequence[int], left: int) -> list[str]:
    gap, found = " " * GAP, []
    for row in (headings, *cells):
        padded = [
            cell + " " * (width - _len(cell)) if i < left else " " * (width - _len(cell)) + cell
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        found.append(gap.join(padded).rstrip())
    return found


def _stacked(
    headings: Sequence[str], cells: Sequence[Sequence[str]], width: int, ellipsis: str, *, text: bool
) -> list[str]:
    """Every row as its name and lines of `heading value`, as many on a line as fit."""
    found: list[str] = []
    for row in cells:
        found += wrap(row[0], width) if text else [elided(row[0], width, ellipsis)]
        line = ""
        for heading, cell in zip(headings[1:], row[1:], strict=True):
            if not cell:
                continue
            pair = f"{heading} {cell}"
            if line and 2 + _len(line) + GAP + _len(pair) <= width:
                line += " " * GAP + pair
                continue
            found += [f"  {line}"] * bool(line)
            line = pair
            if 2 + _len(line) > width:  # words go to lines of their own, and stay whole
                *full, line = wrap(line, width - 2, break_long_words=False, break_on_hyphens=False)
                found += [f"  {part}" for part in full]
        found += [f"  {line}"] * bool(line)
    return found
