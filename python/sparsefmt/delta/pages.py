"""Files under a mapping that is written: every page has its room on the disk before a byte of it changes.

A store to a mapped page for which the disk has no room is no error but a signal, which ends the process. So the pages
that will be written are asked for first, and what the system has to say about them is an error.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from mmap import PAGESIZE, mmap

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.delta.pieces import places
from sparsefmt.io.mapping import writable
from sparsefmt.structures.gap import Gap

_POPULATE_WRITE = 23
"""`madvise` of Linux 5.14 and later: makes pages writable, or says that they cannot be."""
_CROWDED = 2
"""Slots per page, on average, from which on few pages are without any: then all are asked for."""


@dataclass(frozen=True, slots=True)
class Mapped:
    """The bytes of a file, writable, in place."""

    data: Array
    memory: mmap
    path: str
    number: int

    def bring(self, start: int, stop: int) -> None:
        """Gives room on the disk to the pages of these bytes.

        Raises:
            OSError: there is none, or the disk is broken; no byte has changed.
        """
        first = start // PAGESIZE * PAGESIZE
        try:
            self.memory.madvise(_POPULATE_WRITE, first, stop - first)
        except (OSError, AttributeError):  # an older or another system, or the reason is not told
            for at in range(first, stop, PAGESIZE):
                os.pwrite(self.number, os.pread(self.number, 1, at), at)

    def bring_items(self, gap: Gap, itemsize: int, start: int, stop: int) -> None:
        """Gives room to the pages of the items that `gap` names in a piece, the bytes `start..stop`.

        Raises:
            OSError: as `bring`.
        """
        if gap.slots * PAGESIZE >= _CROWDED * (stop - start):
            self.bring(start, stop)
            return
        pages = np.unique((start + places(gap) * itemsize) // PAGESIZE)
        breaks = np.flatnonzero(np.diff(pages) > 1) + 1
        for run in np.split(pages, breaks) if len(pages) else ():
            self.bring(int(run[0]) * PAGESIZE, min((int(run[-1]) + 1) * PAGESIZE, len(self.data)))


@contextlib.contextmanager
def mapped(path: str, durable: bool = True) -> Iterator[Mapped]:
    """The bytes of a file; where `durable`, they reach the disk when the block ends without an error."""
    with open(path, "r+b") as file:
        memory = writable(file.fileno(), os.fstat(file.fileno()).st_size)
        try:
            yield Mapped(np.frombuffer(memory, np.uint8), memory, path, file.fileno())
            if durable:
                memory.flush()
        finally:
            with contextlib.suppress(BufferError):  # views that still live close it when they go
                memory.close()
    if durable:
        sync(path)


def sync(path: str) -> None:
    """Waits until a file has reached the disk."""
    number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)
