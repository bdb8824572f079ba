"""Masks that follow others, and packed tensors that follow masks."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import sparsefmt as sf
from sparsefmt.dynamic import LivePacked, MaskEMA

DATA = json.loads((Path(__file__).parents[1] / "data" / "reference" / "pruning.json").read_text())["ema_mask"]


@pytest.mark.parametrize("case", DATA["flip_steps"], ids=lambda c: str(c["alpha"]))
def test_flips_take_as_long_as_they_should(case: dict[str, float]) -> None:
    """{0, 1} to {2, 3}: the new pair wins when its score passes one half; at one half the incumbent stays."""
    ema = MaskEMA([[True, True, False, False]], alpha=case["alpha"])
    new = [[False, False, True, True]]
    steps = 1
    while not len(ema.update(new)):
        steps += 1
    assert steps == case["steps_1_to_0_lt"]
    assert ema.mask.tolist() == new


def test_the_trace() -> None:
    ema = MaskEMA([[True, True, False, False]], alpha=0.75)
    for step in DATA["trace_alpha_075"]:
        ema.update(np.array([step["new_mask"]], bool))
        np.testing.assert_allclose(ema.score[0], step["score"], atol=1e-15)
        assert ema.mask[0].astype(int).tolist() == step["projected_2_4"]


def test_ties_go_to_the_incumbent() -> None:
    case = DATA["tie_alpha_05"]
    ema = MaskEMA(np.array([case["prev_mask"]], bool), alpha=0.5)
    assert len(ema.update(np.array([case["new_mask"]], bool))) == 0
    assert ema.score[0].tolist() == case["score"]
    assert ema.mask[0].astype(int).tolist() == case["projected_incumbent_first"]


def test_three_above_one_half_are_still_two() -> None:
    case = DATA["three_over_half"]
    ema = MaskEMA(np.array([case["prev_mask"]], bool), alpha=case["alpha"])
    for new in case["updates"]:
        ema.update(np.array([new], bool))
    np.testing.assert_allclose(ema.score[0], case["score"])
    assert ema.mask[0].astype(int).tolist() == case["projected"]


def masks(rng: np.random.Generator, rows: int, cols: int) -> np.ndarray:
    return sf.prune.nm(rng.random((rows, cols)) + 1, 2, 4) != 0


def test_some_groups_alone() -> None:
    rng = np.random.default_rng(0)
    start, new = masks(rng, 6, 16), masks(rng, 6, 16)
    some, every = MaskEMA(start, alpha=0.25), MaskEMA(start, alpha=0.25)
    groups = np.array([[4, 0], [1, 3], [0, 2]])
    mixed = start.copy().reshape(6, 4, 4)
    mixed[groups[:, 0], groups[:, 1]] = new.reshape(6, 4, 4)[groups[:, 0], groups[:, 1]]
    changed = every.update(mixed.reshape(6, 16))
    got = some.update(new.reshape(6, 4, 4)[groups[:, 0], groups[:, 1]], groups)
    np.testing.assert_array_equal(got, changed)
    np.testing.assert_array_equal(some.mask, every.mask)
    with pytest.raises(sf.FormatError, match="twice, or beyond"):
        some.update(new.reshape(-1, 4)[:2], [[0, 0], [0, 0]])
    with pytest.raises(sf.FormatError, match="twice, or beyond"):
        some.update(new.reshape(-1, 4)[:1], [[6, 0]])


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.3, 0.9, 1.0]), st.integers(1, 13))
def test_the_mask_is_always_of_the_pattern(seed: int, alpha: float, cols: int) -> None:
    rng = np.random.default_rng(seed)
    ema = MaskEMA(masks(rng, 3, cols), alpha=alpha)
    w = rng.standard_normal((3, cols)).astype(np.float32)
    live = LivePacked(sf.encode(np.where(ema.mask, w, 0), "nm2:4"))
    for _ in range(4):
        before = ema.mask.copy()
        changed = ema.update(masks(rng, 3, cols))
        moved = {(r, c // 4) for r, c in np.argwhere(before != ema.mask)}
        assert {tuple(g) for g in changed.tolist()} == moved
        assert live.update(w, changed, mask=ema.mask) == len(changed)
        assert sf.equal(live.tensor, sf.encode(np.where(ema.mask, w, 0), "nm2:4"))


@pytest.mark.parametrize("alpha", [-0.1, 1.1, float("nan"), "0.5", True])
def test_alpha_out_of_range(alpha: object) -> None:
    with pytest.raises(sf.FormatError, match="alpha = "):
        MaskEMA([[True, True, False, False]], alpha=alpha)  # type: ignore[arg-type]


def test_masks_that_do_not_fit() -> None:
    ema = MaskEMA([[True, True, False, False]])
    with pytest.raises(sf.PatternError, match="row 0, group 0 keeps 3; 2:4 keeps 2"):
        ema.update([[True, True, True, False]])
    for bad in ([[1, 1, 0, 0]], [[True, True]], [True]):
        with pytest.raises(sf.FormatError, match="mask: want bool"):
            ema.update(bad)
    assert ema.score.tolist() == [[1, 1, 0, 0]]
    with pytest.raises(ValueError, match="read-only"):
        ema.mask[0, 0] = False


@pytest.mark.parametrize("fmt", ["nm2:4", "nm1:4", "nm4:8", "nm3:5", "nm8:16", "nm2:4@64", "nm4:4", "nm16:32"])
@pytest.mark.parametrize("dtype", [np.int8, np.float16, np.float32, np.float64])
def test_only_changed_groups_are_written(fmt: str, dtype: type) -> None:
    rng = np.random.default_rng(1)
    n, m = (int(v) for v in fmt[2:].split("@")[0].split(":"))
    w = sf.prune.nm(rng.integers(-9, 9, (5, 70)).astype(dtype), n, m)
    live = LivePacked(sf.encode(w, fmt))
    fresh = sf.prune.nm(rng.integers(-9, 9, (5, 70)).astype(dtype), n, m)
    groups = np.array([[0, 0], [4, -(-70 // m) - 1], [2, 1], [2, 1]])
    for row, group in groups:
        w[row, group * m : group * m + m] = fresh[row, group * m : group * m + m]
    assert live.update(w, groups) == 3
    assert sf.equal(live.tensor, sf.encode(w, fmt))
    assert live.update(w, []) == 0


def test_updates_that_do_not_fit_write_nothing() -> None:
    w = sf.prune.nm(np.random.default_rng(0).standard_normal((4, 8)))
    t = sf.encode(w, "nm2:4")
    live = LivePacked(t)
    over = w + 1
    for call, error, text in (
        (lambda: live.update(over, [[0, 1], [1, 0]]), sf.PatternError, r"holds 4 nonzeros; nm2:4 keeps 2"),
        (lambda: live.update(w, [[4, 0]]), sf.FormatError, "beyond the 4 rows of 2 groups"),
        (lambda: live.update(w, [[0, -1]]), sf.FormatError, "beyond"),
        (lambda: live.update(w, [0, 1]), sf.FormatError, r"want \(changed, 2\)"),
        (lambda: live.update(w[:2], [[0, 0]]), sf.FormatError, "w: want float64 of shape"),
        (lambda: live.update(w.astype(np.float32), [[0, 0]]), sf.FormatError, "w: want float64"),
        (lambda: live.update(w, [[0, 0]], mask=np.ones((4, 8))), sf.FormatError, "mask: want bool"),
        (lambda: LivePacked(sf.encode(w, "nm2:4/int8")), sf.CodecError, "pack anew"),
        (lambda: LivePacked(sf.encode(w, "csr")), sf.FormatError, "nmN:M, got csr"),
    ):
        with pytest.raises(error, match=text):
            call()
    assert sf.equal(live.tensor, t)


def test_the_tensor_it_came_from_stays() -> None:
    w = sf.prune.nm(np.random.default_rng(0).standard_normal((4, 8)))
    t = sf.encode(w, "nm2:4")
    live = LivePacked(t)
    w[0, :4] = [0, 5, 6, 0]
    live.update(w, [[0, 0]])
    assert not sf.equal(live.tensor, t)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint64, np.int64])
def test_groups_of_any_integer_dtype(dtype: type) -> None:
    """Row times groups does not fit into 8 bits: another group would be changed."""
    ema = MaskEMA(np.zeros((100, 256), bool), alpha=0.1)
    assert ema.update([[True, True, False, False]], np.array([[90, 60]], dtype)).tolist() == [[90, 60]]
    assert np.argwhere(ema.mask).tolist() == [[90, 240], [90, 241]]


@pytest.mark.parametrize("shape", [(0, 8), (0, 0), (3, 0)])
def test_masks_without_groups(shape: tuple[int, int]) -> None:
    assert MaskEMA(np.zeros(shape, bool)).update(np.zeros(shape, bool)).shape == (0, 2)


def test_groups_beyond_int64_are_beyond_the_tensor() -> None:
    w = np.zeros((2, 8))
    for group in ([2**63 + 1, 0], [0, 2**64 - 1]):
        with pytest.raises(sf.FormatError, match="beyond"):
            LivePacked(sf.encode(w, "nm2:4")).update(w, np.array([group], np.uint64))
        with pytest.raises(sf.FormatError, match="beyond"):
            MaskEMA(w != 0).update(np.zeros((1, 4), bool), np.array([group], np.uint64))
