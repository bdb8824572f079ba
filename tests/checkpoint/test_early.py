"""What is written reaches the disk beside the writing, and what the disk says about it is heard."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest

import sparsefmt as sf
from sparsefmt.checkpoint import early
from sparsefmt.checkpoint.writer import ShardWriter

ROWS = 64


def written(path: Path) -> None:
    with ShardWriter(path, [("w", "U8", (ROWS, 1024))]) as writer:
        for row in range(ROWS):
            writer.write("w", np.full((1, 1024), row + 1, np.uint8))


def test_data_is_sent_on_its_way_before_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(early, "EVERY", 4096)
    sent = []
    monkeypatch.setattr(os, "fdatasync", sent.append)
    written(tmp_path / "w.safetensors")
    assert 1 <= len(sent) <= ROWS // 4
    loaded = sf.load(tmp_path / "w.safetensors")["w"]
    assert isinstance(loaded, np.ndarray)
    assert np.array_equal(loaded[:, 0], np.arange(1, ROWS + 1))


def test_an_error_of_the_disk_is_told_though_the_last_sync_would_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(early, "EVERY", ROWS * 1024 // 2 + 1)  # once, so that only the end can tell

    def broken(number: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fdatasync", broken)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)) as caught:
        written(tmp_path / "w.safetensors")
    assert caught.value.errno == errno.EIO
    assert list(tmp_path.iterdir()) == []


def test_small_files_take_no_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fdatasync", lambda number: pytest.fail("asked for"))
    written(tmp_path / "w.safetensors")
    assert (tmp_path / "w.safetensors").exists()
