"""A switch that does not come to its end: every tensor is of one version, and the next switch finds what it left."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sparsefmt as sf
from sparsefmt.delta import merged

Array = np.ndarray[Any, Any]
BASE = {name: np.arange(200, dtype=np.float32) for name in ("u", "v", "w")}
TASK = {name: np.where(a % 7 == 0, a + 0.5, a) for name, a in BASE.items()}
VERSIONS = {a.tobytes() for a in (BASE["u"], TASK["u"])}


def one(store: sf.TaskStore) -> set[bytes]:
    return {store[name].tobytes() for name in store}


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("at", range(6))
def test_a_switch_that_is_interrupted(
    tmp_path: Path, at: int, error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    sf.save(tmp_path / "base.safetensors", BASE)
    store, calls, whole = sf.TaskStore(tmp_path / "base.safetensors"), [0], merged.put
    store.add("one", TASK)

    def half(parts: Any, into: Array, *, back: bool) -> None:  # noqa: ANN401
        calls[0] += 1
        if calls[0] == at + 1 and not back:
            into[:100] = TASK["u"][:100]
            raise error
        if calls[0] == at + 1:
            raise error
        whole(parts, into, back=back)

    monkeypatch.setattr(merged, "put", half)
    with pytest.raises(error):
        store.activate("one")
    assert one(store) <= VERSIONS
    store.deactivate()
    assert one(store) == {BASE["u"].tobytes()}
    store.activate("one")
    assert one(store) == {TASK["u"].tobytes()}


def test_a_switch_without_memory_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sf.save(tmp_path / "base.safetensors", BASE)
    store, copied = sf.TaskStore(tmp_path / "base.safetensors"), sf.TaskStore._copied
    store.add("one", TASK)

    def refused(store: sf.TaskStore, tensor: str) -> Array:
        if tensor == "w":
            raise MemoryError
        return copied(store, tensor)

    with monkeypatch.context() as change:
        change.setattr(sf.TaskStore, "_copied", refused)
        with pytest.raises(MemoryError):
            store.activate("one")
    assert store.active == {}
    assert one(store) == {BASE["u"].tobytes()}
    store.activate("one")
    assert one(store) == {TASK["u"].tobytes()}
