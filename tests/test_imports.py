"""What importing loads, and what stands behind each public name. How long it takes: benches/python/imports.py."""

import ast
import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import sparsefmt as sf

SOURCE = Path(sf.__file__).read_text()
EXTRAS = (
    *("scipy", "click", "rich", "yaml", "distributed", "dask", "fsspec", "s3fs", "h5py", "zarr", "onnx", "anndata"),
    *("cupy", "torch", "jax", "zstandard", "xxhash", "safetensors", "gguf", "pandas"),
)


def loaded(code: str) -> set[str]:
    """The modules that a new interpreter has after running `code`, without those it starts with."""
    code = (
        f"import sys; old = {{*sys.modules}}; exec({code!r}); import json; print(json.dumps([*{{*sys.modules}} - old]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_import_itself_loads_next_to_nothing() -> None:
    found = loaded("import sparsefmt")
    assert "numpy" not in found
    own = {name for name in found if name.startswith("sparsefmt")}
    assert own == {"sparsefmt", "sparsefmt.base", "sparsefmt.base.loading"}


@pytest.mark.parametrize(
    "code",
    [
        "import sparsefmt as sf; [getattr(sf, name) for name in dir(sf)]",
        "import sparsefmt as sf; t = sf.encode([[1.0, 0.0]], 'csr'); t @ [[1.0], [2.0]]; t.to_dense()",
        "import sys; sys.argv[1:] = ['--version']; from sparsefmt.cli.main import main; main()",
    ],
    ids=["all names", "a tensor", "--version"],
)
def test_extras_are_loaded_where_they_are_needed(code: str) -> None:
    assert {name.partition(".")[0] for name in loaded(code)} & set(EXTRAS) == set()


@pytest.mark.parametrize(
    "code",
    [
        "pickle.loads(packed).to_dense()",
        "pickle.loads(packed).to_scipy()",
        "pickle.loads(packed) @ numpy.eye(2)",
        "from sparsefmt.tensor.sparse import SparseTensor; pickle.loads(packed).T.to_dense()",
        "import sparsefmt; sparsefmt.encode(numpy.eye(2), 'csr')",
        "from sparsefmt import encode, prune; encode(prune.nm(numpy.ones((2, 4)), 2, 4), 'nm2:4').convert('csr')",
    ],
)
def test_the_first_thing_in_a_process_may_be_anything(code: str) -> None:
    """A worker that only gets tensors by pickle has never imported the package."""
    packed = pickle.dumps(sf.encode([[1.0, 0.0], [0.0, 2.0]], "csr"))
    done = subprocess.run(
        [sys.executable, "-c", f"import pickle, numpy; packed = {packed!r}; {code}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_command_loads_no_other_command() -> None:
    found = loaded(
        "from click.testing import CliRunner; from sparsefmt.cli.app import app; CliRunner().invoke(app, ['formats'])"
    )
    assert "sparsefmt.cli.formats" in found
    assert not {f"sparsefmt.cli.{name}" for name in ("merge", "prune", "plan", "diff", "report")} & found


def test_what_checkers_see_is_what_is_loaded() -> None:
    """The imports for type checkers, and the table that names are loaded by, say the same."""
    seen: dict[str, tuple[str, str]] = {}
    rooms: set[str] = set()
    block = next(node for node in ast.parse(SOURCE).body if isinstance(node, ast.If))
    for node in block.body:
        if isinstance(node, ast.ImportFrom) and node.module == "sparsefmt":
            rooms |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            seen |= {alias.asname or alias.name: (node.module, alias.name) for alias in node.names}
    assert set(sf.__all__) == {*seen, *rooms}
    assert rooms == set(sf._ROOMS)
    assert {name: module for name, (module, _) in seen.items()} == sf._HOMES
    for name, (module, inside) in seen.items():
        assert getattr(sf, name) is getattr(sys.modules[module], inside)


def test_no_other_name_is_there() -> None:
    with pytest.raises(AttributeError, match="module 'sparsefmt' has no attribute 'encoed'"):
        sf.encoed  # type: ignore[attr-defined]  # noqa: B018
