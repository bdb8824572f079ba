"""Without Rust, a build ends at once, with one sentence, and downloads nothing."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOOKS = (
    *("get_requires_for_build_wheel()", "get_requires_for_build_editable()", "get_requires_for_build_sdist()"),
    *("build_wheel('.')", "build_sdist('.')", "prepare_metadata_for_build_wheel('.')"),
)
SENTENCE = "building sparsefmt needs Rust 1.89 or newer, and cargo is not on the PATH; "


def test_the_tree_names_this_backend() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]
    assert (build["build-backend"], build["backend-path"]) == ("build_backend", ["tools"])
    rust = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["rust-version"]
    assert f"Rust {rust} " in SENTENCE


@pytest.mark.parametrize("hook", HOOKS)
def test_one_sentence(hook: str, tmp_path: Path) -> None:
    code = f"import sys; sys.path.insert(0, {str(ROOT / 'tools')!r}); import build_backend; build_backend.{hook}"
    env = {name: value for name, value in os.environ.items() if name != "CARGO"} | {"PATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(SENTENCE)
    assert done.stderr.count("\n") == 1
