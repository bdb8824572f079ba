"""`sparsefmt log`."""

import json
from pathlib import Path
from typing import Any

import click

from sparsefmt.cli import options
from sparsefmt.cli.diff import nbytes
from sparsefmt.cli.progress import size
from sparsefmt.cli.tables import table
from sparsefmt.delta.formats import load
from sparsefmt.delta.model import Delta


@click.command()
@click.argument("paths", metavar="DELTA...", nargs=-1, required=True, type=options.LocalPath())
@options.json_option
def log(paths: tuple[Path, ...], as_json: bool) -> None:
    """Shows what each DELTA changes, and whether each begins where the one before ends."""
    rows: list[dict[str, Any]] = []
    before: Delta | None = None
    for path in paths:
        found = load(path)
        if isinstance(found, Delta):
            stats = found.stats()
            row = {name: getattr(stats, name) for name in stats.__slots__}
            rows.append({"delta": str(path), "bytes": nbytes(path), "level": found.level, **row})
            rows[-1]["follows"] = None if before is None else follows(before, found)
            before = found
        else:
            rows += [
                {"delta": str(v.path), "bytes": nbytes(v.path), "version": v.version, "base": v.base}
                | {"changed_tensors": len(v.names), "level": "full" if v.full else "delta"}
                for v in found.versions
            ]
            before = None
    if as_json:
        click.echo(json.dumps(rows))
        return
    cells = [
        [
            row["delta"],
            row["level"],
            size(row["bytes"]),
            str(row["changed_tensors"]),
            f"{row['changed']:,}" if "changed" in row else "",
            f"{row['changed'] / row['values']:.2%}" if row.get("values") else "",
            {True: "yes", False: "NO", None: ""}[row.get("follows")]
            if "version" not in row
            else f"{row['base'] or 'any'} -> {row['version']}",
        ]
        for row in rows
    ]
    table(["delta", "level", "bytes", "tensors", "values", "density", "follows"], cells, left=2)


def follows(first: Delta, second: Delta) -> bool:
    """Whether every tensor of the second begins at the version at which the first ends."""
    ends = {n: c.new for n, c in first.changes.items()}
    ends |= {n: w.new_sum for n, w in first.wholes.items() if w.new_sum is not None}
    begins = {n: c.old for n, c in second.changes.items()}
    begins |= {n: w.old_sum for n, w in second.wholes.items() if w.old_sum is not None}
    return ends == begins
