"""The examples of the pages on clusters run."""

import doctest
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("page", ["dask.md", "scale.md"])
def test_examples(page: str) -> None:
    options = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    done = doctest.testfile(str(ROOT / "docs" / page), module_relative=False, optionflags=options)
    assert done.failed == 0
    assert done.attempted >= 3
