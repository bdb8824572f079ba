"""The example and the benchmark of our own kernels, on the emulated GPU."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import own_cases
import pytest

ROOT = Path(__file__).parents[3]
Cupy = Any  # the module, real or emulated


def script(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.mark.parametrize("tokens", [(5,), (2, 3)])
def test_linear_layer(cupy: Cupy, tokens: tuple[int, ...]) -> None:
    example = script("examples/gpu_linear.py")
    rng, bf16 = np.random.default_rng(0), own_cases.DTYPES["bfloat16"]
    weight, bias = rng.standard_normal((96, 128)).astype(bf16), rng.standard_normal(96).astype(bf16)
    layer = example.PackedLinear(weight, bias, "nm2:4/int4:g64", engine="own")
    x = rng.standard_normal((*tokens, 128)).astype(bf16)
    y = cupy.asnumpy(layer(cupy.asarray(x)))
    assert y.shape == (*tokens, 96)
    assert example.error(layer, x, y, bias) < 5e-3
    assert "nm24_multiply" in layer.explain(5, bf16)


def test_benchmark_measures_every_row(emulated: Cupy, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = script("benches/gpu/own_rows.py")
    ran = []

    def once(calls: list[Any]) -> float:
        calls[0]()
        ran.append(len(calls))
        return 1e-5

    monkeypatch.setattr(bench, "timed", once)
    monkeypatch.setattr(bench, "ROUND", 1)
    monkeypatch.setattr(bench, "copy_bandwidth", lambda: 1e12)
    monkeypatch.setattr(bench, "CASES", [case._replace(targets={1: 4.0, 16: 4.0}) for case in bench.CASES[:2]])
    found = list(bench.rows(small=True))
    assert {r["engine"] for r in found[1:]} == {"own", "own gemv"}
    assert len(found) == 1 + 2 * 3
    assert all(r["error"] < 6e-3 for r in found[1:])


@pytest.mark.parametrize("path", ["examples/gpu_linear.py", "benches/gpu/own_rows.py"])
def test_without_a_gpu_they_say_what_is_missing(path: str) -> None:
    done = subprocess.run([sys.executable, str(ROOT / path)], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0 or "no GPU" in done.stderr
