"""`sparsefmt verify`."""

import json
import math
from pathlib import Path

import click

from sparsefmt.base.words import many
from sparsefmt.checkpoint.model import open_checkpoint
from sparsefmt.checkpoint.select import Selection
from sparsefmt.checkpoint.verdict import DIFFERS, EXACT, PRUNED, QUANTIZED
from sparsefmt.checkpoint.verification import not_compared
from sparsefmt.checkpoint.verification import verify as compare_all
from sparsefmt.cli import options
from sparsefmt.cli.failures import printable
from sparsefmt.cli.progress import progress
from sparsefmt.cli.runs import executor
from sparsefmt.cli.tables import table

HEADINGS = ["name", "format", "status", "equal", "max abs error", "rel. error", "worst group", "energy gone"]


HELP = """Compares OUT, packed or unpacked, with the original IN, tensor by tensor.

\b
exact      every element has the bits of the original (0.0 is -0.0)
pruned     what is not zero in OUT has the original's bits; the rest is zero
quantized  stored in OUT under a codec, and each value is the rounding of the
           original: off by half a scale at most, or the nearest entry
differs    something else has other bits; or nothing is left of what was not 0
missing, extra, other shape or dtype

Texts, records and the like that both hold are compared only if --include names them; those that pack
left behind are missing.

For all that is not exact the table gives the share of equal elements, the largest absolute error,
the Frobenius norm of the error relative to that of the original, the largest such error of a group of
columns (those under one scale, else 128), and the share of the energy (sum of squares) that was zeroed.

The exit code is 0 if every tensor is exact. Zeroed values are accepted where OUT says that `pack --prune`
pruned that tensor, and `quantized` ones always, unless --strict is given. With --max-rel-error the
relative error alone decides: exact, pruned, quantized and differing tensors are accepted up to X.
Everything else exits with 1.
"""


def checked_limit(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    """Refuses NaN, which every error would be above."""
    if value is not None and math.isnan(value):
        msg = "want a number of 0 or more"
        raise click.BadParameter(msg, ctx, param)
    return value


@click.command(help=HELP)
@options.path_argument("source", "IN", remote=True)
@options.path_argument("out", "OUT", remote=True)
@options.json_option
@options.include_option
@options.exclude_option
@click.option("--only-failing", is_flag=True, help="List only tensors that fail.")
@click.option("--strict", is_flag=True, help="Exit with 1 for pruned and quantized tensors too.")
@click.option(
    "--max-rel-error",
    type=click.FloatRange(0),
    callback=checked_limit,
    metavar="X",
    help="Exit with 0 if no tensor has a relative error above X, however it came about.",
)
@options.read_options
def verify(
    source: Path,
    out: Path,
    as_json: bool,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    only_failing: bool,
    strict: bool,
    max_rel_error: float | None,
    run: options.Run,
) -> None:
    """Compares OUT with the original IN; see `HELP`."""
    if strict and max_rel_error is not None:
        msg = "--strict accepts no error at all; leave out one of --strict and --max-rel-error"
        raise click.UsageError(msg)
    original, packed = open_checkpoint(source), open_checkpoint(out, file=run.file)
    names = {*original, *packed}
    with options.usage():
        chosen = Selection(include, exclude).chosen(sorted(names)) if include or exclude else names
    odd = {} if include else {n: d for n, d in not_compared(original, packed).items() if n in chosen}
    chosen -= set(odd)
    with executor(run) as pool, progress(packed.nbytes, quiet=run.quiet) as advance:
        found = compare_all(
            original, packed, strict=strict, limit=max_rel_error, executor=pool, progress=advance, names=chosen
        )
        rows = sorted(found, key=lambda row: row.name)
    failing = sum(row.fails for row in rows)
    counts = {status: sum(row.status == status for row in rows) for status in (EXACT, PRUNED, QUANTIZED, DIFFERS)}
    other = len(rows) - sum(counts.values())
    shown = [row for row in rows if row.fails or not only_failing]
    if as_json:
        summary = {**counts, "other": other, "failing": failing}
        click.echo(json.dumps({"tensors": [row.to_json() for row in shown], "total": summary}, indent=2))
    elif not run.quiet:
        cells = [
            [
                row.name, row.format, row.status, f"{row.kept:.2%}", f"{row.max_abs:.3g}", f"{row.relative:.3g}",
                f"{row.worst:.3g}", f"{row.energy:.2%}" if row.energy else "",
            ]
            for row in shown
        ]  # fmt: skip
        if cells:
            table(HEADINGS, cells, left=3)
        parts = [f"{n} {status}" for status, n in {**counts, "missing or of other form": other}.items() if n]
        verdict = f"FAILED for {failing} of {many(len(rows), 'tensor')}" if failing else "verified"
        click.echo(f"{', '.join(parts) or 'no tensors'}: {verdict}")
        decides = not strict and max_rel_error is None
        if decides and any(row.fails and row.status in (PRUNED, QUANTIZED) for row in rows):
            click.echo(f"values are zeroed, and {out} does not say that they were pruned; --max-rel-error X accepts")
        if odd:
            left = ", ".join(f"{name} ({dtype})" for name, dtype in odd.items())
            click.echo(printable(f"not compared, for it holds no numbers: {left}"))
    if failing:
        raise click.exceptions.Exit(1)
