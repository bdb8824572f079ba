"""The presets "peft" and "official" give what PEFT 0.21 and the TIES authors' code give."""

import json
from typing import Any

import numpy as np
import pytest

import sparsefmt as sf
from contract import Array
from merge_data import loaded, same_bits

FILE, METADATA = loaded("peft_official_float32")
CASES: dict[str, dict[str, Any]] = json.loads(METADATA["cases"])
PEFT = [name for name, case in CASES.items() if case["like"] == "peft"]
OFFICIAL = sorted({name.partition(".")[2] for name, case in CASES.items() if case["like"] == "official"})


def merged(method: str, models: list[Any], parameters: dict[str, Any]) -> Any:  # noqa: ANN401
    return getattr(sf.merge, method)(models, **{k: v for k, v in parameters.items() if k != "method"})


def close(got: Array, want: Array) -> bool:
    return got.shape == want.shape and bool(np.all(np.abs(got - want) <= 4e-7 * np.maximum(1, np.abs(want))))


@pytest.mark.parametrize("name", PEFT)
def test_a_function_of_peft(name: str) -> None:
    case, shape = dict(CASES[name]), name.partition(".")[0]
    tasks = [FILE[f"{shape}.task{i}"] for i in range(3)]
    if f"{name}.mask0" in FILE:
        case["masks"] = [FILE[f"{name}.mask{i}"].astype(bool) for i in range(3)]
    got, want = merged(case["method"], tasks, case), FILE[name]
    if case["method"].startswith("dare"):
        assert close(got, want)
    else:
        assert same_bits(got + np.float32(0), want + np.float32(0))  # zeros have no sign of their own in PEFT


@pytest.mark.parametrize("name", OFFICIAL)
def test_the_code_of_the_authors_of_ties(name: str) -> None:
    """It trims the whole model, flattened; votes of zero take the sign of the sum of all signs."""
    models = [{shape: FILE[f"{shape}.task{i}"] for shape in "012"} for i in range(3)]
    got = merged("ties", models, CASES[f"0.{name}"])
    for shape in "012":
        assert close(got[shape], FILE[f"{shape}.{name}"])
        assert np.array_equal(got[shape] == 0, FILE[f"{shape}.{name}"] == 0)
