"""Long kernels answer signals."""

import signal
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

import numpy as np
import pytest

from sparsefmt.kernels.kmeans import kmeans_fit


class Interrupted(Exception):
    """What the handler raises."""


def _raise(signum: int, frame: FrameType | None) -> NoReturn:
    raise Interrupted


@pytest.fixture
def alarm() -> Iterator[None]:
    """SIGALRM raises."""
    before = signal.signal(signal.SIGALRM, _raise)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers that send signals")
@pytest.mark.parametrize("zero", [0, 1])
def test_a_fit_is_stopped_by_a_signal(alarm: None, zero: int) -> None:
    """A fit of a million values to 256 entries takes seconds."""
    values, codebook = np.arange(1_000_000.0) - 5e5, np.full(256, 7.0)
    ones = np.ones(len(values))
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    with pytest.raises(Interrupted):
        kmeans_fit(values, ones, 256, zero, codebook)
