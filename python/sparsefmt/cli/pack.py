"""`sparsefmt pack`."""

import json
from collections.abc import Mapping
from pathlib import Path

import click

import sparsefmt as sf
from sparsefmt.base.errors import FormatError
from sparsefmt.checkpoint.entry import Entry, Value
from sparsefmt.checkpoint.folder import write_model
from sparsefmt.checkpoint.model import open_checkpoint
from sparsefmt.checkpoint.readers.base import Source
from sparsefmt.checkpoint.recipe import PRUNED, Recipe
from sparsefmt.checkpoint.select import MIN_SIZE, RULE, Selection, nothing_selected
from sparsefmt.cli import options
from sparsefmt.cli.paths import check_out
from sparsefmt.cli.progress import progress, size
from sparsefmt.encoding.format_text import parse


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
    check_pruning(fmt, prune, density, skip)
    recipe = Recipe(fmt, prune, density, skip)
    selection = Selection(include, exclude, min_size)
    check_out(source, out, (".safetensors",), force=force)
    model = open_checkpoint(source)
    with options.usage():
        named = selection.chosen(model)
    chosen = {name for name in named if selection.packs(model.entries[name])}
    check_chosen(chosen, model.entries)
    packed: list[tuple[int, int]] = []

    with progress(model.nbytes) as advance:

        def step(shard: Source, names: list[str]) -> tuple[Mapping[str, Value], Mapping[str, str]]:
            made: dict[str, Value] = {}
            pruned = []
            for name in names:
                value = made[name] = shard.read(name)
                if name in chosen:
                    made[name] = recipe.pack(name, value)
                    if isinstance(made[name], sf.SparseTensor):
                        packed.append((dense_bytes(made[name]), made[name].nbytes))
                        pruned += [name] * prune
                advance(name, model.entries[name].nbytes)
            return made, dict(shard.metadata) | ({PRUNED: json.dumps(pruned)} if pruned else {})

        left = write_model(model, out, step)
    before, after = (sum(column) for column in zip(*packed, strict=True)) if packed else (0, 0)
    change = f"{size(before)} -> {size(after)}" + (f" ({after / before:.1%})" if before else "")
    click.echo(f"packed {len(packed)} of {len(model.entries)} tensors as {fmt}: {change}; wrote {out}")
    options.say_left_out(model, left)


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


def check_pruning(fmt: str, prune: bool, density: float | None, skip: bool) -> None:
    """Refuses options that contradict each other.

    Raises:
        UsageError: they do.
    """
    fixed = parse(fmt).structure.kind == "nm"
    if prune and not fixed and density is None:
        msg = f"--prune with --format {fmt} needs --density: the share of weights to keep"
        raise click.UsageError(msg)
    if density is not None and (not prune or fixed):
        way = f"{fmt} fixes it" if fixed else "it says how much --prune keeps; add --prune"
        msg = f"--density makes no sense here: {way}"
        raise click.UsageError(msg)
    if prune and skip:
        msg = "--prune and --skip exclude each other"
        raise click.UsageError(msg)
