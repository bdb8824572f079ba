"""Every method gives what mergekit 0.1.5 gives: the same bits where its order is defined, else within rounding."""

import json
from typing import Any

import numpy as np
import pytest

import sparsefmt as sf
from contract import Array
from merge_data import loaded, same_bits

FILE, METADATA = loaded("methods_float32_n2")
CASES: dict[str, dict[str, Any]] = json.loads(METADATA["cases"])
EXACT = ("linear", "task_arithmetic", "ties", "breadcrumbs", "breadcrumbs_ties", "nearswap", "ram", "ramplus_tl")
MEMBERS = ("linear", "karcher", "slerp")
ALONE = ("slerp", "nearswap", "arcee_fusion")


def merged(case: dict[str, Any], prefix: str, name: str) -> Array:
    parameters = {"lam" if k == "lambda" else k: v for k, v in case.items() if k not in ("method", "weight")}
    method = case["method"]
    tasks = [FILE[f"{prefix}.task{i}"] for i in range(1 if method in ALONE else 2)]
    if method.startswith(("dare", "della")):
        parameters["masks"] = [FILE[f"{prefix}.{name}.mask{i}"].astype(bool) for i in range(2)]
    made: Array = getattr(sf.merge, method)(
        tasks, base=FILE[f"{prefix}.base"], weights=case.get("weight", 1.0), like="mergekit", **parameters
    )
    return made


@pytest.mark.parametrize("shape", ["0", "1", "2"])
@pytest.mark.parametrize("name", CASES)
def test_a_method_gives_what_mergekit_gives(name: str, shape: str) -> None:
    case, want = CASES[name], FILE[f"{shape}.{name}"]
    got = merged(case, shape, name)
    assert got.shape == want.shape
    assert got.dtype == np.float32
    if case["method"] in EXACT and not case.get("rescale"):
        assert same_bits(got, want)
    else:
        inputs = [np.abs(FILE[f"{shape}.{which}"]) for which in ("base", "task0", "task1")]
        assert np.all(np.abs(got - want) <= 3e-7 * (sum(inputs) + np.abs(want)))


@pytest.mark.parametrize("shape", ["0", "1", "2"])
@pytest.mark.parametrize("name", [n for n, c in CASES.items() if c["method"] in ("ties", "breadcrumbs")])
def test_trims_keep_what_mergekit_keeps(name: str, shape: str) -> None:
    """The masks as they were used, given from outside, change nothing."""
    keys = [f"{shape}.{name}.mask{i}" for i in range(2)]
    if keys[0] not in FILE:
        pytest.skip("this case keeps all or nothing")
    case = {**CASES[name], "masks": [FILE[k].astype(bool) for k in keys]}
    assert same_bits(merged(case, shape, name), merged(CASES[name], shape, name))


@pytest.mark.parametrize("shape", ["0", "1", "2"])
@pytest.mark.parametrize("name", [n for n, c in CASES.items() if c["method"] == "della"])
def test_della_keeps_with_the_probabilities_of_mergekit(name: str, shape: str) -> None:
    from sparsefmt.merge.draw import keep_probabilities

    for i in range(2):
        delta = np.abs(FILE[f"{shape}.task{i}"] - FILE[f"{shape}.base"])
        rows = delta[None] if delta.ndim == 1 else delta
        case = CASES[name]
        got = keep_probabilities(rows, case["density"], case["epsilon"]).reshape(delta.shape)
        np.testing.assert_allclose(got, FILE[f"{shape}.{name}.prob{i}"], rtol=3e-7)


FUNCTIONS = [f"mergekit_{dtype}_n{n}" for dtype in ("float32", "bfloat16") for n in (2, 3, 5)]


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("vote", ["mass", "count"])
@pytest.mark.parametrize("density", [0.2, 0.5, 1.0])
def test_ties_in_the_dtype_of_the_models(name: str, vote: str, density: float) -> None:
    """mergekit's functions compute in the dtype of the tensors; equal magnitudes are cut arbitrarily there."""
    arrays, metadata = loaded(name)
    weights = json.loads(metadata["weights"])
    base, tasks = arrays["base"], [arrays[f"task{i}"] for i in range(len(weights))]
    want = arrays[f"ties_{'sum' if vote == 'mass' else 'count'}_d{density}"]
    got = sf.merge.ties(
        tasks, base=base, weights=weights, like="mergekit", vote=vote, density=density, dtype=base.dtype.name
    )
    certain = np.ones(base.shape, bool)
    for x in tasks:
        magnitude = np.abs((x - base).astype(np.float32))
        certain &= magnitude != np.sort(magnitude.reshape(-1))[-int(density * base.size)] if density < 1 else True
    assert certain.mean() > 0.9
    assert np.array_equal(got[certain], want[certain])
    if base.dtype == np.float32:
        assert same_bits(got, want)


@pytest.mark.parametrize("name", FUNCTIONS[:4])
def test_task_arithmetic_in_the_dtype_of_the_models(name: str) -> None:
    arrays, metadata = loaded(name)
    tasks = [arrays[f"task{i}"] for i in range(len(json.loads(metadata["weights"])))]
    got = sf.merge.task_arithmetic(tasks, base=arrays["base"], lam=0.7, like="mergekit", dtype=tasks[0].dtype.name)
    assert same_bits(got, arrays["task_arithmetic_lambda0.7"])
