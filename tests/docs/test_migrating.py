"""The page on migrating: its example runs, and the names that it lists are there."""

import doctest
import re
from pathlib import Path

import sparsefmt as sf

PAGE = Path(__file__).parents[2] / "docs" / "migrating.md"


def test_the_example_runs() -> None:
    text = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert text is not None
    test = doctest.DocTestParser().get_doctest(text[1], {}, "migrating", str(PAGE), 0)
    assert doctest.DocTestRunner().run(test).failed == 0


def test_every_name_of_the_package_exists() -> None:
    names = set(re.findall(r"`(?:[^`]*\b)?sf\.([a-zA-Z_.0-9]+)", PAGE.read_text()))
    assert len(names) > 12
    for name in names:
        found: object = sf
        for part in name.split("."):
            found = getattr(found, part)
