"""Checks the project for 64-bit ARM on any Linux machine: clippy for the target, then the Rust tests under qemu.

`make aarch64` calls it. Tests of kernels run as two processors, one with the newest instructions that qemu knows and
one without any beyond NEON. Where a tool is missing, it says which and stops without an error.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = "aarch64-unknown-linux-gnu"
GCC = "aarch64-linux-gnu-gcc"
QEMU = "qemu-aarch64-static"
LIBC = "/usr/aarch64-linux-gnu"
CPUS = ("max", "cortex-a53")  # with sdot, and plain NEON


def missing() -> list[str]:
    """What is not installed, each with the way to get it."""
    rustc = os.environ.get("RUSTC", "rustc")
    wanted = {
        GCC: "apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
        QEMU: "apt-get install qemu-user-static",
    }
    found = [f"{tool} ({how})" for tool, how in wanted.items() if shutil.which(tool) is None]
    if shutil.which("cargo") is None or shutil.which(rustc) is None:
        return [*found, "cargo and rustc (rustup.rs)"]
    sysroot = subprocess.run([rustc, "--print", "sysroot"], capture_output=True, text=True, check=True).stdout.strip()
    if not Path(sysroot, "lib", "rustlib", TARGET, "lib").is_dir():
        found.append(f"Rust's standard library (rustup target add {TARGET})")
    return found


def environment(cpu: str = CPUS[0]) -> dict[str, str]:
    """What cargo needs to know to build for the target, and to run what it built."""
    name = TARGET.upper().replace("-", "_")
    return {
        **os.environ,
        f"CC_{TARGET.replace('-', '_')}": GCC,
        f"CARGO_TARGET_{name}_LINKER": GCC,
        f"CARGO_TARGET_{name}_RUNNER": f"{QEMU} -cpu {cpu} -L {LIBC}",
    }


def cargo(*arguments: str, cpu: str = CPUS[0]) -> bool:
    """Runs cargo for the target; returns whether it succeeded."""
    command, *rest = arguments
    print(f"aarch64: cargo {' '.join(arguments)} ({cpu})", flush=True)
    done = subprocess.run(["cargo", command, "--target", TARGET, "--locked", *rest], cwd=ROOT, env=environment(cpu))
    return done.returncode == 0


def main() -> int:
    """Runs all that can be run here."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lint", action="store_true", help="only clippy")
    options = parser.parse_args()
    if left := missing():
        print(f"aarch64: skipped, as this machine lacks {'; '.join(left)}", file=sys.stderr)
        return 0
    passed = cargo("clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings")
    if not options.lint:
        for cpu in CPUS:
            passed &= cargo("test", "--quiet", "--package", "sparsefmt-kernels", cpu=cpu)
        passed &= cargo("test", "--quiet", "--package", "sparsefmt", "--package", "sparsefmt-pool")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
