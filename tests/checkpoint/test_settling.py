"""A shard is brought to the disk while the next one is made: in order, one at a time, and no error is lost."""

import contextlib
import errno
import json
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import sparsefmt as sf
from property.peak_memory import environment
from sparsefmt.checkpoint import engine, parts
from sparsefmt.checkpoint.unsettled import SettleBehind, Unsettled
from sparsefmt.io.temporary import Temporary

SHARDS = 4
NAMES = [f"model-{i:05}-of-{SHARDS:05}.safetensors" for i in range(1, SHARDS + 1)]
PACK = sf.checkpoint.pack("csr")
PATIENCE = 60  # seconds


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source") / "m"
    folder.mkdir()
    for i, name in enumerate(NAMES, 1):
        sf.save(folder / name, {f"{i}.{k}": np.eye(24, dtype=np.float32) * i for k in range(3)}, {"format": "pt"})
    return folder


@pytest.fixture(scope="module")
def want(source: Path) -> dict[str, bytes]:
    sf.transform(source, source.parent / "want", PACK)
    return contents(source.parent / "want")


@pytest.fixture(autouse=True)
def nothing_left(tmp_path: Path) -> Iterator[None]:
    """No thread and no open file without a name is left behind, however a run ends."""
    yield
    assert [t.name for t in threading.enumerate() if t.name.startswith("sparsefmt-behind")] == []
    for file in Path("/proc/self/fd").glob("*"):
        with contextlib.suppress(FileNotFoundError):
            at = file.readlink()
            assert not (at.is_relative_to(tmp_path) and at.name.endswith("(deleted)"))


def contents(path: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(path.iterdir())}


def noted(folder: Path) -> list[str]:
    """The shards that manifests name; each is there, of the size that its manifest says."""
    found = sorted(folder.glob(".o.parts/*/manifests/*.json"))
    for path in found:
        shard = path.parents[1] / "new" / path.stem
        assert shard.stat().st_size == json.loads(path.read_bytes())["size"]
    return [path.stem for path in found]


class Disk:
    """`os.fsync` of data: it may fail for the `at`th shard, counted from 1, or wait for an event."""

    def __init__(self) -> None:
        self.fail = self.hold = 0
        self.go = threading.Event()
        self._shard = 0
        self._fsync = os.fsync

    def __call__(self, number: int) -> None:
        status = os.fstat(number)
        if stat.S_ISREG(status.st_mode) and not status.st_nlink:  # folders, and whole files at the end, are others
            self._shard += 1
            if self._shard == self.hold:
                assert self.go.wait(PATIENCE)
            if self._shard == self.fail:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
        self._fsync(number)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Disk:
    temporary = Temporary(tmp_path)
    without_name = not os.fstat(temporary.number).st_nlink
    os.close(temporary.number)
    temporary.discard()
    if not without_name:
        pytest.skip("new files are told from others by having no name")
    made = Disk()
    monkeypatch.setattr(os, "fsync", made)
    return made


def goes_on(source: Path, folder: Path, want: dict[str, bytes], done: list[str]) -> None:
    """The next run does the rest, and nothing of what was done."""
    assert noted(folder) == done
    inodes = {p.name: p.stat().st_ino for p in folder.glob(".o.parts/*/new/*") if p.name in done}
    report = sf.transform(source, folder / "o", PACK)
    assert report.kept == len(done)
    assert {name: (folder / "o" / name).stat().st_ino for name in done} == inodes
    assert contents(folder / "o") == want
    assert [p.name for p in folder.iterdir()] == ["o"]


def test_the_next_shard_is_made_meanwhile_and_the_one_after_it_is_not(
    source: Path, want: dict[str, bytes], tmp_path: Path, disk: Disk
) -> None:
    disk.hold = 2
    begun, seen = list[str](), list[list[str]]()

    def progress(name: str, nbytes: int) -> None:
        if name not in begun:
            begun.append(name)
            if name == "3.2":  # the third shard is made while the second one is held
                seen.append(noted(tmp_path))
                threading.Timer(0.2, lambda: (seen.append(list(begun)), disk.go.set())).start()
            if name == "4.0":
                seen.append(noted(tmp_path))

    sf.transform(source, tmp_path / "o", PACK, progress=progress)
    assert seen[0] == NAMES[:1]
    assert seen[1][-1] == "3.2"  # and nothing of the fourth
    assert seen[2][:2] == NAMES[:2]
    assert contents(tmp_path / "o") == want


