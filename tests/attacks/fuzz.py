"""Puts mutants of files through everything: `python -m attacks.fuzz FIRST COUNT`. Prints what was found as JSON.

The work is done by a program of its own with little memory, which is started again behind a mutant that ends it or that
takes longer than `SECONDS` of the CPU.
"""

import faulthandler
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sparsefmt as sf
from attacks.mutants import corpus, mutant
from attacks.uses import put_through
from property.peak_memory import environment, status

SECONDS = 10.0  # of the CPU
LIMIT = 32 << 20  # bytes that an array may have
ROOM = 256 << 20  # bytes that the program may map beyond what it has when it starts


@dataclass
class Run:
    """How many mutants were put through, and what was found."""

    mutants: int = 0
    loaded: int = 0
    crashes: list[str] = field(default_factory=list)
    findings: list[dict[str, Any]] = field(default_factory=list)


def worker(first: int, count: int, folder: Path) -> None:
    """Puts mutants through, and writes to stdout which one is next and what was found."""
    warnings.simplefilter("ignore")
    sf.set_num_threads(1)
    sf.set_max_bytes(LIMIT)
    sf.set_cache_bytes(0)
    files, path = corpus(), folder / "mutant"
    room = status("VmSize") + ROOM
    resource.setrlimit(resource.RLIMIT_AS, (room, room))
    faulthandler.register(signal.SIGPROF, chain=True)  # says where it stood, then ends the program
    at = os.open(folder / "at", os.O_RDWR | os.O_CREAT)
    for seed in range(first, first + count):
        os.pwrite(at, b"%20d" % seed, 0)
        path.unlink(missing_ok=True)
        path.write_bytes(mutant(seed, files))
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        for name, error in put_through(path, seed):
            frames = [f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in traceback.extract_tb(error.__traceback__)]
            about = {
                "seed": seed,
                "use": name,
                "error": f"{type(error).__name__}: {str(error)[:300]}",
                "at": frames[-3:],
            }
            print(json.dumps(about), flush=True)
    signal.setitimer(signal.ITIMER_PROF, 0)


def run(first: int, count: int) -> Run:
    """Puts `count` mutants through from seed `first` on."""
    made, stop = Run(), first + count
    while first < stop:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "attacks.fuzz", "worker", str(first), str(stop - first), folder]
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment())
            made.findings += [json.loads(line) for line in done.stdout.splitlines()]
            at = Path(folder, "at")
            if not at.exists():
                raise RuntimeError(done.stderr)
            seed = int(at.read_bytes())
        made.mutants += seed - first + 1
        first = seed + 1
        if done.returncode:
            made.crashes.append(f"seed {seed}: exit {done.returncode}: {done.stderr[-1500:]}")
    return made


def kinds(found: Run) -> Iterator[str]:
    """One line per kind of what was found."""
    seen: dict[str, list[Any]] = {}
    for f in found.findings:
        seen.setdefault(f"{f['at'][-1] if f['at'] else ''} {f['error'][:60]}", []).append(f)
    for kind, each in sorted(seen.items(), key=lambda item: -len(item[1])):
        first = each[0]
        yield f"{len(each)} x {kind}: e.g. seed {first['seed']} in {first['use']}: {first['error']} at {first['at']}"


if __name__ == "__main__":
    if sys.argv[1] == "worker":
        worker(int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
    else:
        result = run(int(sys.argv[1]), int(sys.argv[2]))
        print(f"{result.mutants} mutants, {len(result.findings)} findings, {len(result.crashes)} crashes")
        print("\n".join([*kinds(result), *result.crashes]))
        sys.exit(bool(result.findings or result.crashes))
