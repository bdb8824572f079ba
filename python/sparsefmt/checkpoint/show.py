"""How a checkpoint shows itself in a notebook."""

from collections.abc import Mapping
from html import escape

from sparsefmt.base.words import many
from sparsefmt.checkpoint.entry import Entry

SHOWN = 40
"""Tensors that are listed."""
HEADS = ("tensor", "shape", "dtype", "format", "bytes", "shard")


def html(title: str, entries: Mapping[str, Entry]) -> str:
    """A table of the first tensors, and how many there are."""
    heads = "".join(f"<th scope='col'>{head}</th>" for head in HEADS)
    rows = []
    for name, e in list(entries.items())[:SHOWN]:
        cells = (name, " × ".join(map(str, e.shape)), e.dtype, e.format, f"{e.nbytes:,}", e.shard)  # noqa: RUF001
        rows.append(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>")
    total = f"{many(len(entries), 'tensor')}, {sum(e.nbytes for e in entries.values()):,} bytes"
    if len(entries) > SHOWN:
        total += f"; the first {SHOWN} are shown"
    return (
        f"<table><caption>{escape(title)}: {total}</caption><thead><tr>{heads}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>"
    )
