"""Writing a file whole or not at all."""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from sparsefmt.base.errors import FormatError
from sparsefmt.io.paths import checked_path, naming_file
from sparsefmt.io.temporary import Temporary, remove_dead


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A new file to write (and read), which takes the place of `path` when the block ends without an error.

    The bytes go to a temporary file in the same folder, reach the disk, and are renamed. Temporary files of writers
    that were killed are removed first. Whoever has the old file
    open or mapped keeps it. A file that is replaced hands on its mode, and its owner and extended attributes where the
    system permits; a new one honours the umask. A symbolic link is followed. Errors of the system name the file.

    Raises:
        FileNotFoundError: the folder does not exist.
        IsADirectoryError: `path` is a folder.
        FormatError: `path` is neither a file nor free, e.g. a device, or holds a NUL.
        TypeError: it is no path, e.g. an open file.
    """
    target = Path(os.path.realpath(checked_path(path)))
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "the folder does not exist", str(target.parent))
    mode, old = None, None
    with contextlib.suppress(FileNotFoundError):
        old = target.stat()
        mode = old.st_mode
    if mode is not None and stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "a folder stands where the file would go", str(target))
    if mode is not None and not stat.S_ISREG(mode):
        msg = f"{target} is neither a file nor free"
        raise FormatError(msg)
    remove_dead(target.parent)
    with naming_file(target):
        temporary = Temporary(target.parent)
    try:
        with open(temporary.number, "w+b") as file:
            if old is not None:
                hand_on(old, target, temporary.number)
            yield file
            file.flush()
            os.fsync(temporary.number)
            temporary.replace(target)
    except BaseException as e:
        temporary.discard()
        if isinstance(e, OSError) and e.filename is None and e.errno is not None:  # a full disk
            raise OSError(e.errno, e.strerror or os.strerror(e.errno), str(target)) from e
        raise
    sync_folder(target.parent)


def hand_on(old: os.stat_result, target: Path, made: int | Path) -> None:
    """Gives a new file or folder owner, extended attributes and mode of the old one, as far as that is permitted."""
    with contextlib.suppress(OSError):
        os.chown(made, old.st_uid, old.st_gid)
    if hasattr(os, "listxattr"):
        with contextlib.suppress(OSError):
            for name in os.listxattr(target):
                with contextlib.suppress(OSError):
                    os.setxattr(made, name, os.getxattr(target, name))
    os.chmod(made, stat.S_IMODE(old.st_mode))  # last: a new owner clears bits


def sync_folder(folder: Path) -> None:
    """Makes the rename reach the disk, where the file system can say so."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    except OSError as e:
        if e.errno not in (errno.EINVAL, errno.ENOTSUP):
            e.filename = str(folder)
            raise
    finally:
        os.close(number)
