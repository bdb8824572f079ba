"""What `import sparsefmt as sf` shows, and where its version stands."""

import inspect
import subprocess
import sys
import tomllib
from pathlib import Path

import sparsefmt as sf

ROOT = Path(__file__).parent.parent


def test_dir_shows_public_names_only() -> None:
    assert set(dir(sf)) == {*sf.__all__, "__version__"}
    assert all(hasattr(sf, name) for name in dir(sf))
    for room in ("base", "encoding", "kernels", "product", "tensor", "api", "structures", "codecs"):
        assert room not in dir(sf)


def test_rooms_that_are_public_are_modules() -> None:
    for name in ("interop", "io", "prune", "cuda", "checkpoint"):
        assert inspect.ismodule(getattr(sf, name))


def test_classes_for_annotations_are_those_of_tensors() -> None:
    t = sf.encode([[1.0, 0.0]], "csr")
    assert isinstance(t.structure, sf.Csr)
    assert isinstance(t.structure, sf.Structure)
    assert isinstance(t.values, sf.Codec)
    assert isinstance(sf.encode([[1.0]], "dense").T, sf.Transposed)
    kinds = {"bitmask": sf.Bitmask, "bsr1x1": sf.Bsr, "coo": sf.Coo, "csc": sf.Csc, "dense": sf.Dense, "nm1:1": sf.Nm}
    assert all(isinstance(sf.encode([[1.0]], fmt).structure, kind) for fmt, kind in kinds.items())


def test_errors_are_named_as_callers_import_them() -> None:
    for name in sf.__all__:
        found = getattr(sf, name)
        if isinstance(found, type) and issubclass(found, sf.SparsefmtError):
            assert (found.__module__, getattr(sf, found.__name__)) == ("sparsefmt", found)


def test_the_version_stands_in_one_place() -> None:
    cargo = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    assert sf.__version__ in (cargo, "unknown")
    text = (ROOT / "python" / "sparsefmt" / "__init__.py").read_text()
    assert f'"{cargo}"' not in text


def test_a_system_without_sysconf_can_import() -> None:
    code = "import os; del os.sysconf; import sparsefmt as sf; print(sf.encode([[1.0]], 'csr').nnz)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
