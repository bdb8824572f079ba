"""What commands that pack print."""

import json
from collections.abc import Mapping
from pathlib import Path

import click

from sparsefmt.base.words import many
from sparsefmt.checkpoint.model import Checkpoint
from sparsefmt.checkpoint.transform_report import TransformReport
from sparsefmt.cli import options
from sparsefmt.cli.failures import printable
from sparsefmt.cli.progress import size


def say_formats(model: Checkpoint, formats: Mapping[str, str], *, as_json: bool) -> None:
    """Prints what a dry run would pack, and in which format; what stays as it is, and what is left behind."""
    behind = {name: dtype for name, dtype in model.no_numbers.items() if name not in formats}
    if as_json:
        would = {name: formats.get(name, "plain") for name in model if name not in behind}
        not_copied = [f"{name} ({dtype})" for name, dtype in behind.items()] + [
            f"{other} (not read)" for other in model.others
        ]
        click.echo(json.dumps({"dry_run": True, "formats": would, "not_copied": not_copied}, indent=2))
        return
    for name in model:
        what = f"not copied: {behind[name]}, for which safetensors has no place" if name in behind else "as it is"
        click.echo(printable(f"{name}: {formats.get(name, what)}"))
    for other in model.others:
        click.echo(printable(f"{other}: not copied: not read"))


def say_packed(report: TransformReport, how: str, out: Path, *, quiet: bool, as_json: bool, beside: int = 0) -> None:
    """Prints what was packed.

    Args:
        report: of the run.
        how: "as csr", "by plan.json".
        out: what was written.
        quiet: print nothing.
        as_json: print JSON instead, quiet or not.
        beside: how many tensors are scales and codes of quantised weights, and were left.
    """
    packed = [t for t in report.changed if t.format != "plain"]
    before, after = sum(t.dense for t in packed), sum(t.nbytes for t in packed)
    if as_json:
        total = {"tensors": len(report.tensors), "packed": len(packed), "dense_nbytes": before, "nbytes": after}
        click.echo(json.dumps({**report.to_json(), "total": total}, indent=2))
        return
    if quiet:
        return
    change = f"{size(before)} -> {size(after)}" + (f" ({after / before:.1%})" if before else "")
    click.echo(f"packed {len(packed)} of {many(len(report.tensors), 'tensor')} {how}: {change}; wrote {out}")
    if beside:
        click.echo(f"left as they are, scales and codes of quantised weights: {beside} tensors")
    if after > before:
        click.echo(f"warning: the packed tensors are larger than dense ones; {growth(packed[0].format)}")
    options.say_left_out(report)


def say_json(report: TransformReport) -> None:
    """Prints a line for every tensor of a run, and totals, as JSON."""
    before, after = (sum(getattr(t, size) for t in report.tensors) for size in ("dense", "nbytes"))
    total = {"tensors": len(report.tensors), "changed": len(report.changed), "dense_nbytes": before, "nbytes": after}
    click.echo(json.dumps({**report.to_json(), "total": total}, indent=2))


def growth(fmt: str) -> str:
    """Why packed tensors grow."""
    return f"{fmt.partition('/')[0]} pays for fewer nonzeros: prune first, or choose another format"
