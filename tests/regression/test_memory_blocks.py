"""Large arrays live in blocks that are used again, but never while anybody can see them."""

import gc
import threading
from collections.abc import Iterator

import numpy as np
import pytest

import sparsefmt as sf
from sparsefmt.base import alloc
from sparsefmt.base.alloc import empty, zeros

MIB = 1 << 20


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    sf.set_cache_bytes(0)
    sf.set_cache_bytes(32 * MIB)
    yield
    sf.set_cache_bytes(None)


def address(a: np.ndarray) -> int:
    return int(a.ctypes.data)


@pytest.mark.parametrize("nbytes", [alloc.LARGE - 1, alloc.LARGE, 2 * MIB, 2 * MIB + 1, 21 * MIB + 5])
def test_arrays_are_writable_to_the_last_byte_and_aligned(nbytes: int) -> None:
    a = empty(nbytes, np.uint8)
    a[:] = 7
    assert (len(a), a.flags.writeable, address(a) % 64, int(a.sum(dtype=np.int64))) == (nbytes, True, 0, 7 * nbytes)


def test_a_block_is_used_again_when_the_array_is_gone() -> None:
    a = empty((3, MIB), np.uint8)
    before = address(a)
    del a
    assert alloc.kept() == 3 * MIB
    assert address(empty(3 * MIB // 4, np.float32)) == before


@pytest.mark.parametrize("seen", [lambda a: a[5:6], lambda a: memoryview(a[9:]), lambda a: a.view("f4").T, np.asarray])
def test_no_block_is_used_again_while_a_view_lives(seen: object) -> None:
    a = empty(3 * MIB, np.uint8)
    a.fill(1)
    view = seen(a)  # type: ignore[operator]
    del a
    b = empty(3 * MIB, np.uint8)
    b.fill(2)
    assert alloc.kept() == 0
    assert bytes(np.asarray(view).reshape(-1)[:1].view("u1")[:1]) == b"\x01"


def test_who_holds_the_memory_itself_keeps_it() -> None:
    a = empty(3 * MIB, np.uint8)
    while isinstance(a, np.ndarray):
        a = a.base  # type: ignore[assignment]
    held = memoryview(a)
    del a
    b = empty(3 * MIB, np.uint8)
    b.fill(2)
    assert not np.shares_memory(np.frombuffer(held, np.uint8), b)


def test_zeros_are_zero_in_used_memory() -> None:
    empty(3 * MIB, np.uint8).fill(9)
    a = zeros(3 * MIB, np.uint8)
    assert alloc.kept() == 0
    assert not a.any()


def test_blocks_of_another_size_are_not_used() -> None:
    a = empty(8 * MIB, np.uint8)
    del a
    smaller, larger = empty(7 * MIB, np.uint8), empty(9 * MIB, np.uint8)  # by more than an eighth
    assert alloc.kept() == 8 * MIB
    del smaller, larger
    assert alloc.kept() == 24 * MIB


def test_no_more_is_kept_than_allowed() -> None:
    held = [empty(10 * MIB, np.uint8) for _ in range(5)]
    held.clear()
    assert alloc.kept() == 30 * MIB
    empty(40 * MIB, np.uint8)
    assert alloc.kept() == 30 * MIB
    sf.set_cache_bytes(0)
    assert alloc.kept() == 0
    empty(10 * MIB, np.uint8)
    assert alloc.kept() == 0


@pytest.mark.parametrize("bad", [-1, 1.5, "x", True])
def test_sizes_of_the_cache_are_checked(bad: object) -> None:
    with pytest.raises(sf.FormatError, match="set_cache_bytes"):
        sf.set_cache_bytes(bad)  # type: ignore[arg-type]


def test_threads_never_share_a_block() -> None:
    failed: list[int] = []

    def work(me: int) -> None:
        for _ in range(200):
            a = empty(MIB, np.uint8)
            a.fill(me)
            if a.min() != me or a.max() != me:
                failed.append(me)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


def test_arrays_in_cycles_give_their_blocks_back() -> None:
    cycle: list[object] = [empty(3 * MIB, np.uint8)]
    cycle.append(cycle)
    del cycle
    gc.collect()
    assert alloc.kept() == 3 * MIB


def test_the_system_may_take_all_but_the_latest_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    let_go: list[alloc.Block] = []
    monkeypatch.setattr(alloc.Block, "let_go", lambda block: let_go.append(block))
    sf.set_cache_bytes(96 * MIB)
    held = [empty(16 * MIB, np.uint8) for _ in range(7)]
    places = [address(a) for a in held]
    while held:
        del held[0]
    assert alloc.kept() == 96 * MIB
    assert len(let_go) == 7 - 4  # of which the oldest is gone
    again = [empty(16 * MIB, np.uint8) for _ in range(6)]
    assert {address(a) for a in again[:4]} == set(places[3:])
    assert {address(a) for a in again[4:]} == set(places[1:3])
    big = empty(80 * MIB, np.uint8)
    again.clear()
    del big
    assert let_go[-1].size == 80 * MIB
    assert alloc.kept() <= 96 * MIB
