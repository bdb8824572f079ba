"""`sparsefmt pack --plan` and `--text`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click

import sparsefmt as sf
from sparsefmt.checkpoint.entry import Value
from sparsefmt.checkpoint.model import open_checkpoint
from sparsefmt.cli import options
from sparsefmt.cli.calibrating import text_option
from sparsefmt.cli.paths import check_out
from sparsefmt.cli.progress import progress, size
from sparsefmt.cli.prune import prune
from sparsefmt.plan import Plan

plan_option = click.option(
    "--plan", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="A format per tensor; see `plan`."
)


def pack(
    source: Path,
    out: Path,
    fmt: str | None,
    plan: Path | None,
    text: Path | None,
    *,
    density: float | None,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    force: bool,
) -> None:
    """Packs by a plan, or with data.

    Raises:
        UsageError: neither a format nor a plan, or both.
        FormatError: the plan names a tensor that is not there.
    """
    if fmt is None and plan is None:
        msg = "missing option '--format', or '--plan'"
        raise click.UsageError(msg)
    if fmt is not None and plan is not None:
        msg = "--format and --plan exclude each other"
        raise click.UsageError(msg)
    if text is not None:
        given = {"fmt": fmt, "plan": plan, "text": text, "density": density}
        click.get_current_context().invoke(
            prune, source=source, out=out, include=include, exclude=exclude, force=force, **given
        )
        return
    if plan is None:
        return
    if density is not None or include or exclude:
        msg = "--plan says which tensors are packed, and how; leave out --density, --include and --exclude"
        raise click.UsageError(msg)
    check_out(source, out, (".safetensors",), force=force)
    formats = Plan.load(plan).formats()
    model = open_checkpoint(source)
    keys = {name if name in model else f"{name}.weight": fmt for name, fmt in formats.items()}
    odd = next((key for key in keys if key not in model), None)
    if odd is not None:
        msg = f"{plan} names {odd!r}, which {source} has not"
        raise sf.FormatError(msg)
    with progress(model.nbytes) as advance:
        report = sf.transform(model, out, ByPlan(keys), select=list(keys), overwrite=force, progress=advance)
    before, after = (sum(getattr(t, kind) for t in report.changed) for kind in ("dense", "nbytes"))
    click.echo(f"packed {len(keys)} of {len(model)} tensors by {plan}: {size(before)} -> {size(after)}; wrote {out}")
    options.say_left_out(report)


@dataclass(frozen=True)
class ByPlan:
    """A step that packs each tensor in the format that a plan says; other processes can run it."""

    formats: dict[str, str]

    def __call__(self, name: str, value: Value) -> Mapping[str, Value]:
        """The packed tensor."""
        dense = value.to_dense() if isinstance(value, sf.SparseTensor) else value
        return Plan({name: self.formats[name]}).apply({name: dense})


__all__ = ["pack", "plan_option", "text_option"]
