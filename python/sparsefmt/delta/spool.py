"""Where deltas of whole checkpoints lie while they are made: mapped pages of a file without a name, not memory."""

import os
import tempfile
from mmap import ALLOCATIONGRANULARITY
from typing import IO

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.delta.pieces import Piece
from sparsefmt.io.mapping import writable
from sparsefmt.tensor.sparse import SparseTensor

HELD = 32 << 20
"""Bytes that stay in memory; what comes after them goes to the file."""
SEGMENT = 64 << 20
"""Bytes that are mapped at once, or what one array takes."""
_ALIGNMENT = 64


def contents(file: "tempfile.SpooledTemporaryFile[bytes]") -> Array:
    """What was written to a file that goes to the disk beyond `HELD` bytes; mapped where it went there."""
    size = file.tell()
    if size <= HELD:
        file.seek(0)
        return np.frombuffer(file.read(), np.uint8)
    file.flush()
    return np.frombuffer(writable(file.fileno(), size), np.uint8)


class Spool:
    """Keeps arrays: the first of them in memory, the others in a temporary file that goes with the last of them.

    The file lies where `tempfile` puts it (TMPDIR). Its pages are written back when memory is short.
    """

    __slots__ = ("_end", "_file", "_held", "_segment")

    def __init__(self) -> None:
        self._held = 0
        self._end = 0
        self._segment = np.zeros(0, np.uint8)
        self._file: IO[bytes] | None = None

    def room(self, nbytes: int) -> Array:
        """That many bytes, writable."""
        if not nbytes or self._held + nbytes <= HELD:
            self._held += nbytes
            return np.empty(nbytes, np.uint8)
        if nbytes > len(self._segment):
            self._segment = self._mapped(max(SEGMENT, nbytes))
        found = self._segment[:nbytes]
        self._segment = self._segment[-(-nbytes // _ALIGNMENT) * _ALIGNMENT :]
        return found

    def _mapped(self, nbytes: int) -> Array:
        """A new part of the file."""
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="sparsefmt-", suffix=".delta")  # noqa: SIM115
        nbytes = -(-nbytes // ALLOCATIONGRANULARITY) * ALLOCATIONGRANULARITY
        if hasattr(os, "posix_fallocate"):  # a full disk is an error here, and no signal later
            os.posix_fallocate(self._file.fileno(), self._end, nbytes)
        else:
            self._file.truncate(self._end + nbytes)
        memory = writable(self._file.fileno(), nbytes, self._end)
        self._end += nbytes
        return np.frombuffer(memory, np.uint8)

    def array(self, a: Array) -> Array:
        """A copy of a contiguous array of any shape."""
        found = self.room(a.nbytes)
        found[:] = np.ascontiguousarray(a).reshape(-1).view(np.uint8)
        return found.view(a.dtype).reshape(a.shape)

    def piece(self, p: Piece) -> Piece:
        """A copy of the steps of a piece."""
        steps = p.steps
        kept = SparseTensor.from_checked(steps.structure.map(self.array), steps.values.map(self.array), steps.shape)
        return Piece(p.at, p.start, p.count, kept)
