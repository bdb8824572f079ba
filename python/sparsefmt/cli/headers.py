"""What `sparsefmt inspect --quick` says: headers alone are read."""

from typing import Any

import click

from sparsefmt.base.words import many
from sparsefmt.checkpoint.model import Checkpoint
from sparsefmt.cli.foreign import bits, dense_bytes, entry_json, total_json
from sparsefmt.cli.progress import size
from sparsefmt.cli.tables import table


def headers(model: Checkpoint) -> None:
    """Prints a row for every tensor, and totals."""
    rows = []
    for name, e in model.entries.items():
        shape = "x".join(map(str, e.shape)) or "scalar"
        rows.append([name, shape, e.dtype, e.format, f"{e.nbytes:,}", f"{bits(e):.2f}"])
    stored, dense = model.nbytes, sum(dense_bytes(e) for e in model.entries.values())
    rows.append(["total", "", "", many(len(rows), "tensor"), f"{stored:,}", ""])
    table(["name", "shape", "dtype", "format", "bytes", "bits/weight"], rows, left=4)
    ratio = f"{stored / dense:.1%} of {size(dense)} dense" if dense else "empty"
    click.echo(f"{size(stored)} stored, {ratio}; headers only: densities and scales were not read")


def headers_json(model: Checkpoint) -> dict[str, Any]:
    """The same as JSON."""
    tensors = [
        {**entry_json(name, e), **({"file": e.shard} if model.is_folder else {})} for name, e in model.entries.items()
    ]
    return {"tensors": tensors, "total": total_json(model)}
