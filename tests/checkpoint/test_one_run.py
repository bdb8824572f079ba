"""Two runs that write one result: the second is refused at once, by name, and whoever is killed leaves no lock."""

import contextlib
import functools
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sparsefmt as sf
from commandline import Cli
from sparsefmt.checkpoint.parts import Parts
from sparsefmt.io import holding
from support.slowly import GO, packed_on_demand, packed_slowly

pytestmark = pytest.mark.skipif(not holding.LOCKS, reason="the system has no locks")
TESTS = Path(__file__).parents[1]
ENV = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(TESTS), os.environ.get("PYTHONPATH")]))}
RUN = (
    "import sys, sparsefmt as sf; from concurrent.futures import ProcessPoolExecutor\n"
    "from multiprocessing import get_context; from support.slowly import packed_on_demand\n"
    "source, out, way = sys.argv[1:]\n"
    "if __name__ == '__main__':\n"
    "    pool = None if way == 'alone' else ProcessPoolExecutor(2, mp_context=get_context(way))\n"
    "    sf.transform(source, out, packed_on_demand, executor=pool)"
)
WEIGHTS = {f"{i}.{j}.weight": np.full((24, 24), i + j, np.float32) for i in range(4) for j in range(8)}


@pytest.fixture
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that `packed_on_demand` waits for."""
    monkeypatch.setenv(GO, str(tmp_path / "go"))
    return tmp_path / "go"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "m"
    folder.mkdir()
    for i in range(4):
        part = {name: w for name, w in WEIGHTS.items() if name.startswith(f"{i}.")}
        sf.save(folder / f"model-{i + 1:05}-of-00004.safetensors", part, {"format": "pt"})
    return folder


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Holds a result in another thread until the test ends."""
    end, threads = threading.Event(), list[threading.Thread]()

    def hold(name: str) -> Path:
        begun = threading.Event()

        def run() -> None:
            with Parts(tmp_path / name).held():
                begun.set()
                end.wait(60)

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        assert begun.wait(60)
        return tmp_path / name

    yield hold
    end.set()
    for thread in threads:
        thread.join()
    assert not list(tmp_path.glob(".*"))


def begun(source: Path, out: Path, way: str = "alone") -> subprocess.Popen[bytes]:
    """A process that writes `out`, has a shard behind it, and waits."""
    env = ENV | {GO: os.environ[GO]}
    child = subprocess.Popen([sys.executable, "-c", RUN, str(source), str(out), way], env=env)
    parts, until = Parts(out).path, time.monotonic() + 120
    while not list(parts.glob("*/manifests/*.json")) and child.poll() is None and time.monotonic() < until:
        time.sleep(0.002)
    assert child.poll() is None
    return child


def test_a_second_process_is_refused(cli: Cli, source: Path, tmp_path: Path, go: Path) -> None:
    out = tmp_path / "o"
    with begun(source, out) as child:
        with pytest.raises(sf.BusyError) as refused:
            sf.transform(source, out, packed_slowly)
        line = cli.fails(4, "pack", source, out, "--format", "coo", "--min-size", "0")
        assert child.poll() is None
        go.touch()
        assert child.wait(120) == 0
    said = (
        rf"{re.escape(str(out))} is being written by process {child.pid}, since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d\S*; "
    )
    assert re.search(said + "wait until it has ended, or write to another path$", str(refused.value))
    assert str(child.pid) in line
    assert sorted(sf.open_checkpoint(out)) == sorted(WEIGHTS)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["go", "m", "o"]


@pytest.mark.parametrize("way", ["alone", "spawn", "fork"])
def test_a_lock_dies_with_its_process(source: Path, tmp_path: Path, go: Path, way: str) -> None:
    """Also where it leaves workers behind, which go on for a while."""
    out = tmp_path / "o"
    with begun(source, out, way) as child:
        kin = Path(f"/proc/{child.pid}/task/{child.pid}/children")
        orphans = kin.read_text().split() if kin.exists() else []
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert (Parts(out).path / holding.LOCK).exists()
        go.touch()
        try:
            report = sf.transform(source, out, packed_on_demand)
        finally:
            for orphan in orphans:  # workers of a process that was killed may wait for ever
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(orphan), signal.SIGKILL)
    assert report.kept >= 1
    assert sorted(sf.open_checkpoint(out)) == sorted(WEIGHTS)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["go", "m", "o"]


def test_a_second_thread_is_refused(source: Path, tmp_path: Path) -> None:
    """One of many gets the result; the others are told at once."""
    out, ready = tmp_path / "o", threading.Barrier(6)

    def call(_: int) -> str:
        ready.wait()
        try:
            return str(sf.transform(source, out, packed_slowly).out)
        except (sf.BusyError, FileExistsError) as e:
            return type(e).__name__

    with ThreadPoolExecutor(6) as pool:
        found = sorted(pool.map(call, range(6)))
    assert found.count(str(out)) == 1
    assert set(found) <= {str(out), "BusyError", "FileExistsError"}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m", "o"]


def test_many_processes_at_once(source: Path, tmp_path: Path) -> None:
    """With --force one after the other may write it, never two together."""
    command = [sys.executable, "-m", "sparsefmt", "pack", str(source), str(tmp_path / "o")]
    more = ("--min-size", "0", "--quiet", "--force", "--format")
    formats = ["csr", "coo", "bitmask", "csc"]
    runs = [subprocess.Popen([*command, *more, fmt], env=ENV, stderr=subprocess.PIPE) for fmt in formats]
    said = [run.communicate(timeout=240)[1].decode() for run in runs]
    codes = [run.returncode for run in runs]
    assert 0 in codes
    assert all("is being written by" in text for text, code in zip(said, codes, strict=True) if code), said
    found = {t.format for t in sf.load(tmp_path / "o").values() if isinstance(t, sf.SparseTensor)}
    assert len(found) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m", "o"]


