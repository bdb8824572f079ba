"""What the tests of the kernels share."""

from types import SimpleNamespace

import own_host
import pytest

from sparsefmt.cuda import module, prepared
from sparsefmt.cuda.own import plan, product, rows

SMALL = plan.Gpu(80, 2, 163 << 10, 164 << 10, 1e12)


@pytest.fixture
def cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine takes NumPy arrays, and its kernels run on the CPU, on a GPU of two processors."""
    if own_host.COMPILER is None:
        pytest.skip("no g++")
    stream = SimpleNamespace(synchronize=lambda: None)
    nothing = SimpleNamespace(cuda=SimpleNamespace(get_current_stream=lambda: stream))
    monkeypatch.setattr(prepared, "cupy", lambda: nothing)
    monkeypatch.setattr(module, "kernel", own_host.kernel)
    for user in (product, rows):
        monkeypatch.setattr(user, "gpu", lambda: SMALL)
