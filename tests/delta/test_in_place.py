"""Apply in place: after a crash, a checkpoint is the old version or the new, never half of each."""

import errno
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from mmap import PAGESIZE, mmap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sparsefmt as sf
from sparsefmt.delta import journal, pages
from sparsefmt.io import mapping

Array = np.ndarray[Any, Any]


def models(size: int, every: int = 17) -> tuple[dict[str, Array], dict[str, Array]]:
    rng = np.random.default_rng(0)
    old = {f"w{i}": rng.standard_normal((size, 64)).astype(np.float32) for i in range(6)}
    new = {name: np.array(a) for name, a in old.items()}
    for a in new.values():
        a.reshape(-1).view(np.uint32)[::every] += 3
    return old, new


def folder(path: Path, tensors: dict[str, Array]) -> Path:
    """A folder of two shards."""
    path.mkdir()
    names = sorted(tensors)
    for i in range(2):
        shard = path / f"model-{i + 1:05d}-of-00002.safetensors"
        sf.save(shard, {n: tensors[n] for n in names[3 * i : 3 * i + 3]})
    return path


def version(path: Path) -> bytes:
    with sf.open_checkpoint(path) as c:
        return b"".join(np.asarray(c[name]).tobytes() for name in sorted(c))


def test_in_place_is_the_new_version(tmp_path: Path) -> None:
    old, new = models(50)
    where, want = folder(tmp_path / "m", old), version(folder(tmp_path / "n", new))
    d = sf.delta.diff(old, new)
    assert d.apply(where, in_place=True) == where
    assert version(where) == want
    assert sorted(os.listdir(where)) == sorted(os.listdir(tmp_path / "n"))
    with pytest.raises(sf.DeltaError, match="applied before"):
        d.apply(where, in_place=True)
    assert version(where) == want


def test_a_damaged_delta_leaves_the_old_version(tmp_path: Path) -> None:
    old, new = models(50)
    where = folder(tmp_path / "m", old)
    before = version(where)
    d = sf.delta.diff(old, new)
    steps = d.changes["w4"].pieces[0].steps.values.arrays()
    codes = next(iter(steps.values()))
    codes.flags.writeable = True
    codes[5] ^= 1
    with pytest.raises(sf.DeltaError, match="promises"):
        d.apply(where, in_place=True)
    assert version(where) == before
    assert not journal.journal_of(where).exists()


def test_tensors_that_come_need_a_new_checkpoint(tmp_path: Path) -> None:
    old, new = models(20)
    where = folder(tmp_path / "m", old)
    with pytest.raises(sf.DeltaError, match="write a new checkpoint"):
        sf.delta.diff(old, {**new, "more": new["w0"]}).apply(where, in_place=True)


@pytest.mark.parametrize("where_to_stop", ["journal", "half", "end"])
def test_an_interruption_is_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where_to_stop: str) -> None:
    """The process stops as if it were killed: nothing cleans up behind it."""
    old, new = models(50)
    where = folder(tmp_path / "m", old)
    before, d, calls = version(where), sf.delta.diff(old, new), [0]

    class Killed(BaseException):
        pass

    real = journal.renewed

    def stop(*args: Any) -> Any:  # noqa: ANN401
        calls[0] += 1
        if calls[0] == 4:
            raise Killed
        return real(*args)

    if where_to_stop == "half":
        monkeypatch.setattr(journal, "renewed", stop)
    elif where_to_stop == "end":
        monkeypatch.setattr(pages, "sync", lambda path: stop_now())
    else:
        monkeypatch.setattr(journal, "_move", lambda *args: stop_now())

    def stop_now() -> None:
        raise Killed

    monkeypatch.setattr(journal, "recover", lambda path: stop_now() if journal.journal_of(path).exists() else False)
    with pytest.raises(Killed):
        d.apply(where, in_place=True)
    assert journal.journal_of(where).exists()
    monkeypatch.undo()
    assert sf.delta.recover(where)
    assert version(where) == before
    assert not sf.delta.recover(where)
    d.apply(where, in_place=True)
    assert version(where) == version(folder(tmp_path / "n", new))


def test_a_journal_whose_writer_lives_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes change one checkpoint: the second is refused at every moment, and the first comes to its end."""
    old, new = models(50)
    where, d = folder(tmp_path / "m", old), sf.delta.diff(old, new)
    want, refused = version(folder(tmp_path / "n", new)), list[str]()

    def second(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:  # noqa: ANN401
            for act in (lambda: d.apply(where, in_place=True), lambda: sf.delta.recover(where)):
                with pytest.raises(sf.DeltaError, match=r"in use: another process"):
                    act()
                refused.append(real.__name__)
            return real(*args)

        return call

    for name in ("check_names", "_write_journal", "renewed", "_move"):
        monkeypatch.setattr(journal, name, second(getattr(journal, name)))
    d.apply(where, in_place=True)
    monkeypatch.undo()
    assert set(refused) == {"check_names", "_write_journal", "renewed", "_move"}
    assert version(where) == want
    assert not journal.journal_of(where).exists()


def test_files_that_were_replaced_meanwhile_are_not_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shard of another version takes the place of one while the journal is written: it stays as it is."""
    old, new = models(50)
    where, other = folder(tmp_path / "m", old), folder(tmp_path / "n", {n: a * 2 for n, a in old.items()})
    shard, real = "model-00001-of-00002.safetensors", journal._write_journal

    def replaced(*args: Any) -> None:  # noqa: ANN401
        real(*args)
        os.replace(other / shard, where / shard)

    want = (other / shard).read_bytes()
    monkeypatch.setattr(journal, "_write_journal", replaced)
    with pytest.raises(sf.CheckpointError, match="replaced"):
        sf.delta.diff(old, new).apply(where, in_place=True)
    monkeypatch.undo()
    assert not journal.journal_of(where).exists()
    assert not sf.delta.recover(where)
    assert (where / shard).read_bytes() == want


