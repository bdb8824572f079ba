"""What cannot be saved leaves the folder as it was; a save that fails midway, too."""

import errno
import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sparsefmt as sf
from sparsefmt.io import write

W = sf.encode(np.eye(4), "csr")
ONE = np.ones(2)


@pytest.mark.parametrize(
    ("tensors", "metadata", "error", "text"),
    [
        ({"": ONE}, None, sf.FormatError, "not empty"),
        ({"__metadata__": ONE}, None, sf.FormatError, "__metadata__"),
        ({3: ONE}, None, sf.FormatError, "name 3"),
        ({"\ud800": ONE}, None, sf.FormatError, "name"),
        ([ONE], None, sf.FormatError, "want a dict"),
        ({"w": W, "w.values.data": ONE}, None, sf.FormatError, "two tensors need the key 'w.values.data'"),
        ({"w": W, "w.structure.indptr": ONE}, None, sf.FormatError, "rename"),
        ({"w": W, "w.structure.other": ONE}, None, sf.FormatError, "rename"),
        ({"w": W, "w.values": W}, None, sf.FormatError, "rename"),
        ({"w": [1.0, 2.0]}, None, sf.FormatError, "got list"),
        ({"w": None}, None, sf.FormatError, "got NoneType"),
        ({"w": W.convert("nm1:4").T}, None, sf.FormatError, "is the transpose"),
        ({"w": np.array(["a"])}, None, sf.DtypeError, "'w': dtype <U1"),
        ({"w": np.array([None])}, None, sf.DtypeError, "object"),
        ({"w": np.ones(2, np.longdouble)}, None, sf.DtypeError, "cannot be saved"),
        ({"w": np.ones(2, "M8[s]")}, None, sf.DtypeError, "cannot be saved"),
        ({"w": np.ones(2, "i4,f4")}, None, sf.DtypeError, "cannot be saved"),
        ({"w": np.ma.ones(2)}, None, sf.DtypeError, "masked"),
        ({"w": np.array([2], np.uint8).view(bool)}, None, sf.FormatError, "bytes other than 0 and 1"),
        ({"w": ONE}, {"sparsefmt": "x"}, sf.FormatError, "reserved"),
        ({"w": ONE}, {"a": 1}, sf.FormatError, "want texts"),
        ({"w": ONE}, {1: "a"}, sf.FormatError, "want texts"),
        ({"w": ONE}, {"a": "\udfff"}, sf.FormatError, "want texts"),
        ({"w": ONE}, ["a"], sf.FormatError, "want a dict"),
        ({"w": ONE}, {"a": "x" * 100_000_001}, sf.FormatError, "header would take"),
    ],
)
def test_refused_before_anything_is_written(
    tmp_path: Path,
    tensors: Any,  # noqa: ANN401
    metadata: Any,  # noqa: ANN401
    error: type[Exception],
    text: str,
) -> None:
    with pytest.raises(error, match=text) as caught:
        sf.save(tmp_path / "w", tensors, metadata)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_names_that_only_look_alike_are_fine(tmp_path: Path) -> None:
    sf.save(tmp_path / "w", {"w": W, "w.values": ONE, "w.structured.x": ONE, "w.": W, "values.data": ONE})
    assert len(sf.load(tmp_path / "w")) == 5


def failing(call: int, error: BaseException, real: Callable[..., Any]) -> Callable[..., Any]:
    """`real`, which raises at the call of that number."""
    count = 0

    def run(*args: object, **kwargs: object) -> object:
        nonlocal count
        count += 1
        if count == call:
            raise error
        return real(*args, **kwargs)

    return run


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("name", ["fsync", "replace", "chmod"])
@pytest.mark.parametrize("existing", [True, False])
def test_a_failure_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, error: BaseException, existing: bool
) -> None:
    path = tmp_path / "w"
    if existing:
        path.write_bytes(b"old")
    elif name == "chmod":
        pytest.skip("a new file keeps the mode it is made with")
    monkeypatch.setattr(os, name, failing(1, error, getattr(os, name)))
    with pytest.raises(type(error)):
        sf.save(path, {"w": W, "p": np.ones(1 << 16)})
    monkeypatch.undo()
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == ([("w", b"old")] if existing else [])


@pytest.mark.parametrize("at", [1, 2, 3, 4])
def test_a_failing_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    path = tmp_path / "w"
    path.write_bytes(b"old")
    monkeypatch.setattr(write, "_write", failing(at, OSError(errno.ENOSPC, "full"), write._write))
    with pytest.raises(OSError, match="full"):
        sf.save(path, {"w": W, "p": np.ones(1 << 16)})
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("w", b"old")]


def test_a_full_disk(tmp_path: Path) -> None:
    """A limit on the size of files stands for a full disk."""
    path = tmp_path / "w"
    path.write_bytes(b"old")
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, limits[1]))
        with pytest.raises(OSError, match="File too large"):
            sf.save(path, {"p": np.ones(1 << 20)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("w", b"old")]


def test_a_rename_that_does_not_reach_the_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", failing(2, OSError(errno.EIO, "lost"), os.fsync))
    with pytest.raises(OSError, match="lost"):
        sf.save(tmp_path / "w", {"w": ONE})
    assert sf.load(tmp_path / "w").keys() == {"w"}
    monkeypatch.setattr(os, "fsync", failing(2, OSError(errno.EINVAL, "no such call here"), os.fsync))
    sf.save(tmp_path / "v", {"w": ONE})


def test_places_where_no_file_can_be(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="the folder does not exist"):
        sf.save(tmp_path / "no" / "w", {"w": ONE})
    with pytest.raises(IsADirectoryError, match="a folder"):
        sf.save(tmp_path, {"w": ONE})
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(sf.FormatError, match="neither a file nor free"):
        sf.save(tmp_path / "pipe", {"w": ONE})
    with pytest.raises(TypeError):
        sf.save(3, {"w": ONE})  # type: ignore[arg-type]


def test_a_disk_that_takes_no_file_names_the_one_that_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the temporary one, which nobody knows."""

    def refuse(folder: Path) -> None:
        raise OSError(30, "Read-only file system", str(folder / ".sparsefmt-0.held.tmp"))

    monkeypatch.setattr("sparsefmt.io.atomic.Temporary", refuse)
    with pytest.raises(OSError, match="Read-only file system") as e:
        sf.plan.Plan({"w": "nm2:4"}).save(tmp_path / "p.json")
    assert str(e.value.filename).endswith("p.json")
