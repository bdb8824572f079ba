"""The group of commands."""

from typing import Any

import click

from sparsefmt.cli.apply import apply
from sparsefmt.cli.convert import convert
from sparsefmt.cli.diff import diff
from sparsefmt.cli.doctor import doctor
from sparsefmt.cli.failures import EXIT_CODES, failure
from sparsefmt.cli.formats import formats
from sparsefmt.cli.inspect import inspect
from sparsefmt.cli.log import log
from sparsefmt.cli.merge import merge
from sparsefmt.cli.pack import pack
from sparsefmt.cli.plan import plan
from sparsefmt.cli.prune import prune
from sparsefmt.cli.report import report
from sparsefmt.cli.unpack import unpack
from sparsefmt.cli.verify import verify


class App(click.Group):
    """A group whose errors are one line and an exit code."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:  # noqa: ANN401
        """Parses the arguments of the group."""
        try:
            return super().make_context(*args, **kwargs)
        except click.UsageError as e:
            raise failure(e) from e

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401
        """Runs a command."""
        try:
            return super().invoke(ctx)
        except (click.exceptions.Exit, SystemExit):
            raise
        except BaseException as e:
            raise failure(e) from e


@click.group(
    cls=App,
    no_args_is_help=False,
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option("--debug", is_flag=True, expose_value=False, help="Show tracebacks (also: SPARSEFMT_DEBUG=1).")
@click.version_option(package_name="sparsefmt", message="%(package)s %(version)s")
def app() -> None:
    """Packs sparse weights: small on disk, fast to load, exact to read back."""


COMMANDS = (
    *(pack, unpack, convert, prune, plan, merge, diff, apply, log),
    *(inspect, verify, report, doctor, formats),
)

for command in COMMANDS:
    command.params.append(
        click.Option(["--debug"], is_flag=True, expose_value=False, help="Show the traceback of an error.")
    )
    app.add_command(command)
