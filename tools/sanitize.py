"""Runs the Rust tests under AddressSanitizer and ThreadSanitizer. `make sanitize` calls it.

They need a nightly toolchain. The standard library comes as it is, without checks: accesses in its own code are seen
where it is inlined, and in what it calls. Each instruction set that this machine has is tested.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TRIPLE = "x86_64-unknown-linux-gnu"
PACKAGES = ("sparsefmt-kernels", "sparsefmt-pool", "sparsefmt")
FLAGS = {
    "address": "-Zsanitizer=address",
    "thread": "-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer",
}
OPTIONS = {
    "address": {"ASAN_OPTIONS": "detect_leaks=0:detect_stack_use_after_return=1"},  # tables live as long as the process
    "thread": {"TSAN_OPTIONS": f"halt_on_error=1:suppressions={ROOT / 'tools' / 'sanitize.supp'}"},
}
CASES = "64"  # of each property test


def run(kind: str, isa: str, only: list[str]) -> bool:
    """Whether the tests pass under a sanitizer with an instruction set."""
    env = os.environ | OPTIONS[kind] | {
        "RUSTFLAGS": FLAGS[kind], "CARGO_TARGET_DIR": str(ROOT / "target" / f"sanitize-{kind}"),
        "SPARSEFMT_ISA": isa, "PROPTEST_CASES": CASES, "SPARSEFMT_NUM_THREADS": "4",
    }  # fmt: skip
    packages = [argument for name in PACKAGES for argument in ("-p", name)]
    what = ["--lib", "--tests", *packages, *only]
    command = ["cargo", "+nightly", "test", "--locked", "--quiet", "--target", TRIPLE, *what]
    print(f"=== {kind}, {isa}: {' '.join(command)}", flush=True)
    return subprocess.run(command, cwd=ROOT, env=env, check=False).returncode == 0


def main() -> int:
    """Runs what was asked for, and prints a summary."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=list(FLAGS), help="one sanitizer")
    parser.add_argument("--isa", nargs="*", default=["scalar", "avx2"], help="instruction sets (%(default)s)")
    options, rest = parser.parse_known_args()
    if subprocess.run(["cargo", "+nightly", "--version"], capture_output=True, check=False).returncode:
        print("skipped: no nightly toolchain")
        return 0
    kinds = [options.only] if options.only else list(FLAGS)
    results = {(kind, isa): run(kind, isa, rest) for kind in kinds for isa in options.isa}
    print("\n=== summary")
    for (kind, isa), passed in results.items():
        print(f"{kind}, {isa}: {'passed' if passed else 'FAILED'}")
    return 0 if all(results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
