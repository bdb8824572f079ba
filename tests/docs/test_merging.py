"""The examples of docs/merging.md run as they stand there."""

import doctest
from pathlib import Path

from sparsefmt.merge.registry import METHODS

PATH = Path(__file__).parents[2] / "docs" / "merging.md"


def test_examples() -> None:
    options = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    assert doctest.testfile(str(PATH), module_relative=False, optionflags=options).failed == 0


def test_every_method_is_described() -> None:
    page = PATH.read_text()
    assert [name for name in METHODS if f"`{name}`" not in page] == []
