"""`sparsefmt merge`."""

import json
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from sparsefmt.base.words import many
from sparsefmt.checkpoint.remote import is_url
from sparsefmt.cli import options
from sparsefmt.cli.paths import check_beside, check_new
from sparsefmt.cli.progress import progress, size
from sparsefmt.cli.tables import table
from sparsefmt.cli.workers import Workers
from sparsefmt.merge.choices import PRESETS
from sparsefmt.merge.method import Method
from sparsefmt.merge.parameters import ALIASES
from sparsefmt.merge.paths import recipe_of
from sparsefmt.merge.recipe.values import plain
from sparsefmt.merge.registry import METHODS, method_named
from sparsefmt.merge.run import SHARD_BYTES, described, plan, run
from sparsefmt.merge.survey import TensorReport, report


def format_text(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """A format text, or none."""
    return None if value is None else options.checked_format(ctx, param, value)


def refused(reason: str) -> Any:  # noqa: ANN401
    """A callback that refuses a flag of mergekit that has no meaning here."""

    def check(ctx: click.Context, param: click.Parameter, value: bool) -> None:
        if value:
            raise click.BadParameter(reason, ctx, param)

    return check


def weighted(text: str) -> tuple[str, float]:
    """A model and its weight, MODEL or MODEL:WEIGHT."""
    if is_url(text):
        raise click.UsageError(options.is_elsewhere(text))
    path, colon, weight = text.rpartition(":")
    if colon and not Path(text).exists():
        try:
            return path, float(weight)
        except ValueError as e:
            msg = f"{text!r}: want MODEL:WEIGHT, and {weight!r} is no number"
            raise click.UsageError(msg) from e
    return text, 1.0


def value_of(text: str) -> Any:  # noqa: ANN401
    """A number, true or false, or several of them with commas between."""
    if "," in text:
        return [value_of(part) for part in text.split(",")]
    words = {"true": True, "false": False}
    return words.get(text.lower(), plain(text))


@contextmanager
def executor_of(workers: int | None, scheduler: str | None) -> Iterator[Executor | None]:
    """What runs the shards."""
    if scheduler is not None:
        from distributed import Client  # not at the top: an extra

        with Client(scheduler) as client:  # type: ignore[no-untyped-call]
            yield client.get_executor()
    elif workers is not None and workers > 1:
        with Workers(workers) as pool:
            yield pool
    else:
        yield None


HELP = """Merges models: as a mergekit YAML says, or by one method for all tensors.

\b
sparsefmt merge config.yml OUT
sparsefmt merge --method ties --base B A:0.5 C:0.3 --density .2 OUT

Models are local folders of safetensors, or files; OUT is a folder, or a file that ends in .safetensors.
"""


@click.command(help=HELP)
@click.argument("paths", metavar="CONFIG OUT | MODEL[:WEIGHT]... OUT", nargs=-1, required=True)
@click.option(
    "--method", type=click.Choice(list(METHODS)), metavar="NAME",
    help=f"Merge MODELs by this method instead of by a CONFIG: {', '.join(METHODS)}.",
)  # fmt: skip
@click.option("--base", metavar="MODEL", help="With --method: the model that the others were tuned from.")
@click.option(
    "--density", metavar="N", help="With --method: the share that is kept; one number, or one per model: .2,.3."
)
@click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="With --method: a parameter or single choice.")
@click.option(
    "--like", type=click.Choice(list(PRESETS)), help="How steps are done; default: paper, for a CONFIG mergekit."
)
@click.option("--dtype", default="float32", type=click.Choice(["float32", "float64"]), help="What is computed in.")
@click.option("--out-dtype", metavar="DTYPE", help="With --method: of the result; default that of the base.")
@click.option(
    "--random-seed", "--seed", "seed", default=0, type=click.IntRange(0, 2**64 - 1), help="Of random choices."
)
@click.option(
    "--out-shard-size", default=str(SHARD_BYTES), callback=options.checked_bytes, metavar="BYTES", help="Default 5B."
)
@click.option("--copy-tokenizer/--no-copy-tokenizer", default=True, help="Copy tokenizer files of the base.")
@click.option(
    "--nan", default="error", type=click.Choice(["error", "keep"]), help="What to do with NaN and infinities."
)
@click.option("--tie", is_flag=True, help="Read a head that is tied in one model from its embedding.")
@click.option("--truncate-vocab", is_flag=True, help="Of matrices with different rows, merge those that all have.")
@click.option("--dry-run", is_flag=True, help="Only print what each tensor gets.")
@click.option("--report", "report_to", type=options.LocalPath(), metavar="FILE", help="Write cosines, conflicts of signs and shares kept as JSON.")  # fmt: skip  # noqa: E501
@click.option("--format", "fmt", metavar="FORMAT", callback=format_text, help="Write matrices packed, exactly: csr.")
@click.option("--workers", type=click.IntRange(1), help="Processes that write shards.")
@click.option("--scheduler", metavar="ADDRESS", help="A Dask scheduler that runs the shards.")
@click.option("--resume/--no-resume", default=True, help="Go on from shards that an earlier run finished.")
@click.option("--lazy-unpickle", is_flag=True, help="No effect: nothing is unpickled.")
@click.option("--cuda", is_flag=True, expose_value=False, callback=refused("merges run on the CPU, at memory speed"), hidden=True)  # fmt: skip  # noqa: E501
@click.option("--trust-remote-code", is_flag=True, expose_value=False, callback=refused("no code of models is run"), hidden=True)  # fmt: skip  # noqa: E501
@options.force_option
def merge(paths: tuple[str, ...], out_shard_size: int, **given: Any) -> None:  # noqa: ANN401
    """Merges models; see `HELP`."""
    if given["dry_run"] and len(paths) == 1 and not given["method"]:
        paths = (*paths, "")  # nothing is written
    if len(paths) < 2:
        msg = "want CONFIG and OUT, or with --method MODEL... and OUT"
        raise click.UsageError(msg)
    *sources, target = paths
    out = Path(target)
    recipe, settings = by_method(sources, given) if given["method"] else by_config(sources, given)
    settings |= {"compute": given["dtype"], "tie": given["tie"], "truncate_vocab": given["truncate_vocab"]}
    if given["lazy_unpickle"]:
        click.echo("--lazy-unpickle has no effect: nothing is unpickled", err=True)
    planned = plan(recipe, **settings)
    for warning in planned.config.warnings:
        click.echo(f"warning: {warning}", err=True)
    if planned.choices.rescale_by == "l1" and planned.config.method.name.startswith(("dare", "della")):
        click.echo("masks are drawn by counters; those of mergekit, torch's, cannot be reproduced", err=True)
    if given["dry_run"]:
        for line in described(planned):
            click.echo(line)
        return
    models = tuple(Path(model.path) for model in planned.models)
    check_new(out, models, force=given["force"])
    if given["report_to"] is not None:
        check_beside(given["report_to"], (*models, out, *([] if given["method"] else map(Path, sources))), "--report")
        write_report(report(planned), given["report_to"])
    with (
        progress(sum(t.nbytes for t in planned.targets)) as advance,
        executor_of(given["workers"], given["scheduler"]) as executor,
    ):
        done = run(
            recipe, out, executor=executor, resume=given["resume"], overwrite=given["force"], progress=advance,
            shard_bytes=out_shard_size, copy_tokenizer=given["copy_tokenizer"],
            format=given["fmt"], **settings,
        )  # fmt: skip
    packed = f", {done.packed} of them packed as {given['fmt']}," if given["fmt"] else ""
    kept = f", {done.kept} of them from an earlier run" if done.kept else ""
    click.echo(
        f"merged {many(done.tensors, 'tensor')}{packed} of {many(len(planned.models), 'model')} by "
        f"{planned.config.method.name}; wrote {out}, {size(done.nbytes)} in {many(len(done.shards), 'file')}{kept}"
    )


