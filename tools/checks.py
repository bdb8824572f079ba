"""Runs every check of the project, two at a time, and prints a summary. `make test` and `make lint` call it.

Most checks keep one core busy, so two lanes halve the wait on two cores; the longest start first. What a check printed
appears as it ends, so that lines never mix. All checks run even if one fails; the exit code is 0 only if all passed.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
PYTEST = [*(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow"), "--durations=12"]
NO_KERNELS = ("every_conversion", "files_and_pickles", "parts_tell", "command_line", "scipy")
"""Tests of formats that call kernels by the way only: what those compute is compared by others, with every ISA."""
ATTACKS = "tests/attacks"
"""A check of its own: a fifth of the time of all tests, which the other lane would wait for."""
SHOWN = 20  # failed tests of a check that the summary repeats
STUBTEST = [sys.executable, "-m", "mypy.stubtest", "sparsefmt._native", "--allowlist", "tools/stubtest.allow"]


class Check(NamedTuple):
    """One command; `env` is added to the environment."""

    name: str
    command: list[str]
    env: Mapping[str, str] = MappingProxyType({})


LINT = [
    Check("rustfmt", ["cargo", "fmt", "--all", "--check"]),
    Check("clippy", ["cargo", "clippy", "--workspace", "--all-targets", "--locked", "--quiet", "--", "-D", "warnings"]),
    Check("ruff check", [str(BIN / "ruff"), "check", "."]),
    Check("ruff format", [str(BIN / "ruff"), "format", "--check", "."]),
    Check("mypy strict", [sys.executable, "-m", "mypy"]),
    Check("stubs of the extension", STUBTEST),
    Check("imports go down", [str(BIN / "lint-imports")]),
]


def forced_isas() -> list[str]:
    """The instruction sets that this machine has, but for the one in use, which pytest itself runs on."""
    from sparsefmt import cpu_features  # not at the top: `--lint` needs it not

    features = cpu_features()
    return [isa for isa, available in features["available"].items() if available and isa != features["isa"]]


def tests() -> list[Check]:
    """All checks that run tests."""
    conformance = [*PYTEST, "tests/conformance", "-k", f"not ({' or '.join(NO_KERNELS)})"]
    return [
        Check("pytest", [*PYTEST, f"--ignore={ATTACKS}"]),
        Check("cargo test", ["cargo", "test", "--locked", "--quiet"]),
        Check("wrong files", [*PYTEST, ATTACKS]),
        Check("definitions without kernels", [*PYTEST, "tests/property", "tests/oracle"], {"SPARSEFMT_NATIVE": "0"}),
        *(Check(f"conformance, {isa}", conformance, {"SPARSEFMT_ISA": isa}) for isa in forced_isas()),
        Check("README", [*PYTEST, "--doctest-glob=*.md", "README.md"]),
    ]


def failures(text: str) -> list[str]:
    """The lines that name a failed test, as pytest and cargo print them."""
    return re.findall(r"^(?:FAILED|ERROR) .*|^test .* FAILED$|^\s+\S+ --- .*FAILED.*$", text, re.MULTILINE)


def ended(code: int, note: Path) -> list[str]:
    """What a check that a signal ended was doing: it could not say so itself."""
    if code >= 0:
        return []
    name = signal.Signals(-code).name
    test = f" in {note.read_text()}" if note.exists() else ""
    why = "; perhaps the system ran out of memory" if name == "SIGKILL" else ""
    return [f"ended by {name}{test}{why}"]


def run(check: Check, printing: threading.Lock) -> tuple[bool, float, list[str]]:
    """Runs one check and prints what it printed; returns whether it passed, its seconds, and what failed."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as output:
        note = Path(folder) / "test"
        env = os.environ | check.env | {"SPARSEFMT_TEST_NOTE": str(note)}
        done = subprocess.run(check.command, cwd=ROOT, env=env, check=False, stdout=output, stderr=subprocess.STDOUT)
        seconds = time.perf_counter() - start
        killed = ended(done.returncode, note)
        output.seek(0)
        shown = " ".join([*(f"{k}={v}" for k, v in check.env.items()), *check.command])
        with printing:
            print(f"\n=== {check.name}: {shown}", flush=True)
            text = output.read()
            sys.stdout.buffer.write(text)
            if killed:
                print("", *killed, sep="\n")
            print(f"{check.name}: {'passed' if done.returncode == 0 else 'FAILED'} after {seconds:.1f} s", flush=True)
    return done.returncode == 0, seconds, [*killed, *failures(text.decode(errors="replace"))]


def main() -> int:
    """Runs the checks and prints the summary."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lint", action="store_true", help="only the checks that run no test")
    parser.add_argument("--lanes", type=int, default=min(2, os.cpu_count() or 1), help="checks at a time (%(default)s)")
    options = parser.parse_args()
    checks = LINT if options.lint else [*tests(), *LINT]
    printing = threading.Lock()
    with ThreadPoolExecutor(options.lanes) as lanes:
        results = list(lanes.map(lambda check: (check.name, *run(check, printing)), checks))
    width = max(len(name) for name, *_ in results)
    print("\n=== summary")
    for name, passed, seconds, lines in results:
        print(f"{name:{width}}  {'passed' if passed else 'FAILED'}  {seconds:6.1f} s")
        for line in [] if passed else lines[:SHOWN]:
            print(f"    {line[:200]}")
    failed = sum(not passed for _, passed, *_ in results)
    print(f"checks: {len(results) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
