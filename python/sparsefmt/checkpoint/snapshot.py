"""Whether a file is still the one that was opened."""

import os
from dataclasses import dataclass
from pathlib import Path

from sparsefmt.base.errors import CheckpointError


@dataclass(frozen=True, slots=True)
class Identity:
    """What tells one version of a file from another: device, inode, bytes, nanoseconds of the last change."""

    device: int
    inode: int
    size: int
    mtime: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Identity":
        """The identity that `os.stat` or `os.fstat` reports."""
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def check_unchanged(path: Path, opened: Identity) -> None:
    """Checks that `path` still leads to the file that was opened, and that nobody wrote into it.

    Args:
        path: of the file.
        opened: its identity when it was opened.

    Raises:
        CheckpointError: it was replaced, changed or removed.
    """
    try:
        now = Identity.of(path.stat())
    except FileNotFoundError:
        msg = f"{path} was removed while it was read; read it again when its writer is done"
        raise CheckpointError(msg) from None
    if (now.device, now.inode) != (opened.device, opened.inode):
        msg = f"{path} was replaced by another file while it was read; read it again when its writer is done"
        raise CheckpointError(msg)
    if now != opened:  # of one inode, so that the open file says the same
        msg = (
            f"{path} was changed while it was read ({opened.size} bytes then, {now.size} now); "
            "read it again when its writer is done"
        )
        raise CheckpointError(msg)
