"""Records of runs: where they lie, and how one run compares with another."""

import datetime
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness import Result
from machine import ROOT, describe

RECORDS = ROOT / "benches" / "record"


def record_path(about: dict[str, Any]) -> Path:
    """benches/record/<machine>/<date>.json; what differs from all CPUs and the best instructions is in the name."""
    machine, threads, forced = about["machine"], about["threads"], about["forced_isa"]
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    parts = [date, f"{threads}-threads" if threads != machine["cores"] else "", forced or ""]
    return RECORDS / machine["name"] / f"{'-'.join(filter(None, parts))}.json"


def write(path: Path, about: dict[str, Any], results: list[Result], **more: object) -> None:
    """Writes a record."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = {"date": path.stem[:10], **about, **more, "results": [asdict(r) for r in results]}
    path.write_text(json.dumps(made, indent=1) + "\n")


def judged(r: dict[str, Any]) -> float | None:
    """What bars are about: the time of warm outputs, or else of fresh ones, in T; or microseconds."""
    kinds = ("microseconds", "warm_t", "fresh_t")
    return next((r[kind] for kind in kinds if r[kind] is not None), None)


def write_named(name: str, **found: object) -> Path:
    """Writes what a script of its own measured to benches/record/<machine>/<date>-<name>.json, and says so."""
    about = describe()
    path = record_path(about)
    path = path.with_name(f"{path.stem}-{name}.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"date": path.name[:10], **about, **found}, indent=1) + "\n")
    print(f"wrote {path.relative_to(ROOT)}")
    return path


class Against:
    """Another record, to compare a run with."""

    def __init__(self, path: Path) -> None:
        self.name = path.stem
        self._times = {(r["case"], r["size"]): judged(r) for r in json.loads(path.read_text())["results"]}

    def ratio(self, r: Result) -> str:
        """How many times as long `r` took as in the other record, each in the T of its own run."""
        here, there = judged(asdict(r)), self._times.get((r.case, r.size))
        return "" if here is None or not there else f"{here / there:.2f} x"
