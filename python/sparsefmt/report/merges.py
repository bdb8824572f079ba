"""What a report says of a merge: cosines, conflicts of signs, shares kept, as `sparsefmt merge --report` wrote them."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from sparsefmt.base.errors import FormatError
from sparsefmt.base.words import many
from sparsefmt.report.page import cards, kind_of, rows_table

Merge = str | os.PathLike[str] | Sequence[Any]
_KEYS = ("name", "cosines", "lengths", "conflicts", "kept")


def read(merge: Merge) -> list[dict[str, Any]]:
    """The lines of a merge: the path of the JSON that `sparsefmt merge --report` writes, or what it was made from.

    Raises:
        FormatError: it is something else.
    """
    if isinstance(merge, str | os.PathLike):
        try:
            found: Any = json.loads(Path(merge).read_bytes())
        except (ValueError, RecursionError) as e:
            msg = f"{merge}: want the JSON that `sparsefmt merge --report FILE` writes: {e}"
            raise FormatError(msg) from e
    else:
        found = merge
    if not isinstance(found, Sequence) or isinstance(found, str):
        found = [None]
    lines = [asdict(line) if is_dataclass(line) and not isinstance(line, type) else line for line in found]
    for line in lines:
        if not isinstance(line, Mapping) or any(key not in line for key in _KEYS):
            msg = f"merge: want what `sparsefmt merge --report FILE` writes, with {', '.join(_KEYS)} for every tensor"
            raise FormatError(msg)
    return lines


def section(merge: Merge) -> str:
    """Means, a table by kind of layer, and one of all tensors, most conflicts first."""
    lines = read(merge)
    if not lines:
        return "<p>No tensor was merged.</p>"
    shown = [(f"{len(lines):,}", "tensors merged")]
    if pairs := [c for line in lines for c in line["cosines"]]:
        shown.append((f"{mean(pairs):.3f}", "mean cosine between what was learned"))
        shown.append((f"{min(pairs):.3f}", "smallest cosine"))
    shown.append((f"{mean([line['conflicts'] for line in lines]):.1%}", "of elements with conflicts of signs"))
    if kept := [k for line in lines for k in line["kept"]]:
        shown.append((f"{mean(kept):.1%}", "of what was learned is kept"))
    kinds: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        kinds.setdefault(kind_of(line["name"]), []).append(line)
    by_kind = [(kind, f"{len(of)}", *numbers(of)) for kind, of in kinds.items()]
    each = [(line["name"], *numbers([line]), lengths(line)) for line in sorted(lines, key=lambda x: -x["conflicts"])]
    return (
        cards(shown)
        + "<h3>By kind of layer</h3>"
        + rows_table("merge-kinds", ("kind", "tensors", "mean cosine", "sign conflicts", "kept"), by_kind)
        + f"<details><summary>All {many(len(lines), 'tensor')}, most conflicts first</summary>"
        + rows_table("merge-tensors", ("tensor", "mean cosine", "sign conflicts", "kept", "lengths"), each)
        + "</details>"
    )


def mean(values: Sequence[float]) -> float:
    """The mean; 0 of nothing."""
    return sum(values) / len(values) if values else 0.0


def numbers(lines: Sequence[Mapping[str, Any]]) -> tuple[str, str, str]:
    """Mean cosine, conflicts and share kept of some tensors."""
    pairs, kept = ([v for line in lines for v in line[key]] for key in ("cosines", "kept"))
    conflicts = mean([line["conflicts"] for line in lines])
    return f"{mean(pairs):.3f}" if pairs else "-", f"{conflicts:.1%}", f"{mean(kept):.1%}" if kept else "-"


def lengths(line: Mapping[str, Any]) -> str:
    """The lengths of what each model learned."""
    return ", ".join(f"{length:.3g}" for length in line["lengths"])
