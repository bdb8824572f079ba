"""Runs, and Dask workers, that are killed at random times: the same bytes in the end, nothing done twice, no litter."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from distributed import Client, LocalCluster

import sparsefmt as sf
from support.slowly import packed_slowly

TESTS = Path(__file__).parents[1]
SHARDS = 6
RUN = (
    "import sys, sparsefmt as sf; from support.slowly import packed_slowly\n"
    "sf.transform(sys.argv[1], sys.argv[2], packed_slowly)"
)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("source") / "m"
    path.mkdir()
    rng = np.random.default_rng(0)
    weight_map = {}
    for i in range(1, SHARDS + 1):
        name = f"model-{i:05}-of-{SHARDS:05}.safetensors"
        tensors = {f"{i}.{j}": rng.standard_normal((16, 24)).astype(np.float32) for j in range(3)}
        sf.save(path / name, tensors, {"format": "pt"})
        weight_map |= dict.fromkeys(tensors, name)
    (path / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return path


@pytest.fixture(scope="module")
def want(source: Path) -> dict[str, bytes]:
    out = source.parent / "want"
    sf.transform(source, out, packed_slowly)
    return contents(out)


def contents(path: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(path.iterdir())}


def killed(source: Path, out: Path, delay: float) -> None:
    """Starts a run, and kills it when it has been at work for a while."""
    env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(TESTS), os.environ.get("PYTHONPATH")]))}
    parts = out.parent / f".{out.name}.parts"
    with subprocess.Popen([sys.executable, "-c", RUN, str(source), str(out)], env=env) as child:
        while not parts.exists() and not out.exists() and child.poll() is None:
            time.sleep(0.002)
        time.sleep(delay)
        child.send_signal(signal.SIGKILL)


def finished(out: Path) -> dict[str, int]:
    """The shards that are done, with their inodes."""
    parts = out.parent / f".{out.name}.parts"
    noted = [p.parents[1] / "new" / p.stem for p in parts.glob("*/manifests/*.json")]
    return {p.name: p.stat().st_ino for p in noted if p.exists()}


def trial(source: Path, want: dict[str, bytes], folder: Path, seed: int) -> int:
    out = folder / "o"
    killed(source, out, random.Random(seed).uniform(0, 1.0))
    if out.exists():  # the run was faster
        assert contents(out) == want
        return SHARDS
    done = finished(out)
    report = sf.transform(source, out, packed_slowly)
    assert report.kept == len(done)
    assert {name: (out / name).stat().st_ino for name in done} == done
    assert contents(out) == want
    assert [p.name for p in folder.iterdir()] == ["o"]
    return len(done)


@pytest.mark.parametrize("seed", range(5))
def test_a_run_that_is_killed_goes_on(source: Path, want: dict[str, bytes], tmp_path: Path, seed: int) -> None:
    trial(source, want, tmp_path, seed)


@pytest.mark.slow
def test_runs_that_are_killed_go_on(source: Path, want: dict[str, bytes], tmp_path: Path) -> None:
    kept = []
    for seed in range(50):
        (tmp_path / str(seed)).mkdir()
        kept.append(trial(source, want, tmp_path / str(seed), seed))
    assert any(0 < n < SHARDS for n in kept)


def test_a_source_that_changed_after_the_kill(source: Path, tmp_path: Path) -> None:
    out, copy = tmp_path / "o", tmp_path / "m"
    copy.mkdir()
    for p in source.iterdir():
        (copy / p.name).write_bytes(p.read_bytes())
    killed(copy, out, 0.2)
    first = copy / f"model-00001-of-{SHARDS:05}.safetensors"
    sf.save(first, {name: np.full((16, 24), 7, np.float32) for name in sf.load(first)}, {"format": "pt"})
    report = sf.transform(copy, out, packed_slowly, overwrite=True)
    assert report.kept == 0
    assert sf.load(out, ["1.0"])["1.0"].to_dense().min() == 7
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m", "o"]


def two_workers() -> LocalCluster:
    return LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50)


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with two_workers() as made:
        yield made


def worker_killed(cluster: LocalCluster, source: Path, want: dict[str, bytes], out: Path, seed: int) -> None:
    chance = random.Random(seed)
    with Client(cluster) as client:
        client.wait_for_workers(1, timeout=120)
        pids = [nanny.pid for nanny in cluster.workers.values() if nanny.pid]  # one may still be starting again
        timer = threading.Timer(chance.uniform(0, 0.4), os.kill, (chance.choice(pids), signal.SIGKILL))
        timer.start()
        report = sf.transform(source, out, packed_slowly, executor=client.get_executor())
        timer.join()
    assert report.shards == SHARDS
    assert contents(out) == want
    assert [p.name for p in out.parent.iterdir() if p.name.startswith(".")] == []


@pytest.mark.filterwarnings("default")  # Dask's own, of a worker that is gone
def test_a_dask_worker_that_is_killed(
    cluster: LocalCluster, source: Path, want: dict[str, bytes], tmp_path: Path
) -> None:
    for seed in range(5):
        worker_killed(cluster, source, want, tmp_path / str(seed), seed)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_dask_workers_that_are_killed(source: Path, want: dict[str, bytes], tmp_path: Path) -> None:
    """New workers each time: Dask gives up one that is killed while it starts, and without any the work waits."""
    for seed in range(50):
        with two_workers() as cluster:
            worker_killed(cluster, source, want, tmp_path / str(seed), seed)
