"""Changing the files of a checkpoint where they are, so that after a crash they are the old version or the new.

Before the first byte of a file changes, everything that will be overwritten is in a journal beside it, on the disk.
The journal goes when the new version has reached the disk: until then, whoever finds it writes the old bytes back.
"""

import contextlib
import errno
import json
import os
from collections.abc import Collection, Iterator
from mmap import mmap
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import DeltaError
from sparsefmt.delta import pieces
from sparsefmt.delta.apply import Verify, check_ends, check_names, check_sums, fitting, refuse, sums_for
from sparsefmt.delta.change import Change, Parts, renewed
from sparsefmt.delta.disk import Arrays, opened
from sparsefmt.delta.pages import Mapped, mapped, sync
from sparsefmt.delta.pieces import Piece, row_marks, taken
from sparsefmt.delta.rewrite import Progress
from sparsefmt.delta.sums import mark_of
from sparsefmt.io.atomic import sync_folder
from sparsefmt.io.mapping import read_only
from sparsefmt.io.paths import naming_file
from sparsefmt.io.temporary import home_of, is_held, journal_of
from sparsefmt.kernels.checksum import Checksum, as_bytes, checksum
from sparsefmt.kernels.delta import ALL, MOVED
from sparsefmt.structures.gap import Gap

_ANY = b"sparsefmt undo "
MAGIC = _ANY + b"3\n"
_BODY = len(MAGIC) + 16
"""Where the pieces begin, behind the seal: the length of the file and its complement, zeros until all is written."""

_END = 16


def change_in_place(
    parts: Parts, path: str | os.PathLike[str], progress: Progress, verify: Verify = "whole", durable: bool = True
) -> Path:
    """Turns the files of a checkpoint into the new version.

    Raises:
        DeltaError: they are another version, tensors come, go or change their shape, or another process changes them:
            then nothing was changed. Or the result is not what the delta promises: then the old version was put back.
        OSError: the disk is full, or cannot be written: nothing was changed, or the old version was put back.
    """
    where = home_of(path)
    where.stat()  # what is missing is said of it, not of its journal
    recover(where)
    with naming_file(where):
        _change(parts, where, journal_of(where), progress, verify, durable)
    return Path(path)


def _change(parts: Parts, where: Path, journal: Path, progress: Progress, verify: Verify, durable: bool) -> None:
    if parts.wholes:
        msg = f"{where}: tensors come, go or change their shape ({next(iter(parts.wholes))!r}); write a new checkpoint"
        raise DeltaError(msg)
    changed = {name: c for name, c in parts.changes.items() if c.pieces}
    if not changed:
        with opened(where) as base:
            _compare(parts, base, verify)
        return
    with _begun(journal) as file:
        try:
            with opened(where) as base:
                homes, offsets = _prepare(parts, changed, base, file, verify, durable)
        except BaseException:  # nothing has changed yet, unless others replaced the files: these are not put back
            journal.unlink()
            raise
        try:
            _move(changed, homes, offsets, progress, durable)
        except BaseException:
            file.close()  # with its lock
            recover(where)
            raise
        journal.unlink()
    if durable:
        sync_folder(journal.parent)


@contextlib.contextmanager
def _begun(journal: Path) -> Iterator[BinaryIO]:
    """A new journal, locked while the block runs: nobody takes it for that of a process that was killed.

    Raises:
        DeltaError: another process has begun one.
    """
    try:
        file = open(journal, "xb")  # noqa: SIM115 - closed below
    except FileExistsError:
        raise _busy(journal) from None
    with file:
        if is_held(file.fileno()) or not os.fstat(file.fileno()).st_nlink:  # taken for a dead one before the lock
            raise _busy(journal)
        yield file


def _busy(journal: Path) -> DeltaError:
    return DeltaError(f"{journal} is in use: another process changes this checkpoint; wait until it has ended")


def _compare(parts: Parts, base: Arrays, verify: Verify) -> None:
    """Raises DeltaError where a checkpoint is not the old version, or its steps do not lead to the new one.

    As far as that is seen, or wanted, before anything moves.
    """
    check_names(parts, set(base))
    for name, change in parts.changes.items():
        fitting(change, base[name], name)
    _fill_holes(parts, base)  # before anything is read: a hole of a tmpfs takes room when it is read mapped
    for name, change in parts.changes.items():
        if sums_for(change, verify) == ALL:
            check_ends(change, base[name], name)


def _prepare(
    parts: Parts, changed: dict[str, Change], base: Arrays, journal: BinaryIO, verify: Verify, durable: bool
) -> tuple[dict[str, str], dict[str, int]]:
    """Compares the checkpoint and writes the journal; gives the file of each tensor, and its place there."""
    _compare(parts, base, verify)
    compared = {name for name, c in changed.items() if sums_for(c, verify) == ALL}
    _write_journal(journal, changed, base, compared, durable)
    files = {name: base.files[base.where[name]] for name in changed}
    return {name: f.path for name, f in files.items()}, {name: f.stored[name].start for name, f in files.items()}


