"""`sparsefmt pack`."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import click

from sparsefmt.base.dtypes import DTYPES
from sparsefmt.base.errors import DtypeError
from sparsefmt.checkpoint.companions import codes_instead_of_weights, companions, quantised_by
from sparsefmt.checkpoint.entry import Entry
from sparsefmt.checkpoint.model import Checkpoint, open_checkpoint
from sparsefmt.checkpoint.recipe import Recipe
from sparsefmt.checkpoint.select import MIN_SIZE, RULE, Selection, matches, nothing_selected
from sparsefmt.checkpoint.steps import Pack
from sparsefmt.cli import options, planned
from sparsefmt.cli.packed import say_formats, say_packed
from sparsefmt.cli.paths import check_out
from sparsefmt.cli.progress import progress
from sparsefmt.cli.runs import run_step
from sparsefmt.encoding.format_text import parse

ANY = "bitmask"
"""Holds every array, so that `--smallest` has something to begin with."""


@click.command(epilog=RULE)
@options.path_argument("source", "IN", remote=True)
@options.path_argument("out", "OUT", remote=True)
@options.optional_format_option
@planned.plan_option
@planned.text_option
@click.option(
    "--prune",
    is_flag=True,
    help="Zero what the format cannot keep: N:M by magnitude, bsr by block, others by magnitude.",
)
@click.option(
    "--density", type=click.FloatRange(0, 1), help="With --prune: the share of weights (bsr: of blocks) to keep."
)
@click.option("--skip", is_flag=True, help="Leave tensors plain that have not the pattern, instead of stopping.")
@click.option(
    "--conv-axis",
    type=click.IntRange(-1, 3),
    default=1,
    show_default=True,
    help="The axis that groups of tensors of rank 3 and 4 run along: 1, the input channels; -1, the last.",
)
@click.option(
    "--smallest",
    is_flag=True,
    help="Then store each tensor as what takes the fewest bytes: all structures that hold the same are tried.",
)
@options.rule_option
@options.include_option
@options.exclude_option
@click.option(
    "--min-size", type=click.IntRange(0), help=f"Least number of elements; default {MIN_SIZE}, 0 with --include."
)
@click.option("--dry-run", is_flag=True, help="List what would be packed, and write nothing.")
@options.run_options
@options.json_option
def pack(
    source: Path,
    out: Path,
    fmt: str | None,
    plan: Path | None,
    text: Path | None,
    prune: bool,
    density: float | None,
    skip: bool,
    conv_axis: int,
    smallest: bool,
    rules: tuple[tuple[str, str], ...],
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    min_size: int | None,
    dry_run: bool,
    run: options.Run,
    as_json: bool,
) -> None:
    """Packs the tensors of IN into the safetensors file OUT.

    IN is a .safetensors, .npy, .npz (NumPy's or SciPy's) or .mtx file, or a model folder with
    safetensors shards; OUT is then a folder too. Packing is exact, but for -0.0, which may become 0.0,
    unless --prune is given or the format names a codec (nm2:4/int4:g128). A tensor that lacks the
    pattern of the format is an error unless --prune or --skip is given. Tensors that are packed already
    are packed anew. Scales and zero points of quantised weights are no weights: they stay as they are.
    With --plan each tensor gets a format of its own, and is pruned for it by magnitude. With --text the
    model is run, and what stays is fitted to its outputs, as `sparsefmt prune` does. With both, too;
    --rule then stands above the plan. With --smallest the format, if any, says what is kept and how it is
    coded; where that is stored is measured tensor by tensor, and what nothing makes smaller stays plain.
    """
    if smallest and fmt is None and plan is None and text is None:
        fmt = ANY
    if plan is not None or text is not None or fmt is None:
        asked = planned.Request(
            source, out, fmt, plan, text, density, rules, include, exclude,
            dry_run=dry_run, as_json=as_json, conv_axis=conv_axis,
        )  # fmt: skip
        off = text is not None and conv_axis != 1  # the models that are run have no convolutions
        planned.pack(asked, run, prune=prune, skip=skip, min_size=min_size, conv_axis=off, smallest=smallest)
        return
    check_pruning(fmt, prune, density, skip)
    check_out(source, out, (".safetensors",), force=run.force, sharded=run.max_shard_bytes is not None)
    model = open_checkpoint(source, file=run.file)
    with options.usage():
        named = Selection(include, exclude, min_size).chosen(model)
        names = list(model)
        by_rule = {glob: matches(glob, names, model, "rule") for glob, _ in rules}
    selection = Selection(include, exclude, min_size)
    beside = companions(model)
    ruled = {name: text for glob, text in rules for name in by_rule[glob] if name not in beside}
    wanted = {name for name in named if selection.packs(model.entries[name])} | set(ruled)
    chosen = wanted - set(beside)
    if skip:  # what no safetensors file holds cannot be left plain either
        chosen -= set(model.no_numbers)
    check_chosen(model, chosen, wanted & set(beside), skip=skip)
    recipe = Recipe(fmt, prune, density, skip, rules=dict(sorted(ruled.items())), conv_axis=conv_axis)
    recipe = replace(recipe, smallest=smallest)
    if dry_run:
        say = "the smallest" if smallest else fmt
        would = {name: ruled.get(name, say) for name in model if name in chosen}
        say_formats(model, would, as_json=as_json)
        return
    with progress(model.nbytes, quiet=run.quiet) as advance:
        report = run_step(model, out, Pack(recipe), chosen, run, advance)
    formats = [t.format for t in report.changed] if smallest else [fmt, *ruled.values()]
    how = "as " + (", ".join(f for f in dict.fromkeys(formats) if f != "plain") or "nothing smaller")
    say_packed(report, how, out, quiet=run.quiet, as_json=as_json, beside=len(wanted & set(beside)))


def check_pruning(fmt: str, prune: bool, density: float | None, skip: bool) -> None:
    """Refuses options that contradict each other.

    Raises:
        UsageError: they do.
    """
    fixed = parse(fmt).structure.prunes
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


def check_chosen(model: Checkpoint, chosen: set[str], beside: set[str], *, skip: bool) -> None:
    """Refuses an empty choice, and dtypes that no format holds.

    Raises:
        FormatError: nothing is chosen.
        DtypeError: a dtype that cannot be packed.
    """
    entries: Mapping[str, Entry] = model.entries
    for name in sorted(chosen):
        if entries[name].dtype not in DTYPES and not skip:
            what = f"{model.path}: {name}: no format holds {entries[name].dtype}"
            msg = f"{what}; leave it as it is with --exclude {name!r}"
            raise DtypeError(msg)
    sparse = [name for name, entry in entries.items() if entry.lone and name not in chosen]
    if not chosen or sparse:
        codes = codes_instead_of_weights(model)
        what = "is packed by the rule of sparsefmt pack --help"
        if (codes or beside) and (by := quantised_by(model)):
            what = f"is packed: the weights are quantised by {by}, their scales and codes are no weights"
        raise nothing_selected(entries, what)
