"""`sparsefmt unpack`."""

from collections.abc import Mapping
from pathlib import Path

import click

from sparsefmt.checkpoint.entry import Value
from sparsefmt.checkpoint.folder import write_model
from sparsefmt.checkpoint.model import open_checkpoint
from sparsefmt.checkpoint.outputs import DENSE_SUFFIXES, as_dense
from sparsefmt.checkpoint.readers.base import Source
from sparsefmt.checkpoint.select import Selection, nothing_selected
from sparsefmt.cli import options
from sparsefmt.cli.paths import check_out
from sparsefmt.cli.progress import progress


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
    model = open_checkpoint(source)
    with options.usage():
        chosen = Selection(include, exclude).chosen(model)
    if not chosen:
        raise nothing_selected(model.entries, "is chosen")
    decode_now = model.is_folder or out.name.endswith(".safetensors")  # else the writer decodes one at a time

    with progress(sum(model.entries[name].nbytes for name in chosen)) as advance:

        def step(shard: Source, names: list[str]) -> tuple[Mapping[str, Value], Mapping[str, str]]:
            made: dict[str, Value] = {}
            for name in names:
                if name in chosen:
                    value = shard.read(name)
                    made[name] = as_dense(value) if decode_now else value
                    advance(name, shard.entries[name].nbytes)
            return made, shard.metadata

        left = write_model(model, out, step)
    click.echo(f"unpacked {len(chosen)} of {len(model.entries)} tensors; wrote {out}")
    options.say_left_out(model, left)
