"""`sparsefmt unpack`."""

from collections.abc import Mapping
from pathlib import Path

import click

from sparsefmt.cli import options
from sparsefmt.cli.models import open_model
from sparsefmt.cli.outputs import DENSE_SUFFIXES, as_dense, check_out, write_model
from sparsefmt.cli.progress import progress
from sparsefmt.cli.selection import Selection, nothing_selected
from sparsefmt.cli.sources import Source, Value


@click.command()
@options.path_argument("source", "IN")
@options.path_argument("out", "OUT")
@options.include_option
@options.exclude_option
@options.force_option
def unpack(source: Path, out: Path, include: tuple[str, ...], exclude: tuple[str, ...], force: bool) -> None:
    """Decodes the packed tensors of IN.

    OUT is .safetensors or .npz (all tensors), .npy (one tensor, dense) or .mtx (one matrix: coordinates
    if it is packed); a folder if IN is one. bfloat16 and float8 go to .safetensors only.
    """
    check_out(source, out, DENSE_SUFFIXES, force=force)
    model = open_model(source)
    selection = Selection(include, exclude)
    selection.check_globs(model.entries)
    chosen = {name for name in model.entries if selection.names(name)}
    if not chosen:
        raise nothing_selected(model.entries, "is chosen")
    decode_now = model.is_folder or out.name.endswith(".safetensors")  # else the writer decodes one at a time

    with progress(sum(model.entries[name].nbytes for name in chosen)) as advance:

        def step(shard: Source) -> tuple[Mapping[str, Value], Mapping[str, str]]:
            made: dict[str, Value] = {}
            for name in shard.entries:
                if name in chosen:
                    value = shard.read(name)
                    made[name] = as_dense(value) if decode_now else value
                    advance(name, shard.entries[name].nbytes)
            return made, shard.metadata

        write_model(model, out, step)
    click.echo(f"unpacked {len(chosen)} of {len(model.entries)} tensors; wrote {out}")
