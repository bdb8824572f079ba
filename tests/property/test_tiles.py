"""Products in tiles (AMX): what is estimated, and what happens where they are not there."""

import os
import subprocess
import sys

import numpy as np
import pytest

import sparsefmt as sf
from sparsefmt.base.dtypes import DTYPES
from sparsefmt.product import plan

needs_kernels = pytest.mark.skipif(os.environ.get("SPARSEFMT_NATIVE") == "0", reason="kernels are what is estimated")


def ways(fmt: str, dtype: str, k: int, x: str = "float32") -> list[str]:
    """The ways of a matrix of 2:4 by `k` columns, the best one first."""
    w = np.zeros((256, 256), np.float32)
    w[:, ::2] = 1
    t = sf.encode(w.astype(DTYPES[dtype]), fmt)
    return [found.way for found in plan.estimates(t.structure, t.values, k, DTYPES[x])]


@needs_kernels
def test_tiles_are_named_with_their_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the extension plans on a CPU that has them."""
    monkeypatch.setattr(plan, "product_plan", lambda *task: ("amx_gemm", 1 << 17, 5 * 2**23, 1 << 20, 5))
    monkeypatch.setattr(plan, "instruction_set", lambda: "amx")
    assert ways("nm2:4", "float16", 64)[0] == "packed nm kernel amx_gemm: tiles of bfloat16, 5 products of parts"


def test_tiles_are_not_planned_elsewhere() -> None:
    if sf.cpu_features()["isa"] != "amx":
        assert not any("tiles" in way for way in ways("nm2:4", "float16", 64))


@needs_kernels
def test_each_instruction_set_is_told_and_one_that_is_missing_is_refused() -> None:
    available = sf.cpu_features()["available"]
    assert list(available) == ["scalar", "neon", "avx2", "avx512", "amx"]
    if not available["amx"]:
        env = {**os.environ, "SPARSEFMT_ISA": "amx", "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(
            [sys.executable, "-c", "from sparsefmt import encode"], env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        have = ", ".join(name for name, has in available.items() if has)
        assert f"ImportError: SPARSEFMT_ISA=amx is not available; this CPU has {have}" in done.stderr
