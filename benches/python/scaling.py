"""How times change with threads and instruction sets; `make scaling` runs this (`make scaling ARGS="--case 'nm*'"`).

One process per instruction set makes the inputs of a case, and they take turns: all threads, one thread, AVX2 and
portable Rust with all threads. So what disturbs one disturbs all, and the ratios are of one run. Beside them stands
what the machine itself gives: as many processes as CPUs, with one thread and inputs each, do the work at the same time.
Where CPUs are two threads of one core, or one of them takes all of the bandwidth, that is far from their number. A
complete run writes benches/record/<machine>/<date>-scaling.json.
"""

import argparse
import datetime
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from statistics import mean, median

import coded  # noqa: F401  # registers those with codecs
import product  # noqa: F401  # these too
from harness import CASES, QUICK, Trial, copying, timed
from machine import ROOT, describe, without_lesser_blas
from records import RECORDS
from rich.console import Console
from rich.table import Table

import cases  # noqa: F401  # registers them
import sparsefmt as sf

AVX2_MOST, SCALAR_MOST, THREADS_LEAST = 2.0, 8.0, 1.7
MEMORY_LIMIT = 0.8  # of the bandwidth of one thread that copies: more than that, and threads cannot help much
ROUNDS = 7
Ask = tuple[str, int]  # instruction set, and threads; 0: all


@dataclass
class Scaling:
    """A row: times in milliseconds, and how they compare."""

    case: str
    size: str
    milliseconds: float
    """With all threads and the best instructions."""
    speedup: float
    """All threads over one."""
    ceiling: float
    """How much more work processes with one thread each do at the same time, one per CPU, than one alone."""
    one_thread_roofline: float | None
    """Bytes that one thread moved per second, over what a copy moves."""
    slower: dict[str, float]
    """Times as long with lesser instruction sets."""
    missed: list[str]


