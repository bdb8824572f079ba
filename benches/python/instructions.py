"""Instruction counts of three hot paths by valgrind: they do not depend on the load of the machine.

valgrind knows no AVX-512, so the paths run with AVX2 and in portable Rust, on one thread. Counts are per element of a
dense matrix: of two runs less those of one, so that start and end of the process cancel out.
"""

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from machine import ROOT

PATHS = {"csr": "dense -> csr f32 10 %", "nm-encode": "prune + encode nm2:4 f16", "nm-decode": "decode nm2:4 f16"}
ELEMENTS = 256 * 1024


def instructions(program: Path, path: str, runs: int, isa: str) -> int:
    """Instructions of the whole process."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out", str(program), path, str(runs)]
        env = {**os.environ, "SPARSEFMT_ISA": isa}
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if found is None:
        msg = f"callgrind printed no count: {done.stderr[-200:]}"
        raise ValueError(msg)
    return int(found[1])


def counted() -> dict[str, dict[str, float]] | None:
    """Instructions per element, by path and instruction set; None without valgrind or cargo."""
    if not shutil.which("valgrind") or not shutil.which("cargo"):
        return None
    build = ["cargo", "build", "--quiet", "--release", "--package", "sparsefmt", "--example", "instructions"]
    subprocess.run(build, cwd=ROOT, check=True)
    program = ROOT / "target" / "release" / "examples" / "instructions"
    return {
        name: {
            isa: round((instructions(program, path, 3, isa) - instructions(program, path, 2, isa)) / ELEMENTS, 3)
            for isa in ("avx2", "scalar")
        }
        for path, name in PATHS.items()
    }


if __name__ == "__main__":
    for name, counts in (counted() or {}).items():
        print(f"{name}: " + ", ".join(f"{count} instructions per element ({isa})" for isa, count in counts.items()))
