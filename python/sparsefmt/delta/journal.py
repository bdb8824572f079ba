"""Changing the files of a checkpoint where they are, so that after a crash they are the old version or the new.

Before the first byte of a file changes, everything that will be overwritten is in a journal beside it, on the disk.
The journal goes when the new version has reached the disk: until then, whoever finds it writes the old bytes back.
"""

import contextlib
import errno
import json
import os
from collections.abc import Collection
from mmap import ACCESS_READ, mmap
from pathlib import Path

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import DeltaError
from sparsefmt.delta import pieces
from sparsefmt.delta.apply import Verify, check_names, check_sums, refuse, sums_for
from sparsefmt.delta.change import Change, Parts, renewed
from sparsefmt.delta.disk import Arrays, opened
from sparsefmt.delta.pages import Mapped, mapped, sync
from sparsefmt.delta.pieces import Piece, row_marks, taken
from sparsefmt.delta.rewrite import Progress, check_base, check_kind
from sparsefmt.delta.sums import mark_of
from sparsefmt.io.atomic import sync_folder
from sparsefmt.io.paths import naming_file
from sparsefmt.kernels.checksum import Checksum, as_bytes, checksum
from sparsefmt.kernels.delta import ALL, MOVED
from sparsefmt.kernels.gap_items import gaps_put
from sparsefmt.structures.gap import Gap

_ANY = b"sparsefmt undo "
MAGIC = _ANY + b"2\n"
_END = 16


def journal_of(path: str | os.PathLike[str]) -> Path:
    """Where the journal of a checkpoint lies: beside the file, or in the folder."""
    where = Path(path)
    return where / ".sparsefmt-undo" if where.is_dir() else where.parent / f".{where.name}.sparsefmt-undo"


def change_in_place(
    parts: Parts, path: str | os.PathLike[str], progress: Progress, verify: Verify = "whole", durable: bool = True
) -> Path:
    """Turns the files of a checkpoint into the new version.

    Raises:
        DeltaError: they are another version, or tensors come, go or change their shape: then nothing was changed. Or
            the result is not what the delta promises: then the old version was put back.
        OSError: the disk is full, or cannot be written: nothing was changed, or the old version was put back.
    """
    where, journal = Path(path), journal_of(path)
    recover(where)
    with naming_file(where):
        return _change(parts, where, journal, progress, verify, durable)


def _change(parts: Parts, where: Path, journal: Path, progress: Progress, verify: Verify, durable: bool) -> Path:
    if parts.wholes:
        msg = f"{where}: tensors come, go or change their shape ({next(iter(parts.wholes))!r}); write a new checkpoint"
        raise DeltaError(msg)
    with opened(where) as base:
        check_names(parts, set(base))
        for name, change in parts.changes.items():
            check_kind(change, base[name], name)
        changed = {name: c for name, c in parts.changes.items() if c.pieces}
        _fill_holes(changed, base)  # before anything is read: a hole of a tmpfs takes room when it is read mapped
        for name, change in parts.changes.items():
            if sums_for(change, verify) == ALL:
                check_base(change, base[name], name)
        if not changed:
            return where
        compared = {name for name, c in changed.items() if sums_for(c, verify) == ALL}
        try:
            _write_journal(journal, changed, base, compared, durable)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                journal.unlink()
            raise
        offsets = {name: base.files[base.where[name]].stored[name].start for name in changed}
        homes = {name: base.files[base.where[name]].path for name in changed}
        with contextlib.suppress(DeltaError):
            base.model.check()
    try:
        _move(changed, homes, offsets, progress, durable)
    except BaseException:
        recover(where)
        raise
    journal.unlink()
    if durable:
        sync_folder(journal.parent)
    return where


def _fill_holes(changed: dict[str, Change], base: Arrays) -> None:
    """Gives the disk's blocks to what will be written, where a file has holes.

    A full disk is an error here, and none of the old bytes has changed; under a mapping it would be a signal, and
    again when the old bytes are put back.
    """
    for name, change in changed.items():
        home = base.files[base.where[name]]
        with open(home.path, "r+b") as file:
            facts = os.fstat(file.fileno())
            if facts.st_blocks * 512 >= facts.st_size or not hasattr(os, "posix_fallocate"):
                continue
            try:
                os.posix_fallocate(file.fileno(), home.stored[name].start, change.count * change.itemsize)
            except OSError as e:
                if e.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP):
                    e.filename = home.path
                    raise


