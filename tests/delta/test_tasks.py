"""Task vectors over a base: any number of switches ends in the bytes of the base."""

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import sparsefmt as sf
from contract import same

Array = np.ndarray[Any, Any]


def base_model() -> dict[str, Array]:
    rng = np.random.default_rng(0)
    return {
        "w": rng.standard_normal((64, 48)).astype(ml_dtypes.bfloat16),
        "e": rng.standard_normal((40, 30)).astype(np.float32),
        "d": rng.standard_normal(90),
        "i": rng.integers(-9, 9, 50).astype(np.int16),
        "s": np.array(-0.0, np.float32),
    }


def tuned(base: dict[str, Array], seed: int, share: float = 0.05, names: str = "weds") -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    made = {name: np.array(a) for name, a in base.items()}
    for name in names:
        flat = made[name].reshape(-1)
        where = rng.random(flat.size) < share
        flat[where] = (flat[where].astype(np.float64) * 1.25 + 0.01).astype(flat.dtype)
    return made


@pytest.fixture
def path(tmp_path: Path) -> Path:
    sf.save(tmp_path / "base.safetensors", base_model())
    return tmp_path / "base.safetensors"


def state(store: sf.TaskStore) -> dict[str, bytes]:
    return {name: store[name].tobytes() for name in store}


def bits(model: dict[str, Array]) -> dict[str, bytes]:
    return {name: a.tobytes() for name, a in model.items()}


def test_an_exact_task_is_the_tuned_model(path: Path) -> None:
    base = base_model()
    a = tuned(base, 1)
    a["i"][3] = 77
    store = sf.TaskStore(path)
    store.add("a", a)
    store.activate("a")
    assert state(store) == bits(a)
    assert store.active == {"a": 1.0}
    store.deactivate()
    assert state(store) == bits(base)
    again = sf.TaskStore(path)
    again.activate("a")
    assert state(again) == bits(a)
    assert again.tasks == ("a",)


def test_sums_are_rounded_once(path: Path) -> None:
    base = base_model()
    a, b = tuned(base, 1), tuned(base, 2)
    store = sf.TaskStore(path)
    store.add("a", a)
    store.add("b", b)
    store.activate({"a": 0.5, "b": -1.25})
    for name in "wed":
        wide = np.float64 if name == "d" else np.float32
        old = base[name].astype(wide)
        want = old + wide(0.5) * (a[name].astype(wide) - old)
        want = want + wide(-1.25) * (b[name].astype(wide) - old)
        touched = (a[name] != base[name]) | (b[name] != base[name])
        same(store[name], np.where(touched, want.astype(base[name].dtype), base[name]))
    store.activate({"a": 0.0})
    assert state(store) == bits(base)


def test_a_thousand_random_switches_end_in_the_base(path: Path) -> None:
    base = base_model()
    store = sf.TaskStore(path, max_bytes=4000)
    for k in range(4):
        store.add(f"t{k}", tuned(base, k, 0.02 * (k + 1)))
    store.add("lossy", tuned(base, 9, names="we"), fmt="csr/int8")
    store.add("drawn", tuned(base, 10, 0.5, names="we"), dare=0.3, seed=5)
    rng = random.Random(0)
    for _ in range(1000):
        names = rng.sample(store.tasks, rng.randint(0, 3))
        if not names:
            store.deactivate()
        elif len(names) == 1 and rng.random() < 0.5:
            store.activate(names[0])
        else:
            store.activate({name: rng.choice([-1.0, 0.3, 1.0, 2.5]) for name in names})
    store.deactivate()
    assert state(store) == bits(base)
    stats = store.stats()
    assert stats.evictions > 0
    assert stats.hits > 0
    assert stats.cached_bytes <= stats.max_bytes


@pytest.mark.parametrize("fmt", ["csr/int8:g16", "bitmask/int4", "gap", "dense", "bsr4x4"])
def test_lossy_vectors_in_any_format(path: Path, fmt: str) -> None:
    base = base_model()
    a = tuned(base, 1, names="we")
    store = sf.TaskStore(path)
    store.add("a", a, fmt=fmt)
    store.activate("a")
    for name in "we":
        tau = a[name].astype(np.float32) - base[name].astype(np.float32)
        packed = sf.encode(tau, fmt).to_dense()
        want = (base[name].astype(np.float32) + packed).astype(base[name].dtype)
        same(store[name], np.where(packed != 0, want, base[name]))


def test_trimmed_and_drawn(path: Path) -> None:
    base = base_model()
    a = tuned(base, 1, 1.0, names="e")
    tau = a["e"].astype(np.float32) - base["e"]
    store = sf.TaskStore(path)
    store.add("trimmed", a, density=0.1)
    store.activate("trimmed")
    assert np.count_nonzero(store["e"] != base["e"]) == 120
    store.add("drawn", a, dare=0.25, seed=3)
    store.add("other", a, dare=0.25, seed=4)
    store.activate("drawn")
    got = store["e"]
    moved = got != base["e"]
    assert 0.18 < moved.mean() < 0.32
    want = (base["e"] + tau / np.float32(0.25)).astype(np.float32)
    same(got, np.where(moved, want, base["e"]))
    with sf.open_checkpoint(path.parent / "base.safetensors.tasks" / "drawn.safetensors") as file:
        assert file.entries["e"].shape == (np.count_nonzero(moved),)  # kept values only: the mask is not stored
    store.activate("other")
    assert not np.array_equal(store["e"], got)
    again = sf.TaskStore(path)
    again.activate("drawn")
    same(again["e"], got)


