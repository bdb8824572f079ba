"""Builds what goes to an index, in dist/: wheels for the stable ABI by zig, and the archive of sources.

`make wheels` calls it with maturin and zig on the PATH. Targets whose standard library `rustup` has not installed are
left out, and named. `--free-threaded` adds wheels for cp314t, from the sysconfig that maturin knows.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGETS = ("x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu")
FREE_THREADED = ("python3.14t",)  # maturin 1.16 takes no older ones
BUILD = ["maturin", "build", "--release", "--locked", "--zig", "--compatibility", "manylinux_2_17", "--out", "dist"]


def installed(target: str) -> bool:
    """Whether Rust's standard library for a target is there."""
    root = subprocess.run(["rustc", "--print", "sysroot"], capture_output=True, text=True, check=True).stdout.strip()
    return Path(root, "lib", "rustlib", target, "lib").is_dir()


def main() -> int:
    """Builds all that can be built here."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--free-threaded", action="store_true", help="wheels without the GIL too")
    parser.add_argument("--target", action="append", choices=TARGETS, help="only this; several times")
    options = parser.parse_args()
    if shutil.which("cargo") is None or shutil.which("maturin") is None:
        print("wheels: cargo and maturin must be on the PATH; use make wheels", file=sys.stderr)
        return 1
    subprocess.run(["maturin", "sdist", "--out", "dist"], cwd=ROOT, check=True)
    for target in options.target or TARGETS:
        if not installed(target):
            print(f"wheels: left out {target}: rustup target add {target}", file=sys.stderr)
            continue
        subprocess.run([*BUILD, "--target", target], cwd=ROOT, check=True)
        for python in FREE_THREADED if options.free_threaded else ():
            subprocess.run([*BUILD, "--target", target, "--interpreter", python], cwd=ROOT, check=True)
    for path in sorted((ROOT / "dist").iterdir()):
        print(f"{path.stat().st_size:>12,} {path.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
