"""Pipes, devices, links in a circle and folders where files of a checkpoint, or its result, are expected."""

import errno
import json
import os
import re
import threading
from pathlib import Path

import numpy as np
import pytest

import sparsefmt as sf
from commandline import Cli
from sparsefmt.io import container

INDEX, SHARD = "model.safetensors.index.json", "model-00001-of-00001.safetensors"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "m"
    path.mkdir()
    sf.save(path / SHARD, {"w": np.eye(64, dtype=np.float32)}, {"format": "pt"})
    (path / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": {"w": SHARD}}))
    return path


def test_links_in_a_circle(cli: Cli, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "o").symlink_to("o")
    (tmp_path / "o.safetensors").symlink_to("p")
    (tmp_path / "p").symlink_to("o.safetensors")
    said = f"{tmp_path / 'o'}: Too many levels of symbolic links"
    assert said in cli.fails(4, "pack", folder, tmp_path / "o", "--format", "csr", "--force")
    assert said in cli.fails(4, "merge", "--method", "linear", folder, tmp_path / "o", "--force")
    assert said in cli.fails(4, "diff", folder, folder, tmp_path / "o", "--force")
    with pytest.raises(OSError, match="Too many levels"):
        sf.transform(folder, tmp_path / "o", sf.checkpoint.pack("csr"), overwrite=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m", "o", "o.safetensors", "p"]


def test_merges_of_another_kind_than_what_is_there(cli: Cli, folder: Path, tmp_path: Path) -> None:
    """Refused before any work, and nothing is left."""
    (tmp_path / "file").write_bytes(b"mine")
    (tmp_path / "o.safetensors").mkdir()
    for out, what in (("file", "is a folder"), ("o.safetensors", "is a file")):
        line = cli.fails(3, "merge", "--method", "linear", folder, tmp_path / out, "--force")
        assert f"the result {what}, but {tmp_path / out} is" in line
    assert (tmp_path / "file").read_bytes() == b"mine"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "m", "o.safetensors"]


@pytest.mark.parametrize("name", [INDEX, "config.json"])
@pytest.mark.parametrize("kind", ["pipe", "link", "device", "large"])
def test_what_lies_beside_weights_and_never_ends(cli: Cli, folder: Path, name: str, kind: str) -> None:
    """Such as a link to /dev/zero in an archive from elsewhere: nobody waits, and memory does not fill."""
    (folder / name).unlink(missing_ok=True)
    if kind == "large":
        (folder / name).touch()
        os.truncate(folder / name, 1 << 40)
    elif kind == "pipe":
        os.mkfifo(folder / name)
    elif kind == "link":
        os.mkfifo(folder.parent / "pipe")
        (folder / name).symlink_to(folder.parent / "pipe")
    else:
        (folder / name).symlink_to("/dev/zero")
    said = f"{folder / name} holds {1 << 40} bytes" if kind == "large" else f"{folder / name} is no file, but a pipe"
    with pytest.raises(sf.CheckpointError, match=re.escape(said)):
        _ = sf.open_checkpoint(folder).config
    assert said in cli.fails(3, "inspect", folder)
    assert said in cli.fails(3, "diff", folder, folder, folder.parent / "d")
    cli.fails(3, "apply", folder, folder, folder.parent / "o")  # which looks for deltas there


@pytest.mark.parametrize("name", [INDEX, "config.json"])
def test_a_folder_where_a_file_lies_beside_weights(cli: Cli, folder: Path, name: str) -> None:
    (folder / name).unlink(missing_ok=True)
    (folder / name).mkdir()
    with pytest.raises(IsADirectoryError) as caught:
        _ = sf.open_checkpoint(folder).config
    assert caught.value.filename == str(folder / name)
    assert f"{folder / name}: Is a directory" in cli.fails(4, "inspect", folder)


def test_weights_that_are_a_pipe(cli: Cli, folder: Path) -> None:
    """Nobody waits for what is refused anyhow."""
    (folder / SHARD).unlink()
    (folder / INDEX).unlink()
    os.mkfifo(folder / SHARD)
    for path in (folder, folder / SHARD):
        with pytest.raises(sf.CorruptFileError, match="no regular file"):
            sf.open_checkpoint(path)
        assert "no regular file" in cli.fails(3, "inspect", path)


def test_a_matrix_comes_by_a_pipe(tmp_path: Path) -> None:
    """It is read once: a look for the kind of the file takes nothing away."""
    pipe = tmp_path / "w.mtx"
    os.mkfifo(pipe)
    text = "%%MatrixMarket matrix array real general\n2 2\n1\n0\n0\n1\n"
    writer = threading.Thread(target=pipe.write_text, args=(text,), daemon=True)
    writer.start()
    with sf.open_checkpoint(pipe) as model:
        assert np.array_equal(model["w"], np.eye(2))
    writer.join(60)


def test_an_index_that_is_no_text(cli: Cli, folder: Path, tmp_path: Path) -> None:
    (folder / INDEX).write_bytes(b"\xff\xfe" * 9)
    for words in (("pack", folder, tmp_path / "o", "--format", "csr"), ("apply", folder, folder, tmp_path / "o")):
        assert INDEX in cli.fails(3, *words)


def test_too_many_open_files_name_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(number: int, nbytes: int) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(container, "read_only", full)
    with pytest.raises(OSError, match="Too many open files") as caught:
        sf.load(folder / SHARD)
    assert caught.value.filename == str(folder / SHARD)


def test_a_checkpoint_that_is_closed(folder: Path) -> None:
    """What is mapped may be read; what would be read from the file is said to be closed."""
    model = sf.open_checkpoint(folder)
    kept = model["w"]
    model.close()
    model.close()
    assert np.array_equal(kept, np.eye(64))
    with pytest.raises(sf.CorruptFileError, match="the file is closed"):
        model.rows("w", 0, 2)


@pytest.mark.parametrize("level", ["store", "wire", "archive"])
def test_a_shard_whose_name_is_no_text(cli: Cli, folder: Path, level: str) -> None:
    """Packed as it is; a delta cannot hold the name."""
    name = os.fsdecode(b"bad\xff.safetensors")
    (folder / SHARD).rename(folder / name)
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": {"w": name}}))
    cli.ok("pack", folder, folder.parent / "o", "--format", "csr")
    assert np.array_equal(sf.open_checkpoint(folder.parent / "o")["w"].to_dense(), np.eye(64))
    said = cli.fails(3, "diff", folder, folder, folder.parent / "d", "--level", level)
    assert "a name that is no text in UTF-8, at" in said
    assert "bad" in said
    assert sorted(p.name for p in folder.parent.iterdir()) == ["m", "o"]