def test_precomputed_combinations_stay(path: Path) -> None:
    base = base_model()
    store = sf.TaskStore(path, max_bytes=1)
    for name, seed in (("a", 1), ("b", 2)):
        store.add(name, tuned(base, seed))
    store.precompute(["a", {"a": 0.5, "b": 1.0}])
    before = store.stats()
    assert (before.pinned, before.entries, before.misses) == (2, 2, 2)
    store.activate({"b": 1, "a": 0.5})
    store.activate("a")
    store.activate("b")
    after = store.stats()
    assert (after.hits, after.misses, after.entries) == (2, 3, 2)


@pytest.mark.parametrize("alone", ["code", {"code": 0.5}])
def test_one_combination_may_stand_alone(path: Path, alone: str | dict[str, float]) -> None:
    store = sf.TaskStore(path)
    store.add("code", tuned(base_model(), 1))
    store.precompute(alone)
    assert store.stats().pinned == 1


def test_whole_tensors_are_switched_as_they_are(path: Path) -> None:
    base = base_model()
    store = sf.TaskStore(path, max_bytes=1 << 20)
    made = {name: tuned(base, seed) for name, seed in (("a", 1), ("b", 2), ("c", 3))}
    for name, model in made.items():
        store.add(name, model)
    before = store.stats().cached_bytes
    store.precompute(["a", {"a": 0.5, "b": 1.0}], whole=True)
    changed = sum(a.nbytes for name, a in base.items() if name in "weds" and made["a"][name].tobytes() != a.tobytes())
    assert store.stats().cached_bytes - before > 2 * changed
    store.activate("a")
    with store.reading("w") as first:
        pass
    store.activate("c")
    assert state(store) == bits(made["c"])
    store.activate("a")
    with store.reading("w") as second:
        assert np.shares_memory(first, second)
    assert state(store) == bits(made["a"])
    plain = sf.TaskStore(path, max_bytes=1 << 20)
    rng = random.Random(0)
    choices: list[Any] = ["a", "b", "c", {"a": 0.5, "b": 1.0}, {}]
    for _ in range(60):
        which = rng.choice(choices)
        store.activate(which)
        plain.activate(which)
        assert state(store) == state(plain)
    store.deactivate()
    assert state(store) == bits(base)


def test_whole_tensors_stay_within_the_bytes(path: Path) -> None:
    base = base_model()
    store = sf.TaskStore(path, max_bytes=9000)
    store.add("a", tuned(base, 1))
    store.precompute(["a"], whole=True)
    stats = store.stats()
    assert base["w"].nbytes < stats.cached_bytes <= 9000
    store.activate("a")
    assert state(store) == bits(tuned(base, 1))


def test_readers_see_whole_versions(path: Path) -> None:
    base = base_model()
    store = sf.TaskStore(path)
    versions = {base["e"].tobytes()}
    for k in range(3):
        made = tuned(base, k, 0.9, names="e")
        store.add(f"t{k}", made)
        versions.add(made["e"].tobytes())
    seen: set[bytes] = set()
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.add(store["e"].tobytes())
            with store.reading("e") as view:
                seen.add(view.tobytes())

    threads = [threading.Thread(target=read) for _ in range(2)]
    for t in threads:
        t.start()
    for k in range(200):
        store.activate(f"t{k % 3}")
    done.set()
    for t in threads:
        t.join()
    assert seen <= versions
    store.deactivate()
    assert state(store) == bits(base)


