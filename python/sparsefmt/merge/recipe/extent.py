"""How much a recipe is once its aliases are followed: a few lines of YAML can stand for more than any memory holds."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sparsefmt.base.errors import MergeError

MOST = 1 << 18
"""Values that aliases stand for, beside those that are written."""
DEEPEST = 64
"""Values in each other."""

Parts = Callable[[Any], Iterable[Any]]


def parts_of_values(value: Any) -> Iterable[Any]:  # noqa: ANN401
    """What is in a mapping or a list."""
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list | tuple | set) else ()


def parts_of_nodes(node: Any) -> Iterable[Any]:  # noqa: ANN401
    """The nodes of YAML in a node."""
    value = node.value
    if not isinstance(value, list):
        return ()
    return [part for pair in value for part in (pair if isinstance(pair, tuple) else (pair,))]


def check_extent(whole: Any, parts: Parts, where: str) -> None:  # noqa: ANN401
    """Raises MergeError where something refers to itself, lies too deep, or stands for much more than is written."""
    known, above, written = dict[int, int](), set[int](), 0

    def count(value: Any) -> int:  # noqa: ANN401
        nonlocal written
        key = id(value)
        if key in known:
            return known[key]
        if key in above or len(above) > DEEPEST:
            what = "a value refers to itself" if key in above else f"values lie more than {DEEPEST} deep in each other"
            msg = f"{where}: {what}; write out what is meant"
            raise MergeError(msg)
        written += 1
        inside = list(parts(value))
        if not inside:  # Python has one object for many numbers
            return 1
        above.add(key)
        known[key] = 1 + sum(count(part) for part in inside)
        above.remove(key)
        return known[key]

    if count(whole) > written + MOST:
        msg = f"{where}: its aliases stand for more than {MOST} values; write out what is meant"
        raise MergeError(msg)