@pytest.mark.parametrize("name", ["m.safetensors", "link.safetensors"])
def test_a_file_has_one_journal_under_all_its_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    old, new = models(20)
    file, link = tmp_path / "m.safetensors", tmp_path / "elsewhere"
    link.mkdir()
    sf.save(file, old)
    (link / "link.safetensors").symlink_to(file)
    before = file.read_bytes()
    recover = journal.recover
    monkeypatch.setattr(journal, "recover", lambda path: False)  # as if it were killed
    monkeypatch.setattr(journal, "check_sums", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        sf.delta.diff(old, new).apply(link / "link.safetensors", in_place=True)
    assert file.read_bytes() != before
    assert recover(tmp_path / name if name[0] == "m" else link / name)
    assert file.read_bytes() == before


def test_a_cut_journal_means_that_nothing_was_changed(tmp_path: Path) -> None:
    old, new = models(20)
    where = folder(tmp_path / "m", old)
    before = version(where)
    journal.journal_of(where).write_bytes(journal.MAGIC + bytes(16) + b'{"file": "x"')
    assert not sf.delta.recover(where)
    assert version(where) == before
    assert not journal.journal_of(where).exists()
    assert sf.delta.diff(old, new).apply(where, in_place=True)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="names of open files")
def test_a_journal_is_sealed_when_it_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages reach the disk in any order: one with the seal before the others would be called a damaged journal."""
    old, new = models(20)
    where, real, seen = folder(tmp_path / "m", old), os.fsync, list[bytes]()

    def synced(number: int) -> None:
        if os.readlink(f"/proc/self/fd/{number}").endswith("undo"):
            seen.append(journal.journal_of(where).read_bytes())
        real(number)

    monkeypatch.setattr(os, "fsync", synced)
    sf.delta.diff(old, new).apply(where, in_place=True)
    head = len(journal.MAGIC)
    begun, sealed = seen
    assert not any(begun[head : head + 16])
    assert any(sealed[head : head + 16])
    assert begun[head + 16 :] == sealed[head + 16 :]


def test_a_damaged_journal_is_not_taken_for_a_cut_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is all that is left of the old version, or of where that was: it stays, and is not used."""
    old, new = models(20)
    where = folder(tmp_path / "m", old)
    before, d, note = version(where), sf.delta.diff(old, new), journal.journal_of(where)

    with monkeypatch.context() as patched:
        patched.setattr(journal, "recover", lambda path: False)  # as if it were killed
        patched.setattr(pages, "sync", lambda path: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            d.apply(where, in_place=True)
    torn, whole = version(where), note.read_bytes()
    rng = np.random.default_rng(0)
    flipped = [*range(len(journal.MAGIC), 60), *rng.integers(60, len(whole) - 20, 60), *range(-20, 0)]
    others = [whole[:-1], whole[: len(whole) // 2], whole[:40], whole + b"x", whole[:600] + bytes(64) + whole[664:]]
    for at in flipped:
        data = bytearray(whole)
        data[at] ^= 1 << rng.integers(8)
        others.append(bytes(data))
    for content in others:
        note.write_bytes(content)
        with pytest.raises(sf.DeltaError, match=r"is damaged.*then remove this file"):
            sf.delta.recover(where)
        assert note.read_bytes() == content
        assert version(where) == torn
    with pytest.raises(sf.DeltaError, match="is damaged"):
        d.apply(where, in_place=True)
    note.write_bytes(whole)
    assert sf.delta.recover(where)
    assert version(where) == before


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"sparsefmt undo 1\n" + bytes(80), "of another version"),
        (b"sparsefmt undo 4\n", "of another version"),
        (b"my own notes, kept in an odd place", "no journal of sparsefmt"),
    ],
)
def test_a_journal_that_is_not_read_is_not_deleted(content: bytes, said: str, tmp_path: Path) -> None:
    old, new = models(20)
    where = folder(tmp_path / "m", old)
    before = version(where)
    note = journal.journal_of(where)
    note.write_bytes(content)
    for call in (lambda: sf.delta.diff(old, new).apply(where, in_place=True), lambda: sf.delta.recover(where)):
        with pytest.raises(sf.DeltaError, match=f"{said}.*then remove this file"):
            call()
    assert note.read_bytes() == content
    assert version(where) == before


