"""`sparsefmt pack --plan` and `--text`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import click

import sparsefmt as sf
from sparsefmt.checkpoint.companions import companions
from sparsefmt.checkpoint.entry import Value
from sparsefmt.checkpoint.model import open_checkpoint
from sparsefmt.checkpoint.select import Selection, matches
from sparsefmt.cli import calibrating, options
from sparsefmt.cli.packed import say_formats, say_packed
from sparsefmt.cli.paths import check_out
from sparsefmt.cli.progress import progress
from sparsefmt.cli.prune import Job, prune_model
from sparsefmt.cli.runs import run_step
from sparsefmt.plan import Plan

plan_option = click.option(
    "--plan", type=options.LocalPath(exists=True, dir_okay=False), help="A format per tensor; see `plan`."
)
text_option = calibrating.text_option


class Request(NamedTuple):
    """What `pack` was asked for."""

    source: Path
    out: Path
    fmt: str | None
    plan: Path | None
    text: Path | None
    density: float | None
    rules: tuple[tuple[str, str], ...]
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    dry_run: bool
    as_json: bool
    conv_axis: int


def pack(asked: Request, run: options.Run, **others: object) -> None:
    """Packs by a plan, or with data; `others` are options that make no sense then.

    Raises:
        UsageError: neither a format nor a plan, or both, or one of the others is given.
        FormatError: the plan names a tensor that is not there.
    """
    if asked.fmt is None and asked.plan is None:
        msg = "missing option '--format', or '--plan'"
        raise click.UsageError(msg)
    if asked.fmt is not None and asked.plan is not None:
        msg = "--format and --plan exclude each other"
        raise click.UsageError(msg)
    given = [f"--{name.replace('_', '-')}" for name, value in others.items() if value]
    if given:
        way = "--text fits what is kept" if asked.text is not None else "--plan says what is pruned, and how"
        msg = f"{given[0]} makes no sense here: {way}"
        raise click.UsageError(msg)
    if asked.text is not None:
        _with_text(asked, asked.text, run)
    elif asked.plan is not None:
        _by_plan(asked, asked.plan, run)


def _with_text(asked: Request, text: Path, run: options.Run) -> None:
    if run.workers > 1 or run.scheduler is not None or run.max_shard_bytes is not None:
        others = "--workers, --scheduler and --max-shard-bytes"
        msg = f"with --text the model runs in one process: leave out {others}"
        raise click.UsageError(msg)
    job = Job(
        asked.source, asked.out, asked.fmt, asked.plan, text,
        density=asked.density, rules=asked.rules, include=asked.include, exclude=asked.exclude,
        dry_run=asked.dry_run, force=run.force, quiet=run.quiet, threads=run.threads, as_json=asked.as_json,
        file=run.file,
    )  # fmt: skip
    prune_model(job)


def _by_plan(asked: Request, plan: Path, run: options.Run) -> None:
    if asked.density is not None:
        msg = "--density makes no sense here: --plan says what is kept"
        raise click.UsageError(msg)
    check_out(asked.source, asked.out, (".safetensors",), force=run.force, sharded=run.max_shard_bytes is not None)
    model = open_checkpoint(asked.source, file=run.file)
    formats = {name if name in model else f"{name}.weight": fmt for name, fmt in Plan.load(plan).formats().items()}
    odd = next((key for key in formats if key not in model), None)
    if odd is not None:
        msg = f"{plan} names {odd!r}, which {asked.source} has not"
        raise sf.FormatError(msg)
    beside = set(companions(model))
    with options.usage():
        for glob, fmt in asked.rules:
            formats |= dict.fromkeys(matches(glob, list(model), model, "rule") - beside, fmt)
        named = Selection(asked.include, asked.exclude).chosen(model) if asked.include or asked.exclude else list(model)
    formats = {name: fmt for name, fmt in formats.items() if name in set(named)}
    if not formats:
        msg = f"no tensor is left: {plan} names none that --include and --exclude choose"
        raise click.UsageError(msg)
    if asked.dry_run:
        say_formats(model, formats, as_json=asked.as_json)
        return
    with progress(model.nbytes, quiet=run.quiet) as advance:
        report = run_step(model, asked.out, ByPlan(formats, asked.conv_axis), set(formats), run, advance)
    say_packed(report, f"by {plan}", asked.out, quiet=run.quiet, as_json=asked.as_json)


@dataclass(frozen=True)
class ByPlan:
    """A step that packs each tensor in the format that a plan says; other processes can run it."""

    formats: dict[str, str]
    conv_axis: int

    @property
    def pruned(self) -> set[str]:
        """What is zeroed to fit its format; the file says so."""
        return {name for name, fmt in self.formats.items() if not fmt.startswith("dense")}

    def __call__(self, name: str, value: Value) -> Mapping[str, Value]:
        """The packed tensor."""
        dense = value.to_dense() if isinstance(value, sf.SparseTensor) else value
        return Plan({name: self.formats[name]}).apply({name: dense}, conv_axis=self.conv_axis)


__all__ = ["Request", "pack", "plan_option", "text_option"]
