"""Progress of runs on executors, shards of a size of the user's, and `verify` as a step."""

import pickle
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import sparsefmt as sf
from commandline import Cli
from sparsefmt.checkpoint.entry import Entry, Value
from sparsefmt.checkpoint.steps import Step
from sparsefmt.checkpoint.ticks import PAUSE


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    made = tmp_path / "model"
    made.mkdir()
    for i in (1, 2):
        tensors = {f"l{i}.{k}.weight": rng.standard_normal((64, 64)).astype(np.float32) for k in range(3)}
        sf.save(made / f"model-0000{i}-of-00002.safetensors", tensors)
    return made


@dataclass(frozen=True)
class Slow(Step):
    """Takes long for each range of rows."""

    def selects(self, entry: Entry) -> bool:
        return True

    def apply(self, name: str, value: Value) -> Value:
        time.sleep(1.5 * PAUSE)
        return sf.encode(value, "nm4:4")  # type: ignore[arg-type]

    def rows(self, entry: Entry) -> int:
        return 8

    def fixed(self, entry: Entry) -> bool:
        return True


class Bars:
    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []
        self.workers: list[tuple[int, str, int, int]] = []

    def __call__(self, name: str, nbytes: int) -> None:
        self.calls.append((name, nbytes))

    def worker(self, worker: int, name: str, done: int, total: int) -> None:
        self.workers.append((worker, name, done, total))


def test_jobs_elsewhere_tell_how_far_they_are(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparsefmt.checkpoint.transform_run.CHUNK", 1 << 13)
    bars = Bars()
    with ThreadPoolExecutor(2) as pool:
        sf.transform(folder, tmp_path / "out", Slow(), executor=pool, progress=bars)
    whole = 3 * 64 * 64 * 4
    assert sum(nbytes for _, nbytes in bars.calls) == 2 * whole
    assert {total for *_, total in bars.workers} == {whole}
    assert any(0 < done < whole for *_, done, _ in bars.workers)
    for name in ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"):
        steps = [done for _, found, done, _ in bars.workers if found == name]
        assert steps == sorted(steps)
        assert steps[-1] == whole
    assert not list(tmp_path.glob("**/*.ticks"))


def test_progress_here_counts_every_byte_once(folder: Path, tmp_path: Path) -> None:
    for step in (sf.checkpoint.pack("csr"), sf.checkpoint.pack("nm2:4", prune=True)):
        bars = Bars()
        sf.transform(folder, tmp_path / "out", step, progress=bars, overwrite=True)
        assert sum(nbytes for _, nbytes in bars.calls) == 6 * 64 * 64 * 4


def test_verify_is_a_step(folder: Path, tmp_path: Path) -> None:
    out, copy = tmp_path / "out", tmp_path / "copy"
    sf.transform(folder, out, sf.checkpoint.pack("nm2:4", prune=True))
    step = pickle.loads(pickle.dumps(sf.checkpoint.verify(folder)))
    with ThreadPoolExecutor(2) as pool:
        report = sf.transform(out, None, step, executor=pool)
    assert (report.out, report.verified, len(report.findings)) == (None, True, 6)  # the file says that it was pruned
    assert {row.status for row in report.findings} == {"pruned"}
    assert sf.transform(out, None, sf.checkpoint.verify(out, strict=True)).verified
    report = sf.transform(out, copy, sf.checkpoint.verify(folder, limit=0.9))
    assert report.verified
    assert {p.name: p.read_bytes() for p in copy.iterdir()} == {p.name: p.read_bytes() for p in out.iterdir()}
    assert report.to_json()["findings"][0]["status"] == "pruned"
    with pytest.raises(sf.CheckpointError, match=r"6 of 6 tensors are not those of .*l1\.0\.weight \(pruned\)"):
        sf.transform(out, tmp_path / "no", sf.checkpoint.verify(folder, strict=True))
    assert not (tmp_path / "no").exists()
    one = sf.transform(out, None, sf.checkpoint.verify(folder, limit=0.9), select="l1.0.weight")
    assert [row.name for row in one.findings] == ["l1.0.weight"]
    with pytest.raises(sf.CheckpointError, match="only the step verify writes nothing"):
        sf.transform(out, None, sf.checkpoint.unpack())


def test_shards_of_the_size_that_is_asked_for(folder: Path, tmp_path: Path) -> None:
    cli, one, many = Cli(), tmp_path / "one.safetensors", tmp_path / "many"
    sf.save(one, sf.load(folder))
    cli.ok("pack", one, many, "--format", "csr", "--max-shard-bytes", "40K")
    assert sorted(p.name for p in many.iterdir()) == [
        "model-00001-of-00003.safetensors",
        "model-00002-of-00003.safetensors",
        "model-00003-of-00003.safetensors",
        "model.safetensors.index.json",
    ]
    assert "6 exact: verified" in cli.ok("verify", one, many)
    cli.ok("unpack", many, tmp_path / "plain", "--max-shard-bytes", "1GB")
    assert len(list((tmp_path / "plain").glob("*.safetensors"))) == 3  # they are split, and never joined
    cli.ok("convert", many, tmp_path / "bits", "--format", "bitmask", "--max-shard-bytes", "20000")
    assert len(list((tmp_path / "bits").glob("*.safetensors"))) == 6
    assert "6 exact: verified" in cli.ok("verify", one, tmp_path / "bits")
    assert cli.run("pack", one, tmp_path / "x.safetensors", "--format", "csr", "--max-shard-bytes", "1M").exit_code == 2
    for odd in ("0", "-1", "1X", "nan", "inf"):
        assert cli.run("pack", one, tmp_path / "x", "--format", "csr", "--max-shard-bytes", odd).exit_code == 2


def test_urls_are_inspected(folder: Path, tmp_path: Path) -> None:
    fsspec = pytest.importorskip("fsspec")
    sf.save(tmp_path / "p.safetensors", {"w": sf.encode(np.eye(64, dtype=np.float32), "csr")})
    fsspec.filesystem("memory").pipe("/inspected/p.safetensors", (tmp_path / "p.safetensors").read_bytes())
    url = "memory://inspected/p.safetensors"
    assert "headers only" in Cli().ok("inspect", url)
    shown = Cli().ok("inspect", url, "--against", tmp_path / "p.safetensors")
    assert "0.0156" in shown  # the density
    assert "w" in Cli().ok("inspect", tmp_path / "p.safetensors", "--against", url)
    assert Cli().run("inspect", "memory://inspected/none.safetensors").exit_code in (3, 4)
