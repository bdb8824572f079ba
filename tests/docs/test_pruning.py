"""The table of pruning with data is that of the newest record."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import refresh_pruning  # noqa: E402


def test_the_table_is_that_of_the_record() -> None:
    text = refresh_pruning.PAGE.read_text()
    assert refresh_pruning.refreshed(text) == text
    assert text.count("| nm2:4 31k |") == 1
