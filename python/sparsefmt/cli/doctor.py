"""`sparsefmt doctor`."""

import json
from pathlib import Path

import click

from sparsefmt.checkpoint.health import Finding, examine
from sparsefmt.checkpoint.model import open_checkpoint
from sparsefmt.checkpoint.remote import remote
from sparsefmt.cli import options
from sparsefmt.cli.failures import printable
from sparsefmt.cli.progress import progress
from sparsefmt.delta.health import damage

FOUND = 1
"""The exit code when something is wrong."""


@click.command()
@options.path_argument("model", "MODEL", remote=True)
@options.file_option
@options.json_option
def doctor(model: Path, file: str | None, as_json: bool) -> None:
    """Checks MODEL, of any kind that pack reads, and says in plain words what is wrong and what helps.

    Looks at the index and the shards, files that a writer left behind, NaN and infinities, tensors of zeros, scales
    near underflow, and formats that nobody else reads any more; of a delta, at the manifest and the tensors
    that come or go. Exit code 1: there are errors or warnings.
    """
    model.stat()
    try:
        with open_checkpoint(model, file=file) as c:
            total = c.nbytes
    except ValueError:
        total = 0  # what is wrong is found below
    with progress(total) as advance:
        found = list(examine(model, file=file, advance=advance))
        sound = not any(f.level == "error" for f in found)  # else that may be why it is read as no delta
        if sound and remote(model) is None:
            found += [Finding("error", model.name, text, "fetch it again, or make it anew") for text in damage(model)]
    if as_json:
        click.echo(json.dumps([f.to_json() for f in found], indent=1))
    for f in [] if as_json else found:
        click.echo(printable(f"{f.level}: {f.where}: {f.says}" + (f"; {f.helps}" if f.helps else "")))
    if not as_json and not found:
        click.echo(f"{printable(model.name)}: nothing is wrong")
    if any(f.level != "note" for f in found):
        raise click.exceptions.Exit(FOUND)
