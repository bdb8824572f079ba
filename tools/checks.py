"""Runs every check of the project one after the other and prints a summary. `make test` and `make lint` call it.

All checks run even if one fails; the exit code is 0 only if all passed.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
PYTEST = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow"]
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
    conformance = [*PYTEST, "tests/conformance"]
    return [
        Check("cargo test", ["cargo", "test", "--locked", "--quiet"]),
        Check("pytest", PYTEST),
        Check("definitions without kernels", [*PYTEST, "tests/property", "tests/oracle"], {"SPARSEFMT_NATIVE": "0"}),
        *(Check(f"conformance, {isa}", conformance, {"SPARSEFMT_ISA": isa}) for isa in forced_isas()),
        Check("README", [*PYTEST, "--doctest-glob=*.md", "README.md"]),
    ]


def run(check: Check) -> tuple[bool, float]:
    """Runs one check; gives whether it passed and its seconds."""
    shown = " ".join([*(f"{k}={v}" for k, v in check.env.items()), *check.command])
    print(f"\n=== {check.name}: {shown}", flush=True)
    start = time.perf_counter()
    code = subprocess.run(check.command, cwd=ROOT, env=os.environ | check.env, check=False).returncode
    return code == 0, time.perf_counter() - start


def main() -> int:
    """Runs the checks and prints the summary."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lint", action="store_true", help="only the checks that run no test")
    only_lint = parser.parse_args().lint
    checks = LINT if only_lint else [*LINT, *tests()]
    results = [(check.name, *run(check)) for check in checks]
    width = max(len(name) for name, *_ in results)
    print("\n=== summary")
    for name, passed, seconds in results:
        print(f"{name:{width}}  {'passed' if passed else 'FAILED'}  {seconds:6.1f} s")
    failed = sum(not passed for _, passed, _ in results)
    print(f"checks: {len(results) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
