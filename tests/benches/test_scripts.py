"""The benchmark harness and the demo run from start to end, at small sizes."""

import json
import re
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]


def run(script: str, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / script), *args]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def test_every_case_runs() -> None:
    done = run("benches/python/run.py", "--quick")
    assert done.returncode == 0, done.stderr
    names = run("benches/python/run.py", "--list").stdout.splitlines()
    assert len(names) >= 30
    for name in names:
        assert name in done.stdout
    assert "wrote" not in done.stdout


def test_cases_are_chosen_by_name() -> None:
    done = run("benches/python/run.py", "--quick", "--case", "csr f32 10% *")
    assert done.stdout.count("csr f32 10%") == 3
    assert run("benches/python/run.py", "--case", "no such case").returncode == 2


def test_scaling_runs_every_instruction_set() -> None:
    done = run("benches/python/scaling.py", "--quick", "--case", "csr f32 10% *code")
    assert done.returncode == 0, done.stderr
    assert "2 cases, 0 bars missed" in done.stdout
    assert "scalar" in done.stdout
    assert run("benches/python/scaling.py", "--case", "no such case").returncode == 2


def test_costs_are_measured() -> None:
    done = run("benches/python/costs.py", "--quick")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 14
    assert "load 1000 of 64 x 64 csr" in done.stdout


def test_rooflines_have_reasons() -> None:
    """Rows of records below 0.75 say why, and every reason is about a case."""
    names = run("benches/python/run.py", "--list").stdout.splitlines()
    reasons = json.loads((ROOT / "benches" / "reasons.json").read_text())
    for glob in reasons:
        assert any(fnmatchcase(name, glob) for name in names), glob
    for record in (ROOT / "benches" / "record").glob("*/*.json"):
        for r in json.loads(record.read_text()).get("results", []):
            if r.get("roof_gb_per_s") is not None and r["roofline"] < 0.75:
                assert r["below"], (record.name, r["case"])


def test_the_least_time_of_memory() -> None:
    sys.path.insert(0, str(ROOT / "benches" / "python"))
    try:
        import bandwidth
    finally:
        sys.path.pop(0)
    for total, parts in ((0, 1), (1, 2), (1000, 3), (1 << 20, 7)):
        found = [bandwidth.share(total, at, parts) for at in range(parts)]
        assert [low for low, _ in found] == [0, *np.cumsum([size for _, size in found])[:-1]]
        assert sum(size for _, size in found) == total
    for reads, writes in ((5 << 20, 1 << 20), (1 << 20, 5 << 20), (0, 1 << 21), (1 << 21, 0)):
        source, target = np.full(reads + 1, 3, np.uint8), np.zeros(writes + 1, np.uint8)
        bandwidth.move(source.ctypes.data, reads, target.ctypes.data, writes, 5)
        assert set(np.unique(target[:writes])) <= {1, 3}
        assert (target[:writes] == 3).sum() == min(reads, writes)
        assert target[writes] == 0
        assert {way() for way in bandwidth.ways(reads, writes).values()} == {None}


def test_records_name_no_host() -> None:
    for record in (ROOT / "benches" / "record").glob("*/*.json"):
        about = json.loads(record.read_text())
        if "emulator" in about:  # instructions, counted on no machine in particular
            assert set(about) & {"host", "machine", "node"} == set()
            continue
        assert set(about["machine"]) - {"family_model"} == {"cpu", "name", "cores", "isa"}
        assert record.parent.name == about["machine"]["name"]


def test_demo_without_a_registry(tmp_path: Path) -> None:
    done = run("examples/demo.py", "--offline", "--repeats", "1", "--keep", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("no package registry: using a random model")
    assert done.stdout.count("all 37 bit-exact") == 9
    assert len(list(tmp_path.glob("*.safetensors"))) == 9
    errors = {fmt: done.stdout.partition(f"{fmt} ")[2].partition("\n")[0] for fmt in ("bsr16x16", "nm2:4/int4:g128")}
    assert " none " in errors["bsr16x16"]
    assert re.search(r" 9\.\d% .* \d+\.\d\d% ", errors["nm2:4/int4:g128"])  # of dense, and the error


def test_deltas_are_measured() -> None:
    done = run("benches/python/delta.py", "--quick")
    assert done.returncode == 0, done.stderr
    for what in ("wire, of XOR", "archive, of the bound", "apply to a file in place", "switch of a task"):
        assert what in done.stdout


def test_merging_runs_beside_its_bound(tmp_path: Path) -> None:
    """The bars are for a quiet machine and models of 1 GB: here it only has to run."""
    done = run("benches/python/merge.py", "--mib", "2", "--folder", str(tmp_path), "--repeats", "1")
    assert done.returncode in (0, 1), done.stderr
    for name in ("linear", "task_arithmetic", "ties, whole model", "dare_ties"):
        assert f"\n{name}" in "\n" + done.stdout
    assert done.stdout.count("MiB anonymous at most  bar 88") == 4


def test_checkpoints_are_measured() -> None:
    done = run("benches/python/checkpoint.py", "--quick")
    assert done.returncode == 0, done.stderr
    assert "9 figures" in done.stdout
