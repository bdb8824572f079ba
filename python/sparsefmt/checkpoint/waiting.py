"""Where results wait until their file is laid out: in memory, small ones beyond that in a file without a name."""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import CheckpointError
from sparsefmt.checkpoint.writer import flat_bytes

SMALL = 1 << 20
"""Bytes up to which a result is written and read again in less time than it is made again."""

MOST = 1 << 30
"""Bytes of the file."""

Results = Iterable[tuple[str, Array | bytes]]


class Waiting:
    """Room for results that are to be written later.

    Args:
        folder: where the file is made, when it is needed.
        budget: bytes that may be held in memory.
    """

    def __init__(self, folder: Path, budget: int) -> None:
        self._folder = folder
        self._left = budget
        self._number: int | None = None
        self._end = 0

    def holds(self, nbytes: int) -> bool:
        """Whether so many bytes more may stay in memory, and counts them then."""
        if nbytes > self._left:
            return False
        self._left -= nbytes
        return True

    def spooled(self, results: Results, nbytes: int) -> Callable[[], Iterator[tuple[str, bytes]]] | None:
        """Puts arrays into the file; a call that yields their keys and bytes.

        None where they are not small, or the file has no room: they are to be made again.
        """
        if nbytes > SMALL or self._end + nbytes > MOST:
            return None
        parts = [(key, a if isinstance(a, bytes) else flat_bytes(a).tobytes()) for key, a in results]
        text = b"".join(data for _, data in parts)
        start = self._end
        with contextlib.suppress(OSError):
            if self._put(text, start):
                self._end += len(text)
                return lambda: self._read([(key, len(data)) for key, data in parts], start, len(text))
        return None

    def _put(self, text: bytes, start: int) -> bool:
        """Writes to the file; whether all of it was taken."""
        if self._number is None:
            with tempfile.TemporaryFile(prefix=".results-", suffix=".tmp", dir=self._folder) as file:
                self._number = os.dup(file.fileno())
        return os.pwrite(self._number, text, start) == len(text)

    def _read(self, parts: list[tuple[str, int]], start: int, size: int) -> Iterator[tuple[str, bytes]]:
        text = b"" if self._number is None else os.pread(self._number, size, start)
        if len(text) != size:
            msg = f"{self._folder}: results that waited there are gone; start again"
            raise CheckpointError(msg)
        at = 0
        for key, nbytes in parts:
            yield key, text[at : at + nbytes]
            at += nbytes

    def close(self) -> None:
        """Gives the file up."""
        if self._number is not None:
            os.close(self._number)
            self._number = None
