"""benches/gpu/run.py: on a machine without a GPU, and from start to end on the emulated one."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from fake_lt import FakeLt

import sparsefmt as sf
from sparsefmt.cuda import blas

FOLDER = Path(__file__).parents[2] / "benches" / "gpu"


def test_without_a_gpu_it_says_what_is_missing(tmp_path: Path) -> None:
    if sf.cuda.available():
        pytest.skip("there is a GPU")
    command = [sys.executable, str(FOLDER / "run.py"), "--out", str(tmp_path / "record.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no GPU: nothing was checked or timed, and no record was written" in done.stderr
    assert not list(tmp_path.iterdir())


def test_every_check_and_case_runs(library: FakeLt, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    script = importlib.import_module("run")
    monkeypatch.setattr(script, "own_rows", lambda small: iter(()))  # tests/cuda/own runs those
    assert script.main(["--small", "--out", str(tmp_path / "record.json")]) == 0
    record = json.loads((tmp_path / "record.json").read_text())
    assert record["gpu"]["name"] == "Fake GPU"
    assert record["checks"]["passed"] > 20
    assert record["checks"]["failed"] == []
    targets = {row["case"]: row["target"] for row in record["rows"]}
    assert sorted({t for t in targets.values() if t is not None}) == [0.8, 1.03, 1.2, 1.3, 25.0]
    assert all(row["value"] > 0 for row in record["rows"])


def test_a_wrong_product_fails_before_anything_is_timed(
    library: FakeLt, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    script = importlib.import_module("run")
    monkeypatch.setattr(blas, "gemm", lambda *args: None)
    assert script.main(["--small"]) == 1
    printed = capsys.readouterr().out
    assert "FAILED" in printed
    assert "decode: nm2:4" in printed
