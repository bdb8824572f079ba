"""What the tests of the kernels share."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import own_host

from sparsefmt.cuda import module
from sparsefmt.cuda.own import plan, product, rows

SMALL = plan.Gpu(80, 2, 163 << 10, 164 << 10, 1e12)


@pytest.fixture
def cpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The engine takes NumPy arrays, and its kernels run on the CPU, on a GPU of two processors."""
    if own_host.COMPILER is None:
        pytest.skip("no g++")
    monkeypatch.setattr(module, "kernel", own_host.kernel)
    for user in (product, rows):
        monkeypatch.setattr(user, "gpu", lambda: SMALL)
    yield
