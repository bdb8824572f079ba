"""Linear mode connectivity."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sparsefmt as sf
from merge_data import vectors

V = vectors()["lmc"]


def bumpy(x: np.ndarray) -> float:
    return float((x[0] ** 2 - 1) ** 2)


def test_the_barrier_of_a_double_well() -> None:
    a, b = np.array([V["theta1"]]), np.array([V["theta2"]])
    found = sf.merge.barrier(bumpy, a, b, steps=len(V["alphas"]))
    assert found == V["barrier_value"]
    assert found.curve.alphas == tuple(V["alphas"])
    assert found.curve.losses == tuple(V["losses"])
    assert sf.merge.barrier(bumpy, a, a) == 0
    assert "barrier 1" in found.curve.text()


def test_the_ends_count_for_the_line() -> None:
    found = sf.merge.barrier(lambda x: float(x[0]), np.array([0.0]), np.array([2.0]), steps=3)
    assert found == 0
    assert found.curve.losses == (0.0, 1.0, 2.0)
    dip = sf.merge.barrier(lambda x: float(x[0] ** 2), np.array([-1.0]), np.array([1.0]), steps=3)
    assert dip == 0
    assert dip.curve.excesses == (0.0, -1.0, 0.0)


def test_checkpoints_stream_into_the_callback(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    ends = [{"w": rng.standard_normal((4, 4)).astype(np.float16), "n": np.arange(3)} for _ in range(2)]
    for name, end in zip("ab", ends, strict=True):
        sf.save(tmp_path / f"{name}.safetensors", end)
    paths = [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]

    def loss(model: Any) -> float:  # noqa: ANN401
        assert set(model) == {"w", "n"}
        assert model["w"].dtype == np.float16
        assert np.array_equal(model["n"], np.arange(3))
        return float(np.abs(model["w"].astype(np.float64)).sum())

    whole = sf.merge.barrier(loss, *ends, steps=3)
    assert sf.merge.barrier(loss, *paths, steps=3) == whole
    middle = sf.merge.interpolate(*paths, 0.5)
    want = (ends[0]["w"].astype(np.float32) + ends[1]["w"].astype(np.float32)) / 2
    assert np.array_equal(middle["w"], want.astype(np.float16))
    for alpha, end in ((0.0, ends[0]), (1.0, ends[1])):
        assert np.array_equal(sf.merge.interpolate(*ends, alpha)["w"], end["w"])


def test_wrong_arguments() -> None:
    for steps in (1, 0, True, 2.5):
        with pytest.raises(sf.MergeError, match="steps"):
            sf.merge.barrier(bumpy, np.zeros(1), np.ones(1), steps=steps)  # type: ignore[arg-type]
    with pytest.raises(sf.MergeError, match="NaN"):
        sf.merge.barrier(lambda x: float("nan"), np.zeros(1), np.ones(1))
    with pytest.raises(sf.MergeError, match="shape"):
        sf.merge.interpolate(np.zeros(2), np.zeros(3), 0.5)


def test_task_vectors() -> None:
    base = {"w": np.array([1.0, 2.0]), "n": np.arange(2)}
    tuned = {"w": np.array([1.5, 1.0]), "n": np.arange(2)}
    assert np.array_equal(sf.merge.task_vector(base, tuned)["w"], np.array([0.5, -1.0], np.float32))
    assert set(sf.merge.task_vector(base, tuned)) == {"w"}
    with pytest.raises(sf.MergeError, match="one of floats"):
        sf.merge.task_vector(np.arange(2), np.arange(2))
    packed = sf.encode(np.eye(4, dtype=np.float32), "csr")
    assert np.array_equal(sf.merge.task_vector(packed, packed), np.zeros((4, 4)))


def test_task_vectors_of_files(tmp_path: Path) -> None:
    base = {"w": np.array([1.0, 2.0], np.float16), "n": np.arange(2)}
    tuned = {"w": np.array([1.5, 1.0], np.float16), "n": np.arange(2)}
    paths = [tmp_path / f"{name}.safetensors" for name in ("base", "tuned")]
    for path, model in zip(paths, (base, tuned), strict=True):
        sf.save(path, model)
    want = sf.merge.task_vector(base, tuned)
    for pair in (paths, [str(p) for p in paths], [base, paths[1]], [paths[0], sf.open_checkpoint(paths[1])]):
        made = sf.merge.task_vector(*pair)
        assert made.keys() == want.keys()
        assert np.array_equal(made["w"], want["w"])
    with pytest.raises(sf.MergeError, match="different kinds"):
        sf.merge.task_vector(paths[0], tuned["w"])


def test_losses_that_are_not_finite() -> None:
    a, b = np.array([-1.0]), np.array([1.0])
    assert sf.merge.barrier(lambda x: float("inf") if x[0] == 0 else 1.0, a, b, steps=3) == float("inf")
    for at, value in ((-1.0, "inf"), (1.0, "inf"), (1.0, "-inf"), (0.0, "nan"), (-1.0, "nan")):
        with pytest.raises(sf.MergeError, match=f"(?i)the loss at alpha = {(at + 1) / 2:g} is {value}"):
            sf.merge.barrier(lambda x, at=at, value=value: float(value) if x[0] == at else 1.0, a, b, steps=3)


@pytest.mark.parametrize("alpha", [np.nan, np.inf, "x", None])
def test_places_that_are_none(alpha: object) -> None:
    """A NaN gave a model of NaN."""
    with pytest.raises(sf.MergeError, match=r"alpha = .* is no finite number"):
        sf.merge.interpolate(np.zeros(2), np.ones(2), alpha)  # type: ignore[arg-type]
