"""Checks and times everything on the GPU of this machine, prints it, and writes a record.

    python benches/gpu/run.py                     checks, then times; writes benches/record/<gpu>/<date>.json
    python benches/gpu/run.py --checks            only the checks
    python benches/gpu/run.py --times --out F     only times, to a file
    python benches/gpu/run.py --small             little matrices: to see that everything runs; no record unless --out

It needs an NVIDIA GPU, CuPy and cuSPARSELt (`pip install 'sparsefmt[cuda13]'`); without a GPU it says what is missing,
writes nothing and ends with code 2. Wrong results end it with code 1, before anything is timed.
"""

import argparse
import datetime
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import checks
import numpy as np

import cases
import sparsefmt as sf
from sparsefmt.cuda import lt, nvrtc

HERE = Path(__file__).resolve().parent
RECORDS = HERE.parent / "record"


def about() -> dict[str, Any]:
    """GPU, driver and versions; no host names."""
    info = sf.cuda.info()
    return {
        "gpu": info["devices"][0],
        "driver": info["driver"],
        "runtime": info["runtime"],
        "versions": {
            "python": sys.version.split()[0],
            "numpy": np.__version__,
            "cupy": info["cupy"],
            "cusparselt": info["cusparselt"],
            "nvrtc": info["nvrtc"],
            "sparsefmt": sf.__version__,
        },
        "missing": info["missing"],
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    }


def run_checks(small: bool) -> tuple[int, list[dict[str, Any]]]:
    """How many checks ran, and those that failed."""
    failed, count, last = [], 0, ""
    for found in checks.every(small):
        count += 1
        group = found["check"].split(",")[0]
        if group != last:
            print(f"  {group}", flush=True)
            last = group
        if not found["passed"]:
            print(f"FAILED {found}", flush=True)
            failed.append(found)
    print(f"checks: {count - len(failed)} passed, {len(failed)} failed", flush=True)
    return count, failed


def own_rows(small: bool) -> Iterator[dict[str, Any]]:
    """The rows of our own kernels, where this tree has them."""
    if (HERE / "own_rows.py").exists():
        import own_rows as others  # not at the top: it may not be here

        yield from others.rows(small)


def run_cases(small: bool, record: dict[str, Any], path: Path | None) -> None:
    """Times everything, our own kernels first; prints a line and writes the record after every row."""
    record["rows"] = []
    for part in (own_rows(small), cases.every(small)):
        for row in part:
            record["rows"].append(row)
            print(line(row), flush=True)
            write(record, path)


def write(record: dict[str, Any], path: Path | None) -> None:
    """Writes the record, so that a run that is cut leaves what it has."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record, indent=1) + "\n")


def line(row: dict[str, Any]) -> str:
    """A row as text."""
    if "value" not in row:
        return "  " + json.dumps(row)
    target = row["target"]
    wanted = "" if target is None else f"  target {'<=' if row['at_most'] else '>='} {target:g}"
    mark = {True: "met   ", False: "MISSED", None: "      "}[row["met"]]
    return f"{mark} {row['case']}: {row['value']:.4g}{wanted}"


def main(argv: list[str] | None = None) -> int:
    """Runs what was asked for; gives the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checks", action="store_true", help="only the checks")
    parser.add_argument("--times", action="store_true", help="only the times")
    parser.add_argument("--small", action="store_true", help="little matrices: a test of the script, no measurement")
    parser.add_argument("--out", type=Path, help="the record; default benches/record/<gpu>/<date>.json")
    args = parser.parse_args(argv)
    if not sf.cuda.available():
        for name, reason in sf.cuda.info()["missing"].items():
            print(f"{name}: {reason}", file=sys.stderr)
        print("no GPU: nothing was checked or timed, and no record was written", file=sys.stderr)
        return 2
    record = about()
    print(json.dumps(record, indent=1), flush=True)
    for module in (lt, nvrtc):
        module.available()
    slug = "-".join("".join(c if c.isalnum() else " " for c in record["gpu"]["name"].lower()).split())
    path = None if args.small and not args.out else args.out or RECORDS / slug / f"{record['date']}.json"
    if not args.times:
        count, failed = run_checks(args.small)
        record["checks"] = {"passed": count - len(failed), "failed": failed}
        if failed:
            write(record, args.out)
            return 1
    if not args.checks:
        run_cases(args.small, record, path)
    write(record, path)
    if path is not None:
        print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
