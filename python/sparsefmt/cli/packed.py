"""What commands that pack print."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import click

from sparsefmt.checkpoint.transform import TransformReport
from sparsefmt.cli import options
from sparsefmt.cli.progress import size


def say_formats(names: Iterable[str], formats: Mapping[str, str], *, as_json: bool) -> None:
    """Prints what a dry run would pack, and in which format; other tensors stay as they are."""
    if as_json:
        would = {name: formats.get(name, "plain") for name in names}
        click.echo(json.dumps({"dry_run": True, "formats": would}, indent=2))
        return
    for name in names:
        click.echo(f"{name}: {formats.get(name, 'as it is')}")


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
    click.echo(f"packed {len(packed)} of {len(report.tensors)} tensors {how}: {change}; wrote {out}")
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
