"""Ctrl-C while memory is freed, where Python only prints exceptions, is raised all the same."""

import signal
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from sparsefmt.base import alloc, finalizers

pytestmark = pytest.mark.skipif(
    threading.current_thread() is not threading.main_thread(), reason="only the main thread gets signals"
)


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    """Of Ctrl-C, which whatever starts in the background ignores."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def freed(held: list[object]) -> None:
    held.clear()
    end = time.monotonic() + 10
    while time.monotonic() < end:
        time.sleep(0.001)


def test_while_a_block_is_given_back(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def let_go(_: alloc.Block) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(alloc, "WARM_AT_MOST", 0)
    monkeypatch.setattr(alloc.Block, "let_go", let_go)
    monkeypatch.setattr(alloc, "_limit", 1 << 30)
    a = alloc.empty(alloc.LARGE, np.uint8)
    held = [a]
    del a
    with pytest.raises(KeyboardInterrupt):
        freed(held)
    assert capsys.readouterr().err == ""


def test_while_any_object_dies(capsys: pytest.CaptureFixture[str]) -> None:
    seen = []

    def call(name: str) -> None:
        seen.append(name)
        signal.raise_signal(signal.SIGINT)

    thing = threading.Event()
    finalizers.when_gone(thing, call, "name")
    held = [thing]
    del thing
    with pytest.raises(KeyboardInterrupt):
        freed(held)
    assert seen == ["name"]
    assert capsys.readouterr().err == ""
