"""How a Binsparse descriptor names its format, also where the levels are spelt out, and its version."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from sparsefmt.base.errors import FormatError, VersionError

VERSION = "0.1.0"
"""What is written; 0.1 and 0.1.x are read."""

_LEVELS: dict[str, tuple[tuple[str, int], ...]] = {
    "DVEC": (("dense", 1),),
    "DMATR": (("dense", 2),),
    "CVEC": (("sparse", 1),),
    "CSR": (("dense", 1), ("sparse", 1)),
    "DCSR": (("sparse", 1), ("sparse", 1)),
    "COOR": (("sparse", 2),),
}
_TURNED = {"DMATR": "DMATC", "CSR": "CSC", "DCSR": "DCSC", "COOR": "COOC"}
_ALIASES = {"COO": "COOR", "DMAT": "DMATR", "VEC": "CVEC"}


def check_version(version: object) -> None:
    """Raises VersionError for what is neither 0.1 nor 0.1.x."""
    if not re.fullmatch(r"0\.1(\.\d+)?([-+].*)?", str(version)):
        msg = f"version {str(version)[:80]!r} of Binsparse is unknown, have 0.1; the package binsparse may read it"
        raise VersionError(msg)


def format_name(inner: Mapping[str, Any]) -> str:
    """The name of a predefined format, also where its levels are spelt out."""
    given = inner.get("format")
    custom = inner.get("custom") if given in (None, "custom") else given
    if isinstance(custom, str):
        name = _ALIASES.get(custom, custom)
        if name in _LEVELS or name in _TURNED.values():
            return name
    elif isinstance(custom, Mapping):
        turned = custom.get("transpose", custom.get("swizzle", inner.get("swizzle")))
        root = custom["level"] if isinstance(custom.get("level"), Mapping) else custom
        levels = _levels(root)
        for name, known in _LEVELS.items():
            if levels == _apart(known) and turned in (None, [0], [0, 1]):
                return name
            if levels == _apart(known) and turned == [1, 0] and name in _TURNED:
                return _TURNED[name]
    known_names = ", ".join([*_LEVELS, *_TURNED.values(), *_ALIASES])
    msg = f"format {str(custom if given in (None, 'custom') else given)[:80]!r} is unknown; have {known_names}"
    raise FormatError(msg)


def _levels(root: object) -> list[tuple[str, int]] | None:
    """Kind and rank of each level from the outermost; None where the description makes no sense.

    Releases name the kind `level_desc` and what is inside `level`; older drafts say `level` and `subformat`.
    """
    found: list[tuple[str, int]] = []
    for _ in range(4):
        if not isinstance(root, Mapping):
            return None
        new = "level_desc" in root
        kind, rank = root.get("level_desc" if new else "level"), root.get("rank")
        if kind == "element":
            return _apart(found)
        if not isinstance(kind, str) or type(rank) is not int or rank < 1:
            return None
        found.append((kind, rank))
        root = root.get("level" if new else "subformat")
    return None


def _apart(levels: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    """The same levels with dense ones of one axis each: a dense level of rank 2 is one within another."""
    return [
        (kind, 1 if kind == "dense" else rank)
        for kind, rank in levels
        for _ in range(min(rank, 3) if kind == "dense" else 1)
    ]
