"""Times the cases and prints the table; `make bench` runs this (`make bench ARGS="--case 'csr*'"`).

A complete run writes benches/record/<machine>/<date>.json; so does --record for a part. Fewer threads and a forced
SPARSEFMT_ISA are named in the file; --against RECORD shows how many times as long each case took as there.
"""

import argparse
import gc
import sys
from fnmatch import fnmatchcase
from pathlib import Path

import coded  # noqa: F401  # registers those with codecs
import product  # noqa: F401  # these too
from harness import CASES, QUICK, ROOF_LEAST, Result, measure
from instructions import counted
from machine import ROOT, describe, without_lesser_blas
from records import Against, record_path, write
from rich.console import Console
from rich.table import Table

import cases  # noqa: F401  # registers them
import sparsefmt as sf

HEADINGS = ("case", "size", "fresh", "again", "warm", "roofline", "peers: new, into warm", "bar: verdict")


def cells(r: Result, against: Against | None) -> list[str]:
    """A row of the table."""
    times = ["" if x is None else f"{x:.2f} T" for x in (r.fresh_t, r.again_t, r.warm_t)]
    if r.microseconds is not None:
        times[1] = f"{r.microseconds:.1f} us"
    warm = {name: f", {x:.1f}" for name, x in r.warm_peers.items()}
    peers = [f"{x:.1f}{warm.get(name, '')} x {name}" for name, x in r.peers.items()]
    peers += [f"-, {x:.1f} x {name}" for name, x in r.warm_peers.items() if name not in r.peers]
    bars = [f"{bar.text}: {bar.verdict}" for bar in r.bars]
    roof = "" if r.roofline is None else f"{r.roofline:.2f}"
    compared = [against.ratio(r)] if against else []
    return [r.case, r.size, *times, roof, *compared, "\n".join(peers), "\n".join(bars)]


def main() -> int:
    """Runs the cases that the arguments choose; gives 1 if a bar is missed, 2 if none is chosen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", default="*", metavar="GLOB", help="only cases whose name matches")
    parser.add_argument("--first", action="store_true", help="only the first size of each case")
    parser.add_argument("--threads", type=int, default=0, help="how many threads; default: one per CPU")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, two runs each: only whether it works")
    parser.add_argument("--record", action="store_true", help="write the record of a part, too")
    parser.add_argument("--against", type=Path, metavar="RECORD", help="compare with an earlier run")
    parser.add_argument("--list", action="store_true", help="list the cases")
    args = parser.parse_args()
    without_lesser_blas()
    chosen = [case for case in CASES.values() if fnmatchcase(case.name, args.case)]
    if args.list or not chosen:
        print("\n".join(CASES) if args.list else f"no case matches {args.case!r}; see --list")
        return 0 if args.list else 2
    sf.set_num_threads(args.threads or None)
    against = Against(args.against) if args.against else None
    results = []
    for case in chosen:
        sizes = QUICK if args.quick else case.sizes
        for size in list(sizes)[: 1 if args.first else None]:
            print(f"{case.name}, {size}", file=sys.stderr, flush=True)
            results.append(measure(case, size, sizes[size], quick=args.quick))
            gc.collect()
    about = describe()
    table = Table(title=f"{about['machine']['cpu']}, {about['threads']} threads, {about['machine']['isa']}")
    headings = [*HEADINGS]
    if against:
        headings.insert(HEADINGS.index("roofline") + 1, f"of {against.name}")
    for i, heading in enumerate(headings):
        table.add_column(heading, justify="right" if 2 <= i <= 5 else "left")
    for r in results:
        table.add_row(*cells(r, against))
    Console(width=None if sys.stdout.isatty() else 180).print(table)
    print("T: numpy.copyto of the same bytes into a warm array. Fresh: new outputs, page faults paid; again: outputs")
    print(
        "in memory that was used before; warm: outputs passed in. Roofline: the least time in which this machine reads"
    )
    print("and writes the bytes that must move, over ours, warm or again. Bars judge warm outputs where there are any,")
    print("else fresh ones.")
    below = [r for r in results if r.roofline is not None and r.roofline < ROOF_LEAST and not args.quick]
    print(f"{sum(r.roofline is not None for r in results)} rooflines, {len(below)} below {ROOF_LEAST}")
    for r in below:
        print(f"  {r.roofline:.2f} {r.case}, {r.size}: {r.below or 'no reason in benches/reasons.json'}")
    missed = [(r.case, r.size, bar) for r in results for bar in r.bars if bar.verdict == "MISSED"]
    print(f"{sum(len(r.bars) for r in results)} bars, {len(missed)} missed")
    for case_name, size, bar in missed:
        print(f"  MISSED {case_name}, {size}: {bar.text}, measured {bar.measured:.2f}")
    if args.record or (args.case == "*" and not args.quick):
        path = record_path(about)
        write(path, about, results)
        write(path, about, results, instructions=counted())  # again, because they take minutes
        print(f"wrote {path.relative_to(ROOT)}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
