"""Puts the table of the newest record of benches/python/prune.py into docs/choosing.md, behind `<!-- pruning -->`."""

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "choosing.md"
BLOCK = re.compile(r"(<!-- pruning -->\n\n)(?:\|.*\n)*")


def record() -> Path:
    """The newest one."""
    return max((ROOT / "benches" / "record").glob("*/*-prune.json"), key=lambda path: (path.name, path.parent.name))


def refreshed(text: str) -> str:
    """The page with the rows of the record."""
    sys.path.insert(0, str(ROOT / "benches" / "python"))
    from prune import table

    made = table(json.loads(record().read_text())["rows"])
    return BLOCK.sub(lambda found: found[1] + made + "\n", text)


if __name__ == "__main__":
    PAGE.write_text(refreshed(PAGE.read_text()))
