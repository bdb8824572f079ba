"""`sparsefmt formats`."""

import click

from sparsefmt.cli.progress import table
from sparsefmt.structures.registry import STRUCTURES


@click.command()
def formats() -> None:
    """Lists the format texts: {..} is a number, [..] may be left out."""
    rows = [[s.template, s.example, (s.__doc__ or "").partition("\n")[0]] for s in STRUCTURES.values()]
    table(["format", "example", "what is stored"], rows, left=3)
