"""Files that reach the disk while they are still being written, so that the wait at their end is short."""

import os
from concurrent.futures import Future

from sparsefmt.base.threads import Threads

EVERY = 32 << 20
"""Bytes after which what is written is sent on its way."""


class EarlySync:
    """Sends the data of a file to the disk beside its writer, a stretch at a time.

    An error of the disk is told once for each open file, to whoever asks first: here, so that it is kept for `finish`.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.written = 0
        self.thread: Threads | None = None
        self.last: Future[None] | None = None

    def wrote(self, nbytes: int) -> None:
        """Takes note of bytes that were written.

        Raises:
            OSError: bytes before them did not reach the disk.
        """
        self.written += nbytes
        if self.written < EVERY or not hasattr(os, "fdatasync"):
            return
        if self.last is not None:
            if not self.last.done():
                return
            self.last.result()
        self.written = 0
        self.thread = self.thread or Threads(1)
        self.last = self.thread.submit(os.fdatasync, self.number)

    def finish(self) -> None:
        """Waits for what is under way.

        Raises:
            OSError: some bytes did not reach the disk.
        """
        if self.last is not None:
            self.last.result()

    def close(self) -> None:
        """Ends the thread, once what is under way is done."""
        if self.thread is not None:
            self.thread.shutdown()
