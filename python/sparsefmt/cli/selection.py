"""Which tensors a command works on."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

import click

from sparsefmt.base.errors import FormatError
from sparsefmt.cli.sources import Entry

MIN_SIZE = 1024

RULE = f"""Without --include, 2-d tensors of floating or complex numbers with at least {MIN_SIZE} elements
(--min-size) are packed; all others stay plain: other ranks, integers, booleans, small ones. The one
tensor of an .npy or .mtx file or of SciPy's .npz is always packed. With --include, exactly the tensors
whose names match are packed, of any rank but 0, any dtype and any size (--min-size, if given, holds for
them too). --exclude wins over both. Embedding tables are 2-d too: leave them out with
--exclude '*embed*' where you prune."""


@dataclass(frozen=True)
class Selection:
    """Glob patterns for names; `min_size` in elements, or None for the default."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    min_size: int | None = None

    def names(self, name: str) -> bool:
        """Whether the patterns admit a name."""
        wanted = not self.include or any(fnmatchcase(name, glob) for glob in self.include)
        return wanted and not any(fnmatchcase(name, glob) for glob in self.exclude)

    def packs(self, name: str, entry: Entry) -> bool:
        """Whether a tensor is packed, by `RULE`."""
        if not self.names(name) or not entry.shape:
            return False
        if self.include:
            return entry.size >= (self.min_size or 0)
        if entry.lone:
            return True
        least = MIN_SIZE if self.min_size is None else self.min_size
        return len(entry.shape) == 2 and entry.is_inexact and entry.size >= least

    def check_globs(self, names: Iterable[str]) -> None:
        """Refuses an `--include` that matches nothing.

        Raises:
            UsageError: one matches no name.
        """
        names = list(names)
        for glob in self.include:
            if not any(fnmatchcase(name, glob) for name in names):
                near = difflib.get_close_matches(glob, names, 3, 0.4)
                hint = f"; near: {', '.join(near)}" if near else ""
                msg = f"--include {glob!r} matches none of the {len(names)} tensors{hint}"
                raise click.UsageError(msg)


def nothing_selected(names: Iterable[str], what: str) -> FormatError:
    """The error for a selection that is empty."""
    names = list(names)
    shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    return FormatError(f"none of the {len(names)} tensors ({shown}) {what}; choose with --include GLOB")
