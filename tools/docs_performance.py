"""The page on performance, made of the records of benchmarks."""

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent


FIGURES = {
    "checkpoint": "Whole checkpoints, beside a copy of what must be read and written",
    "merge": "Merges, beside a copy of what must be read and written, for each pass",
    "delta": "Deltas: bytes for each changed weight, and times beside a copy",
    "interchange": "Files of other projects read to dense (packed: as they are), beside a write of the result",
    "matrix-market": "Matrix Market, as many times as fast as SciPy",
}
"""Records of other benchmarks by the end of their names, and what their figures are."""


def page() -> str:
    """The newest record of each machine as a table."""
    rows = "; rows below 0.75 of the roofline say why"
    parts = [
        "# Performance\n\nMade from benches/record. T is the time of `numpy.copyto` of the same dense bytes in the "
        "same run; a bar is what the project asks of itself. Roofline is the least time in which the machine reads and "
        f"writes the bytes that must move, over ours{rows}. Measure yours by `make bench`.\n"
    ]
    for folder in sorted(p for p in (ROOT / "benches" / "record").iterdir() if p.is_dir()):
        plain = [p for p in sorted(folder.glob("*.json")) if re.fullmatch(r"\d{4}-\d\d-\d\d", p.stem)]
        if plain:
            parts.append(table(json.loads(plain[-1].read_text())))
        parts += [costs(json.loads(p.read_text())) for p in sorted(folder.glob("*-costs.json"))[-1:]]
        for kind in FIGURES:
            parts += [figures(kind, json.loads(p.read_text())) for p in sorted(folder.glob(f"*-{kind}.json"))[-1:]]
    return "\n".join(parts)


def table(record: dict[str, Any]) -> str:
    """One record."""
    machine = record["machine"]
    lines = [
        f"## {machine['cpu']}, {machine['cores']} CPUs, {record['date']}\n",
        "| case | size | fresh, T | warm, T | microseconds | roofline | bar |",
        "|---|---|---:|---:|---:|---|---|",
    ]
    for r in record["results"]:
        times = [f"{r[k]:.2f}" if r.get(k) is not None else "" for k in ("fresh_t", "warm_t", "microseconds")]
        bars = ", ".join(f"{bar['text']}: {bar['verdict']}" for bar in r.get("bars", []))
        roof = "" if r.get("roofline") is None else f"{r['roofline']:.2f}"
        roof += f": {r['below']}" if r.get("below") else ""
        lines.append(f"| {r['case']} | {r['size']} | {' | '.join(times)} | {roof} | {bars} |")
    return "\n".join(lines) + "\n"


def figures(kind: str, record: dict[str, Any]) -> str:
    """One record of figures that have a bar each: at most so much; of `matrix-market` at least."""
    machine = record["machine"]
    title = f"### {FIGURES[kind]}: {machine['cpu']}, {machine['cores']} CPUs, {record['date']}\n"
    lines = [title, "| what | measured | bar |", "|---|---:|---|"]
    for r in record["results"]:
        got, bar = next(r[k] for k in ("of_bound", "ratio", "got") if k in r), r.get("bar")
        met = bar is None or (got >= bar if kind == "matrix-market" else got <= bar)
        said = "" if bar is None else f"{bar:.4g}: {'met' if met else 'missed'}"
        lines.append(f"| {r.get('what', r.get('name'))} | {got:.3g} | {said} |")
    return "\n".join(lines) + "\n"


def costs(record: dict[str, Any]) -> str:
    """What calls cost beside the work, on one machine: a record of benches/python/costs.py."""
    machine = record["machine"]
    lines = [
        f"### What calls cost: {machine['cpu']}, {machine['cores']} CPUs, {record['date']}\n",
        "| what | cost | beside |",
        "|---|---:|---|",
    ]
    for cost in record["costs"]:
        other = "" if cost["other"] is None else f"{cost['beside']}: {cost['other']:.4g} {cost['unit']}"
        lines.append(f"| {cost['what']} | {cost['value']:.4g} {cost['unit']} | {other} |")
    return "\n".join(lines) + "\n"
