"""Times the cases and prints the table; `make bench` runs this (`make bench ARGS="--case 'csr*'"`).

A complete run writes benches/record/<machine>/<date>.json; so does --record for a part.
"""

import argparse
import datetime
import json
import sys
from dataclasses import asdict
from fnmatch import fnmatchcase

import cases  # noqa: F401  # registers them
from harness import CASES, QUICK, Result, measure
from machine import ROOT, describe
from rich.console import Console
from rich.table import Table

HEADINGS = ("case", "size", "fresh", "warm", "fresh vs peer", "warm vs peer", "us", "bar")


def cells(r: Result) -> list[str]:
    """A row of the table."""
    times = [("" if x is None else f"{x:.2f} T") for x in (r.fresh_t, r.warm_t)]
    peers = [("" if x is None else f"{x:.1f} x {r.peer}") for x in (r.fresh_vs_peer, r.warm_vs_peer)]
    bars = ", ".join(f"{bar} {'met' if met else 'MISSED'}" for bar, met in r.bars.items())
    return [r.case, r.size, *times, *peers, "" if r.microseconds is None else f"{r.microseconds:.1f}", bars]


def main() -> int:
    """Runs the cases that the arguments choose; gives 1 if a bar is missed, 2 if none is chosen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", default="*", metavar="GLOB", help="only cases whose name matches")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, two runs each: only whether it works")
    parser.add_argument("--record", action="store_true", help="write the record of a part, too")
    parser.add_argument("--list", action="store_true", help="list the cases")
    args = parser.parse_args()
    chosen = [case for case in CASES.values() if fnmatchcase(case.name, args.case)]
    if args.list or not chosen:
        print("\n".join(CASES) if args.list else f"no case matches {args.case!r}; see --list")
        return 0 if args.list else 2
    results = []
    for case in chosen:
        for size, shape in (QUICK if args.quick else case.sizes).items():
            print(f"{case.name}, {size}", file=sys.stderr, flush=True)
            results.append(measure(case, size, shape, quick=args.quick))
    about = describe()
    table = Table(title=f"{about['machine']['cpu']}, {about['threads']} threads, {about['machine']['isa']}")
    for i, heading in enumerate(HEADINGS):
        table.add_column(heading, justify="left" if i < 2 or heading == "bar" else "right")
    for r in results:
        table.add_row(*cells(r))
    Console(width=None if sys.stdout.isatty() else 160).print(table)
    print("T: numpy.copyto of the same bytes into a warm array. Fresh: new outputs; warm: outputs written before.")
    if args.record or (args.case == "*" and not args.quick):
        date = datetime.datetime.now(datetime.UTC).date().isoformat()
        path = ROOT / "benches" / "record" / about["machine"]["name"] / f"{date}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"date": date, **about, "results": [asdict(r) for r in results]}, indent=1) + "\n")
        print(f"wrote {path.relative_to(ROOT)}")
    return 1 if not all(all(r.bars.values()) for r in results) else 0


if __name__ == "__main__":
    sys.exit(main())
