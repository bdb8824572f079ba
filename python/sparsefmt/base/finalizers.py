"""What is called when an object dies: there, Python only prints exceptions."""

import _thread
import time
import weakref
from collections.abc import Callable
from typing import Any

_SOON = 0.005  # seconds: until the caller of a finalizer goes on


def when_gone(thing: object, call: Callable[..., object], *args: Any, at_exit: bool = False) -> None:  # noqa: ANN401
    """Calls `call(*args)` when `thing` dies, or, `at_exit`, when the interpreter ends before.

    A Ctrl-C that arrives meanwhile is not lost: it is raised in the main thread, soon after.
    """
    weakref.finalize(thing, _guarded, call, args).atexit = at_exit


def _guarded(call: Callable[..., object], args: tuple[Any, ...]) -> None:
    try:
        call(*args)
    except KeyboardInterrupt:
        _thread.start_new_thread(_again, ())


def _again() -> None:
    time.sleep(_SOON)
    _thread.interrupt_main()
