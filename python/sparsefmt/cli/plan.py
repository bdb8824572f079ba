"""`sparsefmt plan`."""

import math
import re
from pathlib import Path
from typing import Any

import click
import numpy as np

import sparsefmt as sf
from sparsefmt.checkpoint.model import open_checkpoint
from sparsefmt.cli import calibrating, options
from sparsefmt.cli.paths import check_new, check_writable
from sparsefmt.cli.progress import progress, size
from sparsefmt.cli.prune import check_globs
from sparsefmt.cli.tables import table
from sparsefmt.plan import allocate, energy_table, format_table, measure
from sparsefmt.prune import Moments, compensated, in_order, pattern_of
from sparsefmt.prune.coded import packed_format

_PROBES = 96
_ROOM = 256  # bytes of the file for every layer in every format, about


@click.command()
@options.path_argument("source", "MODEL")
@options.path_argument("out", "OUT")
@click.option("--formats", required=True, help="What may be chosen, separated by commas: nm2:4,nm4:8,dense/int4:g128.")
@click.option("--budget", required=True, help="Of the planned weights: bytes (12345678), or a share of today's (40%).")
@click.option(
    "--by",
    type=click.Choice(("loss", "energy")),
    default="loss",
    show_default=True,
    help="loss: measured at the end of the model, one layer at a time. energy: of the weights; a fallback for models "
    "that are not run here, worse than one format for all.",
)
@calibrating.text_option
@calibrating.tokens_option
@calibrating.words_option
@calibrating.tokenizer_option
@click.option("--together", multiple=True, metavar="GLOB", help="Layers that get one format; may be repeated.")
@options.include_option
@options.exclude_option
@options.file_option
@options.force_option
def plan(
    source: Path,
    out: Path,
    formats: str,
    budget: str,
    by: str,
    text: Path | None,
    tokens: int,
    words: int,
    tokenizer: Path | None,
    together: tuple[str, ...],
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    file: str | None,
    force: bool,
) -> None:
    """Chooses a format for every linear layer of MODEL within a budget, and writes the plan OUT as JSON.

    The choice is the optimum of the table that it rests on, and says so with a bound. Then
    `sparsefmt prune --plan OUT` or `sparsefmt pack --plan OUT`. Memory: the model, the activations of
    one layer for all tokens, and 8 bytes per squared width of the inputs of every layer.
    """
    names = list(dict.fromkeys(f.strip() for f in formats.split(",") if f.strip()))
    if not names:
        msg = "--formats: want at least one"
        raise click.UsageError(msg)
    for name in names:
        with options.usage():
            pattern_of(name)
            sf.encode(np.zeros((1, 1), np.float32), packed_format(name))
    check_new(out, (source,), force=force)
    if out.is_dir():
        msg = f"OUT {out} is a folder; want a file such as plan.json"
        raise click.UsageError(msg)
    if by == "energy":
        tensors = planned_tensors(source, include, exclude, file)
    else:
        ready = calibrating.prepared(source, text, tokenizer, tokens, words, file)
        every = ready.model.linear_names()
        check_globs("--include", include, every)
        check_globs("--exclude", exclude, every)
        tensors = {n: ready.weights[f"{n}.weight"] for n in every if selected(n, include, exclude)}
        if not tensors:
            msg = "no layer is chosen"
            raise click.UsageError(msg)
    check_globs("--together", together, list(tensors))
    groups = [[t for t in tensors if selected(t, (glob,), ())] for glob in together]
    sizes = format_table(tensors, names)
    whole = sum(t.nbytes for t in tensors.values())
    limit = budget_bytes(budget, whole)
    allocate({t: dict.fromkeys(names, 0.0) for t in tensors}, sizes, limit, groups=groups)  # before minutes of work
    check_writable(out, _ROOM * len(names) * len(tensors))
    costs: Any = energy_table(tensors, names) if by == "energy" else measured(ready, list(tensors), names)
    made = allocate(costs, sizes, limit, groups=groups, made=by)
    table(["layer", "format", "cost", "bytes"], rows(made, costs, sizes), left=2)  # whatever becomes of the file
    made.save(out)
    click.echo(
        f"{size(whole)} -> {size(made.size or 0)}; cost {made.cost:.6g}, no choice costs less than {made.bound:.6g}"
    )
    if by == "energy":
        click.echo("costs are weight energies, a fallback: one format for all was better wherever that was measured")
    click.echo(f"wrote {out}")


