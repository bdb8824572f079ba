"""Files that are not whole yet: without a name where the system can, else with one that tells whether its writer lives.

A writer holds a lock (flock) on its temporary file, which the system takes away when the writer ends, however it does.
So a file of that name which nobody has locked is of a dead writer, and the next one removes it.
"""

import contextlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:
    LOCKS = False  # nothing is removed there
else:
    LOCKS = True

PREFIX, SUFFIX = ".sparsefmt-", ".held.tmp"
JOURNAL = ".sparsefmt-undo"
"""The end of the names of journals of changes in place."""


class Temporary:
    """A new file in a folder, to be written through `number`, locked while it is open.

    Args:
        folder: where it will be put in place.

    Raises:
        OSError: it cannot be made.
    """

    __slots__ = ("_folder", "_name", "number")

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._name: Path | None = None
        try:
            self.number = os.open(folder, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o666)
        except (OSError, AttributeError):  # not on every file system
            self.number = self._named()

    def _free(self) -> Path:
        return self._folder / f"{PREFIX}{secrets.token_hex(8)}{SUFFIX}"

    def _named(self) -> int:
        while True:
            self._name = self._free()
            number = os.open(self._name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            _lock(number, wait=True)
            if os.fstat(number).st_nlink:  # nobody took it for a dead one's before it was locked
                return number
            os.close(number)

    def replace(self, target: Path) -> None:
        """Gives it the name `target`, in place of what has it.

        Raises:
            OSError: there is no room for a name, or it may not be replaced.
        """
        try:
            if self._name is None:
                self._name = self._linked()
            os.replace(self._name, target)
        except OSError as e:
            e.filename, e.filename2 = str(target), None  # nobody knows the other name
            raise
        self._name = None

    def _linked(self) -> Path:
        """The name that it has from now on."""
        _lock(self.number)
        name = self._free()
        place = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:  # with a folder, Python follows the link that stands for the open file
            os.link(f"/proc/self/fd/{self.number}", name.name, dst_dir_fd=place)
        finally:
            os.close(place)
        return name

    def discard(self) -> None:
        """Removes its name, if it has one."""
        if self._name is not None:
            with contextlib.suppress(FileNotFoundError):
                self._name.unlink()


def _lock(number: int, *, wait: bool = False) -> bool:
    """Locks an open file if nobody else has, or when they let it go; False: not, or the file system has no locks."""
    if not LOCKS:
        return False
    try:
        fcntl.flock(number, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True


def is_held(number: int) -> bool:
    """Locks an open file; True: somebody else has. Where the file system has no locks, nobody has."""
    if not LOCKS:
        return False
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def home_of(path: str | os.PathLike[str]) -> Path:
    """The checkpoint itself, where a link leads to its file: under any name, it has one journal."""
    where = Path(path)
    return where if where.is_dir() else Path(os.path.realpath(where))


def journal_of(path: str | os.PathLike[str]) -> Path:
    """Where the journal of a checkpoint that is changed in place lies: beside the file, or in the folder."""
    where = home_of(path)
    return where / JOURNAL if where.is_dir() else where.parent / f".{where.name}{JOURNAL}"


def journals(path: Path) -> dict[Path, bool]:
    """The journals of a checkpoint, of its files, and of the folder that it lies in; whether a process holds them."""
    found = {journal_of(path), (path if path.is_dir() else path.parent) / JOURNAL}
    if path.is_dir():
        found |= {p for p in path.iterdir() if p.name.endswith(JOURNAL)}
    held = {}
    for journal in sorted(found):
        try:
            number = os.open(journal, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0))
        except FileNotFoundError:
            continue
        except OSError:  # of another user
            held[journal] = False
            continue
        held[journal] = is_held(number)
        os.close(number)
    return held


@contextlib.contextmanager
def held_folder(beside: Path) -> Iterator[Path]:
    """A new folder in another, locked while the block runs, and removed after it.

    What writers that were killed left there is removed first.

    Raises:
        OSError: it cannot be made.
    """
    remove_dead(beside)
    while True:
        room = Path(tempfile.mkdtemp(SUFFIX, PREFIX, beside))
        with contextlib.suppress(FileNotFoundError):  # somebody took it for a dead one's before it was locked
            number = os.open(room, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            _lock(number, wait=True)
            if os.fstat(number).st_nlink:
                break
            os.close(number)
    try:
        yield room
    finally:
        os.close(number)
        shutil.rmtree(room)


def dead(folder: Path) -> Iterator[Path]:
    """Temporary files, or folders, in a folder whose writers have ended; none where the file system has no locks."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(PREFIX) and entry.name.endswith(SUFFIX):
                with contextlib.suppress(OSError):
                    number = os.open(entry.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
                    try:
                        if _lock(number):
                            yield Path(entry.path)
                    finally:
                        os.close(number)


def remove_dead(folder: Path) -> list[Path]:
    """Removes the temporary files and folders of writers that have ended; those that were removed."""
    removed = []
    for path in dead(folder):
        with contextlib.suppress(OSError):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
            removed.append(path)
    return removed
