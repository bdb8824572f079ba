"""Arguments and options that several commands share."""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from sparsefmt.base.errors import CheckpointError, CodecError, FormatError
from sparsefmt.checkpoint.model import OF_ACTIVATIONS
from sparsefmt.checkpoint.remote import is_url, located
from sparsefmt.checkpoint.transform_report import TransformReport
from sparsefmt.encoding.format_text import parse

F = TypeVar("F", bound=Callable[..., Any])


def checked_format(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Refuses a format text that does not parse."""
    if value is None:
        return None
    try:
        parse(value)
    except (FormatError, CodecError) as e:
        raise click.BadParameter(str(e), ctx, param) from e
    return value


def checked_codec(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Refuses a codec text that does not parse."""
    if value is not None:
        checked_format(ctx, param, f"dense/{value}")
    return value


def checked_rules(
    ctx: click.Context,
    param: click.Parameter,
    value: tuple[str, ...],
    check: Callable[[click.Context, click.Parameter, str], object] = checked_format,
) -> tuple[tuple[str, str], ...]:
    """Splits 'GLOB=FORMAT' at the last '='."""
    found = []
    for text in value:
        glob, equals, fmt = text.rpartition("=")
        if not equals or not glob:
            msg = f"{text!r}: want GLOB=FORMAT, such as '*.mlp.*=nm2:4'"
            raise click.BadParameter(msg, ctx, param)
        check(ctx, param, fmt)
        found.append((glob, fmt))
    return tuple(found)


file_option = click.option("--file", metavar="NAME", help="In a folder with variants: the weight file or index to use.")


@contextmanager
def usage() -> Iterator[None]:
    """Shows an error of what was asked for as wrong usage.

    Raises:
        UsageError: in place of a FormatError.
    """
    try:
        yield
    except FormatError as e:
        raise click.UsageError(str(e)) from e


@dataclass(frozen=True)
class Run:
    """How a command runs: which file of a folder, over what, where, how loud."""

    file: str | None = None
    force: bool = False
    quiet: bool = False
    threads: int | None = None
    workers: int = 1
    scheduler: str | None = None
    max_shard_bytes: int | None = None


UNITS = {"k": 10**3, "m": 10**6, "b": 10**9, "g": 10**9, "t": 10**12}


def checked_bytes(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """Bytes, with K, M, B or G, T; B is a billion, as mergekit has it."""
    if value is None:
        return None
    text = value.strip().lower()
    text = text.removesuffix("b") if text[-2:-1] in UNITS else text
    number, unit = (text[:-1], UNITS[text[-1]]) if text[-1:] in UNITS else (text, 1)
    try:
        found = int(float(number) * unit)
    except (ValueError, OverflowError):
        found = 0
    if found < 1:
        msg = f"{value!r}: want bytes such as 5B, 5GB, 500M or 1000000"
        raise click.BadParameter(msg, ctx, param)
    return found


max_shard_option = click.option(
    "--max-shard-bytes",
    metavar="BYTES",
    callback=checked_bytes,
    help="Write a folder, its shards split into such of at most so many bytes of dense tensors, e.g. 5GB.",
)


def run_options(command: F) -> F:
    """Adds the options of `Run`, and hands them over as one argument `run`."""
    return with_run(command, writes=True)


def read_options(command: F) -> F:
    """The same for a command that writes nothing."""
    return with_run(command, writes=False)


def with_run(command: F, *, writes: bool) -> F:
    """Adds options, and hands them over as one argument `run`."""

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        fields = {field.name: kwargs.pop(field.name) for field in dataclasses.fields(Run) if field.name in kwargs}
        return command(*args, run=Run(**fields), **kwargs)

    found: Any = wrapped
    for option in reversed(
        [
            file_option,
            *([click.option("--force", is_flag=True, help="Replace the files of OUT, if it exists.")] * writes),
            *([max_shard_option] * writes),
            click.option("--quiet", is_flag=True, help="Print nothing but errors."),
            click.option("--threads", type=click.IntRange(1, 1024), help="Threads of one process; default: all CPUs."),
            click.option("--workers", type=click.IntRange(1, 4096), default=1, help="Processes; default 1."),
            click.option("--scheduler", metavar="ADDRESS", help="Run on a Dask cluster: tcp://host:8786."),
        ]
    ):
        found = option(found)
    made: F = found
    return made


def say_left_out(report: TransformReport) -> None:
    """Lists what a folder holds and OUT does not: weights that no index names, weights of other kinds."""
    if report.kept:
        click.echo(f"{report.kept} of {report.shards} shards were finished by an earlier run")
    scales = [text.removesuffix(OF_ACTIVATIONS) for text in report.left_out if text.endswith(OF_ACTIVATIONS)]
    strays = [text for text in report.left_out if not text.endswith(OF_ACTIVATIONS)]
    if strays:
        click.echo(f"left out, not in the index: {', '.join(strays)}")
    if scales:
        more = f" and {len(scales) - 3} more" if len(scales) > 3 else ""
        click.echo(f"left out, for activations, not weights: {', '.join(scales[:3])}{more}")
    if report.not_copied:
        click.echo(f"not copied: {', '.join(report.not_copied)}")


def optional_place(ctx: click.Context, param: click.Parameter, value: str | None) -> Path | None:
    """The same, or none."""
    return None if value is None else checked_place(ctx, param, value)


def checked_place(ctx: click.Context, param: click.Parameter, value: str) -> Path:
    """A path, or what stands for one behind a URL."""
    try:
        return located(value)
    except CheckpointError as e:
        raise click.BadParameter(str(e), ctx, param) from e


def is_elsewhere(url: str) -> str:
    """What is said of a URL where files of this machine are wanted."""
    return f"{url} is a URL, where this command takes files of this machine; fetch it first"


class LocalPath(click.Path):
    """A path of this machine; a URL is refused as such."""

    def __init__(self, *, exists: bool = False, dir_okay: bool = True) -> None:
        super().__init__(exists=exists, dir_okay=dir_okay, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401
        """The path.

        Raises:
            BadParameter: it is a URL.
        """
        if is_url(value):
            self.fail(is_elsewhere(value), param, ctx)
        return super().convert(value.removeprefix("file://") if isinstance(value, str) else value, param, ctx)


def path_argument(name: str, metavar: str, *, remote: bool = False) -> Callable[[F], F]:
    """A path, with `remote` also a URL; what is there is checked when it is opened."""
    if remote:
        return click.argument(name, metavar=metavar, callback=checked_place)
    return click.argument(name, metavar=metavar, type=LocalPath())


format_option = click.option(
    "--format",
    "fmt",
    callback=checked_format,
    required=True,
    help="Format text such as nm2:4; see `sparsefmt formats`.",
)
optional_format_option = click.option(
    "--format", "fmt", callback=checked_format, help="Format text such as csr; see `sparsefmt formats`."
)
rule_option = click.option(
    "--rule",
    "rules",
    multiple=True,
    callback=checked_rules,
    metavar="GLOB=FORMAT",
    help="Another format for tensors whose name matches; may be repeated, the last one counts.",
)
force_option = click.option("--force", is_flag=True, help="Replace OUT if it exists.")
include_option = click.option(
    "--include", multiple=True, metavar="GLOB", help="Only tensors whose name matches; may be repeated."
)
exclude_option = click.option(
    "--exclude", multiple=True, metavar="GLOB", help="Not tensors whose name matches; may be repeated; wins."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
