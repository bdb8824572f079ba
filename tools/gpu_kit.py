"""Makes gpu-kit/: what a machine with a GPU, CuPy and no network needs to run benches/gpu/kit.sh.

A wheel of this project and wheels of what it needs beside CuPy and NumPy, for Python 3.12 on x86-64 Linux, at most
64 MiB.
"""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
KIT = ROOT / "gpu-kit"
LIMIT = 64 << 20
NEEDED = ("ml_dtypes", "pytest", "hypothesis")
PLATFORM = ["--python-version", "3.12", "--platform", "manylinux_2_28_x86_64", "--only-binary", ":all:"]


def main() -> int:
    """Builds, downloads, checks the size."""
    shutil.rmtree(KIT, ignore_errors=True)
    KIT.mkdir()
    maturin = Path(sys.executable).parent / "maturin"
    subprocess.run([maturin, "build", "--release", "--locked", "--strip", "--out", KIT], cwd=ROOT, check=True)
    pip = [sys.executable, "-m", "pip", "download", "-q", "--dest", str(KIT), *PLATFORM]
    subprocess.run([*pip, *NEEDED], check=True)
    for wheel in KIT.glob("numpy-*.whl"):  # CuPy brings it
        wheel.unlink()
    total = sum(p.stat().st_size for p in KIT.iterdir())
    for path in sorted(KIT.iterdir()):
        print(f"{path.stat().st_size:>12,}  {path.name}")
    print(f"{total:>12,}  in all, allowed {LIMIT:,}")
    return 0 if total <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
