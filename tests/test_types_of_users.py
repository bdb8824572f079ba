"""Type checkers on examples/ and on the README, as a user runs them: mypy strict, and pyright where it is installed."""

import doctest
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").rglob("*.py"))
PYRIGHT = shutil.which("basedpyright") or shutil.which("pyright")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def readme(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The examples of the README as one module, but for those that show an error."""
    blocks = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    examples = [e for b in blocks for e in doctest.DocTestParser().get_examples(b)]
    source = "".join(e.source for e in examples if e.exc_msg is None)
    source = re.sub(r"np\.float32\(\[", "np.asarray([", source)  # NumPy's stubs take no lists there
    path = tmp_path_factory.mktemp("user") / "readme_examples.py"
    path.write_text(source)
    return path


def test_mypy_strict(readme: Path, tmp_path: Path) -> None:
    paths = os.pathsep.join(str(p) for p in (ROOT / "python", ROOT / "examples"))
    settings = tmp_path / "mypy.ini"
    untyped = "[mypy-scipy.*,onnxruntime.*,torch.*,tokenizers.*]\nignore_missing_imports = True\n"
    settings.write_text(f"[mypy]\nstrict = True\n{untyped}")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", str(settings), str(readme), *map(str, EXAMPLES)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"MYPYPATH": paths},
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.skipif(PYRIGHT is None, reason="neither pyright nor basedpyright is installed")
def test_pyright(readme: Path, tmp_path: Path) -> None:
    fault = readme.with_name("fault.py")  # proves that files are read: pyright ignores what it cannot find
    fault.write_text('x: int = "a"\n')
    settings = {
        "include": [os.path.relpath(path, tmp_path) for path in (readme, fault, *EXAMPLES)],
        "extraPaths": [str(ROOT / "python"), str(ROOT / "examples"), *[p for p in sys.path if "site-packages" in p]],
        "typeCheckingMode": "standard",
        "pythonVersion": "3.11",
        "reportMissingImports": False,
        "reportMissingModuleSource": False,
        "reportUnusedExpression": False,
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [str(PYRIGHT), "--outputjson", "-p", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = json.loads(done.stdout)
    assert found["summary"]["filesAnalyzed"] == len(EXAMPLES) + 2, done.stderr
    errors = [d for d in found["generalDiagnostics"] if d["severity"] == "error"]
    assert any(d["file"] == str(fault) for d in errors)
    assert not [d for d in errors if d["file"] != str(fault)]