def rows(made: sf.plan.Plan, costs: Any, sizes: Any) -> list[list[str]]:  # noqa: ANN401
    """What was chosen."""
    return [[t, f, f"{costs[t][f]:.6g}", f"{sizes[t][f]:,}"] for t, f in made.choice.items()]


def selected(name: str, include: tuple[str, ...], exclude: tuple[str, ...]) -> bool:
    """Whether a layer is meant, named with or without .weight."""
    from fnmatch import fnmatchcase

    def hit(globs: tuple[str, ...]) -> bool:
        return any(fnmatchcase(name, g) or fnmatchcase(f"{name}.weight", g) for g in globs)

    return (not include or hit(include)) and not hit(exclude)


def planned_tensors(
    source: Path, include: tuple[str, ...], exclude: tuple[str, ...], file: str | None = None
) -> dict[str, Any]:
    """The float matrices of a checkpoint that `pack` would pack."""
    from sparsefmt.checkpoint.select import Selection

    checkpoint = open_checkpoint(source, file=file)
    selection = Selection(include, exclude, None)
    with options.usage():
        names = [n for n in selection.chosen(checkpoint) if selection.packs(checkpoint.entries[n])]
    if not names:
        msg = "no tensor is chosen"
        raise click.UsageError(msg)
    found = {name: checkpoint.array(name) for name in names}
    # as `pack` groups them: the input channels of convolutions
    return {name: np.moveaxis(a, 1, -1) if a.ndim in (3, 4) else a for name, a in found.items()}


def measured(ready: calibrating.Prepared, layers: list[str], formats: list[str]) -> dict[str, dict[str, float | None]]:
    """The loss of the embeddings, 1 - cosine, with one layer at a time in a format."""
    encode = getattr(ready.model, "encode", None)
    if encode is None:
        msg = "this model gives no embeddings to measure; use --by energy"
        raise sf.FormatError(msg)
    probes = ready.tokens[:_PROBES]
    want = encode(probes, ready.weights)
    if not np.isfinite(want).all():
        msg = "the embeddings of the model as it is hold NaN or infinity; `sparsefmt doctor` names the tensors"
        raise sf.FormatError(msg)
    walk, stats = in_order(ready.model.steps(ready.tokens)), {}
    for name in layers:
        site = walk(ready.weights, name)
        m = stats[name] = Moments(site.inputs[0].shape[-1])
        for x in site.inputs:
            m.update(x)

    with progress(len(layers) * len(formats)) as advance:

        def loss(name: str, fmt: str) -> float:
            key, place = f"{name}.weight", f"{name}.bias"
            done = compensated(ready.weights[key], fmt, stats[name], method="wanda", bias=ready.weights.get(place))
            changed = {**ready.weights, key: done.weight}
            if done.bias is not None:
                changed[place] = done.bias
            advance(name, 1)
            return 1 - float((encode(probes, changed) * want).sum(axis=1).mean())

        return measure(loss, layers, formats)


def budget_bytes(text: str, whole: int) -> int:
    """Bytes from "12345678" or "40%".

    Raises:
        UsageError: neither.
    """
    if found := re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", text, re.ASCII):
        return math.floor(float(found[1]) / 100 * whole)
    if re.fullmatch(r"\d+", text, re.ASCII):
        return int(text)
    msg = f"budget {text!r}: want bytes such as 12345678, or a share such as 40%"
    raise click.UsageError(msg)
