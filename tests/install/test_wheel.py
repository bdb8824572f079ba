"""The wheel and the archive of sources as a user gets them: in a bare environment, without Rust."""

import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

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
        return Path(given)
    if shutil.which("cargo") is None:
        pytest.skip("there is no cargo to build a wheel with")
    made = tmp_path_factory.mktemp("dist")
    maturin = str(Path(sys.executable).with_name("maturin"))
    subprocess.run([maturin, "build", "--release", "--locked", "--out", str(made)], cwd=ROOT, check=True)
    subprocess.run([maturin, "sdist", "--out", str(made)], cwd=ROOT, check=True)
    return made


@pytest.fixture(scope="module")
def bare(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a new environment with the wheel and what the README uses."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    wheel = next(p for p in dist.glob("*abi3*.whl") if os.uname().machine in p.name)
    for words in ([str(wheel)], ["scipy", "pytest"]):
        subprocess.run([python, "-m", "pip", "install", "-q", *words], env=without_rust(), check=True)
    return python


def test_the_wheel_is_for_every_later_python_and_old_systems(dist: Path) -> None:
    wheel = next(p for p in dist.glob("*abi3*.whl") if os.uname().machine in p.name)
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
    archive = next(dist.glob("*.tar.gz"))
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
    command = [bare, "-m", "pytest", "-q", *options, "README.md"]
    subprocess.run(command, cwd=tmp_path, env=without_rust(), check=True)


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
