"""Caches and controllers."""

import json
import threading
from pathlib import Path

import numpy as np
import pytest

import sparsefmt as sf
from sparsefmt.dynamic import Controller, Levels, PatternCache, importance

DATA = json.loads((Path(__file__).parents[1] / "data" / "reference" / "pruning.json").read_text())["lru_bytes"]


def test_the_trace() -> None:
    sizes = {"A": 4, "B": 4, "C": 6, "D": 11, "E": 2}
    cache = PatternCache(DATA["capacity"])
    for step in DATA["trace"]:
        before = set(cache.resident())
        hits = cache.stats().hits
        cache.get(step["key"], lambda key=step["key"]: key, size=sizes[step["key"]])
        assert (cache.stats().hits > hits) is step["hit"]
        assert cache.resident() == step["resident"]
        assert sorted(before - set(cache.resident())) == sorted(step["evicted"])
    stats = cache.stats()
    assert stats.uncached == 1
    assert stats.nbytes <= DATA["capacity"]


def test_pinned_entries_stay() -> None:
    cache = PatternCache(10)
    assert cache.put("mask", "m", size=6, pin=True)
    cache.get("a", lambda: "a", size=4)
    cache.get("b", lambda: "b", size=4)
    assert cache.resident() == ["mask", "b"]
    assert cache.get("big", lambda: "big", size=5) == "big"
    assert cache.stats().uncached == 1
    cache.unpin("mask")
    cache.get("big", lambda: "big", size=5)
    assert cache.resident() == ["b", "big"]
    with pytest.raises(sf.FormatError, match="'gone' is not in the cache"):
        cache.pin("gone")


def test_entries_made_ahead() -> None:
    cache = PatternCache(4096)
    assert cache.precompute(range(6), lambda code: np.full(4, code), pin=True) == 6
    assert cache.precompute(range(7), lambda code: np.full(4, code)) == 1
    cache.get(3, lambda: pytest.fail("it is there"))
    assert cache.stats().nbytes == 7 * 32
    cache.drop(3)
    assert 3 not in cache.resident()


def test_a_capacity_smaller_than_an_entry_serves_it_uncached() -> None:
    cache = PatternCache(0)
    assert [cache.get("a", lambda: np.ones(3)).sum() for _ in range(2)] == [3, 3]
    assert cache.resident() == []
    assert cache.stats().uncached == 2
    assert not cache.put("a", np.ones(3))


@pytest.mark.parametrize("capacity", [-1, 1.5, None, True])
def test_capacities_that_are_none(capacity: object) -> None:
    with pytest.raises(sf.FormatError, match="capacity = "):
        PatternCache(capacity)  # type: ignore[arg-type]


def test_sizes_that_are_none() -> None:
    with pytest.raises(sf.FormatError, match="size = -1"):
        PatternCache(9).get("a", lambda: "a", size=-1)


def test_threads_make_an_entry_once() -> None:
    cache, made = PatternCache(1000), []

    def make() -> np.ndarray:
        made.append(1)
        return np.ones(1)

    threads = [threading.Thread(target=lambda: [cache.get("k", make) for _ in range(50)]) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(made) == 1
    assert cache.stats().hits == 199


def test_levels_are_nested_prefixes() -> None:
    w = np.random.default_rng(0).standard_normal((6, 14))
    levels = Levels.of(w, 4)
    for n in range(1, 5):
        np.testing.assert_array_equal(levels.at(n), sf.prune.nm(w, n, 4))
        assert not ((levels.at(n - 1) != 0) & (levels.at(n) == 0)).any()
    assert levels.lost(4) == 0
    assert levels.lost(0) == 1
    assert levels.lost(1) > levels.lost(2) > levels.lost(3) > 0
    with pytest.raises(sf.FormatError, match=r"n = 5; want an integer in 0\.\.4"):
        levels.at(5)
    with pytest.raises(sf.FormatError, match="one shape"):
        Levels.of(w, score=w[:2])


def test_inputs_that_alternate_around_a_threshold_switch_nothing() -> None:
    c = Controller(("1:4", "2:4", "4:4"), [1.0, 2.0], hysteresis=0.2)
    for value in (1.1, 0.9, 1.05, 0.85, 1.1):
        assert c.step({"up": value}) == {"up": "2:4"}
    assert c.switches == 0
    assert c.step({"up": 0.79}) == {"up": "1:4"}
    assert c.step({"up": 5.0}) == {"up": "4:4"}
    assert c.step({"up": 1.7}) == {"up": "4:4"}
    assert c.step({"up": 0.1}) == {"up": "1:4"}
    assert c.switches == 3


def test_switches_come_in_batches() -> None:
    c = Controller(("2:4", "4:4"), [1.0], hysteresis=0.0, batch=3)
    got = [c.step({"up": value})["up"] for value in (0.0, 9.0, 9.0, 9.0, 0.0)]
    assert got == ["2:4", "2:4", "2:4", "4:4", "4:4"]


def test_the_guard_keeps_the_error_within_its_budget() -> None:
    errors = {"a": [0.5, 0.2, 0.0], "b": [0.3, 0.25, 0.0]}
    c = Controller(("1:4", "2:4", "4:4"), [1.0, 2.0], errors=errors, budget=0.5)
    got = c.step({"a": 0.0, "b": 0.0})
    assert got == {"a": "2:4", "b": "1:4"}
    assert sum(errors[k][c.levels.index(v)] for k, v in got.items()) <= 0.5
    with pytest.raises(sf.FormatError, match="no errors are known for 'c'"):
        c.step({"c": 1.0})


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((("2:4",), [1.0]), {}),
        ((("2:4", "2:4"), [1.0]), {}),
        ((("1:4", "2:4", "4:4"), [2.0, 1.0]), {}),
        ((("2:4", "4:4"), [float("nan")]), {}),
        ((("2:4", "4:4"), [1.0]), {"hysteresis": 1.0}),
        ((("2:4", "4:4"), [1.0]), {"batch": 0}),
        ((("2:4", "4:4"), [1.0]), {"budget": 1.0}),
        ((("2:4", "4:4"), [1.0]), {"budget": 1.0, "errors": {"a": [0.1, 0.2]}}),
        ((("2:4", "4:4"), [1.0]), {"budget": 0.1, "errors": {"a": [0.5, 0.2]}}),
        ((("2:4", "4:4"), [1.0]), {"budget": float("nan"), "errors": {"a": [0.5, 0.2]}}),
        ((("2:4", "4:4"), [1.0]), {"budget": 1.0, "errors": {"a": [0.5, float("nan")]}}),
    ],
)
def test_controllers_that_make_no_sense(args: tuple[object, ...], kwargs: dict[str, object]) -> None:
    with pytest.raises(sf.FormatError):
        Controller(*args, **kwargs)  # type: ignore[arg-type]


