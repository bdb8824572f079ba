"""examples/connectivity.py on clusters of random vectors."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def example() -> Iterator[ModuleType]:
    for name in ("minilm_model", "connectivity"):
        spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    yield sys.modules["connectivity"]
    for name in ("minilm_model", "connectivity"):
        del sys.modules[name]


def test_heads_from_one_start_are_connected_and_from_two_are_not(example: ModuleType) -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(10), 3)
    x = rng.standard_normal((10, 48))[labels] + 0.4 * rng.standard_normal((30, 48))
    x = (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)
    found = example.curves(x, labels, hidden=32)
    one, two = float(found["one start"]), float(found["two starts"])
    assert max(found["two starts"].curve.losses[::20]) < 0.5  # both ends have learned
    assert two > 0.2
    assert one < two / 4
    svg = example.drawing(found)
    assert svg.count("<polyline") == 2
    assert f"barrier {two:.3f}" in svg
