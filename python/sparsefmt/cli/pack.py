"""`sparsefmt pack`."""

import json
from collections.abc import Mapping
from pathlib import Path

import click

import sparsefmt as sf
from sparsefmt.base.errors import FormatError
from sparsefmt.cli import options
from sparsefmt.cli.models import open_model
from sparsefmt.cli.outputs import check_out, write_model
from sparsefmt.cli.progress import progress, size
from sparsefmt.cli.recipe import PRUNED, Recipe
from sparsefmt.cli.selection import MIN_SIZE, RULE, Selection, nothing_selected
from sparsefmt.cli.sources import Entry, Source, Value


@click.command(epilog=RULE)
@options.path_argument("source", "IN")
@options.path_argument("out", "OUT")
@options.format_option
@click.option(
    "--prune",
    is_flag=True,
    help="Zero what the format cannot keep: N:M by magnitude, bsr by block, others by magnitude.",
)
@click.option(
    "--density", type=click.FloatRange(0, 1), help="With --prune: the share of weights (bsr: of blocks) to keep."
)
@click.option("--skip", is_flag=True, help="Leave tensors plain that have not the pattern, instead of stopping.")
@options.include_option
@options.exclude_option
@click.option(
    "--min-size", type=click.IntRange(0), help=f"Least number of elements; default {MIN_SIZE}, 0 with --include."
)
@options.force_option
def pack(
    source: Path,
    out: Path,
    fmt: str,
    prune: bool,
    density: float | None,
    skip: bool,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    min_size: int | None,
    force: bool,
) -> None:
    """Packs the tensors of IN into the safetensors file OUT.

    IN is a .safetensors, .npy, .npz (NumPy's or SciPy's) or .mtx file, or a model folder with
    safetensors shards; OUT is then a folder too. Packing is exact, but for -0.0, which may become 0.0,
    unless --prune is given or the format names a codec (nm2:4/int4:g128). A tensor that lacks the
    pattern of the format is an error unless --prune or --skip is given.
    """
    recipe = Recipe(fmt, prune, density, skip)
    selection = Selection(include, exclude, min_size)
    check_out(source, out, (".safetensors",), force=force)
    model = open_model(source)
    selection.check_globs(model.entries)
    chosen = {name for name, entry in model.entries.items() if selection.packs(name, entry)}
    check_chosen(chosen, model.entries)
    packed: list[tuple[int, int]] = []

    with progress(model.nbytes) as advance:

        def step(shard: Source) -> tuple[Mapping[str, Value], Mapping[str, str]]:
            made: dict[str, Value] = {}
            pruned = []
            for name, entry in shard.entries.items():
                value = made[name] = shard.read(name)
                if name in chosen:
                    made[name] = recipe.pack(name, value)
                    if isinstance(made[name], sf.SparseTensor):
                        packed.append((dense_bytes(made[name]), made[name].nbytes))
                        pruned += [name] * prune
                advance(name, entry.nbytes)
            return made, dict(shard.metadata) | ({PRUNED: json.dumps(pruned)} if pruned else {})

        write_model(model, out, step)
    before, after = (sum(column) for column in zip(*packed, strict=True)) if packed else (0, 0)
    change = f"{size(before)} -> {size(after)}" + (f" ({after / before:.1%})" if before else "")
    click.echo(f"packed {len(packed)} of {len(model.entries)} tensors as {fmt}: {change}; wrote {out}")


def dense_bytes(value: Value) -> int:
    """Bytes of the decoded array."""
    return int(value.size) * value.dtype.itemsize


def check_chosen(chosen: set[str], entries: Mapping[str, Entry]) -> None:
    """Refuses an empty choice, and tensors of a safetensors file that are packed already.

    Raises:
        FormatError: either.
    """
    for name in sorted(chosen):
        if not entries[name].lone and entries[name].format != "plain":
            msg = f"{name}: the tensor is packed already, as {entries[name].format}; use sparsefmt convert"
            raise FormatError(msg)
    sparse = [name for name, entry in entries.items() if entry.lone and name not in chosen]
    if not chosen or sparse:
        raise nothing_selected(entries, "is packed by the rule of sparsefmt pack --help")
