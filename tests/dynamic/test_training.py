"""Schedules and rules for gradients."""

import itertools

import numpy as np
import pytest

import sparsefmt as sf
from sparsefmt.base.dtypes import DTYPES
from sparsefmt.dynamic import Schedule, distillation_loss, sr_ste, straight_through


@pytest.mark.parametrize("kind", ["linear", "cubic", "cosine"])
def test_the_density_falls_from_initial_to_final(kind: str) -> None:
    s = Schedule(0.25, start=100, end=500, every=10, initial=0.9, kind=kind)  # type: ignore[arg-type]
    values = [s.density(step) for step in range(0, 700)]
    assert values[:101] == [0.9] * 101
    assert values[500:] == [0.25] * 200
    assert all(b <= a for a, b in itertools.pairwise(values))
    assert all(values[i] == values[i - i % 10] for i in range(100, 500))
    middle = {"linear": 0.575, "cubic": 0.25 + 0.65 / 8, "cosine": 0.575}[kind]
    assert values[300] == pytest.approx(middle)


def test_masks_freeze() -> None:
    s = Schedule(0.5, start=10, end=30, every=10, freeze=50)
    assert [s.changes(step) for step in (5, 10, 15, 20, 30, 40, 50, 60)] == [
        False, True, False, True, True, True, False, False,
    ]  # fmt: skip
    assert not s.frozen(49)
    assert s.frozen(50)
    assert Schedule(0.5, end=30).changes(30)


def test_applying_prunes_to_the_density() -> None:
    w = np.arange(1.0, 9)
    s = Schedule(0.5, start=0, end=4, kind="linear")
    assert [np.count_nonzero(s.apply(w, step)) for step in range(6)] == [8, 7, 6, 5, 4, 4]
    np.testing.assert_array_equal(s.apply(w, 9), sf.prune.magnitude(w, 0.5))


def test_a_schedule_of_one_step() -> None:
    s = Schedule(0.5, start=3, end=3)
    assert (s.density(2), s.density(3)) == (1.0, 0.5)


@pytest.mark.parametrize(
    ("kwargs", "text"),
    [
        ({"final": 1.5}, "final = 1.5"),
        ({"final": float("nan")}, "final = nan"),
        ({"final": 0.5, "initial": -1}, "initial = -1"),
        ({"final": 0.5, "start": 9, "end": 3}, "ends at step 3, before it starts at step 9"),
        ({"final": 0.5, "end": 9, "freeze": 3}, "freeze at step 3, before"),
        ({"final": 0.5, "every": 0}, "every = 0"),
        ({"final": 0.5, "start": -1}, "start = -1"),
        ({"final": 0.5, "kind": "step"}, "kind = 'step'"),
    ],
)
def test_schedules_that_make_no_sense(kwargs: dict[str, object], text: str) -> None:
    with pytest.raises(sf.FormatError, match=text):
        Schedule(**kwargs)  # type: ignore[arg-type]


def test_steps_before_the_first() -> None:
    with pytest.raises(sf.FormatError, match="step = -1"):
        Schedule(0.5).density(-1)


def test_numbers_of_numpy_are_numbers() -> None:
    s = Schedule(np.float32(0.5), start=np.int64(10), end=np.int32(30), every=np.uint8(10), freeze=np.int16(30))
    assert [s.density(np.int64(step)) for step in (0, 30, 99)] == [1.0, 0.5, 0.5]
    for step in (-1, float("nan"), "x", None):
        with pytest.raises(sf.FormatError, match="step = "):
            s.density(step)  # type: ignore[arg-type]


def test_masking_only_the_gradient_never_prunes() -> None:
    """What the straight-through rule is for: the forward pass is masked, the gradient is not."""
    w, mask = np.array([1.0, 0.9]), np.array([True, False])
    for _ in range(50):
        w = w - 0.1 * straight_through(np.array([0.5, -0.5]), mask)
    assert w[1] > w[0]  # the pruned one came back


def test_sr_ste_pulls_pruned_weights_to_zero() -> None:
    g, w, mask = np.ones(3), np.array([2.0, -4.0, 1.0]), np.array([True, False, False])
    np.testing.assert_allclose(sr_ste(g, w, mask, 0.25), [1, 0, 1.25])
    np.testing.assert_array_equal(sr_ste(g, w, mask, 0), g)
    with pytest.raises(sf.FormatError, match="decay"):
        sr_ste(g, w, mask, -1)
    with pytest.raises(sf.FormatError, match=r"mask: want shape \(3,\)"):
        straight_through(g, mask[:2])


def test_distillation_loss_and_its_gradient() -> None:
    rng = np.random.default_rng(0)
    s, t = rng.standard_normal((2, 4, 5)), rng.standard_normal((2, 4, 5))
    loss, gradient = distillation_loss(s, t, T=3.0, lam=0.7, task=1.5)
    p, q = (np.exp(a / 3) / np.exp(a / 3).sum(axis=-1, keepdims=True) for a in (t, s))
    assert loss == pytest.approx(1.5 + 0.7 * 9 * (p * np.log(p / q)).sum() / 8)
    for at in [(0, 0, 0), (1, 3, 4), (0, 2, 1)]:
        step = np.zeros(s.shape)
        step[at] = 1e-6
        slope = (distillation_loss(s + step, t, 3.0, 0.7)[0] - distillation_loss(s - step, t, 3.0, 0.7)[0]) / 2e-6
        assert gradient[at] == pytest.approx(slope, abs=1e-8)


def test_logits_far_apart_give_no_overflow() -> None:
    loss, gradient = distillation_loss([[1e4, -1e4]], [[-1e4, 1e4]], T=1.0, lam=1.0)
    assert loss == pytest.approx(2e4)
    np.testing.assert_allclose(gradient, [[1, -1]])


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        (([[1.0]], [[1.0, 2.0]]), {}),
        (([[1.0]], [[1.0]]), {"T": 0.0}),
        (([[1.0]], [[1.0]]), {"lam": -1.0}),
        (([[np.nan]], [[1.0]]), {}),
        ((np.empty((0, 3)), np.empty((0, 3))), {}),
    ],
)
def test_bad_logits(args: tuple[object, object], kwargs: dict[str, float]) -> None:
    with pytest.raises(sf.FormatError):
        distillation_loss(*args, **kwargs)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_the_gradient_of_sr_ste_keeps_its_dtype(dtype: str) -> None:
    g, w = (np.array(values).astype(DTYPES[dtype]) for values in ([1.0, 1.0], [3.0, 2.0]))
    made = sf.dynamic.sr_ste(g, w, [True, False], np.float64(0.5))
    assert made.dtype == g.dtype
    assert made.astype(float).tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("x", "want"),
    [
        (np.array([3 + 4j]), 5.0),
        (np.array([1e200, 1e200]), 1e200),
        (np.array([1e-200, 1e-200]), 1e-200),
        (np.array([-128], np.int8), 128.0),
        (np.zeros((0, 3)), 0.0),
        (np.array([np.inf]), np.inf),
    ],
)
def test_importance_of_any_numbers(x: np.ndarray, want: float) -> None:
    assert sf.dynamic.importance(x) == pytest.approx(want)


def test_the_loss_of_a_task_is_a_number() -> None:
    with pytest.raises(sf.FormatError, match="task = 'x'"):
        sf.dynamic.distillation_loss([[0.0, 1.0]], [[0.0, 1.0]], task="x")  # type: ignore[arg-type]
