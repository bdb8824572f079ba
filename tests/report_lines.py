"""What a page of a report holds for its script."""

import json
import re
from pathlib import Path
from typing import Any


def lines_of(page: Path) -> list[dict[str, Any]]:
    """A line per tensor."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.read_text("utf-8"), re.DOTALL)
    assert found is not None
    made: list[dict[str, Any]] = json.loads(found[1])
    return made
