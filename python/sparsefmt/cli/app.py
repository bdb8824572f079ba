"""The group of commands; each is loaded when it is asked for."""

import sys
from importlib import import_module
from typing import Any

import click

from sparsefmt.cli.failures import EXIT_CODES, failure

COMMANDS = (
    *("pack", "unpack", "convert", "prune", "plan", "merge", "diff", "apply", "log"),
    *("inspect", "verify", "report", "doctor", "formats"),
)
"""Each is a module of this room, and a function of the same name in it."""


class App(click.Group):
    """A group whose errors are one line and an exit code, and whose commands are loaded one by one."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Loads a command."""
        if cmd_name in COMMANDS and cmd_name not in self.commands:
            command: click.Command = getattr(import_module(f"sparsefmt.cli.{cmd_name}"), cmd_name)
            command.params.append(
                click.Option(["--debug"], is_flag=True, expose_value=False, help="Show the traceback of an error.")
            )
            self.add_command(command)
        return super().get_command(ctx, cmd_name)

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:  # noqa: ANN401
        """Parses the arguments of the group, and shows its help."""
        try:
            return super().make_context(*args, **kwargs)
        except (click.exceptions.Exit, SystemExit):
            raise
        except BaseException as e:
            raise failure(e) from e

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401
        """Runs a command."""
        try:
            try:
                return super().invoke(ctx)
            finally:
                sys.stdout.flush()  # what fails at the exit of the process is neither said nor has a code of its own
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
