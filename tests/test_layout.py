"""What the layout of the source promises."""

import ast
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "python" / "sparsefmt"
FOLDERS = ("python", "rust", "tests", "benches", "examples", "tools")
SOURCES = [
    p
    for folder in FOLDERS
    for p in sorted((ROOT / folder).rglob("*"))
    if p.suffix in (".py", ".pyi", ".rs", ".cu", ".cuh")
]


def test_every_file_stays_under_400_lines() -> None:
    long = {str(p.relative_to(ROOT)): n for p in SOURCES if (n := len(p.read_text().splitlines())) >= 400}
    assert not long


def test_only_one_module_imports_the_extension() -> None:
    """import-linter sees no compiled modules."""
    importing = re.compile(r"^\s*(from sparsefmt import .*\b_native\b|(from|import) sparsefmt\._native)", re.MULTILINE)
    found = [p.name for p in (ROOT / "python").rglob("*.py") if importing.search(p.read_text())]
    assert found == ["registry.py"]


def test_unsafe_stands_in_one_crate() -> None:
    code = re.compile(r"^(?!\s*//).*\bunsafe\b(?!_)", re.MULTILINE)
    crates = {
        p.relative_to(ROOT / "rust").parts[0] for p in SOURCES if p.suffix == ".rs" and code.search(p.read_text())
    }
    assert crates <= {"kernels"}


def test_importing_loads_no_optional_package() -> None:
    code = "import sys, sparsefmt; print([m for m in ('scipy', 'click', 'rich', 'cupy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    "name",
    [
        "LICENSE",
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "docs/choosing.md",
        "docs/deltas.md",
        "docs/design.md",
        "docs/format.md",
        "docs/gpu.md",
    ],
)
def test_documents_are_here(name: str) -> None:
    assert (ROOT / name).stat().st_size > 0


def imports(file: Path, modules: set[str]) -> set[str]:
    """The modules of the package that a file imports, for annotations alone as well; the package itself apart."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            whole = {f"{node.module}.{alias.name}" for alias in node.names} & modules
            found |= whole or {node.module}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & modules - {"sparsefmt"}


def test_no_module_imports_what_imports_it() -> None:
    files = {
        ".".join(f.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): f
        for f in PACKAGE.rglob("*.py")
    }
    order = TopologicalSorter({name: imports(f, {*files}) - {name} for name, f in files.items()})
    assert len([*order.static_order()]) == len(files)  # a circle raises CycleError, which names it
