"""IN and OUT: what is refused before any work, and what is never left behind."""

import os
from pathlib import Path

import numpy as np
import pytest

import sparsefmt as sf
from commandline import Cli
from sparsefmt.checkpoint import jobs


def test_out_is_not_overwritten_without_force(cli: Cli, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    out.write_bytes(b"mine")
    assert "exists; --force replaces it" in cli.fails(2, "pack", model, out, "--format", "csr")
    assert out.read_bytes() == b"mine"
    cli.ok("pack", model, out, "--format", "csr", "--force")
    assert "a.weight" in sf.load(out)


@pytest.mark.parametrize("way", ["same", "dotted", "symlink", "hardlink"])
def test_out_may_not_be_in(cli: Cli, model: Path, tmp_path: Path, way: str) -> None:
    out = {"same": model, "dotted": tmp_path / "." / "x" / ".." / model.name}.get(way, tmp_path / "link.safetensors")
    (tmp_path / "x").mkdir()
    if way == "symlink":
        out.symlink_to(model)
    if way == "hardlink":
        out.hardlink_to(model)
    before = model.read_bytes()
    assert "IN and OUT are the same" in cli.fails(2, "pack", model, out, "--format", "csr", "--force")
    assert model.read_bytes() == before


@pytest.mark.parametrize(
    ("command", "suffix"),
    [("pack", ".npz"), ("pack", ""), ("convert", ".npy"), ("unpack", ".bin"), ("unpack", ".safetensors.txt")],
)
def test_suffix_of_out(cli: Cli, model: Path, tmp_path: Path, command: str, suffix: str) -> None:
    extra = () if command == "unpack" else ("--format", "csr")
    assert "want a file that ends in" in cli.fails(2, command, model, tmp_path / f"out{suffix}", *extra)


@pytest.mark.parametrize("command", ["pack", "convert", "unpack"])
def test_in_or_the_folder_of_out_is_missing(cli: Cli, model: Path, tmp_path: Path, command: str) -> None:
    extra = () if command == "unpack" else ("--format", "csr")
    line = cli.fails(4, command, tmp_path / "no.safetensors", tmp_path / "o.safetensors", *extra)
    assert line.endswith("no.safetensors: No such file or directory")
    line = cli.fails(4, command, model, tmp_path / "no" / "o.safetensors", *extra)
    assert line.endswith("no: No such file or directory")


def test_a_missing_file_is_named_as_such_whatever_its_ending(cli: Cli, tmp_path: Path) -> None:
    assert "No such file" in cli.fails(4, "inspect", tmp_path / "model.safetensor")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_in_may_not_be_read(cli: Cli, model: Path, tmp_path: Path) -> None:
    model.chmod(0)
    assert "Permission denied" in cli.fails(4, "inspect", model)


def test_folder_rules(cli: Cli, folder: Path, model: Path, tmp_path: Path) -> None:
    pack = ("--format", "csr", "--force")
    assert "inside IN" in cli.fails(2, "pack", folder, folder / "out", *pack)
    assert "around it" in cli.fails(2, "pack", folder, tmp_path, *pack)
    assert "is a file" in cli.fails(2, "pack", folder, model, *pack)
    other = tmp_path / "documents"
    other.mkdir()
    assert "want a file" in cli.fails(2, "pack", model, other, *pack)
    (other / "letter.txt").write_text("dear")
    assert "not replaced, even with --force" in cli.fails(2, "pack", folder, other, *pack)
    assert (other / "letter.txt").read_text() == "dear"


def test_force_replaces_what_is_written_and_nothing_else(cli: Cli, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "notes").mkdir(parents=True)
    (out / "notes" / "a.txt").write_text("mine")
    (out / "other.safetensors").write_bytes(b"mine too")
    (out / "model-00001-of-00002.safetensors").write_bytes(b"old")
    assert "exists" in cli.fails(2, "pack", folder, out, "--format", "csr")
    cli.ok("pack", folder, out, "--format", "csr", "--force")
    assert (out / "notes" / "a.txt").read_text() == "mine"
    assert (out / "other.safetensors").read_bytes() == b"mine too"
    cli.ok("verify", folder, out)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model", "out"]


def test_a_failure_in_the_last_shard_leaves_nothing(cli: Cli, folder: Path, tmp_path: Path) -> None:
    second = folder / "model-00002-of-00002.safetensors"
    tensors = sf.load(second, mmap=False)
    tensors["embed.weight"] = np.ones((64, 64), np.complex64)
    sf.save(second, tensors)
    line = cli.fails(3, "pack", folder, tmp_path / "out", "--format", "2:4", "--prune")
    assert "embed.weight: nm does not hold complex64" in line
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_an_interrupt_leaves_the_old_folder(
    cli: Cli, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    cli.ok("pack", folder, out, "--format", "csr")
    before = {p.name: p.read_bytes() for p in out.iterdir()}
    written, calls = jobs.written, []

    def interrupted(*args: object) -> jobs.Manifest:
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return written(*args)

    with monkeypatch.context() as m:
        m.setattr(jobs, "written", interrupted)
        result = cli.run("pack", folder, out, "--format", "bitmask", "--force")
    says = "sparsefmt: interrupted: 1 of 2 shards are done; the same command goes on from there\n"
    assert (result.exit_code, result.stderr) == (130, says)
    assert {p.name: p.read_bytes() for p in out.iterdir()} == before
    assert sorted(p.name for p in tmp_path.iterdir()) == [".out.parts", "model", "out"]
    text = cli.ok("pack", folder, out, "--format", "bitmask", "--force")
    assert "1 of 2 shards were finished by an earlier run" in text
    cli.ok("verify", folder, out)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model", "out"]


def test_a_full_disk_leaves_the_old_file(
    cli: Cli, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.npz"
    out.write_bytes(b"mine")

    def full(number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert "No space left" in cli.fails(4, "unpack", model, out, "--force")
    assert out.read_bytes() == b"mine"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.safetensors", "out.npz"]


def test_unexpected_errors_are_one_line_too(
    cli: Cli, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object, **kwargs: object) -> None:
        msg = "two\nlines \x1b[31m"
        raise RuntimeError(msg)

    monkeypatch.setattr(jobs, "written", broken)
    line = cli.fails(70, "pack", model, tmp_path / "o.safetensors", "--format", "csr")
    assert line.startswith("sparsefmt: error: internal error: RuntimeError: two lines \\x1b[31m;")
