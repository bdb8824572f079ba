"""Runs the fuzz targets of the Rust readers, each for some number of executions. `make fuzz` calls it.

They need a nightly toolchain (AddressSanitizer, coverage) and a C++ compiler. What is found lies in fuzz/artifacts; a
regression test is made of it before it is mended. `cargo fuzz run TARGET` works as well, where it is installed.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FUZZ = ROOT / "fuzz"
TRIPLE = "x86_64-unknown-linux-gnu"
FLAGS = (
    "--cfg fuzzing -Zsanitizer=address -Cpasses=sancov-module -Ccodegen-units=1"
    " -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters"
    " -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
)


def targets() -> list[str]:
    """Names of all targets."""
    return re.findall(r'^\[\[bin\]\]\nname = "(\w+)"', (FUZZ / "Cargo.toml").read_text(), re.MULTILINE)


def build() -> Path:
    """Builds all targets; the folder where they are."""
    folder = ROOT / "target" / "fuzz"
    env = os.environ | {"RUSTFLAGS": FLAGS, "CARGO_TARGET_DIR": str(folder)}
    command = ["cargo", "+nightly", "build", "--release", "--locked", "--target", TRIPLE]
    subprocess.run(command, cwd=FUZZ, env=env, check=True)
    return folder / TRIPLE / "release"


def run(program: Path, executions: int, seconds: int) -> tuple[int, bool]:
    """Fuzzes a target from its corpus, which is left as it is; how often it ran, and whether all went well."""
    found = ROOT / "target" / "fuzz" / "corpus" / program.name
    found.mkdir(parents=True, exist_ok=True)
    artifacts = FUZZ / "artifacts" / program.name
    artifacts.mkdir(parents=True, exist_ok=True)
    command = [
        str(program), str(found), str(FUZZ / "corpus" / program.name), f"-runs={executions}",
        f"-max_total_time={seconds}", "-max_len=1024", "-timeout=20", "-rss_limit_mb=2048", "-print_final_stats=1",
        f"-artifact_prefix={artifacts}/",
    ]  # fmt: skip
    env = os.environ | {"SPARSEFMT_NUM_THREADS": "1"}  # a team for inputs of a kilobyte takes most of the time
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    count = re.search(r"number_of_executed_units: (\d+)", done.stdout)
    if done.returncode:
        print(done.stdout[-4000:])
    return int(count[1]) if count else 0, done.returncode == 0


def main() -> int:
    """Builds and runs what was asked for, and prints a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", default=targets(), help="default: all")
    parser.add_argument("--executions", type=int, default=1_000_000, help="of each target (%(default)s)")
    parser.add_argument("--seconds", type=int, default=3600, help="at most, of each target (%(default)s)")
    options = parser.parse_args()
    tools = subprocess.run(["cargo", "+nightly", "--version"], capture_output=True, check=False)
    if tools.returncode or not shutil.which("c++"):
        print("skipped: no nightly toolchain, or no C++ compiler")
        return 0
    folder, failed = build(), 0
    for name in options.targets:
        count, well = run(folder / name, options.executions, options.seconds)
        print(f"{name}: {count:,} executions, {'nothing found' if well else 'FOUND SOMETHING'}", flush=True)
        failed += not well
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
