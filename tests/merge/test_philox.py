"""Random choices by counters."""

import numpy as np
import pytest

import sparsefmt as sf
from merge_data import vectors
from sparsefmt.kernels.philox import blocks, philox_words
from sparsefmt.merge.draw import drawn, dropped_below

V = vectors()["dare_philox"]


@pytest.mark.parametrize("case", V["kat"])
def test_the_known_answers(case: dict[str, list[str]]) -> None:
    counter = tuple(np.array([int(c, 16)], np.uint64) for c in case["counter"])
    key = (int(case["key"][0], 16), int(case["key"][1], 16))
    assert [hex(int(w[0])) for w in blocks(counter, key)] == case["out"]  # type: ignore[arg-type]


def words(count: int, start: int = 0, seed: int = V["seed"], stream: int = V["tensor_id"]) -> np.ndarray:
    out = np.empty(count, np.uint32)
    philox_words(seed, stream, start, out)
    return out


def test_words_and_masks() -> None:
    assert words(16).tolist() == V["u32_first16"]
    for drop, key in ((0.5, "keep_mask_p05"), (0.9, "keep_mask_p09_64")):
        keep = words(len(V[key])) >= dropped_below(round(1 - drop, 9))
        assert keep.astype(int).tolist() == V[key]
    keep = words(20000, seed=1, stream=2) >= dropped_below(0.1)
    assert keep.mean() == pytest.approx(V["kept_fraction_p09_n20000_seed1_tid2"], abs=5e-5)


@pytest.mark.parametrize("start", [0, 1, 3, 4, 63, 64, 65, 2**32 * 4 - 6])
def test_words_do_not_depend_on_where_a_stretch_begins(start: int) -> None:
    whole = words(700, start)
    for lo, hi in ((0, 1), (1, 70), (5, 700), (333, 334)):
        assert np.array_equal(words(hi - lo, start + lo), whole[lo:hi])


def test_dare_keeps_about_its_density_and_the_same_every_time() -> None:
    tau = {"a.weight": np.ones((300, 400), np.float32), "b.weight": np.ones((300, 400), np.float32)}
    first = sf.merge.dare_linear([tau, tau], density=0.3, seed=5)
    again = sf.merge.dare_linear([tau, tau], density=0.3, seed=5)
    other = sf.merge.dare_linear([tau, tau], density=0.3, seed=6)
    assert all(np.array_equal(first[k], again[k]) for k in tau)
    assert not any(np.array_equal(first[k], other[k]) for k in tau)
    assert not np.array_equal(first["a.weight"], first["b.weight"])
    counts = np.round(first["a.weight"] * 0.3).astype(int)  # the two models draw apart
    assert np.bincount(counts.reshape(-1), minlength=3) / counts.size == pytest.approx([0.49, 0.42, 0.09], abs=0.01)


def test_elements_may_have_probabilities_of_their_own() -> None:
    keep = drawn(np.repeat(np.array([0.0, 0.25, 1.0], np.float32), 40000), 1, 2, 0)
    assert keep.reshape(3, -1).mean(axis=1) == pytest.approx([0.0, 0.25, 1.0], abs=0.01)
