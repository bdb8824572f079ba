"""Extra memory of encode, decode and direct conversions: at most 0.15 of the output and 1 MiB per thread."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from property import peak_memory
from sparsefmt.kernels.registry import NATIVE

pytestmark = [
    pytest.mark.skipif(not NATIVE, reason="the NumPy definitions promise no bound"),
    pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="peak memory cannot be put back"),
]
NOISE = 0.3  # MiB: pages that threads and the interpreter touch meanwhile


@pytest.fixture(scope="module")
def measured() -> dict[str, tuple[float, float]]:
    """MiB beyond the output, and MiB of output, of every call."""
    plain = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}  # freed memory goes back at once
    done = subprocess.run(
        [sys.executable, peak_memory.__file__], capture_output=True, text=True, check=False, env={**os.environ, **plain}
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, tuple[float, float]] = json.loads(done.stdout)
    return found


def over(measured: dict[str, tuple[float, float]]) -> list[str]:
    return [
        f"{name}: {beyond:.1f} MiB beyond {output:.1f}"
        for name, (beyond, output) in measured.items()
        if beyond > 0.15 * output + peak_memory.THREADS + NOISE
    ]


@pytest.mark.parametrize("start", ["encode", "decode", "convert"])
def test_extra_memory_is_bounded(start: str, measured: dict[str, tuple[float, float]]) -> None:
    chosen = {k: v for k, v in measured.items() if k.startswith(start) and "one row" not in k}
    assert len(chosen) >= 15
    assert not over(chosen)


@pytest.mark.xfail(reason="a row is the smallest block: a vector with gaps is copied whole", strict=True)
def test_extra_memory_is_bounded_for_one_row_with_gaps(measured: dict[str, tuple[float, float]]) -> None:
    assert not over({k: v for k, v in measured.items() if "one row" in k})


def test_measurement_sees_memory_that_is_taken_and_freed(tmp_path: Path) -> None:
    program = tmp_path / "taken.py"
    program.write_text(
        "import numpy as np\nfrom property.peak_memory import extra\n"
        "def call():\n    a = np.ones(5 << 20, np.uint8)\n    del a\n    return np.ones(3 << 20, np.uint8)\n"
        "beyond, output = extra(call)\nassert 1.5 < beyond < 3.5, beyond\nassert output == 3, output\n"
    )
    done = subprocess.run([sys.executable, program], capture_output=True, check=False, env=peak_memory.environment())
    assert done.returncode == 0, done.stderr
