"""The code of all pages: examples run in the order of the page, with its commands; the rest compiles and names what is
there."""

import ast
import doctest
import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

import sparsefmt as sf
from sparsefmt.cli.app import COMMANDS, app

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = {str(p.relative_to(DOCS)): p for p in sorted(DOCS.rglob("*.md"))}
ELSEWHERE = {
    "choosing.md": "test_choosing.py",
    "exercises.md": "test_pages.py",
    "pruning.md": "test_pages.py",
    "merging.md": "test_merging.py",
    "migrating.md": "test_migrating.py",
    "dask.md": "test_scale.py",
    "scale.md": "test_scale.py",
}
"""Pages whose examples another test of this folder runs."""

OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """Language and text of the fenced blocks."""
    for found in FENCE.finditer(text):
        yield found[1], found[2]


def commands(text: str) -> Iterator[list[str]]:
    """The words of each line that calls the command line, without comments."""
    for line in text.replace("\\\n", " ").splitlines():
        for part in line.split("&&"):
            if part.split()[:1] == ["sparsefmt"]:
                yield shlex.split(part, comments=True)[1:]


def test_others_run_the_rest() -> None:
    for page, test in ELSEWHERE.items():
        if page in PAGES:
            assert page.partition(".")[0] in (Path(__file__).parent / test).read_text()


@pytest.mark.parametrize("page", sorted(set(PAGES) - set(ELSEWHERE)))
def test_examples_and_commands_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    runner = doctest.DocTestRunner(optionflags=OPTIONS)
    for number, (language, text) in enumerate(blocks(PAGES[page].read_text())):
        if language == "python" and ">>>" in text:
            test = doctest.DocTestParser().get_doctest(text, names, f"{page}[{number}]", page, 0)
            runner.run(test, clear_globs=False)
            names.update(test.globs)
            assert runner.failures == 0
        elif language == "python" and "import torch" in text and importlib.util.find_spec("torch"):
            exec(compile(text, page, "exec"), names)
        elif language == "sh":
            for words in commands(text):
                done = CliRunner().invoke(app, words, prog_name="sparsefmt")
                assert done.exit_code == 0 or (words[0], done.exit_code) == ("doctor", 1), (
                    f"{page}: {words}: {done.output}"
                )


@pytest.mark.parametrize("page", sorted(PAGES))
def test_code_that_needs_more_compiles_and_names_what_exists(page: str) -> None:
    for language, text in blocks(PAGES[page].read_text()):
        if language != "python" or ">>>" in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Attribute):
                path = ast.unparse(node).split(".")
                found: object = sf
                if path[0] == "sf" and all(part.isidentifier() for part in path):
                    for part in path[1:]:
                        found = getattr(found, part)
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sparsefmt"):
                module = importlib.import_module(node.module or "")
                assert all(hasattr(module, alias.name) for alias in node.names)


@pytest.mark.parametrize("page", sorted(PAGES))
def test_commands_have_the_options_that_pages_give_them(page: str) -> None:
    for language, text in blocks(PAGES[page].read_text()):
        if language not in ("", "sh", "text"):
            continue
        for words in commands(text):
            if words[0].isupper() or words[0].startswith("-"):
                continue
            assert words[0] in COMMANDS, f"{page}: {words}"
            command = app.get_command(click.Context(app), words[0])
            assert command is not None
            known = {o for p in command.params for o in (*p.opts, *p.secondary_opts)} | {"--help"}
            used = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
            assert used <= known, f"{page}: {words}"
