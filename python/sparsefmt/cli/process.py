"""What a process meets before and beside its work: streams that are closed or hold ASCII only, and signals."""

import os
import signal
import sys
import threading
import warnings
from importlib.machinery import ExtensionFileLoader
from io import TextIOWrapper
from types import FrameType
from typing import Any

_LATER = 0.03  # seconds after which a signal that came during an import is looked at again


def prepare_streams() -> None:
    """Stands in for closed streams, whose place the first file would take; no character is an error on stdout.

    To write to a stdout that was closed is what it is on a pipe that nobody reads: BrokenPipeError.
    """
    if sys.stdin is None:
        _put(os.open(os.devnull, os.O_RDONLY), 0)
    if sys.stdout is None:
        reader, writer = os.pipe()
        _put(writer, 1)
        if reader != 1:  # else the writer has taken its place
            os.close(reader)
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    if sys.stderr is None:
        _put(os.open(os.devnull, os.O_WRONLY), 2)
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr does


def _put(found: int, number: int) -> None:
    if found != number:
        os.dup2(found, number)
        os.close(found)


def say_warnings() -> None:
    """Warnings of the package are one line on stderr, without the line of code that they came from."""
    whole = warnings.showwarning

    def say(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:  # noqa: ANN401
        if category.__module__.startswith("sparsefmt"):
            print(f"sparsefmt: warning: {message}", file=sys.stderr)
        else:
            whole(message, category, *where, **more)

    warnings.showwarning = say


def handle_signals() -> None:
    """Signals that ask for an end raise, so that temporary files are removed; what is ignored stays ignored."""
    sys.unraisablehook = _unheard
    signal.signal(signal.SIGTERM, _end)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # nohup has it ignored
        signal.signal(signal.SIGHUP, _end)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


def _end(signum: int, frame: FrameType | None) -> None:
    """Raises; while a module in C is imported a moment later, since those make ImportErrors of what is raised."""
    while frame is not None:
        if isinstance(frame.f_locals.get("self"), ExtensionFileLoader):
            _again(signum)
            return
        frame = frame.f_back
    if signum == signal.SIGINT:
        raise KeyboardInterrupt
    sys.exit(128 + signum)


def _again(signum: int) -> None:
    """Sends a signal a moment later."""
    again = threading.Timer(_LATER, signal.pthread_kill, (threading.main_thread().ident, signum))
    again.daemon = True
    again.start()


def _unheard(dropped: "sys.UnraisableHookArgs") -> None:
    """In a destructor or callback, as the locks of imports have them, Python drops what a signal raises: once more."""
    e = dropped.exc_value
    if isinstance(e, KeyboardInterrupt):
        _again(signal.SIGINT)
    elif isinstance(e, SystemExit) and e.code in (128 + signal.SIGHUP, 128 + signal.SIGTERM):
        _again(int(e.code) - 128)
    else:
        sys.__unraisablehook__(dropped)
