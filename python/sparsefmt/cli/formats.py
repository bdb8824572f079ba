"""`sparsefmt formats`."""

import re

import click

from sparsefmt.cli.progress import table
from sparsefmt.codecs.raw import Raw
from sparsefmt.codecs.registry import CODECS
from sparsefmt.structures.registry import STRUCTURES


@click.command()
def formats() -> None:
    """Lists the format texts: {..} is a number, [..] may be left out, | separates choices."""
    rows = [[s.template, s.example, (s.__doc__ or "").partition("\n")[0]] for s in STRUCTURES.values()]
    brackets = r"\[.*?\]"
    for codec in CODECS.values():
        if codec is not Raw:
            text = (codec.__doc__ or "").partition("\n")[0]
            rows.append(
                [
                    f"{{structure}}/{codec.template}",
                    f"nm2:4/{re.sub(brackets, '', codec.template).replace('{K}', '16')}",
                    f"Lossy. {text}",
                ]
            )
    table(["format", "example", "what is stored"], rows, left=3)
