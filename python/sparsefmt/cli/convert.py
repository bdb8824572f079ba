"""`sparsefmt convert`."""

from collections.abc import Mapping
from pathlib import Path

import click

import sparsefmt as sf
from sparsefmt.base.errors import FormatError
from sparsefmt.cli import options
from sparsefmt.cli.models import open_model
from sparsefmt.cli.outputs import check_out, write_model
from sparsefmt.cli.progress import progress, size
from sparsefmt.cli.recipe import Recipe
from sparsefmt.cli.selection import Selection
from sparsefmt.cli.sources import Source, Value


@click.command()
@options.path_argument("source", "IN")
@options.path_argument("out", "OUT")
@options.format_option
@click.option("--skip", is_flag=True, help="Leave tensors as they are that have not the pattern, instead of stopping.")
@options.include_option
@options.exclude_option
@options.force_option
def convert(
    source: Path, out: Path, fmt: str, skip: bool, include: tuple[str, ...], exclude: tuple[str, ...], force: bool
) -> None:
    """Converts the packed tensors of IN to another format, exactly; plain tensors stay plain.

    IN is a file that `sparsefmt pack` wrote, or a folder of them; OUT is then a folder too.
    """
    check_out(source, out, (".safetensors",), force=force)
    model = open_model(source)
    packed = [name for name, entry in model.entries.items() if entry.format != "plain"]
    if not packed:
        msg = f"{source} holds no packed tensor; use sparsefmt pack"
        raise FormatError(msg)
    selection = Selection(include, exclude)
    selection.check_globs(packed)
    recipe = Recipe(fmt, skip=skip, exact=True)
    before, after = [], []

    with progress(model.nbytes) as advance:

        def step(shard: Source) -> tuple[Mapping[str, Value], Mapping[str, str]]:
            made: dict[str, Value] = {}
            for name, entry in shard.entries.items():
                value = made[name] = shard.read(name)
                if isinstance(value, sf.SparseTensor) and selection.names(name):
                    made[name] = recipe.pack(name, value)
                    before.append(value.nbytes)
                    after.append(made[name].nbytes)
                advance(name, entry.nbytes)
            return made, shard.metadata

        write_model(model, out, step)
    click.echo(f"converted {len(after)} tensors to {fmt}: {size(sum(before))} -> {size(sum(after))}; wrote {out}")
