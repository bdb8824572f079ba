"""The page on performance is made of records: every row of the newest ones, and why a row is below the roofline."""

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import docs_performance  # noqa: E402

RECORDS = sorted((ROOT / "benches" / "record").glob("*/*.json"))


def test_the_newest_record_of_every_machine_is_on_the_page() -> None:
    page = docs_performance.page()
    newest = {p.parent: p for p in RECORDS if re.fullmatch(r"\d{4}-\d\d-\d\d", p.stem)}
    assert newest
    for path in newest.values():
        record = json.loads(path.read_text())
        assert f"{record['machine']['cores']} CPUs, {record['date']}" in page
        for r in record["results"]:
            assert f"| {r['case']} | {r['size']} |" in page
            if r.get("below"):
                assert f"{r['roofline']:.2f}: {r['below']}" in page
    for path in {p.parent: p for p in RECORDS if p.stem.endswith("-costs")}.values():
        for cost in json.loads(path.read_text())["costs"]:
            assert f"| {cost['what']} | {cost['value']:.4g} {cost['unit']} |" in page
    for kind in docs_performance.FIGURES:
        for path in {p.parent: p for p in RECORDS if p.stem.endswith(f"-{kind}")}.values():
            for r in json.loads(path.read_text())["results"]:
                assert f"| {r.get('what', r.get('name'))} | " in page


def test_figures_say_whether_their_bar_is_met() -> None:
    machine = {"cpu": "a CPU", "cores": 3}
    for kind, key, got, verdicts in [
        ("merge", "of_bound", 1.5, ["met", "missed"]), ("checkpoint", "ratio", 1.5, ["met", "missed"]),
        ("matrix-market", "ratio", 1.5, ["missed", "met"]),
    ]:  # fmt: skip
        results = [{"what": "a", key: got, "bar": 2.0}, {"what": "b", key: got, "bar": 1.0}, {"what": "c", key: got}]
        made = docs_performance.figures(kind, {"machine": machine, "date": "2026-01-02", "results": results})
        assert made.splitlines()[-3:] == [
            f"| a | 1.5 | 2: {verdicts[0]} |", f"| b | 1.5 | 1: {verdicts[1]} |", "| c | 1.5 |  |",
        ]  # fmt: skip


def test_a_row_of_each_kind() -> None:
    machine = {"cpu": "a CPU", "cores": 3}
    result = {"case": "c", "size": "s", "fresh_t": 1.234, "roofline": 0.5, "below": "so it is", "bars": []}
    assert docs_performance.table({"machine": machine, "date": "2026-01-02", "results": [result]}).splitlines()[-1] == (
        "| c | s | 1.23 |  |  | 0.50: so it is |  |"
    )
    cost = {"what": "import", "value": 12.3456, "unit": "ms", "beside": "NumPy", "other": 50.0}
    made = docs_performance.costs({"machine": machine, "date": "2026-01-02", "costs": [cost]}).splitlines()
    assert made[0] == "### What calls cost: a CPU, 3 CPUs, 2026-01-02"
    assert made[-1] == "| import | 12.35 ms | NumPy: 50 ms |"
