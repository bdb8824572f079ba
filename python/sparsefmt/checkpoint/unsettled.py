"""Files whose bytes are written, and that are yet to reach the disk and their place."""

import contextlib
import os
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Self

from sparsefmt.base.threads import Threads
from sparsefmt.checkpoint.early import EarlySync
from sparsefmt.io.atomic import sync_folder
from sparsefmt.io.paths import naming_file
from sparsefmt.io.temporary import Temporary, remove_dead


class Unsettled:
    """A new file, written through `number`, and then settled or discarded: once, by whichever thread comes first.

    Args:
        path: where it is to be; its folder must exist.

    Raises:
        OSError: it cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.target = path, Path(os.path.realpath(path))
        with naming_file(path):
            remove_dead(self.target.parent)
            self._temporary = Temporary(self.target.parent)
        self.number = self._temporary.number
        self._early = EarlySync(self.number)
        self._turn = [self._close]  # one thread takes it out

    def wrote(self, nbytes: int) -> None:
        """Takes note of bytes that were written.

        Raises:
            OSError: bytes before them did not reach the disk.
        """
        self._early.wrote(nbytes)

    def settle(self, then: Callable[[], None] = lambda: None) -> None:
        """Sees to it that the bytes are on the disk, gives the file its name there, and then makes the call.

        Nothing of that if it was discarded.

        Raises:
            OSError: something of it failed; the error names the file, and nothing is left of it if it has no name yet.
        """
        if (close := self._taken()) is None:
            return
        try:
            with naming_file(self.path):
                self._early.finish()
                os.fsync(self.number)
                self._temporary.replace(self.target)
                sync_folder(self.target.parent)
        finally:
            close()
        then()

    def discard(self) -> None:
        """Leaves nothing of it, unless it is settled, or about to be."""
        if (close := self._taken()) is not None:
            close()

    def _taken(self) -> Callable[[], None] | None:
        with contextlib.suppress(IndexError):
            return self._turn.pop()
        return None

    def _close(self) -> None:
        self._early.close()  # nothing may use the number of a closed file
        os.close(self.number)
        self._temporary.discard()


class SettleBehind:
    """Settles each file while the next one is made: one at a time, in order, the last before the block ends.

    What a file fails with is raised when the next one comes, or at the end of the block: before an error of the next
    one, which would not have been made, but not in place of what ends the program.

    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> with SettleBehind() as behind:
    ...     behind.settle(Unsettled(folder / "w"), lambda: print("settled"))
    settled
    """

    def __init__(self) -> None:
        self._thread = Threads(1, "sparsefmt-behind")
        self._last: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def settle(self, file: Unsettled, then: Callable[[], None]) -> None:
        """Takes a file over, once the one before is settled.

        Raises:
            OSError: that one could not be; this one is discarded.
        """
        try:
            self._wait()
            self._last = self._thread.submit(file.settle, then)
        except BaseException:
            file.discard()
            raise

    def _wait(self) -> None:
        last, self._last = self._last, None  # an error is raised once
        if last is not None:
            last.result()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None or isinstance(error, Exception):
                self._wait()
        finally:
            self._thread.shutdown()


def settle(file: Unsettled, then: Callable[[], None], behind: SettleBehind | None) -> None:
    """Settles a file: now, or behind.

    Raises:
        OSError: this one, or the one before, could not be settled.
    """
    if behind is None:
        file.settle(then)
    else:
        behind.settle(file, then)