def test_a_switch_is_not_starved_by_readers(path: Path) -> None:
    """Two blocks that overlap without a gap: the switch gets its turn, and then the reader that stood behind it."""
    base = base_model()
    store = sf.TaskStore(path)
    store.add("a", tuned(base, 1, names="e"))
    store.activate("a")
    store.deactivate()
    order: list[str] = []
    inside, leave = threading.Event(), threading.Event()

    def first() -> None:
        with store.reading("e"):
            inside.set()
            assert leave.wait(30)
            with store.reading("e") as again:  # a thread that reads may read again while a switch waits
                order.append("old" if again.tobytes() == base["e"].tobytes() else "new")

    def switch() -> None:
        store.activate("a")
        order.append("switched")

    def later() -> None:
        with store.reading("e") as view:
            order.append("old" if view.tobytes() == base["e"].tobytes() else "new")

    threads = [threading.Thread(target=work, daemon=True) for work in (first, switch, later)]
    threads[0].start()
    assert inside.wait(30)
    weight = store._weights["e"]
    threads[1].start()
    wait_for(lambda: weight.switches == 1)
    threads[2].start()
    wait_for(lambda: weight.standing == 1)
    leave.set()
    for t in threads:
        t.join(30)
        assert not t.is_alive()
    assert order[0] == "old"
    assert set(order[1:]) == {"switched", "new"}
    assert (weight.readers, weight.standing, weight.admitted, weight.switches) == ({}, 0, 0, 0)


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_a_switch_inside_a_block_is_refused(path: Path) -> None:
    """It would wait for itself; nothing is switched."""
    store = sf.TaskStore(path)
    store.add("a", tuned(base_model(), 1))
    store.activate("a")
    before = state(store)
    with store.reading("w"):
        with pytest.raises(sf.DeltaError, match=r"this thread reads 'w', .* end the block of `reading` first"):
            store.deactivate()
        assert store.stats().hits >= 0
    assert state(store) == before
    assert store.active == {"a": 1.0}
    store.deactivate()
    assert state(store) == bits(base_model())


def test_what_does_not_fit(path: Path, tmp_path: Path) -> None:
    base = base_model()
    store = sf.TaskStore(path)
    with pytest.raises(sf.DeltaError, match="no task 'x'"):
        store.activate("x")
    with pytest.raises(sf.FormatError, match="name"):
        store.add("../x", base)
    with pytest.raises(sf.DeltaError, match="keeps the base's tensors"):
        store.add("x", {**base, "new": base["w"]})
    with pytest.raises(sf.DeltaError, match="only exact vectors"):
        store.add("x", {**base, "i": base["i"] + np.int16(1)}, density=0.5)
    with pytest.raises(sf.FormatError, match="one of them"):
        store.add("x", tuned(base, 1), density=0.5, dare=0.5)
    changed = {**base, "i": base["i"] + np.int16(1)}
    store.add("i", changed)
    store.activate("i")
    same(store["i"], changed["i"])
    with pytest.raises(sf.DeltaError, match="alone, with weight 1"):
        store.activate({"i": 0.5})
    same(store["i"], changed["i"])
    with store.reading("i") as view, pytest.raises(ValueError, match="read-only"):
        view[0] = 1
    sf.save(path, tuned(base, 5))
    with pytest.raises(sf.DeltaError, match="another base"):
        sf.TaskStore(path)


def test_a_folder_remembers_its_base(path: Path, tmp_path: Path) -> None:
    base = base_model()
    store = sf.TaskStore(tmp_path / "tasks", base=path)
    store.add("a", tuned(base, 1))
    again = sf.TaskStore(tmp_path / "tasks")
    again.activate("a")
    assert state(again) == bits(tuned(base, 1))


OPTIONS: list[dict[str, Any]] = [{"density": 1.0}, {"dare": 1.0}, {"fmt": "dense"}]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ml_dtypes.bfloat16])
def test_what_did_not_change_stays_beside_lossy_vectors(tmp_path: Path, options: dict[str, Any], dtype: Any) -> None:  # noqa: ANN401
    """An infinity, as masks hold them, became NaN; so did a float64 beyond float32, and small steps of others 0."""
    large = 1e300 if dtype == np.float64 else 3e4
    old = np.array([-np.inf, np.inf, np.nan, large, 1.0, 0.0], dtype)
    new = old.copy()
    new[4] += np.finfo(np.float64).eps * 8 if dtype == np.float64 else 0.5
    sf.save(tmp_path / "base.safetensors", {"w": old})
    store = sf.TaskStore(tmp_path / "base.safetensors")
    store.add("a", {"w": new}, **options)
    store.activate("a")
    assert store["w"].tobytes() == new.tobytes()
    store.deactivate()
    assert store["w"].tobytes() == old.tobytes()


@pytest.mark.parametrize(
    ("before", "after", "dtype"),
    [(-np.inf, 0.0, np.float32), (np.nan, 1.0, np.float32), (-3e38, 3e38, np.float32), (0.0, 1e300, np.float64)],
)
def test_differences_that_float32_does_not_hold(tmp_path: Path, before: float, after: float, dtype: Any) -> None:  # noqa: ANN401
    sf.save(tmp_path / "base.safetensors", {"w": np.array([1, before], dtype)})
    store = sf.TaskStore(tmp_path / "base.safetensors")
    new = {"w": np.array([1, after], dtype)}
    for options in OPTIONS:
        with pytest.raises(sf.DeltaError, match=r"leads from .* \(element 1\); only exact vectors do"):
            store.add("a", new, **options)
    store.add("a", new)
    store.activate("a")
    same(store["w"], new["w"])


@pytest.mark.parametrize("dare", ["0.5", [0.5], 0, 1.5, np.nan])
def test_shares_that_are_none(path: Path, dare: Any) -> None:  # noqa: ANN401
    with pytest.raises(sf.FormatError, match="want the share that is kept"):
        sf.TaskStore(path).add("a", base_model(), dare=dare)
