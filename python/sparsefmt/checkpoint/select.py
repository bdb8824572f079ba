"""Which tensors an operation works on."""

import difflib
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from fnmatch import translate

from sparsefmt.base.errors import FormatError
from sparsefmt.checkpoint.entry import Entry

MIN_SIZE = 1024

RULE = f"""Without --include, 2-d tensors of floating or complex numbers with at least {MIN_SIZE} elements
(--min-size) are packed; all others stay plain: other ranks, integers, booleans, small ones. The one
tensor of an .npy or .mtx file or of SciPy's .npz is always packed. With --include, exactly the tensors
whose names match are packed, of any rank but 0, any dtype and any size (--min-size, if given, holds for
them too). --exclude wins over both. Embedding tables are 2-d too: leave them out with
--exclude '*embed*' where you prune."""


@dataclass(frozen=True)
class Selection:
    """Names and glob patterns of tensors; a text that is the name of a tensor means that one alone.

    Args:
        include: what is taken; empty: all.
        exclude: what is left; wins.
        min_size: elements, or None for the default.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    min_size: int | None = None

    def chosen(self, names: Iterable[str]) -> set[str]:
        """The names that the patterns admit.

        Raises:
            FormatError: a pattern matches no name.
        """
        names = list(names)
        known = set(names)
        wanted = known if not self.include else union(matches(g, names, known, "include") for g in self.include)
        return wanted - union(matches(glob, names, known, "exclude") for glob in self.exclude)

    def packs(self, entry: Entry) -> bool:
        """Whether a tensor that the patterns admit is packed, by `RULE`."""
        if not entry.shape:
            return False
        if self.include:
            return entry.size >= (self.min_size or 0)
        if entry.lone:
            return True
        least = MIN_SIZE if self.min_size is None else self.min_size
        return len(entry.shape) == 2 and entry.is_inexact and entry.size >= least


def union(sets: Iterable[set[str]]) -> set[str]:
    """All that is in any of them."""
    return set().union(*sets)


def matches(glob: str, names: list[str], known: Collection[str], what: str) -> set[str]:
    """The names that a pattern matches; a name matches itself before it is a pattern.

    Raises:
        FormatError: none.
    """
    if glob in known:
        return {glob}
    fits = re.compile(translate(glob)).match
    found = {name for name in names if fits(name)}
    if not found:
        near = difflib.get_close_matches(glob, names[:10_000], 3, 0.4)
        hint = f"; near: {', '.join(near)}" if near else ""
        msg = f"--{what} {glob!r} matches none of the {len(names)} tensors{hint}"
        raise FormatError(msg)
    return found


def nothing_selected(names: Iterable[str], what: str) -> FormatError:
    """The error for a selection that is empty."""
    names = list(names)
    if not names:
        return FormatError("the file holds no tensor")
    shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    return FormatError(f"none of the {len(names)} tensors ({shown}) {what}; choose with --include GLOB")
