"""What a process meets before and beside its work: streams that are closed or hold ASCII only, and signals."""

import contextlib
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable
from importlib.machinery import ExtensionFileLoader
from io import TextIOWrapper
from types import FrameType
from typing import Any

_LATER = 0.03  # seconds after which a signal that came during an import is looked at again
_LONG = 2.0  # seconds after which what it raised is handled or lost: kernels hold it until all their threads have ended
_FILES = 1 << 16  # open at once: models of more shards there are none
_leaves = threading.Event()


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


def allow_files() -> None:
    """Lets the process open as many files as the system allows: a shard keeps one open, and the usual 1,024 are few."""
    try:
        import resource  # not at the top: Unix alone has it
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _FILES if hard == resource.RLIM_INFINITY else min(hard, _FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        with contextlib.suppress(OSError, ValueError):  # macOS has a limit of its own below the hard one
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


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
    sys.unraisablehook = _dropped
    signal.signal(signal.SIGTERM, _end)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # nohup has it ignored
        signal.signal(signal.SIGHUP, _end)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


def leave() -> None:
    """From here on the process ends by itself, and signals that were raised are not raised again."""
    _leaves.set()


def _end(signum: int, frame: FrameType | None) -> None:
    """Raises; while a module in C is imported a moment later, since those make ImportErrors of what is raised."""
    while frame is not None:
        if isinstance(frame.f_locals.get("self"), ExtensionFileLoader):
            _later(_LATER, signal.pthread_kill, threading.main_thread().ident, signum)
            return
        frame = frame.f_back
    _later(_LONG, _look, signum)
    if signum == signal.SIGINT:
        raise KeyboardInterrupt
    sys.exit(128 + signum)


def _later(seconds: float, call: Callable[..., object], *args: object) -> None:
    """Calls something so many seconds later, in another thread."""
    again = threading.Timer(seconds, call, args)
    again.daemon = True
    again.start()


def _look(signum: int) -> None:
    """Sends a signal again where what it raised is gone, and nothing is ended by it.

    Python drops what is raised in destructors, and in callbacks as the locks of imports have them; extensions clear it.
    """
    if _leaves.is_set():
        return
    if _is_handled():
        _later(_LONG, _look, signum)
    else:
        signal.pthread_kill(threading.main_thread().ident or 0, signum)


def _is_handled() -> bool:
    """Whether the main thread is on its way out: in a block that something raised by a signal has begun."""
    found: Any = sys._current_exceptions().get(threading.main_thread().ident or 0)
    e = found[1] if isinstance(found, tuple) else found  # before Python 3.12
    while e is not None and not isinstance(e, KeyboardInterrupt | SystemExit):
        e = e.__context__
    return e is not None


def _dropped(found: "sys.UnraisableHookArgs") -> None:
    """Says what Python drops, but not what a signal raised, which is raised again."""
    if not isinstance(found.exc_value, KeyboardInterrupt | SystemExit):
        sys.__unraisablehook__(found)
