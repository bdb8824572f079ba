"""The models of a merge on disk: named by path and version, so that jobs travel, and opened once in a process."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakValueDictionary

from sparsefmt.base.errors import MergeError
from sparsefmt.checkpoint.model import Checkpoint, open_checkpoint
from sparsefmt.checkpoint.snapshot import Identity
from sparsefmt.merge.stepped import TunedCheckpoint

Opened = Checkpoint | TunedCheckpoint
Key = tuple[str, tuple[Identity, ...]]

_MOST_FILES = 256

_open: WeakValueDictionary[Key, Opened] = WeakValueDictionary()
"""What somebody in this process holds: a plan, or the line below."""
_kept: dict[Key, Opened] = {}
"""What jobs opened in a process that has no plan, the last used last."""


@dataclass(frozen=True, slots=True)
class Model:
    """A checkpoint by its path, as it was when the plan was made."""

    label: str
    path: str
    identities: tuple[Identity, ...]
    base: str | None = None
    """Where this is a delta, the path of what it leads from."""

    @classmethod
    def of(cls, label: str, checkpoint: Opened) -> "Model":
        """The model of an open checkpoint; jobs of this process use that one as long as the caller holds it."""
        path = str(checkpoint.path.absolute())
        base = str(checkpoint.anchor.path.absolute()) if isinstance(checkpoint, TunedCheckpoint) else None
        found = cls(label, path, tuple(identities(checkpoint)), base)
        _open[path, found.identities] = checkpoint
        return found

    def open(self) -> Opened:
        """The checkpoint, opened once in each process.

        Raises:
            MergeError: it is not the one that the plan was made for.
        """
        key = (self.path, self.identities)
        found = _open.get(key)
        if found is None:
            found = open_checkpoint(self.path if self.base is None else self.base)
            if self.base is not None and isinstance(found, Checkpoint):
                found = TunedCheckpoint(Path(self.path), found)
            if tuple(identities(found)) != self.identities:
                msg = f"{self.path} changed after the plan was made; start again"
                raise MergeError(msg)
            _open[key] = found
            _keep(key, found)
        elif key in _kept:
            _kept[key] = _kept.pop(key)
        return found


def identities(checkpoint: Opened) -> Iterator[Identity]:
    """What tells this version from others: of all its files, and of the file of a delta."""
    if isinstance(checkpoint, TunedCheckpoint):
        yield checkpoint.identity
    for source in checkpoint.sources:
        yield source.identity


def _keep(key: Key, checkpoint: Opened) -> None:
    """Holds a checkpoint for the next job, and lets go of those that were not used for longest."""
    _kept[key] = checkpoint
    files = sum(len(c.sources) for c in _kept.values())
    for old in list(_kept)[:-1]:
        if files <= _MOST_FILES:
            break
        files -= len(_kept.pop(old).sources)
