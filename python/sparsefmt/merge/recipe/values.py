"""Values of parameters in a recipe: numbers, gradients over layers, filters by name."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sparsefmt.base.errors import MergeError

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


def plain(value: Any) -> Any:  # noqa: ANN401
    """Texts that are numbers as numbers: YAML 1.1 reads 1e-3 as a text."""
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        return float(value)
    return [plain(v) for v in value] if isinstance(value, list) else value


def evaluate(value: Any, tensor: str, t: float) -> Any:  # noqa: ANN401
    """What a setting says for a tensor at `t`, its place among the layers from 0 to 1; None where it says nothing.

    A list of numbers is a gradient: its values stand at even distances. A list of other things is picked from. Of
    {filter, value} entries the first counts whose filter is part of the tensor's name, absent, or "*".

    Raises:
        MergeError: it is none of these.
    """
    value = plain(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        value = [value]
    if isinstance(value, Sequence) and value:
        if all(isinstance(v, bool | int | float) for v in value):
            return between(value, t)
        if all(isinstance(v, bool | int | float | str) for v in value):
            return value[int(t * (len(value) - 1))]
        if all(isinstance(v, Mapping) and "value" in v and not set(v) - {"filter", "value"} for v in value):
            return filtered(value, tensor, t)
    msg = f"parameter value {value!r:.80} is no number, list of numbers, or list of {{filter, value}}"
    raise MergeError(msg)


def between(values: Sequence[float], t: float) -> float:
    """The gradient at t."""
    place = t * (len(values) - 1)
    low = int(place)
    high = min(len(values) - 1, low + 1)
    share = place - low
    return (1 - share) * values[low] + share * values[high]


def filtered(entries: Sequence[Mapping[str, Any]], tensor: str, t: float) -> Any:  # noqa: ANN401
    """What the first entry that takes the tensor says."""
    for entry in entries:
        pattern = entry.get("filter")
        if pattern is None or pattern == "*" or str(pattern) in tensor:
            return evaluate(entry["value"], tensor, t)
    return None


def lookup(name: str, scopes: Sequence[Mapping[str, Any]], tensor: str, t: float) -> Any:  # noqa: ANN401
    """What the first scope that says something says; None where none does."""
    for scope in scopes:
        if name in scope and (found := evaluate(scope[name], tensor, t)) is not None:
            return found
    return None
