"""Arguments and options that several commands share."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from sparsefmt.base.errors import CodecError, FormatError
from sparsefmt.checkpoint.model import Checkpoint
from sparsefmt.encoding.format_text import parse

F = TypeVar("F", bound=Callable[..., Any])


def checked_format(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """Refuses a format text that does not parse."""
    try:
        parse(value)
    except (FormatError, CodecError) as e:
        raise click.BadParameter(str(e), ctx, param) from e
    return value


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


def say_left_out(model: Checkpoint, left: tuple[str, ...]) -> None:
    """Lists what a folder holds and OUT does not: weights that no index names, weights of other kinds."""
    if model.left_out:
        click.echo(f"left out, not in the index: {', '.join(model.left_out)}")
    if left:
        click.echo(f"not copied: {', '.join(left)}")


def path_argument(name: str, metavar: str) -> Callable[[F], F]:
    """A path; what is there is checked when it is opened."""
    return click.argument(name, metavar=metavar, type=click.Path(path_type=Path))


format_option = click.option(
    "--format",
    "fmt",
    callback=checked_format,
    required=True,
    help="Format text such as nm2:4; see `sparsefmt formats`.",
)
force_option = click.option("--force", is_flag=True, help="Replace OUT if it exists.")
include_option = click.option(
    "--include", multiple=True, metavar="GLOB", help="Only tensors whose name matches; may be repeated."
)
exclude_option = click.option(
    "--exclude", multiple=True, metavar="GLOB", help="Not tensors whose name matches; may be repeated; wins."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
