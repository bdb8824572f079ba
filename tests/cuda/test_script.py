"""benches/gpu/run.py: on a machine without a GPU, and from start to end on the emulated one."""

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
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


def test_a_run_that_is_cut_leaves_its_rows(library: FakeLt, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As `kit.sh times` runs it."""
    monkeypatch.syspath_prepend(str(FOLDER))
    script = importlib.import_module("run")
    monkeypatch.setattr(script, "own_rows", lambda small: iter([{"case": "own", "note": "first"}]))

    def cut(small: bool) -> Iterator[dict[str, object]]:
        yield {"case": "second"}
        raise KeyboardInterrupt

    monkeypatch.setattr(script.cases, "every", cut)
    with pytest.raises(KeyboardInterrupt):
        script.main(["--times", "--small", "--out", str(tmp_path / "times.json")])
    assert [r["case"] for r in json.loads((tmp_path / "times.json").read_text())["rows"]] == ["own", "second"]


def test_the_kit_script_is_shell_and_names_its_steps(tmp_path: Path) -> None:
    subprocess.run(["bash", "-n", str(FOLDER / "kit.sh")], check=True)
    (tmp_path / "gpu-kit" / "installed").mkdir(parents=True)
    command = ["bash", str(FOLDER / "kit.sh"), "nothing", str(tmp_path / "out")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "have checks, times, torch" in done.stderr


def test_torch_rows_say_what_is_missing() -> None:
    done = subprocess.run([sys.executable, str(FOLDER / "torch_rows.py")], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        pytest.skip("there is PyTorch with a GPU")
    assert done.returncode == 2
    assert "nothing was timed" in done.stderr
