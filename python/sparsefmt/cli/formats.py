"""`sparsefmt formats`."""

import json

import click

from sparsefmt.cli import options
from sparsefmt.cli.tables import table
from sparsefmt.codecs.raw import Raw
from sparsefmt.codecs.registry import CODECS
from sparsefmt.structures.registry import STRUCTURES


@click.command()
@options.json_option
def formats(as_json: bool) -> None:
    """Lists the format texts: {..} is a number, [..] may be left out, | separates choices."""
    rows = [[s.template, s.example, (s.__doc__ or "").partition("\n")[0]] for s in STRUCTURES.values()]
    shown = {codec.template: codec for codec in CODECS.values() if codec is not Raw}  # the last of those that share one
    for template, codec in shown.items():
        text = (codec.__doc__ or "").partition("\n")[0]
        rows.append([f"{{structure}}/{template}", f"nm2:4/{codec.examples()[0]}", f"Lossy. {text}"])
    if as_json:
        click.echo(json.dumps([dict(zip(("format", "example", "stored"), row, strict=True)) for row in rows], indent=2))
        return
    table(["format", "example", "what is stored"], rows, left=3, text=True)
