"""Changing the files of a checkpoint where they are, so that after a crash they are the old version or the new.

Before the first byte of a file changes, everything that will be overwritten is in a journal beside it, on the disk.
The journal goes when the new version has reached the disk: until then, whoever finds it writes the old bytes back.
"""

import contextlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from mmap import mmap
from pathlib import Path

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import DeltaError
from sparsefmt.delta import pieces
from sparsefmt.delta.apply import check_names
from sparsefmt.delta.change import Change, Parts, named
from sparsefmt.delta.disk import Arrays, opened
from sparsefmt.delta.planes import gaps_between, places_of
from sparsefmt.delta.rewrite import Progress, check_base
from sparsefmt.io.atomic import sync_folder
from sparsefmt.kernels.checksum import Checksum, checksum
from sparsefmt.kernels.gap import gap_bytes

MAGIC = b"sparsefmt undo 1\n"
_END = 16


def journal_of(path: str | os.PathLike[str]) -> Path:
    """Where the journal of a checkpoint lies: beside the file, or in the folder."""
    where = Path(path)
    return where / ".sparsefmt-undo" if where.is_dir() else where.parent / f".{where.name}.sparsefmt-undo"


def change_in_place(parts: Parts, path: str | os.PathLike[str], progress: Progress) -> Path:
    """Turns the files of a checkpoint into the new version.

    Raises:
        DeltaError: they are another version, or tensors come, go or change their shape: then nothing was changed. Or
            the result is not what the delta promises: then the old version was put back.
        OSError: the disk is full, or cannot be written: nothing was changed, or the old version was put back.
    """
    where, journal = Path(path), journal_of(path)
    recover(where)
    if parts.wholes:
        msg = f"{where}: tensors come, go or change their shape ({next(iter(parts.wholes))!r}); write a new checkpoint"
        raise DeltaError(msg)
    with opened(where) as base:
        check_names(parts, set(base))
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda name: check_base(parts.changes[name], base[name], name), parts.changes))
        moved = {name: c for name, c in parts.changes.items() if c.pieces}
        if not moved:
            return where
        try:
            _write_journal(journal, moved, base)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                journal.unlink()
            raise
        offsets = {name: base.files[base.where[name]].stored[name].start for name in moved}
        homes = {name: base.files[base.where[name]].path for name in moved}
        with contextlib.suppress(DeltaError):
            base.model.check()
    try:
        _move(moved, homes, offsets, progress)
    except BaseException:
        recover(where)
        raise
    journal.unlink()
    sync_folder(journal.parent)
    return where


def _write_journal(journal: Path, moved: dict[str, Change], base: Arrays) -> None:
    """Everything that will be overwritten: for each piece a line of JSON, gaps between items, old items."""
    total = Checksum()
    with open(journal, "xb") as file:

        def put(data: bytes) -> None:
            file.write(data)
            total.update(data)

        put(MAGIC)
        for name, change in moved.items():
            a = base[name]
            values, home = pieces.bits(a), base.files[base.where[name]]
            for p in change.pieces:
                where = pieces.places(pieces.as_gaps(p.steps)[0])
                gaps = gap_bytes(gaps_between(where)).tobytes()
                old = values[p.start : p.start + p.count][where].tobytes()
                head = {
                    "file": Path(home.path).name,
                    "offset": home.stored[name].start + p.start * values.itemsize,
                    "itemsize": values.itemsize,
                    "gaps": len(gaps),
                    "items": len(where),
                }
                put(json.dumps(head).encode() + b"\n" + gaps + old)
        put(b"{}\n")
        file.write(bytes.fromhex(total.hexdigest()))
        file.flush()
        os.fsync(file.fileno())
    sync_folder(journal.parent)


def _move(moved: dict[str, Change], homes: dict[str, str], offsets: dict[str, int], progress: Progress) -> None:
    """Changes the mapped files, checks the new versions, and waits for the disk."""
    for home in dict.fromkeys(homes.values()):
        with open(home, "r+b") as file, mapped(file.fileno()) as data:
            for name in [n for n in moved if homes[n] == home]:
                change = moved[name]
                size = change.count * change.itemsize
                raw = data[offsets[name] : offsets[name] + size]
                _move_tensor(change, raw, name)
                progress(name, size)
            del raw
        _sync(home)


def _move_tensor(change: Change, raw: Array, name: str) -> None:
    values = raw.view(f"u{change.itemsize}") if raw.ctypes.data % change.itemsize == 0 else None
    floats = pieces.is_float(named(change.dtype))
    for p in change.pieces:
        if values is not None:
            pieces.move(p.steps, floats, values[p.start : p.start + p.count])
        else:
            window = raw[p.start * change.itemsize : (p.start + p.count) * change.itemsize]
            part = np.array(window).view(f"u{change.itemsize}")
            pieces.move(p.steps, floats, part)
            window[...] = part.view(np.uint8)
    made = checksum(raw)
    if made != change.new:
        msg = f"tensor {name!r} became version {made}, the delta promises {change.new}; the delta is damaged"
        raise DeltaError(msg)


@contextlib.contextmanager
def mapped(number: int) -> Iterator[Array]:
    """The bytes of an open file, writable, in place."""
    memory = mmap(number, 0)
    try:
        yield np.frombuffer(memory, np.uint8)
        memory.flush()
    finally:
        with contextlib.suppress(BufferError):  # views that still live close it when they go
            memory.close()


def _sync(path: str) -> None:
    number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def recover(path: str | os.PathLike[str]) -> bool:
    """Puts the old version back where an apply in place was interrupted; tells whether it was.

    Called by every apply in place; by hand, where a process was killed and the checkpoint is to be read first.

    Args:
        path: of the checkpoint, a file or a folder.

    Raises:
        DeltaError: the journal is not of this checkpoint.
        OSError: the files cannot be written.

    >>> recover("there-is-no-such.safetensors")
    False
    """
    journal = journal_of(path)
    try:
        data = journal.read_bytes()
    except FileNotFoundError:
        return False
    body, end = data[:-_END], data[-_END:]
    complete = body.startswith(MAGIC) and checksum(body) == end.hex()
    if complete:  # else it was cut off, and nothing had been changed
        _put_back(journal, body[len(MAGIC) :])
    journal.unlink()
    sync_folder(journal.parent)
    return complete


def _put_back(journal: Path, body: bytes) -> None:
    touched = set[str]()
    while True:
        line, _, body = body.partition(b"\n")
        head = json.loads(line)
        if not head:
            break
        gaps, old = body[: head["gaps"]], body[head["gaps"] : head["gaps"] + head["items"] * head["itemsize"]]
        body = body[len(gaps) + len(old) :]
        where = places_of(gaps, head["items"])
        home = str(journal.parent / Path(head["file"]).name)
        span = (int(where[-1]) + 1) * head["itemsize"]
        with open(home, "r+b") as file, mapped(file.fileno()) as whole:
            window = whole[head["offset"] : head["offset"] + span]
            if len(window) < span:
                msg = f"{home} is shorter than its journal says; {journal} is not of this checkpoint"
                raise DeltaError(msg)
            rows = window.reshape(-1, head["itemsize"])
            rows[where] = np.frombuffer(old, np.uint8).reshape(-1, head["itemsize"])
            del window, rows, whole
        touched.add(home)
    for home in touched:
        _sync(home)
