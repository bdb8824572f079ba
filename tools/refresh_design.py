"""Writes the tree of rooms in docs/design.md anew: every folder of the package, its summary, and its modules.

`python tools/refresh_design.py` after a module came, went or moved; a test compares.
"""

import ast
import re
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "python" / "sparsefmt"
DESIGN = ROOT / "docs" / "design.md"
BEGIN, END = "<!-- tree: tools/refresh_design.py -->\n", "<!-- end of tree -->\n"


def rooms() -> list[Path]:
    """The folders of the package that hold modules, those that others import first."""
    text = (ROOT / "pyproject.toml").read_text()
    layers = re.search(r"^layers = \[(.*?)^\]", text, re.MULTILINE | re.DOTALL)
    order = [
        name for line in reversed(re.findall(r'"([^"]+)"', layers[1] if layers else "")) for name in line.split(" | ")
    ]
    found = sorted(p.parent for p in PACKAGE.rglob("__init__.py") if p.parent != PACKAGE)
    return sorted(found, key=lambda p: order.index(p.relative_to(PACKAGE).parts[0]))


def entry(room: Path) -> str:
    """The lines of one room."""
    doc = ast.get_docstring(ast.parse((room / "__init__.py").read_text())) or ""
    summary = " ".join(doc.split("\n\n")[0].split()).replace("`", "")
    files = " ".join(sorted(p.stem for p in room.glob("*.py") if not p.stem.startswith("__")))
    name = f"{room.relative_to(PACKAGE)}/"
    shape = {"initial_indent": "    ", "subsequent_indent": "    ", "break_on_hyphens": False}
    return "\n".join([*textwrap.wrap(f"{name}  {summary}", 116), *textwrap.wrap(files, 112, **shape)])


def tree() -> str:
    """The whole section, markers included."""
    return f"{BEGIN}```\n" + "\n".join(map(entry, rooms())) + f"\n```\n{END}"


def refreshed(text: str) -> str:
    """The page with the tree of today."""
    before, _, rest = text.partition(BEGIN)
    return before + tree() + rest.partition(END)[2]


if __name__ == "__main__":
    page = DESIGN.read_text()
    if BEGIN not in page:
        sys.exit(f"{DESIGN}: no line {BEGIN.strip()}")
    DESIGN.write_text(refreshed(page))
