"""Errors as one line on stderr and an exit code."""

import errno
import os
import sys
import traceback
from concurrent.futures import BrokenExecutor
from typing import IO, Any

import click

from sparsefmt.base.errors import BusyError, SparsefmtError

USAGE, DATA, SYSTEM, INTERNAL, BROKEN_PIPE, INTERRUPTED = 2, 3, 4, 70, 141, 130

_NO_ROOM = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO)

EXIT_CODES = """\b
Exit codes:
  0  done; verify: exact, or exact but for what `pack` pruned or quantized
  1  verify: the files differ
  2  wrong usage; IN is OUT; OUT exists and --force is not given
  3  input data that cannot be read or do not fit the format
  4  files that cannot be opened or written, memory, a missing package; another run writes OUT
  70  a fault of sparsefmt itself
  130 interrupted; 129, 143 another signal; 141 the output was closed
"""


def printable(text: str) -> str:
    """One line of `text` without characters that steer a terminal."""
    if text.isascii() and text.isprintable() and "  " not in text and text == text.strip():
        return text
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in " ".join(text.split()))


def debugging(args: list[str]) -> bool:
    """Whether tracebacks are wanted."""
    return "--debug" in args or os.environ.get("SPARSEFMT_DEBUG", "0") not in ("", "0")


class Failure(click.ClickException):
    """What click shows and exits with in place of an exception; an empty text shows nothing."""

    def __init__(self, text: str, code: int, cause: BaseException | None = None) -> None:
        super().__init__(printable(text))
        self.exit_code = code  # type: ignore[misc]  # click declares it for the class and reads it here
        self.cause = cause

    def show(self, file: IO[Any] | None = None) -> None:
        """Prints one line, after the traceback if that is wanted."""
        stream = sys.stderr if file is None else file
        if self.cause is not None and debugging(sys.argv):
            traceback.print_exception(self.cause, file=stream)
        if self.message:
            print(f"sparsefmt: {self.message}", file=stream)


def failure(e: BaseException) -> Failure:
    """What to show for an exception, and the exit code."""
    if isinstance(e, Failure):
        return e
    if isinstance(e, click.UsageError):
        command = e.ctx.command_path if e.ctx else "sparsefmt"
        text = e.format_message().rstrip(".")
        if text[1:2].islower():  # a sentence of click's
            text = text[0].lower() + text[1:]
        return Failure(f"error: {text}; see {command} --help", USAGE, e)
    if isinstance(e, click.ClickException):
        return Failure(f"error: {e.format_message()}", USAGE, e)
    if isinstance(e, SparsefmtError):
        return Failure(f"error: {e}", SYSTEM if isinstance(e, BusyError) else DATA, e)
    if isinstance(e, KeyboardInterrupt):
        return Failure(f"interrupted: {e}" if str(e) else "interrupted", INTERRUPTED, e)
    if isinstance(e, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else the flush at exit fails again
        return Failure("", BROKEN_PIPE, e)
    if isinstance(e, OSError):
        where = e.filename or ("the output" if e.errno in _NO_ROOM else None)  # errors of files name them
        text = f"{where}: {e.strerror}" if where and e.strerror else str(e) or type(e).__name__
        return Failure(f"error: {text}", SYSTEM, e)
    if isinstance(e, BrokenExecutor):
        text = (
            "a worker was killed, perhaps for want of memory; the same command goes on from there, with fewer --workers"
        )
        return Failure(f"error: {text}", SYSTEM, e)
    if isinstance(e, MemoryError):
        return Failure(f"error: not enough memory: {e}", SYSTEM, e)
    if isinstance(e, ModuleNotFoundError) and e.name and e.name.partition(".")[0] == "scipy":
        return Failure("error: this file needs scipy: pip install 'sparsefmt[cli]'", SYSTEM, e)
    if isinstance(ended := _behind(e), KeyboardInterrupt):
        return failure(ended)
    if isinstance(ended, SystemExit):
        return Failure("", ended.code if isinstance(ended.code, int) else INTERNAL, e)
    return Failure(f"error: internal error: {type(e).__name__}: {e}; please report it, with --debug", INTERNAL, e)


def _behind(e: BaseException) -> BaseException | None:
    """What a signal raised, where something failed on the way out: between two lines of Python's own locks it may."""
    seen: BaseException | None = e
    while seen is not None and not isinstance(seen, KeyboardInterrupt | SystemExit):
        seen = seen.__context__
    return seen
