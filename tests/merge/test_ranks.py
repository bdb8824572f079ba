"""Ranks of magnitudes: one pass behind a sample finds what sorting finds, also where the sample misleads."""

import tracemalloc
from typing import Any

import numpy as np
import pytest

from sparsefmt.merge import stack, window
from sparsefmt.merge.call import Opened
from sparsefmt.merge.method import Source
from sparsefmt.merge.stack import FlatArray, Stack
from sparsefmt.merge.trim import here

Array = np.ndarray[Any, Any]


def sources(tensors: list[Array]) -> list[Source]:
    return [Source(Opened(Stack(f"t{i}", a.shape, None, (FlatArray(a),), ("m",))), None) for i, a in enumerate(tensors)]


def by_sorting(tensors: list[Array], rank: int) -> tuple[int, list[int]]:
    """The key at a rank, and how many elements of each tensor are within it, lower positions first."""
    keys = [np.abs(a).reshape(-1).view(np.uint32) for a in tensors]
    flat = np.concatenate(keys)
    kept = np.argsort(~flat, kind="stable")[:rank]
    owner = np.repeat(np.arange(len(keys)), [len(k) for k in keys])
    return int(np.sort(flat)[len(flat) - rank]), np.bincount(owner[kept], minlength=len(keys)).tolist()


def models(kind: str) -> list[Array]:
    rng = np.random.default_rng(3)
    sizes = [(300, 257), (1,), (1200, 1000), (70_000,)]
    made = [rng.standard_normal(s).astype(np.float32) for s in sizes]
    if kind == "ties":
        made = [np.round(a * 2) for a in made]
    elif kind == "equal":
        made = [np.ones_like(a) for a in made]
    elif kind == "outliers":  # in just the groups that a sample takes, or does not
        for a in made:
            a.reshape(-1)[: a.size // 64 * 64].reshape(-1, 64)[:, :32] *= 1000
    elif kind == "sorted":
        made = [np.sort(a.reshape(-1)).reshape(a.shape) for a in made]
    return made


@pytest.mark.parametrize("kind", ["normal", "ties", "equal", "outliers", "sorted"])
@pytest.mark.parametrize("least", [1 << 16, 64])
def test_ranks_are_those_of_a_sort(kind: str, least: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "LEAST", least)
    monkeypatch.setattr(window, "MOST", least)
    tensors = models(kind)
    size = sum(a.size for a in tensors)
    ranks = [(0, r) for r in (1, 2, size // 5, size // 2, size - 1, size)]
    found, places = window.ranked(sources(tensors), ranks, here)
    for rank in ranks:
        key, counts = by_sorting(tensors, rank[1])
        cut = found[rank]
        assert cut.key == key
        kept = []
        for a, before in zip(tensors, places[rank], strict=True):
            keys = np.abs(a).reshape(-1).view(np.uint32)
            kept.append(int(np.count_nonzero(keys > key) + np.count_nonzero(keys[:before] == key)))
        assert kept == counts


def test_one_pass_and_a_sample_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = [0]
    real = window.merge_between

    def counting(*args: Any) -> tuple[int, int, int]:  # noqa: ANN401
        found = real(*args)
        seen[0] += found[2]
        return found

    monkeypatch.setattr(window, "merge_between", counting)
    monkeypatch.setattr(window, "cuts", lambda *args: pytest.fail("the sample misled"))
    tensors = [np.random.default_rng(0).standard_normal((4000, 1000)).astype(np.float32)]
    window.ranked(sources(tensors), [(0, 800_000)], here)
    assert 4_000_000 < seen[0] < 4_400_000


def test_too_much_between_is_counted_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    tensors = models("normal")
    want = window.ranked(sources(tensors), [(0, 5000)], here)
    monkeypatch.setattr(window, "LISTED", 1)
    monkeypatch.setattr(window, "LEAST", 64)
    monkeypatch.setattr(window, "MOST", 64)
    assert window.ranked(sources(tensors), [(0, 5000)], here) == want


def test_equal_magnitudes_are_counted_and_not_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack, "CHUNK", 1 << 16)
    a = np.round(np.random.default_rng(0).standard_normal(1 << 22) * 2).astype(np.float32)
    tracemalloc.start()
    found, _ = window.ranked(sources([a]), [(0, a.size // 5)], here)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found[0, a.size // 5].key == by_sorting([a], a.size // 5)[0]
    assert peak < a.nbytes // 2
