"""The index formulas of the kernels, read from their source: one text serves the kernels, the layout and the tests."""

import functools
import re
from collections.abc import Callable
from typing import Any

from sparsefmt.cuda.module import source

_LINE = re.compile(r"^(?:LONG_)?INDEX\((?P<name>\w+), \((?P<args>[^)]*)\), (?P<value>.+)\)$", re.MULTILINE)
_ALLOWED = re.compile(r"[\w\s+\-*/%><&|()]+")

Formula = Callable[..., Any]
"""Takes integers or integer arrays, as the arguments of the line."""


@functools.cache
def formulas() -> dict[str, Formula]:
    """Every INDEX line of formulas.cuh as a function.

    >>> int(formulas()["a16_row"](5, 1))
    9
    """
    found = {}
    for line in _LINE.finditer(source("own/formulas.cuh")):
        name, value = line["name"], line["value"]
        if not _ALLOWED.fullmatch(value) or "**" in value:
            msg = f"formulas.cuh: {name} = {value} is more than integer arithmetic"
            raise ValueError(msg)
        names = ", ".join(arg.split()[-1] for arg in line["args"].split(","))
        found[name] = eval(f"lambda {names}: {value.replace('/', '//')}", {"__builtins__": {}})  # our own source
    return found