@pytest.mark.parametrize("words", ["pack m o --format csr --min-size 0", "unpack p o", "convert p o --format coo"])
def test_every_command_is_refused(
    cli: Cli, source: Path, tmp_path: Path, elsewhere: Callable[[str], Path], words: str
) -> None:
    sf.transform(source, tmp_path / "p", packed_slowly)
    out = elsewhere("o")
    command, old, _, *more = words.split()
    line = cli.fails(4, command, tmp_path / old, out, *more)
    assert f"{out} is being written by other work of this process, {os.getpid()}" in line
    assert not out.exists()


@pytest.mark.parametrize("name", ["o", "o.safetensors"])
def test_merges_are_refused(
    cli: Cli, source: Path, tmp_path: Path, elsewhere: Callable[[str], Path], name: str
) -> None:
    out = elsewhere(name)
    line = cli.fails(4, "merge", "--method", "linear", source, source, out)
    assert "is being written by" in line
    with pytest.raises(sf.BusyError):
        sf.merge.linear([source, source], out=out)
    assert not out.exists()


def test_a_step_that_writes_the_result_itself(source: Path, tmp_path: Path) -> None:
    """A run within a run, of one thread: only who lends is written for, and by one at a time."""
    out = tmp_path / "o"

    def step(name: str, value: Any) -> Any:  # noqa: ANN401
        with pytest.raises(sf.BusyError, match="other work of this process"):
            sf.transform(source, out, packed_slowly, overwrite=True)
        return {name: value}

    sf.transform(source, out, step, select="0.0.*")
    with Parts(out).held(lend=True):
        sf.transform(source, out, step, select="0.0.*", overwrite=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m", "o"]


def test_a_link_in_the_place_of_the_parts_is_not_cleared(source: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    (tmp_path / ".o.parts").symlink_to("mine")
    with pytest.raises(sf.CheckpointError, match="is a link, and this is a folder that runs clear; remove the link"):
        sf.transform(source, tmp_path / "o", packed_slowly)
    assert os.listdir(tmp_path / "mine") == ["thesis.txt"]


def test_a_link_to_the_result_is_the_result(source: Path, tmp_path: Path, elsewhere: Callable[[str], Path]) -> None:
    out = elsewhere("o")
    (tmp_path / "other").symlink_to(out)
    with pytest.raises(sf.BusyError):
        sf.transform(source, tmp_path / "other", packed_slowly)
    (tmp_path / "other").unlink()


def test_workers_share_the_lock_of_their_run(source: Path, tmp_path: Path) -> None:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        sf.transform(source, tmp_path / "o", packed_slowly, executor=pool)
    with ThreadPoolExecutor(3) as pool:
        sf.transform(source, tmp_path / "p", packed_slowly, executor=pool)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m", "o", "p"]


def test_a_run_that_fails_holds_nothing(source: Path, tmp_path: Path) -> None:
    """Neither what it leaves for the next, nor where it leaves nothing."""

    def failing(error: type[Exception]) -> Callable[..., Any]:
        def step(name: str, value: Any) -> Any:  # noqa: ANN401
            if name.startswith("2."):
                raise error
            return {name: value}

        return step

    out = tmp_path / "o"
    for error, left in ((sf.FormatError, []), (ZeroDivisionError, ["manifests", "new", "pieces"])):
        for _ in range(2):
            with pytest.raises(error):
                sf.transform(source, out, failing(error))
            parts = Parts(out).path
            assert sorted(p.name for p in parts.glob("*/*")) == left
            assert not (parts / holding.LOCK).exists()
    sf.transform(source, out, packed_slowly)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m", "o"]


def test_where_there_are_no_locks_runs_go_on(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the file system, or of the whole system."""
    for name, space in ((holding, "LOCKS"), (holding, "is_held")):
        with monkeypatch.context() as m:
            m.setattr(name, space, False if space == "LOCKS" else lambda number: False)
            sf.transform(source, tmp_path / "o", packed_slowly, overwrite=True)
            assert sorted(p.name for p in tmp_path.iterdir()) == ["m", "o"]


class Remembering(Executor):
    """Keeps calls instead of making them, and then is interrupted: what a cluster still runs after Ctrl-C."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], object]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        self.calls.append(functools.partial(fn, *args, **kwargs))
        raise KeyboardInterrupt


def test_workers_of_a_run_that_was_given_up_write_nothing_into_another(source: Path, tmp_path: Path) -> None:
    """One that still works on a shard when the next run, with other options, has written that shard."""
    late, out = Remembering(), tmp_path / "o"
    with pytest.raises(KeyboardInterrupt):
        sf.transform(source, out, packed_slowly, executor=late)

    def step(name: str, value: Any) -> Any:  # noqa: ANN401
        if name == "3.7.weight":
            for call in late.calls:
                with pytest.raises(OSError, match="No such file"):
                    call()
        return {name: sf.encode(value, "coo")}

    sf.transform(source, out, step)
    assert {t.format for t in sf.load(out).values() if isinstance(t, sf.SparseTensor)} == {"coo"}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m", "o"]
