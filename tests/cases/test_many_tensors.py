"""Checkpoints of many small tensors, and files that are replaced while they are read."""

import errno
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import sparsefmt as sf
from commandline import Cli


def experts(count: int) -> dict[str, np.ndarray]:
    """Scales of experts, which stay as they are, and as many weights."""
    rng = np.random.default_rng(0)
    scales = {
        f"model.layers.{i}.mlp.experts.{i}.down_proj.weight_scale": np.ones((2, 2), np.float32) for i in range(count)
    }
    weights = {f"model.layers.{i}.mlp.experts.{i}.up.weight": rng.standard_normal((4, 8)) for i in range(count)}
    return scales | weights


def test_time_is_linear_in_the_number_of_tensors(tmp_path: Path) -> None:
    """Once 2,000 tensors took verify 30 to 117 seconds; the time of the CPU counts, of this process alone."""
    cli, took = Cli(), []
    for count in (400, 1600):
        path, out = tmp_path / f"{count}.safetensors", tmp_path / f"{count}.out.safetensors"
        sf.save(path, experts(count))
        start = time.process_time()
        cli.ok("pack", path, out, "--format", "csr", "--include", "*.up.weight")
        assert "verified" in cli.ok("verify", path, out)
        took.append(time.process_time() - start)
    assert took[1] < 10
    assert took[1] < 10 * took[0] + 1  # four times as many; sixteen times the time would be quadratic


@pytest.mark.slow
def test_20000_packed_tensors(tmp_path: Path) -> None:
    """Packing and verifying take less than 10 seconds of the CPU each."""
    rng = np.random.default_rng(0)
    names = (f"model.layers.{i}.mlp.experts.{i}.up.weight" for i in range(20_000))
    path, out = tmp_path / "m.safetensors", tmp_path / "o.safetensors"
    sf.save(path, {name: sf.prune.nm(rng.standard_normal((32, 32)).astype(np.float32)) for name in names})
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    for words in (("pack", path, out, "--format", "csr", "--include", "*"), ("verify", path, out)):
        start = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        subprocess.run([sys.executable, "-m", "sparsefmt.cli", *words, "--quiet"], env=env, check=True)
        assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - start < 10, words[0]


def test_small_results_beyond_the_budget_are_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They wait in a file of the folder, which a full disk forbids: then they are made twice, with the same bytes."""
    path = tmp_path / "m.safetensors"
    sf.save(path, {f"w{i}": np.eye(32, dtype=np.float32) * i for i in range(1, 101)})
    Cli().ok("pack", path, tmp_path / "whole.safetensors", "--format", "csr")
    encoded: list[str] = []
    recipe_pack = sf.checkpoint.recipe.Recipe.pack

    def counted(self: object, name: str, value: object) -> object:
        encoded.append(name)
        return recipe_pack(self, name, value)  # type: ignore[arg-type]

    def full(self: object, text: bytes, start: int) -> bool:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr("sparsefmt.checkpoint.transform_run.CHUNK", 4096)
    monkeypatch.setattr("sparsefmt.checkpoint.recipe.Recipe.pack", counted)
    for out, most in ((tmp_path / "once.safetensors", 100), (tmp_path / "twice.safetensors", 200)):
        encoded.clear()
        Cli().ok("pack", path, out, "--format", "csr")
        assert most - 100 < len(encoded) <= most
        assert out.read_bytes() == (tmp_path / "whole.safetensors").read_bytes()
        monkeypatch.setattr("sparsefmt.checkpoint.waiting.Waiting._put", full)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "m.safetensors", "once.safetensors", "twice.safetensors", "whole.safetensors",
    ]  # fmt: skip


def test_a_file_that_is_replaced_while_pack_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written that mixes two versions, and the old result stays."""
    path, newer, out = (tmp_path / f"{name}.safetensors" for name in ("m", "new", "o"))
    for value, file in ((1, path), (2, newer)):
        sf.save(file, {f"t{i}": np.full((32, 32), value, np.float16) for i in range(20)}, {"step": str(value)})
    cli = Cli()
    cli.ok("pack", path, out, "--format", "csr")
    before = out.read_bytes()
    encoded: list[str] = []
    pack = sf.checkpoint.recipe.Recipe.pack

    def replacing(self: object, name: str, value: object) -> object:
        encoded.append(name)
        if len(encoded) == 10:
            os.replace(newer, path)
        return pack(self, name, value)  # type: ignore[arg-type]

    monkeypatch.setattr("sparsefmt.checkpoint.recipe.Recipe.pack", replacing)
    assert "was replaced by another file while" in cli.fails(3, "pack", path, out, "--format", "csr", "--force")
    assert len(encoded) >= 10
    assert out.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.safetensors", "o.safetensors"]
    monkeypatch.undo()
    cli.ok("pack", path, out, "--format", "csr", "--force")
    assert sf.io.read_metadata(out)["step"] == "2"
    assert {float(t.to_dense()[0, 0]) for t in sf.load(out).values()} == {2.0}