def test_manifests_come_in_order_and_after_their_data(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, note, replace, fsync = list[str](), parts.note, Temporary.replace, os.fsync

    def heard_note(manifest: Path, found: Mapping[str, object]) -> None:
        told.append(f"note {manifest.stem}")
        note(manifest, found)

    def heard_replace(self: Temporary, target: Path) -> None:
        told.append(f"name {target.name}")
        replace(self, target)

    def heard_fsync(number: int) -> None:
        told.append("folder" if stat.S_ISDIR(os.fstat(number).st_mode) else "data")
        fsync(number)

    monkeypatch.setattr(sys.modules["sparsefmt.checkpoint.jobs"], "note", heard_note)
    monkeypatch.setattr(Temporary, "replace", heard_replace)
    monkeypatch.setattr(os, "fsync", heard_fsync)
    sf.transform(source, tmp_path / "o", sf.checkpoint.pack("csr"))
    each = [["data", f"name {name}", "folder", f"note {name}"] for name in NAMES]
    assert told[: 4 * SHARDS] == [line for lines in each for line in lines]


@pytest.mark.parametrize("at", range(1, SHARDS + 1))
def test_an_error_of_the_disk_names_the_shard_and_ends_the_run(
    source: Path, want: dict[str, bytes], tmp_path: Path, disk: Disk, at: int
) -> None:
    disk.fail, begun = at, list[str]()
    with pytest.raises(OSError, match=os.strerror(errno.EIO)) as caught:
        sf.transform(source, tmp_path / "o", PACK, progress=lambda name, _: begun.append(name))
    assert caught.value.errno == errno.EIO
    assert Path(caught.value.filename).name == NAMES[at - 1]
    assert begun[-1] == f"{min(at + 1, SHARDS)}.2"
    assert not (tmp_path / "o").exists()
    assert len(list(tmp_path.glob(".o.parts/*/new/*"))) == at - 1  # nor is the one after it
    goes_on(source, tmp_path, want, NAMES[: at - 1])


def test_an_error_of_a_merge_names_the_shard_too(tmp_path: Path, disk: Disk) -> None:
    for name in ("a", "b"):
        sf.save(tmp_path / f"{name}.safetensors", {f"w{i}": np.eye(64, dtype=np.float32) for i in range(SHARDS)})
    models = [{"model": str(tmp_path / f"{n}.safetensors"), "parameters": {"weight": 0.5}} for n in ("a", "b")]
    recipe = {"merge_method": "linear", "models": models, "dtype": "float32"}
    disk.fail = 2
    for fmt in (None, "csr"):
        disk._shard = 0
        with pytest.raises(OSError, match=os.strerror(errno.EIO)) as caught:
            sf.merge.run(recipe, tmp_path / "o", shard_bytes=1 << 14, format=fmt)
        assert Path(caught.value.filename).name == NAMES[1]
        assert noted(tmp_path) == NAMES[:1]
    disk.fail = 0
    assert sf.merge.run(recipe, tmp_path / "o", shard_bytes=1 << 14).kept == 0  # the parts are of the other format
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.safetensors", "b.safetensors", "o"]


def interrupted(source: Path, out: Path, disk: Disk, error: BaseException) -> None:
    """Raises within the third shard, while the second is held; a moment later that goes on."""
    disk.hold = 2

    def progress(name: str, nbytes: int) -> None:
        if name == "3.1":
            threading.Timer(0.1, disk.go.set).start()
            raise error

    sf.transform(source, out, PACK, progress=progress)


def test_an_error_of_the_disk_comes_before_one_of_the_next_shard(source: Path, tmp_path: Path, disk: Disk) -> None:
    disk.fail = 2
    with pytest.raises(OSError, match=os.strerror(errno.EIO)) as caught:
        interrupted(source, tmp_path / "o", disk, sf.CodecError("no"))
    assert Path(caught.value.filename).name == NAMES[1]
    assert isinstance(caught.value.__context__, sf.CodecError)
    assert noted(tmp_path) == NAMES[:1]


def test_a_step_that_fails_leaves_nothing(source: Path, tmp_path: Path, disk: Disk) -> None:
    with pytest.raises(sf.CodecError, match="no"):
        interrupted(source, tmp_path / "o", disk, sf.CodecError("no"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(143)])
def test_who_ends_the_program_waits_for_the_shard_before(
    source: Path, tmp_path: Path, disk: Disk, error: BaseException, fails: bool
) -> None:
    disk.fail = 2 * fails
    with pytest.raises(type(error)) as caught:
        interrupted(source, tmp_path / "o", disk, error)
    done = 2 - fails
    if isinstance(error, KeyboardInterrupt):
        assert str(caught.value) == f"{done} of 4 shards are done; the same command goes on from there"
    assert noted(tmp_path) == NAMES[:done]
    left = [p.name for p in tmp_path.glob(".o.parts/*/new/*")]
    assert sorted(left) == NAMES[:done]


KILLED = """
import os, signal, sys
import sparsefmt as sf
from sparsefmt.checkpoint import jobs
from sparsefmt.io.temporary import Temporary

def last(call, left=[int(sys.argv[4])]):
    def then(*arguments):
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*arguments)
    return then

if sys.argv[3] == "manifest":
    jobs.note = last(jobs.note)
else:
    Temporary.replace = last(Temporary.replace)
sf.transform(sys.argv[1], sys.argv[2], sf.checkpoint.pack("csr"))
"""


@pytest.mark.parametrize("at", [1, 3, SHARDS])
@pytest.mark.parametrize("before", ["manifest", "name"])
def test_a_run_that_is_killed_before_it_notes_a_shard(
    source: Path, want: dict[str, bytes], tmp_path: Path, before: str, at: int
) -> None:
    command = [sys.executable, "-c", KILLED, str(source), str(tmp_path / "o"), before, str(at)]
    killed = subprocess.run(command, env=environment(), check=False)
    assert killed.returncode == -signal.SIGKILL
    named = sorted(p.name for p in tmp_path.glob(".o.parts/*/new/m*"))
    assert named == NAMES[: at if before == "manifest" else at - 1]
    goes_on(source, tmp_path, want, NAMES[: at - 1])


def test_a_file_a_shard_that_is_left_and_executors_have_no_thread_for_it(
    source: Path, want: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(name: str, nbytes: int) -> None:
        if name == "4.0":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match="3 of 4 shards are done"):
        sf.transform(source, tmp_path / "o", PACK, progress=stop)
    monkeypatch.setattr(engine, "SettleBehind", lambda: pytest.fail("asked for"))
    goes_on(source, tmp_path, want, NAMES[:3])
    sf.transform(source / NAMES[0], tmp_path / "one.safetensors", PACK)
    with ThreadPoolExecutor(2) as pool:
        sf.transform(source, tmp_path / "p", PACK, executor=pool)
    assert contents(tmp_path / "p") == want


def test_a_file_is_settled_or_discarded_once(tmp_path: Path) -> None:
    calls = list[str]()
    file = Unsettled(tmp_path / "a")
    file.discard()
    file.settle(lambda: calls.append("a"))
    file.discard()
    assert list(tmp_path.iterdir()) == []
    file = Unsettled(tmp_path / "b")
    file.settle(lambda: calls.append("b"))
    file.discard()
    file.settle(lambda: calls.append("b"))
    assert calls == ["b"]
    assert [p.name for p in tmp_path.iterdir()] == ["b"]


def test_a_file_that_is_given_after_a_failure_is_discarded(tmp_path: Path) -> None:
    def broken() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "its manifest")

    files = [Unsettled(tmp_path / name) for name in "abc"]
    with SettleBehind() as behind:
        behind.settle(files[0], broken)
        with pytest.raises(OSError, match="its manifest"):  # once
            behind.settle(files[1], lambda: pytest.fail("settled"))
        behind.settle(files[2], lambda: None)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "c"]