def test_a_guard_that_holds_a_layer_denser_is_no_switch() -> None:
    """What the importance asks for and the budget forbids changes nothing, however often it is asked for."""
    c = Controller(("1:4", "2:4", "4:4"), [1.0, 2.0], errors={"a": [0.5, 0.2, 0.0]}, budget=0.3)
    for _ in range(4):
        assert c.step({"a": 0.0}) == {"a": "2:4"}
    assert c.switches == 0
    assert c.step({"a": 9.0}) == {"a": "4:4"}
    assert c.step({"a": 0.0}) == {"a": "2:4"}
    assert c.switches == 2


@pytest.mark.parametrize("value", [3, {"a": "much"}, {"a": None}, {"a": float("inf")}])
def test_importances_that_are_no_numbers(value: object) -> None:
    c = Controller(("2:4", "4:4"), [1.0])
    with pytest.raises(sf.FormatError, match="importance"):
        c.step(value)  # type: ignore[arg-type]
    assert c.step({}) == {}


def test_importance() -> None:
    assert importance(np.zeros((2, 3))) == 0
    assert importance(np.ones((2, 3)) * -2) == 2
    with pytest.raises(sf.FormatError, match="importance of 'up' is nan"):
        Controller(("2:4", "4:4"), [1.0]).step({"up": float("nan")})


def test_an_entry_that_asks_for_itself_is_counted_once() -> None:
    cache = PatternCache(10)
    cache.get("a", lambda: cache.get("a", lambda: bytearray(3), size=3), size=3)
    assert cache.stats().nbytes == 3


def test_sizes_of_numpy_are_bytes() -> None:
    cache = PatternCache(np.int64(10), size=lambda entry: np.int64(len(entry)))
    cache.get("a", lambda: b"four")
    assert cache.stats().nbytes == 4
    with pytest.raises(sf.FormatError, match="bytes does not say its nbytes; give size="):
        PatternCache(10).get("a", lambda: b"four")


@pytest.mark.parametrize(
    ("w", "kept", "lost"),
    [
        (np.array([[-128, 5, 3, 1]], np.int8), [[-128, 0, 0, 0]], 35 / (128**2 + 35)),
        (np.array([[-(2**63), 5, 3, 1]], np.int64), [[-(2**63), 0, 0, 0]], 35 / 2**126),
        (np.array([[1.0, 3j, 2.0, 0.0]]), [[0, 3j, 0, 0]], 5 / 14),
    ],
)
def test_levels_rank_by_the_magnitude(w: np.ndarray, kept: list[list[complex]], lost: float) -> None:
    """Also where the dtype does not hold it, and of complex numbers by both parts."""
    levels = Levels.of(w)
    assert levels.at(1).tolist() == kept
    assert levels.lost(1) == pytest.approx(lost)


def test_levels_that_are_none() -> None:
    levels = Levels.of(np.ones((0, 8)))
    assert levels.at(2).shape == (0, 8)
    for n in (-1, 5, 1.5):
        with pytest.raises(sf.FormatError, match=r"want an integer in 0\.\.4"):
            levels.lost(n)  # type: ignore[arg-type]
    with pytest.raises(sf.FormatError, match="has no order"):
        Levels.of(np.ones((1, 4)), score=np.ones((1, 4), complex))
