"""Forks while another thread holds a lock of the package, or makes what is kept: the child goes on.

An alarm ends a child that hangs.
"""

import os
import signal
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sparsefmt as sf
from sparsefmt.base.forks import kept
from sparsefmt.delta import merged
from sparsefmt.interop import npz
from sparsefmt.kernels import blas

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
PACKAGE = Path(sf.__file__).parent
PATIENCE = 60  # seconds; a child needs a hundredth of one
Array = np.ndarray[Any, Any]


def child(call: Callable[[], object]) -> int:
    """A fork that calls; the number of its process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: fork of a process with threads
        number = os.fork()
    if number == 0:
        code = 1
        try:
            signal.alarm(PATIENCE)
            call()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return number


def check(number: int) -> None:
    assert os.waitstatus_to_exitcode(os.waitpid(number, 0)[1]) == 0


@contextmanager
def elsewhere(held: Callable[[threading.Event], object]) -> Iterator[threading.Event]:
    """Calls in another thread with an event that it waits for; it is set when the block ends."""
    go = threading.Event()
    thread = threading.Thread(target=held, args=(go,))
    thread.start()
    try:
        yield go
    finally:
        go.set()
        thread.join()


@contextmanager
def inside(block: Callable[[], AbstractContextManager[object]]) -> Iterator[None]:
    """Another thread is inside a block."""
    there = threading.Event()

    def hold(go: threading.Event) -> None:
        with block():
            there.set()
            go.wait()

    with elsewhere(hold):
        there.wait()
        yield


def is_mended(path: Path) -> bool:
    text = path.read_text()
    return not any(f"{name}(" in text for name in ("Lock", "Condition", "Semaphore")) or any(
        f"{name}(" in text for name in ("in_child", "register_at_fork")
    )


def test_every_lock_is_mended() -> None:
    """A child may not use a GPU that its parent used, whatever it does."""
    files = [path for path in PACKAGE.rglob("*.py") if "cuda" not in path.parts]
    assert [path.name for path in files if not is_mended(path)] == []
    assert [path.name for path in files if "import cached_property" in path.read_text()] == []


class Slow:
    main, there, go = threading.get_ident(), threading.Event(), threading.Event()

    @property
    @kept
    def made(self) -> object:
        if threading.get_ident() != self.main:
            self.there.set()
            self.go.wait()
        return object()


def test_what_is_kept() -> None:
    """Before Python 3.12 a `cached_property` has one lock for all objects of a class."""
    slow = Slow()

    def work() -> None:
        assert slow.made is slow.made is not Slow().made

    with elsewhere(lambda _: slow.made):
        slow.there.wait()
        check(child(work))
        slow.go.set()


def test_rows_of_a_packed_tensor(tmp_path: Path) -> None:
    sf.save(tmp_path / "w.safetensors", {"w": sf.encode(np.eye(4), "csr")})
    with sf.open_checkpoint(tmp_path / "w.safetensors") as found:
        source: Any = found.sources[0]
        with inside(lambda: source._reading):
            check(child(lambda: np.testing.assert_array_equal(source.rows("w", 1, 3), np.eye(4)[1:3])))


def test_masks_by_pattern() -> None:
    """What another thread did not end is counted as far as it came."""
    cache, there = sf.dynamic.PatternCache(100), threading.Event()
    cache.put("a", "", size=40, pin=True)

    def hold(go: threading.Event) -> None:
        def make() -> str:
            cache._held["b"] = ("", 10)
            there.set()
            go.wait()
            return ""

        cache.get("c", make, size=10)

    def work() -> None:
        assert cache.stats().nbytes == 50
        assert cache.get("d", str, size=60) == ""
        assert cache.resident() == ["a", "d"]

    with elsewhere(hold):
        there.wait()
        check(child(work))


def test_threads_of_matrix_products() -> None:
    """Those of the parent do not exist in the child."""
    a = np.random.default_rng(0).standard_normal((1000, 8)).astype(np.float32)
    before = sf.get_num_threads()
    sf.set_num_threads(3)
    try:
        want = blas.matmul(a, a.T.copy())
        check(child(lambda: np.testing.assert_array_equal(blas.matmul(a, a.T.copy()), want)))
    finally:
        sf.set_num_threads(before)


BASE = {name: np.arange(64, dtype=np.float32) for name in ("u", "v", "w")}
TASK = {name: a + 1 for name, a in BASE.items()}


@pytest.fixture
def store(tmp_path: Path) -> sf.TaskStore:
    sf.save(tmp_path / "base.safetensors", BASE)
    made = sf.TaskStore(tmp_path / "base.safetensors")
    made.add("one", TASK)
    return made


def switch(store: sf.TaskStore) -> None:
    for _ in range(2):
        store.activate("one")
        assert all(np.array_equal(store[name], TASK[name]) for name in BASE)
        store.deactivate()
        assert all(np.array_equal(store[name], BASE[name]) for name in BASE)


def test_a_switch_elsewhere(store: sf.TaskStore) -> None:
    with inside(lambda: store._switching):
        check(child(lambda: switch(store)))


def test_a_reader_elsewhere(store: sf.TaskStore) -> None:
    """The reader does not exist in the child, so that no switch waits for it."""
    store.activate("one")
    with inside(lambda: store.reading("v")):
        check(child(lambda: switch(store)))


def test_a_switch_that_waits_for_the_thread_that_forks(store: sf.TaskStore) -> None:
    store.activate("one")

    reading = ExitStack()
    reading.enter_context(store.reading("v"))

    def work() -> None:
        assert np.array_equal(store["v"], TASK["v"])
        with pytest.raises(sf.DeltaError, match="wait for ever"):
            store.deactivate()
        reading.close()
        switch(store)

    with elsewhere(lambda _: store.deactivate()), reading:
        while not store._weights["v"].switches:
            pass
        check(child(work))


@pytest.mark.parametrize("name", BASE)
def test_half_of_a_switch(store: sf.TaskStore, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is ended in the child: a tensor is of one version."""
    store.activate("one")
    store.deactivate()
    main, there, whole = threading.get_ident(), threading.Event(), merged.put

    def hold(go: threading.Event) -> None:
        def half(parts: Any, into: Array, *, back: bool) -> None:  # noqa: ANN401
            if threading.get_ident() != main and into is store._weights[name].own and not back:
                into[:32] = TASK[name][:32]
                there.set()
                go.wait()
            whole(parts, into, back=back)

        monkeypatch.setattr(merged, "put", half)
        store.activate("one")

    def work() -> None:
        assert store.active == {"one": 1}
        assert all(np.array_equal(store[n], TASK[n]) for n in BASE)
        switch(store)

    with elsewhere(hold):
        there.wait()
        check(child(work))
    work()


