"""Runs the Rust tests under AddressSanitizer and ThreadSanitizer. `make sanitize` calls it.

They need a nightly toolchain, or any that is named, whose unstable options are then unlocked. AddressSanitizer takes
the standard library as it comes, without checks: accesses in its own code are seen where it is inlined, and in what
it calls. For ThreadSanitizer it is built anew, from the component rust-src: locks that it does not see look like
races. Each instruction set that this machine has is tested.
"""

import argparse
import os
import re
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
    "thread": {"TSAN_OPTIONS": "halt_on_error=1"},
}
CASES = "64"  # of each property test
NEEDS = {"scalar": set(), "avx2": {"avx2", "bmi2"}, "avx512": {"avx512f", "avx512_vbmi2"}, "amx": {"amx_int8"}}


def instruction_sets() -> list[str]:
    """Those of this machine."""
    has = set(re.findall(r"\w+", Path("/proc/cpuinfo").read_text().partition("\n\n")[0]))
    return [isa for isa, flags in NEEDS.items() if flags <= has]


def run(kind: str, isa: str, toolchain: str, only: list[str]) -> bool:
    """Whether the tests pass under a sanitizer with an instruction set."""
    env = os.environ | OPTIONS[kind] | {
        "RUSTFLAGS": FLAGS[kind], "CARGO_TARGET_DIR": str(ROOT / "target" / f"sanitize-{kind}"),
        "SPARSEFMT_ISA": isa, "PROPTEST_CASES": CASES, "SPARSEFMT_NUM_THREADS": "4",
        "RUSTC_BOOTSTRAP": "1",
    }  # fmt: skip
    built = ["-Zbuild-std"] if kind == "thread" else []
    packages = [argument for name in PACKAGES for argument in ("-p", name)]
    what = ["--lib", "--tests", *packages, *only]
    command = ["cargo", f"+{toolchain}", "test", "--locked", "--quiet", *built, "--target", TRIPLE, *what]
    print(f"=== {kind}, {isa}: {' '.join(command)}", flush=True)
    return subprocess.run(command, cwd=ROOT, env=env, check=False).returncode == 0


def has_library_sources(toolchain: str) -> bool:
    """Whether a toolchain can build the standard library."""
    command = ["rustc", f"+{toolchain}", "--print", "sysroot"]
    root = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return (Path(root) / "lib/rustlib/src/rust/library").is_dir()


def main() -> int:
    """Runs what was asked for, and prints a summary."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=list(FLAGS), help="one sanitizer")
    parser.add_argument("--isa", nargs="*", default=instruction_sets(), help="instruction sets (%(default)s)")
    parser.add_argument("--toolchain", default="nightly", help="of Rust (%(default)s)")
    options, rest = parser.parse_known_args()
    name = options.toolchain
    if subprocess.run(["cargo", f"+{name}", "--version"], capture_output=True, check=False).returncode:
        print(f"skipped: no {name} toolchain")
        return 0
    kinds = [options.only] if options.only else list(FLAGS)
    if "thread" in kinds and not has_library_sources(name):
        print(f"ThreadSanitizer: skipped: no rust-src; rustup component add rust-src --toolchain {name}")
        kinds.remove("thread")
    results = {(kind, isa): run(kind, isa, name, rest) for kind in kinds for isa in options.isa}
    print("\n=== summary")
    for (kind, isa), passed in results.items():
        print(f"{kind}, {isa}: {'passed' if passed else 'FAILED'}")
    return 0 if all(results.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
