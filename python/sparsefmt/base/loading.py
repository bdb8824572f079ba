"""Modules that are loaded when a name of theirs is asked for first, which no fork interrupts.

A child made by fork while another thread loads a module would wait for ever for the lock of that module: Python does
not take it away. So a fork waits until what the package loads has been loaded.
"""

import importlib
import os
import threading
from types import ModuleType

PATIENCE = 10.0
"""Seconds that a fork waits; who forks while a module of the package is loaded, from within, would never go on."""

_changed = threading.Condition()
_loading: list[int] = []


def load(name: str) -> ModuleType:
    """The module of that name.

    Raises:
        ImportError: it cannot be loaded.
    """
    own = threading.get_ident()
    with _changed:
        _loading.append(own)
    try:
        return importlib.import_module(name)
    finally:
        with _changed:
            _loading.remove(own)
            _changed.notify_all()


def _before_fork() -> None:
    own = threading.get_ident()
    _changed.acquire()
    _changed.wait_for(lambda: all(thread == own for thread in _loading), PATIENCE)


def _in_child() -> None:
    own = threading.get_ident()
    _loading[:] = [thread for thread in _loading if thread == own]  # the others are not here
    _changed.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_changed.release, after_in_child=_in_child)
