"""The page of parts has an example of every structure and of every codec."""

import re
from pathlib import Path

import sparsefmt as sf
from sparsefmt.codecs.registry import CODECS
from sparsefmt.structures.registry import STRUCTURES

PAGE = (Path(__file__).parents[2] / "docs" / "howto" / "parts.md").read_text()


def test_nothing_is_left_out() -> None:
    code = "\n".join(re.findall(r"^(?:>>>|\.\.\.) (.*)$", PAGE, re.MULTILINE))
    texts = set(re.findall(r'"([\w:@]+)", ', code))
    kinds = {kind for kind, s in STRUCTURES.items() for text in texts if re.fullmatch(s.pattern, text)}
    assert set(STRUCTURES) - kinds == set()
    bits = {f"int{n}" for n in re.findall(r"\d", re.search(r"for bits in \((.*)\)", code)[1])}  # type: ignore[index]
    assert set(CODECS) - bits - texts == {"raw"}


def test_calls_that_are_named_exist() -> None:
    for name in re.findall(r"`(?:sf\.interop\.)?((?:from|to)_\w+)`", PAGE):
        assert hasattr(sf.interop, name) or hasattr(sf, name), name
