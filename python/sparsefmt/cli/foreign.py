"""What `sparsefmt inspect` says of files and checkpoints of others."""

from collections.abc import Mapping
from typing import Any

import click

from sparsefmt.base.dtypes import DTYPES
from sparsefmt.base.words import many
from sparsefmt.checkpoint.entry import Entry
from sparsefmt.checkpoint.model import Checkpoint
from sparsefmt.checkpoint.verification import Row
from sparsefmt.cli.errors import ERRORS, error_cells, error_json
from sparsefmt.cli.failures import printable
from sparsefmt.cli.progress import size
from sparsefmt.cli.tables import table

COLUMNS = ["name", "shape", "dtype", "format", "bytes", "bits/weight", "stored as"]


def foreign(model: Checkpoint, errors: Mapping[str, Row] | None) -> None:
    """Prints the format, the scheme, and a row for every tensor; headers only, unless errors were measured."""
    scheme = f"; config.json says {model.scheme}" if model.scheme else ""
    click.echo(printable(f"{model.path.name}: read by {model.reader}{scheme}"))
    rows = []
    for name, e in model.entries.items():
        shape = "x".join(map(str, e.shape)) or "scalar"
        cells = [name, shape, e.dtype, e.format, f"{e.nbytes:,}", f"{bits(e):.2f}", model.origin(name)]
        rows.append(cells + ([] if errors is None else error_cells(errors[name])))
    stored, dense = model.nbytes, sum(dense_bytes(e) for e in model.entries.values())
    headings = [*COLUMNS, *([] if errors is None else ERRORS)]
    total = ["total", "", "", many(len(rows), "tensor"), f"{stored:,}"]
    rows.append(total + [""] * (len(headings) - len(total)))
    table(headings, rows, left=4)
    ratio = f"{stored / dense:.1%} of {size(dense)} dense" if dense else "empty"
    packed = any(e.is_packed for e in model.entries.values())
    helps = "; sparsefmt unpack makes it dense" if packed or any(map(model.origin, model)) else ""
    helps += ", sparsefmt convert keeps it packed" if packed else ""
    click.echo(f"{size(stored)} stored, {ratio}{helps}")
    for text in model.left_out:
        click.echo(printable(f"left out: {text}"))


def foreign_json(model: Checkpoint, errors: Mapping[str, Row] | None) -> dict[str, Any]:
    """The same as JSON."""
    tensors = [
        {
            **entry_json(name, e),
            "stored_as": model.origin(name),
            "file": e.shard,
            **({} if errors is None else {"error": error_json(errors[name])}),
        }
        for name, e in model.entries.items()
    ]
    said = {"reader": model.reader, "scheme": model.scheme, "left_out": list(model.left_out)}
    return {**said, "tensors": tensors, "total": total_json(model)}


def entry_json(name: str, e: Entry) -> dict[str, Any]:
    """What a header says of a tensor."""
    return {
        "name": name,
        "shape": list(e.shape),
        "dtype": e.dtype,
        "format": e.format,
        "nbytes": e.nbytes,
        "bits_per_weight": bits(e),
    }


def total_json(model: Checkpoint) -> dict[str, int]:
    """The sums over all tensors."""
    dense = sum(dense_bytes(e) for e in model.entries.values())
    return {"tensors": len(model.entries), "nbytes": model.nbytes, "dense_nbytes": dense}


def bits(e: Entry) -> float:
    """Stored bits per element; 0 for an empty tensor."""
    return 8 * e.nbytes / e.size if e.size else 0.0


def dense_bytes(e: Entry) -> int:
    """Bytes of the decoded tensor."""
    return e.size * DTYPES[e.dtype].itemsize if e.dtype in DTYPES else e.nbytes
