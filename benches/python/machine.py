"""What a record says of the machine and the versions; no host names."""

import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import scipy
import threadpoolctl

import sparsefmt as sf

ROOT = Path(__file__).resolve().parents[2]


def cpu_model() -> str:
    """The name of the CPU."""
    info = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*:\s*(.+)$", info.read_text(), re.MULTILINE) if info.exists() else None
    return found[1].strip() if found else platform.processor() or platform.machine()


def cpu_numbers() -> str:
    """Family and model, which tell apart what bears one name; empty where the system does not tell."""
    info = Path("/proc/cpuinfo")
    found = re.search(
        r"^cpu family\s*:\s*(\d+)\nmodel\s*:\s*(\d+)$", info.read_text() if info.exists() else "", re.MULTILINE
    )
    return f"{found[1]}-{found[2]}" if found else ""


def blas() -> str | None:
    """The kernels that NumPy multiplies with."""
    pools = [pool for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"]
    return ", ".join(sorted({f"{pool['internal_api']} {pool['version']} {pool.get('architecture')}" for pool in pools}))


def without_lesser_blas() -> None:
    """Starts this program anew if the environment makes OpenBLAS choose other kernels than it would for this CPU."""
    forced = [name for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE") if name in os.environ]
    if forced:
        print(f"without {', '.join(forced)}, so that NumPy is as fast as it can be", file=sys.stderr, flush=True)
        rest = {name: value for name, value in os.environ.items() if name not in forced}
        os.execve(sys.executable, [sys.executable, *sys.argv], rest)


def slug(text: str) -> str:
    """A folder name."""
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"\((r|tm)\)", "", text.lower())).strip("-")


def output(*command: str) -> str | None:
    """What a command prints, or None."""
    if not shutil.which(command[0]):
        return None
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def describe() -> dict[str, Any]:
    """Machine, versions and commit."""
    cpu, features = cpu_model(), sf.cpu_features()
    return {
        "machine": {
            "cpu": cpu,
            "family_model": cpu_numbers(),
            "name": slug(f"{cpu} {cpu_numbers()}"),
            "cores": os.cpu_count(),
            "isa": features["isa"],
        },
        "blas": blas(),
        "threads": features["threads"],
        "forced_isa": os.environ.get("SPARSEFMT_ISA"),
        "versions": {
            "python": sys.version.split()[0],
            "numpy": np.__version__,
            "scipy": scipy.__version__,
            "ml_dtypes": ml_dtypes.__version__,
            "rustc": output("rustc", "--version"),
            "sparsefmt": sf.__version__,
        },
        "commit": output("git", "rev-parse", "HEAD"),
        "uncommitted_changes": bool(output("git", "status", "--porcelain", "--untracked-files=no")),
    }