def by_config(sources: list[str], given: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The recipe of a file, and options."""
    extra = [key for key in ("base", "density", "out_dtype") if given[key] is not None]
    if len(sources) != 1 or extra or given["sets"]:
        what = f"--{extra[0].replace('_', '-')}" if extra else "--set" if given["sets"] else "several models"
        msg = f"{what} goes with --method; a CONFIG says it itself"
        raise click.UsageError(msg)
    choices = PRESETS[given["like"] or "mergekit"]
    return sources[0], {"choices": choices, "seed": given["seed"], "nan": given["nan"]}


def by_method(sources: list[str], given: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The recipe that the options make, and options."""
    method: Method = method_named(given["method"])
    parameters: dict[str, Any] = {"nan": given["nan"]}
    if given["density"] is not None:
        parameters["density"] = value_of(given["density"])
    for text in given["sets"]:
        key, equals, value = text.partition("=")
        if not equals:
            msg = f"--set {text}: want KEY=VALUE"
            raise click.UsageError(msg)
        parameters[ALIASES.get(key, key)] = value_of(value)
    models = [weighted(source) for source in sources]
    names, base = [name for name, _ in models], given["base"]
    weights = [weight for _, weight in models]
    if method.base == "member" and base is not None:
        base_name, base_weight = weighted(base)
        names, weights, base = [base_name, *names], [base_weight, *weights], None
    return recipe_of(
        method, names, base, weights, given["like"] or "paper", given["seed"], given["out_dtype"], parameters
    )


def write_report(found: list[TensorReport], path: Path) -> None:
    """Writes the report, and prints its means."""
    path.write_text(json.dumps([asdict(line) for line in found], indent=1) + "\n")
    rows = [
        [
            line.name,
            " ".join(f"{c:.3f}" for c in line.cosines) or "-",
            f"{line.conflicts:.1%}",
            " ".join(f"{k:.1%}" for k in line.kept) or "-",
        ]
        for line in found
    ]
    table(["tensor", "cosines", "sign conflicts", "kept"], rows)