def _write_journal(
    journal: Path, changed: dict[str, Change], base: Arrays, compared: Collection[str], durable: bool
) -> None:
    """Everything that will be overwritten: for each piece a line of JSON, offsets of rows, gaps, old items.

    Where a tensor was not compared, the marks of these items are, before anything changes.
    """
    total = Checksum()
    with open(journal, "xb") as file:

        def put(*parts: bytes) -> None:
            data = b"".join(parts)
            file.write(data)
            total.update(data)

        put(MAGIC)
        for name, change in changed.items():
            data, home, marks = as_bytes(base[name]), base.files[base.where[name]], list[Array]()
            marked = change.marks is not None and name not in compared
            for p in change.pieces:
                gap = pieces.gap_of(p.steps)
                start, stop = (n * change.itemsize for n in (p.start, p.start + p.count))
                old = taken(gap, data[start:stop], change.itemsize)
                if marked:
                    marks.append(row_marks(gap, old))
                head = {
                    "file": Path(home.path).name,
                    "offset": home.stored[name].start + start,
                    "bytes": stop - start,
                    "shape": gap.shape,
                    "offsets": gap.row_offsets.itemsize,
                    "gaps": len(gap.gaps),
                    "items": len(old),
                    "itemsize": change.itemsize,
                }
                line = json.dumps(head).encode() + b"\n"
                put(line, *(a.tobytes() for a in (gap.byte_offsets, gap.row_offsets, gap.gaps, old)))
            if marked and change.marks is not None and (found := mark_of(marks)) != change.marks[0]:
                raise refuse(name, found, *change.marks)
        put(b"{}\n")
        file.write(bytes.fromhex(total.hexdigest()))
        file.flush()
        if durable:
            os.fsync(file.fileno())
    if durable:
        sync_folder(journal.parent)


def _move(
    changed: dict[str, Change], homes: dict[str, str], offsets: dict[str, int], progress: Progress, durable: bool
) -> None:
    """Changes the mapped files, checks the new versions, and waits for the disk."""
    for home in dict.fromkeys(homes.values()):
        with mapped(home, durable) as file:
            for name in [n for n in changed if homes[n] == home]:
                change = changed[name]
                size, width = change.count * change.itemsize, change.itemsize
                raw = file.data[offsets[name] : offsets[name] + size]

                def bring(p: Piece, at: int = offsets[name], width: int = width, file: Mapped = file) -> None:
                    first = at + p.start * width
                    file.bring_items(pieces.gap_of(p.steps), width, first, first + p.count * width)

                wanted = ALL if change.marks is None else MOVED  # the old version has been compared
                check_sums(change, renewed(change, raw, raw, wanted, bring), wanted, name)
                progress(name, size)
            del raw, file


def recover(path: str | os.PathLike[str]) -> bool:
    """Puts the old version back where an apply in place was interrupted; tells whether it was.

    Called by every apply in place; by hand, where a process was killed and the checkpoint is to be read first.

    Args:
        path: of the checkpoint, a file or a folder.

    Raises:
        DeltaError: the journal is not of this checkpoint, or of a version that this one does not read: it stays.
        OSError: the files cannot be written.

    >>> recover("there-is-no-such.safetensors")
    False
    """
    journal = journal_of(path)
    try:
        with open(journal, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            body = mmap(file.fileno(), size, access=ACCESS_READ) if size else None
    except FileNotFoundError:
        return False
    complete = body is not None and size > len(MAGIC) + _END and _whole(body)
    if body is not None:
        _check_version(journal, body[: len(MAGIC)])
        if complete:  # else it was cut off, and nothing had been changed
            _put_back(journal, body)
        body.close()
    journal.unlink()
    sync_folder(journal.parent)
    return complete


def _whole(body: mmap) -> bool:
    """Whether a journal ends as it was meant to."""
    data = np.frombuffer(body, np.uint8)
    return checksum(data[:-_END]) == data[-_END:].tobytes().hex()


def _check_version(journal: Path, begin: bytes) -> None:
    """Raises DeltaError where a file is no journal of this version, nor the beginning of one."""
    if MAGIC.startswith(begin):
        return
    what = f"of another version ({begin[:17]!r})" if begin.startswith(_ANY) else "no journal of sparsefmt"
    msg = (
        f"{journal} is {what}, so that the old version cannot be put back; undo it with the version of sparsefmt that "
        "wrote it, or copy the checkpoint anew, then remove this file"
    )
    raise DeltaError(msg)


def _put_back(journal: Path, body: mmap) -> None:
    touched, at = set[str](), len(MAGIC)

    def take(dtype: str, count: int) -> Array:
        nonlocal at
        found = np.frombuffer(body, dtype, count, at).copy()
        at += found.nbytes
        return found

    while head := json.loads(body[at : body.find(b"\n", at)]):
        at = body.find(b"\n", at) + 1
        rows, cols = head["shape"]
        byte_offsets, row_offsets = (take(f"i{head['offsets']}", rows + 1) for _ in range(2))
        gaps, old = take("u1", head["gaps"]), take(f"u{head['itemsize']}", head["items"])
        home = str(journal.parent / Path(head["file"]).name)
        start, stop = head["offset"], head["offset"] + head["bytes"]
        with mapped(home, durable=False) as file:
            if len(file.data) < stop:
                msg = f"{home} is shorter than its journal says; {journal} is not of this checkpoint"
                raise DeltaError(msg)
            gap = Gap(gaps, byte_offsets, row_offsets, (rows, cols), check=False)
            if not np.array_equal(taken(gap, file.data[start:stop], old.itemsize), old):  # else it needs no room
                file.bring_items(gap, old.itemsize, start, stop)
                gaps_put(gaps, byte_offsets, row_offsets, cols, old, file.data[start:stop])
            del file
        touched.add(home)
    for home in touched:
        sync(home)
