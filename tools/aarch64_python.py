"""Runs the conformance tests and the README's examples on an emulated 64-bit ARM, with the wheel of `make wheels`.

`make aarch64-python` calls it. Debian's Python for arm64 and its libraries are unpacked under build/aarch64, wheels for
aarch64 of what the tests import are taken in the versions of requirements/dev.lock, and qemu runs them; nothing is
installed. Emulation makes it slow. Where a tool or the wheel is missing, it says so and stops without an error.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import aarch64

ROOT = aarch64.ROOT
HOME = ROOT / "build" / "aarch64"
PACKAGES = (
    "libc6", "libgcc-s1", "libstdc++6", "libgomp1", "libpython3.11-minimal", "libpython3.11-stdlib",
    "python3.11-minimal", "zlib1g", "libexpat1", "libssl3", "libffi8", "libbz2-1.0", "liblzma5", "libsqlite3-0",
    "libuuid1", "libncursesw6", "libtinfo6", "libreadline8", "libcrypt1",
)  # fmt: skip
IMPORTED = (
    "numpy", "ml_dtypes", "scipy", "click", "hypothesis", "pytest", "PyYAML", "rich", "iniconfig", "packaging",
    "pluggy", "Pygments", "sortedcontainers", "attrs", "markdown-it-py", "mdurl", "xxhash", "zstandard",
)  # fmt: skip
PLATFORMS = ("manylinux_2_17_aarch64", "manylinux2014_aarch64", "manylinux_2_27_aarch64", "manylinux_2_28_aarch64")
TESTS = ("tests/conformance", "--ignore=tests/conformance/test_concurrency.py")


def missing(wheels: Path) -> list[str]:
    """What is not there, each with the way to get it."""
    found = [] if shutil.which(aarch64.QEMU) else [f"{aarch64.QEMU} (apt-get install qemu-user-static)"]
    if shutil.which("dpkg") is None or shutil.which("apt-get") is None:
        return [*found, "dpkg and apt-get: a Debian system of any architecture"]
    foreign = subprocess.run(
        ["dpkg", "--print-foreign-architectures"], capture_output=True, text=True, check=True
    ).stdout
    if "arm64" not in foreign.split():
        found.append("packages of arm64 (dpkg --add-architecture arm64 && apt-get update)")
    if not list(wheels.glob("sparsefmt-*aarch64.whl")):
        found.append(f"a wheel for aarch64 in {wheels} (make wheels)")
    return found


def unpack_python() -> Path:
    """Debian's Python for arm64; returns its root."""
    root, packages = HOME / "root", HOME / "packages"
    if not (root / "usr/bin/python3.11").exists():
        shutil.rmtree(packages, ignore_errors=True)
        packages.mkdir(parents=True)
        wanted = [f"{name}:arm64" for name in PACKAGES]
        subprocess.run(["apt-get", "-q", "download", *wanted], cwd=packages, check=True)
        for package in sorted(packages.glob("*.deb")):
            subprocess.run(["dpkg", "-x", package, root], check=True)
    return root


def unpack_wheels(wheels: Path) -> Path:
    """What the tests import, and the project; returns the folder."""
    site, others = HOME / "site", HOME / "wheels"
    lock = (ROOT / "requirements" / "dev.lock").read_text()
    pinned = {m[1].lower().replace("_", "-"): m[0] for m in re.finditer(r"^([\w.-]+)==\S+$", lock, re.MULTILINE)}
    wanted = [pinned[key] for name in IMPORTED if (key := name.lower().replace("_", "-")) in pinned]
    if not others.exists():
        platforms = [part for platform in PLATFORMS for part in ("--platform", platform)]
        pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:"]
        subprocess.run([*pip, "--python-version", "3.11", *platforms, "-d", others, *wanted], check=True)
    newest = max(wheels.glob("sparsefmt-*aarch64.whl"), key=lambda path: path.stat().st_mtime)
    done = site / "unpacked"
    if done.exists() and done.stat().st_mtime > newest.stat().st_mtime:
        return site
    shutil.rmtree(site, ignore_errors=True)
    for wheel in (*sorted(others.glob("*.whl")), newest):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)
    done.touch()
    return site


def run(root: Path, site: Path, cpu: str, *arguments: str) -> bool:
    """Runs Python for aarch64 with the arguments; returns whether it succeeded."""
    settings = {"PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"}
    settings |= {key: value for key, value in os.environ.items() if key.startswith("SPARSEFMT_")}
    passed = [part for key, value in settings.items() for part in ("-E", f"{key}={value}")]
    python = [aarch64.QEMU, "-cpu", cpu, "-L", str(root), *passed, str(root / "usr/bin/python3.11")]
    return subprocess.run([*python, *arguments], cwd=ROOT, check=False).returncode == 0


def main() -> int:
    """Prepares, and runs what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wheels", type=Path, default=ROOT / "dist", help="the folder of wheels")
    parser.add_argument("--cpu", default=aarch64.CPUS[0], help="what qemu shall be (default: all it knows)")
    parser.add_argument("--prepare", action="store_true", help="only get and unpack Python and its packages")
    parser.add_argument(
        "pytest", nargs="*", help="arguments of pytest, instead of the conformance tests and the README"
    )
    options = parser.parse_args()
    if left := missing(options.wheels.resolve()):
        print(f"aarch64: skipped, as there is no {'; no '.join(left)}", file=sys.stderr)
        return 0
    root, site = unpack_python(), unpack_wheels(options.wheels)
    if options.prepare:
        return 0
    show = "import numpy, platform, sparsefmt as sf; print(platform.machine(), numpy.__version__, sf.cpu_features())"
    passed = run(root, site, options.cpu, "-c", show)
    pytest = ("-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-m", "not slow")
    if options.pytest:
        return 0 if passed and run(root, site, options.cpu, *pytest, *options.pytest) else 1
    passed &= run(root, site, options.cpu, *pytest, "--doctest-glob=*.md", "README.md")
    passed &= run(root, site, options.cpu, *pytest, *TESTS)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