@pytest.fixture
def archive(tmp_path: Path) -> npz.NpzArchive:
    np.savez(tmp_path / "a.npz", **{str(i): np.full(1 << 16, i, np.int32) for i in range(8)})
    return npz.NpzArchive(tmp_path / "a.npz")


def read_all(archive: npz.NpzArchive, times: int = 1) -> None:
    for _ in range(times):
        for name, a in archive.items():
            assert (a == int(name)).all()


def test_an_archive_that_is_read_elsewhere(archive: npz.NpzArchive, monkeypatch: pytest.MonkeyPatch) -> None:
    main, there, whole = threading.get_ident(), threading.Event(), npz._Placed.readinto

    def hold(go: threading.Event) -> None:
        def slow(file: npz._Placed, buffer: bytearray) -> int:
            if threading.get_ident() != main:
                there.set()
                go.wait()
            return whole(file, buffer)

        monkeypatch.setattr(npz._Placed, "readinto", slow)
        read_all(archive)

    with elsewhere(hold):
        there.wait()
        check(child(lambda: read_all(archive)))


def test_an_archive_that_parent_and_child_read(archive: npz.NpzArchive) -> None:
    """Of the open file, they share the place where it is read."""
    numbers = [child(lambda: read_all(archive, 20)) for _ in range(2)]
    read_all(archive, 20)
    for number in numbers:
        check(number)
    archive.close()