@pytest.mark.parametrize("content", [b"", b"spars", journal.MAGIC, journal.MAGIC + bytes(3)])
def test_a_journal_that_had_just_begun_means_that_nothing_was_changed(content: bytes, tmp_path: Path) -> None:
    where = folder(tmp_path / "m", models(20)[0])
    journal.journal_of(where).write_bytes(content)
    assert not sf.delta.recover(where)
    assert not journal.journal_of(where).exists()


def test_a_full_disk_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = models(50)
    where = folder(tmp_path / "m", old)
    before = version(where)

    def full(number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(journal.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        sf.delta.diff(old, new).apply(where, in_place=True)
    monkeypatch.undo()
    assert version(where) == before
    assert not journal.journal_of(where).exists()


class Refusing(mmap):
    """A mapping on a system that makes no pages writable ahead, or does not say why it cannot."""

    def madvise(self, *args: int) -> None:
        raise OSError(errno.EFAULT, "Bad address")


@pytest.mark.parametrize("every", [17, 3001])
def test_systems_that_ask_for_no_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: int) -> None:
    old, new = models(500, every)
    where, want = folder(tmp_path / "m", old), version(folder(tmp_path / "n", new))
    monkeypatch.setattr(mapping.mmap, "mmap", Refusing)
    sf.delta.diff(old, new).apply(where, in_place=True)
    assert version(where) == want


@pytest.mark.parametrize("every", [17, 3001])
@pytest.mark.parametrize("at", [1, 2, 30, 60])
def test_a_page_without_room_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: int, at: int) -> None:
    """The disk is full at some page: an error, and the old version, also of tensors that had moved before."""
    old, new = models(500, every)
    where = folder(tmp_path / "m", old)
    before, real, calls = version(where), os.pwrite, [0]

    def full(number: int, data: bytes, offset: int) -> int:
        calls[0] += 1
        if calls[0] == at:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(number, data, offset)

    monkeypatch.setattr(mapping.mmap, "mmap", Refusing)
    monkeypatch.setattr(pages.os, "pwrite", full)
    with pytest.raises(OSError, match="No space left"):
        sf.delta.diff(old, new).apply(where, in_place=True)
    monkeypatch.undo()
    assert calls[0] >= at
    assert version(where) == before
    assert not journal.journal_of(where).exists()


def test_only_pages_that_change_are_written(tmp_path: Path) -> None:
    """A few items in a large file: nothing near the others is asked for."""
    a = np.zeros((4 << 20) // 4, np.float32)
    b = a.copy()
    b[[5, 300_000, 300_001]] = 1
    sf.save(tmp_path / "w.safetensors", {"w": a})
    asked: list[tuple[int, int]] = []
    real = pages.Mapped.bring

    def bring(self: pages.Mapped, start: int, stop: int) -> None:
        asked.append((start, stop))
        real(self, start, stop)

    with pytest.MonkeyPatch.context() as m:
        m.setattr(pages.Mapped, "bring", bring)
        sf.delta.diff({"w": a}, {"w": b}).apply(tmp_path / "w.safetensors", in_place=True)
    assert sum(stop - start for start, stop in asked) <= 3 * PAGESIZE
    assert np.array_equal(np.asarray(sf.load(tmp_path / "w.safetensors")["w"]), b)


def kill_once(tmp_path: Path, where: Path, delta: Path, delay: float) -> None:
    """Applies in another process and kills it after so many seconds."""
    code = "import sys, sparsefmt as sf; sf.delta.load(sys.argv[1]).apply(sys.argv[2], in_place=True)"
    child = subprocess.Popen([sys.executable, "-c", code, str(delta), str(where)], stderr=subprocess.PIPE)
    try:
        child.wait(delay)
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert child.stderr is not None
    child.stderr.close()


def killed(tmp_path: Path, trials: int, size: int) -> None:
    old, new = models(size)
    where, other = folder(tmp_path / "m", old), folder(tmp_path / "n", new)
    versions = {version(where): "old", version(other): "new"}
    there, back = tmp_path / "d.safetensors", tmp_path / "b.safetensors"
    d = sf.delta.diff(old, new)
    sf.delta.save(there, d)
    sf.delta.save(back, d.invert())
    start = time.monotonic()
    kill_once(tmp_path, where, there, 600)
    whole, rng = time.monotonic() - start, random.Random(0)
    assert versions[version(where)] == "new"
    for _ in range(trials):
        before = versions[version(where)]
        kill_once(tmp_path, where, there if before == "old" else back, whole * rng.uniform(0.3, 1.05))
        sf.delta.recover(where)
        assert version(where) in versions


def test_kill_in_the_middle(tmp_path: Path) -> None:
    killed(tmp_path, 3, 2000)


@pytest.mark.slow
def test_kill_a_hundred_times(tmp_path: Path) -> None:
    killed(tmp_path, 100, 20_000)
