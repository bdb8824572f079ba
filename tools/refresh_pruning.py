"""Puts the newest row of every case of benches/python/prune.py into docs/choosing.md, behind `<!-- pruning -->`."""

import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "choosing.md"
BLOCK = re.compile(r"(<!-- pruning -->\n\n)(?:\|.*\n)*")


def rows() -> dict[str, Any]:
    """The newest row of every case, of any machine: errors are the same on each."""
    found: dict[str, Any] = {}
    records = (ROOT / "benches" / "record").glob("*/*-prune.json")
    for path in sorted(records, key=lambda path: (path.name, path.parent.name)):
        found |= json.loads(path.read_text())["rows"]
    return found


def refreshed(text: str) -> str:
    """The page with the rows of the records."""
    sys.path.insert(0, str(ROOT / "benches" / "python"))
    from prune import table

    made = table(rows())
    return BLOCK.sub(lambda found: found[1] + made + "\n", text)


if __name__ == "__main__":
    PAGE.write_text(refreshed(PAGE.read_text()))