class Worker:
    """A process that times a case with one instruction set."""

    def __init__(self, isa: str, case: str, size: str) -> None:
        command = [sys.executable, __file__, "--serve", case, size]
        env = {**os.environ, "SPARSEFMT_ISA": isa}
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, env=env, stdin=pipe, stdout=pipe, text=True, bufsize=1)
        self.moved = self._read()

    def _read(self) -> float:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            msg = f"a process ended with {self._process.wait()}"
            raise RuntimeError(msg)
        return float(line)

    def start(self, threads: int) -> None:
        """Asks for one run; for a copy of as many bytes as the case moves with -1."""
        assert self._process.stdin
        self._process.stdin.write(f"{threads}\n")

    def seconds(self, threads: int) -> float:
        """The time of one such run."""
        self.start(threads)
        return self._read()

    def finish(self) -> float:
        """The time of the run that was started."""
        return self._read()

    def close(self) -> None:
        """Ends the process."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


def serve(case: str, size: str) -> None:
    """What a worker does: makes the inputs, then times a run for every number of threads that it reads."""
    sizes = {**CASES[case].sizes, **QUICK}
    trial: Trial = CASES[case].make(*sizes[size])
    run = trial.warm or trial.new
    assert run
    moves = trial.moves or 2 * trial.nbytes
    copy = copying(moves // 2)
    print(float(trial.moves is not None), flush=True)
    for line in sys.stdin:
        threads = int(line)
        if threads < 0:
            print(timed(copy), flush=True)
            continue
        sf.set_num_threads(threads or None)
        timed(run)  # wakes the threads, and fills what the package keeps
        print(timed(run), flush=True)


def beside(workers: list[Worker]) -> float:
    """The mean time of a run with one thread in each of the workers, all at once."""
    for worker in workers:
        worker.start(1)
    return mean(worker.finish() for worker in workers)


def measure(case: str, size: str, isas: list[str], rounds: int, *, judged: bool) -> Scaling:
    """Times a case by turns."""
    best, *lesser = isas
    workers = {isa: Worker(isa, case, size) for isa in isas}
    cores = os.cpu_count() or 1
    crowd = [workers[best], *(Worker(best, case, size) for _ in range(cores - 1))]
    asks: list[Ask] = [(best, 0), (best, 1), (best, -1), *((isa, 0) for isa in lesser)]
    times: dict[Ask, list[float]] = {ask: [] for ask in asks}
    together = []
    for _ in range(rounds):
        for isa, threads in asks:
            times[isa, threads].append(workers[isa].seconds(threads))
        together.append(beside(crowd))
    for worker in {*workers.values(), *crowd}:
        worker.close()
    spent = {ask: median(t) for ask, t in times.items()}
    whole, one = spent[best, 0], spent[best, 1]
    roof = spent[best, -1] / one if workers[best].moved else None
    slower = {isa: spent[isa, 0] / whole for isa in lesser}
    made = Scaling(case, size, whole * 1e3, one / whole, cores * one / median(together), roof, slower, [])
    if not judged:
        return made
    if cores > 1 and made.speedup < THREADS_LEAST and (roof is None or roof < MEMORY_LIMIT):
        made.missed.append(
            f"{cores} threads: {made.speedup:.2f} x, at least {THREADS_LEAST}; {cores} processes: {made.ceiling:.2f} x"
        )
    for isa, most in (("avx2", AVX2_MOST), ("scalar", SCALAR_MOST)):
        if made.slower.get(isa, 0) > most:
            made.missed.append(f"{isa}: {made.slower[isa]:.1f} x as long, at most {most:g}")
    return made


def main() -> int:
    """Measures the cases that the arguments choose; gives 1 if a bar is missed, 2 if none is chosen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", default="*", metavar="GLOB", help="only cases whose name matches")
    parser.add_argument("--largest", action="store_true", help="the first size of each case, not its last")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, one round: only whether it works")
    parser.add_argument("--serve", nargs=2, metavar=("CASE", "SIZE"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve(*args.serve)
        return 0
    without_lesser_blas()
    about = describe()
    best = about["machine"]["isa"]
    isas = [best, *(isa for isa in ("avx2", "scalar") if isa != best)]
    chosen = [
        c
        for c in CASES.values()
        if fnmatchcase(c.name, args.case) and c.microseconds is None and not c.name.startswith("load")
    ]
    if not chosen:
        print(f"no case matches {args.case!r}")
        return 2
    rows = []
    for case in chosen:
        size = list(QUICK if args.quick else case.sizes)[0 if args.largest else -1]
        print(f"{case.name}, {size}", file=sys.stderr, flush=True)
        rows.append(measure(case.name, size, isas, 1 if args.quick else ROUNDS, judged=not args.quick))
    table = Table(title=f"{about['machine']['cpu']}, {best} with {about['machine']['cores']} threads")
    headings = (
        "case",
        "size",
        "ms",
        "over 1 thread",
        "processes",
        "1 thread: roofline",
        *(f"{isa}" for isa in isas[1:]),
        "missed",
    )
    for i, heading in enumerate(headings):
        table.add_column(heading, justify="right" if 2 <= i < len(headings) - 1 else "left")
    for r in rows:
        roof = "" if r.one_thread_roofline is None else f"{r.one_thread_roofline:.2f}"
        slower = [f"{x:.1f} x" for x in r.slower.values()]
        table.add_row(
            r.case,
            r.size,
            f"{r.milliseconds:.2f}",
            f"{r.speedup:.2f} x",
            f"{r.ceiling:.2f} x",
            roof,
            *slower,
            "\n".join(r.missed),
        )
    Console(width=None if sys.stdout.isatty() else 180).print(table)
    print(
        "Over 1 thread: how many times as fast all threads are. Processes: how much more work one process per CPU,\n"
        "with one thread each, does than one alone: what the machine gives. Roofline: bytes that one thread moved\n"
        f"per second, over what numpy.copyto moves; from {MEMORY_LIMIT} on, threads have no bar. Then: times as long\n"
        "with lesser instructions, and all threads."
    )
    missed = sum(len(r.missed) for r in rows)
    print(f"{len(rows)} cases, {missed} bars missed")
    if args.case == "*" and not args.quick:
        date = datetime.datetime.now(datetime.UTC).date().isoformat()
        path = Path(RECORDS, about["machine"]["name"], f"{date}-scaling.json")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"date": date, **about, "results": [asdict(r) for r in rows]}, indent=1) + "\n")
        print(f"wrote {path.relative_to(ROOT)}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
