"""`sparsefmt convert`."""

from collections.abc import Mapping
from pathlib import Path

import click

import sparsefmt as sf
from sparsefmt.base.errors import FormatError
from sparsefmt.checkpoint.entry import Value
from sparsefmt.checkpoint.folder import write_model
from sparsefmt.checkpoint.model import open_checkpoint
from sparsefmt.checkpoint.readers.base import Source
from sparsefmt.checkpoint.recipe import Recipe
from sparsefmt.checkpoint.select import Selection
from sparsefmt.cli import options
from sparsefmt.cli.paths import check_out
from sparsefmt.cli.progress import progress, size


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
    model = open_checkpoint(source)
    packed = [name for name, entry in model.entries.items() if entry.is_packed]
    if not packed:
        msg = f"{source} holds no packed tensor; use sparsefmt pack"
        raise FormatError(msg)
    with options.usage():
        chosen = Selection(include, exclude).chosen(packed)
    recipe = Recipe(fmt, skip=skip, exact=True)
    before, after = [], []

    with progress(model.nbytes) as advance:

        def step(shard: Source, names: list[str]) -> tuple[Mapping[str, Value], Mapping[str, str]]:
            made: dict[str, Value] = {}
            for name in names:
                value = made[name] = shard.read(name)
                if isinstance(value, sf.SparseTensor) and name in chosen:
                    made[name] = recipe.pack(name, value)
                    before.append(value.nbytes)
                    after.append(made[name].nbytes)
                advance(name, model.entries[name].nbytes)
            return made, shard.metadata

        left = write_model(model, out, step)
    click.echo(f"converted {len(after)} tensors to {fmt}: {size(sum(before))} -> {size(sum(after))}; wrote {out}")
    options.say_left_out(model, left)
