"""`inspect --quick` and progress; `--json` of formats and of a dry run."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

import sparsefmt as sf
from commandline import Cli
from sparsefmt.codecs.registry import CODECS
from sparsefmt.structures.registry import STRUCTURES


def packed(folder: Path) -> Path:
    path = folder / "p.safetensors"
    w = np.random.default_rng(0).standard_normal((32, 64)).astype(np.float16)
    sf.save(path, {"a": sf.encode(w, "nm2:4/int4:g32", prune=True), "b": w, "s": np.array(1.0)})
    return path


def test_headers_alone(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = packed(tmp_path)
    full = json.loads(cli.ok("inspect", path, "--json"))
    assert {t["name"]: t["density"] for t in full["tensors"]}["a"] > 0.4

    def unread(*args: object) -> None:
        msg = "data was read"
        raise AssertionError(msg)

    monkeypatch.setattr("sparsefmt.checkpoint.readers.safetensors.tensor_info", unread)
    quick = json.loads(cli.ok("inspect", path, "--json", "--quick"))
    for a, b in zip(full["tensors"], quick["tensors"], strict=True):
        assert {k: b[k] for k in ("name", "shape", "dtype", "nbytes")} == {
            k: a[k] for k in ("name", "shape", "dtype", "nbytes")
        }
        assert "density" not in b
    assert quick["total"]["dense_nbytes"] == full["total"]["dense_nbytes"]
    text = cli.ok("inspect", path, "--quick")
    assert "nm2:4/int4:g32" in text
    assert "headers only" in text
    monkeypatch.setattr(sys.modules["sparsefmt.cli.inspect"], "LARGE", 100)
    assert cli.ok("inspect", path) == text
    cli.fails(2, "inspect", path, "--quick", "--against", path)


def test_progress_tells_every_byte(tmp_path: Path) -> None:
    seen: dict[str, int] = {}
    found = sf.inspect(packed(tmp_path), progress=lambda name, n: seen.update({name: n}))
    assert seen == {name: info.nbytes for name, info in found.items()}


def test_formats_as_json(cli: Cli) -> None:
    rows = json.loads(cli.ok("formats", "--json"))
    assert {r["format"] for r in rows} >= {s.template for s in STRUCTURES.values()}
    assert len(rows) <= len(STRUCTURES) + len(CODECS)
    for row in rows:
        assert sf.encode(np.zeros((4, 32), np.float32), row["example"]).shape == (4, 32)


def test_a_dry_run_as_json(cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "o.safetensors"
    words = ["pack", packed(tmp_path), out, "--format", "csr", "--include", "*", "--rule", "b=bitmask"]
    made = json.loads(cli.ok(*words, "--exclude", "s", "--dry-run", "--json"))
    assert made == {"dry_run": True, "formats": {"a": "csr", "b": "bitmask", "s": "plain"}, "not_copied": []}
    assert not out.exists()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(cli: Cli, shell: str) -> None:
    from click.testing import CliRunner

    from sparsefmt.cli.app import app

    asked = {
        "_SPARSEFMT_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": "sparsefmt insp",
        "COMP_CWORD": "insp" if shell == "fish" else "1",
    }
    done = CliRunner().invoke(app, [], prog_name="sparsefmt", env=asked)
    assert "inspect" in done.stdout