def _fill_holes(parts: Parts, base: Arrays) -> None:
    """Gives the disk's blocks to what will be written, where a file has holes.

    A full disk is an error here, and none of the old bytes has changed; under a mapping it would be a signal, and
    again when the old bytes are put back.
    """
    for name, change in parts.changes.items():
        if not change.pieces:
            continue
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
    file: BinaryIO, changed: dict[str, Change], base: Arrays, compared: Collection[str], durable: bool
) -> None:
    """Everything that will be overwritten: for each piece a line of JSON, offsets of rows, gaps, old items; the seal.

    Where a tensor was not compared, the marks of these items are, before anything changes.
    """
    total = Checksum()

    def put(*parts: bytes) -> None:
        data = b"".join(parts)
        file.write(data)
        total.update(data)

    file.write(MAGIC + bytes(_BODY - len(MAGIC)))
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
                "inodes": [os.stat(home.path).st_ino, os.fstat(file.fileno()).st_ino],
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
    seal = _seal(file.tell())
    _settle(file, durable)  # before the seal: else it may reach the disk first, and say that a torn journal is whole
    file.seek(len(MAGIC))
    file.write(seal)
    _settle(file, durable)
    if durable:
        sync_folder(Path(file.name).parent)


def _settle(file: BinaryIO, durable: bool) -> None:
    file.flush()
    if durable:
        os.fsync(file.fileno())


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

                wanted = ALL if change.marks is None else MOVED  # both ends have been compared, as far as is wanted
                check_sums(change, renewed(change, raw, raw, wanted, bring), wanted, name)
                progress(name, size)
            del raw, file


def recover(path: str | os.PathLike[str]) -> bool:
    """Puts the old version back where an apply in place was interrupted; tells whether it was.

    Called by every apply in place; by hand, where a process was killed and the checkpoint is to be read first.

    Args:
        path: of the checkpoint, a file or a folder.

    Raises:
        DeltaError: the journal is not of this checkpoint, damaged, or of a version that this one does not read, or a
            file was replaced since: it stays. Or the process that wrote it still runs.
        OSError: the files cannot be written.

    >>> recover("there-is-no-such.safetensors")
    False
    """
    journal = journal_of(path)
    try:
        file = open(journal, "r+b")  # noqa: SIM115 - closed below; to be locked, some systems want it writable
    except FileNotFoundError:
        return False
    with file:
        if is_held(file.fileno()):
            raise _busy(journal)
        return bool(os.fstat(file.fileno()).st_nlink) and _undone(journal, file)


def _undone(journal: Path, file: BinaryIO) -> bool:
    """Puts the old version back, if the journal is whole, and removes it."""
    size = os.fstat(file.fileno()).st_size
    body = read_only(file.fileno(), size) if size else None
    sealed = False
    if body is not None:
        _check_version(journal, body[: len(MAGIC)])
        sealed = any(body[len(MAGIC) : _BODY])
        if sealed:  # else it was being written, and nothing had been changed
            _check_whole(journal, body)
            _put_back(journal, body, os.fstat(file.fileno()).st_ino)
        body.close()
    journal.unlink()
    sync_folder(journal.parent)
    return sealed


def _seal(size: int) -> bytes:
    """What says that a journal is complete; no other eight bytes, and no zeros, are taken for it."""
    return size.to_bytes(8, "little") + (size ^ (1 << 64) - 1).to_bytes(8, "little")


def _check_whole(journal: Path, body: mmap) -> None:
    """Raises DeltaError where a journal that was complete no longer is."""
    data = np.frombuffer(body, np.uint8)
    whole = len(data) >= _BODY + _END and body[len(MAGIC) : _BODY] == _seal(len(data))
    if not whole or checksum(data[_BODY:-_END]) != data[-_END:].tobytes().hex():
        msg = (
            f"{journal} is damaged, so that the old version cannot be put back; copy the checkpoint anew, or see by "
            "its checksums that it is whole, then remove this file"
        )
        raise DeltaError(msg)


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


class _Part(NamedTuple):
    """The old items of a piece: at the places of `gap` in the bytes `start` to `stop` of the file `home`."""

    home: str
    start: int
    stop: int
    gap: Gap
    old: Array
    replaced: bool

    def is_old(self, data: Array) -> bool:
        return np.array_equal(taken(self.gap, data[self.start : self.stop], self.old.itemsize), self.old)


def _parts(journal: Path, body: mmap, inode: int) -> Iterator[_Part]:
    """What is to be put back. `inode`: of the journal, which differs where all was copied, with the checkpoint."""
    at = _BODY

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
        gap = Gap(gaps, byte_offsets, row_offsets, (rows, cols), check=False)
        was, beside = head["inodes"]
        replaced = beside == inode and was != os.stat(home).st_ino
        yield _Part(home, head["offset"], head["offset"] + head["bytes"], gap, old, replaced)


def _put_back(journal: Path, body: mmap, inode: int) -> None:
    homes = dict[str, None]()
    for part in _parts(journal, body, inode):  # all before the first is changed
        homes[part.home] = None
        with mapped(part.home, durable=False) as file:
            if len(file.data) < part.stop:
                msg = f"{part.home} is shorter than its journal says; {journal} is not of this checkpoint"
                raise DeltaError(msg)
            if part.replaced and not part.is_old(file.data):
                msg = (
                    f"{part.home} was replaced after a change in place had been interrupted, and is not the old version"
                    f"; if it is whole, as its checksums tell, and its other files are, remove {journal}"
                )
                raise DeltaError(msg)
            del file
    for part in _parts(journal, body, inode):
        with mapped(part.home, durable=False) as file:
            if not part.is_old(file.data):  # else it needs no room
                file.bring_items(part.gap, part.old.itemsize, part.start, part.stop)
                pieces.put(part.gap, part.old, file.data[part.start : part.stop])
            del file
    for home in homes:
        sync(home)
