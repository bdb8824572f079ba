"""docs/design.md names every room and every module of the package."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def test_the_tree_is_that_of_today() -> None:
    spec = importlib.util.spec_from_file_location("refresh_design", ROOT / "tools" / "refresh_design.py")
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    page = (ROOT / "docs" / "design.md").read_text()
    assert tool.refreshed(page) == page, "run tools/refresh_design.py"
    for module in (ROOT / "python" / "sparsefmt").rglob("*.py"):
        if not module.stem.startswith("__"):
            assert module.stem in page.split(), module
