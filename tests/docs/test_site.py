"""The pages that the site makes: every public name, every message, every command, drawings, links."""

import re
import sys
from pathlib import Path

import pytest

import sparsefmt as sf
from sparsefmt.base import errors

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import docs_messages  # noqa: E402
import draw_formats  # noqa: E402

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
TROUBLE = (DOCS / "troubleshooting.md").read_text()


def test_every_room_that_raises_has_a_cause_and_a_way_out() -> None:
    rooms = {p.relative_to(docs_messages.PACKAGE).parts[0] for p in docs_messages.PACKAGE.rglob("*.py")}
    silent = {"__init__.py", "__main__.py"}
    assert rooms - silent <= set(docs_messages.CAUSES)
    assert all(cause and way for cause, way in docs_messages.CAUSES.values())


def test_every_message_of_the_source_is_on_the_page() -> None:
    """Texts of all raised messages are found, not only those that the page has: each `msg = "..."` of the source."""
    page = docs_messages.page()
    texts = {
        text
        for path in docs_messages.PACKAGE.rglob("*.py")
        if path.parent != docs_messages.PACKAGE
        for text in re.findall(r'^ +msg = f?"([^"{}]{12,}?)[";{]', path.read_text(), re.MULTILINE)
    }
    assert len(texts) > 150
    missing = [text for text in texts if " ".join(text.split()).replace("`", "'").replace("|", "\\|") not in page]
    assert not missing
    assert page.count("\n| `") > 800


def test_every_error_is_explained() -> None:
    kinds = [n for n in sf.__all__ if isinstance(getattr(sf, n), type) and issubclass(getattr(sf, n), Exception)]
    assert errors.SparsefmtError.__name__ in kinds
    assert not [name for name in kinds if f"`{name}`" not in TROUBLE]


def test_texts_that_are_met_most_often_are_real() -> None:
    for text in ("hold 4 nonzeros; nm2:4 keeps 2",):
        with pytest.raises(sf.PatternError, match=re.escape(text)):
            sf.encode([[4.0, 1.0, -3.0, 2.0]], "nm2:4")
        assert text in TROUBLE
    command_line = (ROOT / "python" / "sparsefmt" / "cli" / "main.py").read_text()
    assert "the command line needs" in command_line
    assert "the command line needs click" in TROUBLE


@pytest.mark.parametrize("name", sorted(draw_formats.FORMATS))
def test_drawings_are_those_of_real_tensors(name: str) -> None:
    drawn = (draw_formats.OUT / f"{name}.svg").read_text()
    assert drawn == draw_formats.drawing(draw_formats.FORMATS[name])
    assert f"images/formats/{name}.svg" in (DOCS / "concepts.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(DOCS)))
def test_links_lead_to_pages_and_the_site_lists_each(page: Path) -> None:
    made = {"changelog.md", "contributing.md", "security.md", "performance.md"}
    for link in re.findall(r"\]\(([^)\s#]+)[^)]*\)", re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)):
        if not link.startswith("http"):
            assert (page.parent / link).exists() or link in made, f"{page.name}: {link}"
    assert f"{page.relative_to(DOCS)}\n" in (ROOT / "mkdocs.yml").read_text()
