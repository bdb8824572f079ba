"""The table of instruction counts on 64-bit ARM in the docs is that of the newest record."""

import importlib
import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_docs_show_the_newest_record(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(ROOT / "benches" / "python"), *sys.path])
    table = importlib.import_module("arm_instructions").table
    record = json.loads(max((ROOT / "benches" / "record" / "aarch64-qemu").glob("*-instructions.json")).read_text())
    counts = record["instructions_per_element"]
    assert len(counts["neon"]) > 50
    assert counts["neon"].keys() == counts["scalar"].keys() == counts["portable"].keys()
    assert table(counts) in (ROOT / "docs" / "platforms.md").read_text()
