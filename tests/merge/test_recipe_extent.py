"""Recipes that are small as YAML and large, or endless, as values."""

from pathlib import Path
from typing import Any

import pytest

import sparsefmt as sf
from sparsefmt.merge.recipe.config import parse, read_config
from sparsefmt.merge.recipe.extent import MOST

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]\n" for k in range(1, 12)
)
MERGED = "a0: &a0 {x: 1, y: 2}\n" + "".join(
    f"a{k}: &a{k} {{<<: [{', '.join([f'*a{k - 1}'] * 9)}]}}\n" for k in range(1, 12)
)
PLAIN = "merge_method: linear\nmodels: [{model: a, parameters: {weight: %s}}]\n"


def read(folder: Path, text: str) -> Any:  # noqa: ANN401
    (folder / "r.yml").write_text(text)
    return parse(read_config(folder / "r.yml"))


@pytest.mark.parametrize(
    "text",
    [
        BOMB + PLAIN % "*a11",
        BOMB + "merge_method: linear\nmodels: *a11\n",
        BOMB + "dtype: *a11\n" + PLAIN % 1,
        MERGED + PLAIN % "*a11",
    ],
)
def test_aliases_are_counted_before_they_are_followed(tmp_path: Path, text: str) -> None:
    """These were copied, or written into an error, until memory ended."""
    with pytest.raises(sf.MergeError, match=f"its aliases stand for more than {MOST} values"):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x: &x [*x]\n" + PLAIN % "*x", "a value refers to itself"),
        ("x: &x {model: *x}\nmerge_method: linear\nmodels: [{model: *x}]\n", "a value refers to itself"),
        (PLAIN % ("[" * 3000 + "]" * 3000), "too deep in each other|more than 64 deep"),
        (PLAIN % ("[" * 100 + "]" * 100), "more than 64 deep"),
        (PLAIN % "2020-13-45", "is no YAML: month must be in 1..12"),
        (PLAIN % ("9" * 5000), "is no YAML: .*4300 digits"),
        ("merge_method: linear\nmodels: [{model: {model: {x: 1}}}]\n", "model None: want a path"),
        ("", "want a mapping"),
    ],
)
def test_what_is_no_recipe_says_why(tmp_path: Path, text: str, message: str) -> None:
    """These were internal errors."""
    with pytest.raises(sf.MergeError, match=message):
        read(tmp_path, text)


def test_a_mapping_that_holds_itself() -> None:
    endless: dict[str, Any] = {"merge_method": "linear"}
    endless["models"] = [endless]
    with pytest.raises(sf.MergeError, match="the recipe: a value refers to itself"):
        parse(endless)


def test_aliases_are_allowed(tmp_path: Path) -> None:
    shared = (
        "merge_method: linear\nmodels: [{model: a, parameters: &p {weight: 2}}, {model: b, parameters: {<<: *p}}]\n"
    )
    (module,) = read(tmp_path, shared).modules
    assert [part.parameters for part in module.slices[0].parts] == [{"weight": 2}] * 2


def test_a_number_that_no_float_holds() -> None:
    with pytest.raises(sf.MergeError, match="is no finite number"):
        sf.merge.linear([[1.0], [2.0]], weights=[10**400, 1])
