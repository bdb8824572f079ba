"""Instructions per element of the kernels for 64-bit ARM, counted under qemu: they need no such machine.

Each kernel runs once as portable code without vector instructions ("scalar"), as the compiler makes it otherwise
("portable": it vectorises loops for NEON, which every such CPU has), and by its NEON kernel. qemu writes a line per
instruction; those between two calls of `mark` are counted. A count is no time: no claim about speed follows from it.

    python benches/python/arm_instructions.py [--save]
"""

import argparse
import datetime
import json
import os
import subprocess
import sys
from pathlib import Path

from machine import ROOT

sys.path.insert(0, str(ROOT / "tools"))
import aarch64

WAYS = ("scalar", "portable", "neon")
BAR = 3.0
NO_VECTORS = "-C no-vectorize-loops -C no-vectorize-slp"
STATIC = "-C target-feature=+crt-static -C relocation-model=static"  # addresses of symbols are those that run


def program(way: str) -> Path:
    """Builds the example; returns its path."""
    flags = f"{STATIC} {NO_VECTORS}" if way == "scalar" else STATIC
    target = ROOT / "target" / f"arm-{'scalar' if way == 'scalar' else 'portable'}"
    env = {**aarch64.environment(), "RUSTFLAGS": flags, "CARGO_TARGET_DIR": str(target)}
    build = ["cargo", "build", "--quiet", "--release", "--locked", "--target", aarch64.TARGET]
    subprocess.run(
        [*build, "--package", "sparsefmt-kernels", "--example", "each_kernel"], cwd=ROOT, env=env, check=True
    )
    return target / aarch64.TARGET / "release" / "examples" / "each_kernel"


def address_of_mark(path: Path) -> str:
    """Where `mark` starts, as qemu prints it."""
    symbols = subprocess.run(["aarch64-linux-gnu-nm", path], capture_output=True, text=True, check=True).stdout
    (line,) = [line for line in symbols.splitlines() if "each_kernel" in line and "4mark" in line]
    return f"/{int(line.split()[0], 16):016x}/"


def counted(way: str) -> dict[str, float]:
    """Instructions per element, by kernel."""
    path = program(way)
    mark = address_of_mark(path)
    command = [aarch64.QEMU, "-singlestep", "-d", "exec,nochain", "-D", "/dev/stderr", str(path)]
    env = {key: value for key, value in os.environ.items() if not key.startswith("SPARSEFMT")}
    isa = "neon" if way == "neon" else "scalar"
    counts: list[int] = []
    started: int | None = None
    with subprocess.Popen([*command, isa], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env) as run:
        for number, line in enumerate(run.stderr or ()):
            if mark not in line:
                continue
            if started is None:
                started = number
            else:
                counts.append(number - started)
                started = None
        printed = (run.stdout.read() if run.stdout else "").splitlines()
    if run.returncode or len(printed) != len(counts):
        msg = f"{path} printed {len(printed)} kernels and passed {len(counts)} pairs of marks, code {run.returncode}"
        raise ValueError(msg)
    elements = (line.split(" ", 1) for line in printed)
    return {name: round(count / int(n), 3) for (n, name), count in zip(elements, counts, strict=True)}


def table(counts: dict[str, dict[str, float]]) -> str:
    """A table for people; a kernel below the bar is marked."""
    lines = ["| kernel | scalar | portable | NEON | scalar / NEON | portable / NEON |", "|---|---|---|---|---|---|"]
    for name, neon in counts["neon"].items():
        scalar, portable = counts["scalar"][name], counts["portable"][name]
        below = "" if scalar / neon >= BAR else " (below 3)"
        cells = f"{scalar:.2f} | {portable:.2f} | {neon:.2f} | {scalar / neon:.1f}{below} | {portable / neon:.1f}"
        lines.append(f"| {name} | {cells} |")
    return "\n".join(lines)


def main() -> int:
    """Counts, prints, and with --save writes the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--save", action="store_true", help="write benches/record/aarch64-qemu/<date>.json")
    options = parser.parse_args()
    if left := aarch64.missing():
        print(f"instructions: skipped, as this machine lacks {'; '.join(left)}", file=sys.stderr)
        return 0
    counts = {way: counted(way) for way in WAYS}
    print(table(counts))
    if options.save:
        version = subprocess.run([aarch64.QEMU, "--version"], capture_output=True, text=True, check=True).stdout
        rustc = subprocess.run(["rustc", "--version"], capture_output=True, text=True, check=True).stdout.strip()
        date = datetime.datetime.now(datetime.UTC).date().isoformat()
        path = ROOT / "benches" / "record" / "aarch64-qemu" / f"{date}-instructions.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        about = {"date": date, "emulator": version.splitlines()[0], "rustc": rustc, "bar": BAR}
        path.write_text(json.dumps({**about, "instructions_per_element": counts}, indent=1) + "\n")
        print(f"wrote {path.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
