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

import sparsefmt as sf

ROOT = Path(__file__).resolve().parents[2]


def cpu_model() -> str:
    """The name of the CPU."""
    info = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*:\s*(.+)$", info.read_text(), re.MULTILINE) if info.exists() else None
    return found[1].strip() if found else platform.processor() or platform.machine()


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
        "machine": {"cpu": cpu, "name": slug(cpu), "cores": os.cpu_count(), "isa": features["isa"]},
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
