"""The wheel and the archive of sources as a user gets them: in a bare environment, without Rust."""

import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


def without_rust() -> dict[str, str]:
    """An environment whose PATH has no cargo."""
    kept = [p for p in os.environ["PATH"].split(os.pathsep) if not Path(p, "cargo").exists()]
    hidden = ("PYTHONPATH", "VIRTUAL_ENV", "CARGO", "PYTHONHOME")
    return {k: v for k, v in os.environ.items() if k not in hidden} | {"PATH": os.pathsep.join(kept)}


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a wheel for this machine and the archive; SPARSEFMT_DIST names one that was built before."""
    if given := os.environ.get("SPARSEFMT_DIST"):
        return Path(given).absolute()
    if shutil.which("cargo") is None:
        pytest.skip("there is no cargo to build a wheel with; SPARSEFMT_DIST=dist takes what make wheels made")
    made = tmp_path_factory.mktemp("dist")
    maturin = Path(sys.executable).with_name("maturin")
    if not maturin.exists():
        pytest.fail(
            f"{maturin} is missing: pip install -r requirements/dev.lock, or SPARSEFMT_DIST=dist", pytrace=False
        )
    checked([str(maturin), "build", "--release", "--locked", "--out", str(made)], "building a wheel", cwd=ROOT)
    checked([str(maturin), "sdist", "--out", str(made)], "building the archive of sources", cwd=ROOT)
    return made


def checked(command: list[str], what: str, **options: Any) -> None:  # noqa: ANN401
    """Runs a command; where it fails, its last lines and what it was for are the failure."""
    ran = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if ran.returncode:
        tail = "\n".join((ran.stdout + ran.stderr).splitlines()[-12:])
        pytest.fail(f"{what} failed ({ran.returncode}): {' '.join(command)}\n{tail}", pytrace=False)


def one(dist: Path, pattern: str) -> Path:
    """The file of this pattern, for this machine where it is a wheel."""
    found = [p for p in sorted(dist.glob(pattern)) if p.suffix != ".whl" or os.uname().machine in p.name]
    if not found:
        held = ", ".join(sorted(p.name for p in dist.iterdir())) if dist.is_dir() else "no such folder"
        pytest.fail(f"{dist} has no {pattern} for {os.uname().machine} ({held}); make wheels makes it", pytrace=False)
    return found[-1]


@pytest.fixture(scope="module")
def bare(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a new environment with the wheel and what the README uses."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    for words in ([str(one(dist, "*abi3*.whl"))], ["scipy", "pytest"]):
        what = f"installing {', '.join(words)} without Rust (it needs a package index for what is not cached)"
        checked([str(python), "-m", "pip", "install", "-q", *words], what, env=without_rust())
    return python


def test_the_wheel_is_for_every_later_python_and_old_systems(dist: Path) -> None:
    wheel = one(dist, "*abi3*.whl")
    assert "cp311-abi3" in wheel.name
    names = zipfile.ZipFile(wheel).namelist()
    for wanted in (
        "sparsefmt/py.typed",
        "sparsefmt/_native.pyi",
        "sparsefmt/_native.abi3.so",
        "sparsefmt/report/page.css",
    ):
        assert wanted in names
    assert any(name.endswith(".cu") for name in names)
    assert not [name for name in names if name.startswith(("tests", "tools"))]


def test_the_archive_holds_all_sources(dist: Path) -> None:
    archive = one(dist, "*.tar.gz")
    with tarfile.open(archive) as opened:
        names = {name.partition("/")[2] for name in opened.getnames()}
    for folder, pattern in (("python", "*.py"), ("python", "*.cu*"), ("rust", "*.rs"), ("rust", "Cargo.toml")):
        for path in (ROOT / folder).rglob(pattern):
            if "tests" not in path.parts and "benches" not in path.parts:
                assert str(path.relative_to(ROOT)) in names
    assert {"Cargo.lock", "pyproject.toml", "README.md", "LICENSE", "tools/build_backend.py"} <= names


def test_the_readme_runs_from_the_wheel(bare: Path, tmp_path: Path) -> None:
    shutil.copy(ROOT / "README.md", tmp_path)
    options = [
        "-p",
        "no:cacheprovider",
        "--doctest-glob=*.md",
        "-o",
        "doctest_optionflags=NORMALIZE_WHITESPACE ELLIPSIS",
    ]
    command = [str(bare), "-m", "pytest", "-q", *options, "README.md"]
    checked(command, "README.md with the wheel alone", cwd=tmp_path, env=without_rust())


def test_what_is_installed_imports_nothing_of_the_tree(bare: Path, tmp_path: Path) -> None:
    code = "import sparsefmt as sf; t = sf.encode([[1.0, 0.0]], 'csr'); print(sf.cpu_features()['isa'], sf.__version__)"
    done = subprocess.run(
        [bare, "-c", code], cwd=tmp_path, env=without_rust(), capture_output=True, text=True, check=True
    )
    assert done.stdout.split()[0] != "numpy"
    missing = subprocess.run(
        [bare, "-m", "sparsefmt", "formats"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert missing.returncode == 4
    assert "pip install 'sparsefmt[cli]'" in missing.stderr


def test_pip_install_without_cargo_fails_at_once(bare: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [bare, "-m", "pip", "install", "--no-deps", str(ROOT)],
        env=without_rust(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "building sparsefmt needs Rust 1.89 or newer, and cargo is not on the PATH" in done.stdout + done.stderr
