"""Where the results of jobs wait beside their place, until all are done: the folder that a later run goes on from."""

import contextlib
import errno
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sparsefmt.base.errors import CheckpointError
from sparsefmt.io.atomic import hand_on
from sparsefmt.io.holding import LOCK, holding
from sparsefmt.io.paths import put_text
from sparsefmt.kernels.checksum import checksum

FACTS = "facts"
"""The note, among the manifests, of what a look at the whole input found out."""

_CHECK = "checksum"


class Parts:
    """The folder of parts of the result `out`.

    Each plan has a room of its own in it, so that workers that a run of another plan has left behind write nothing into
    it: their room is gone.

    Args:
        out: path of the result.

    Attributes:
        old: where an older result is for an instant.
        made: finished files of the plan.
        notes: their manifests.
        pieces: what several workers made of one shard, with a manifest for each.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.path = out.absolute().parent / f".{out.name}.parts"
        self.old = self.path / "old"
        self._enter(self.path)

    def _enter(self, room: Path) -> None:
        self.made, self.notes, self.pieces = room / "new", room / "manifests", room / "pieces"

    @contextlib.contextmanager
    def held(self, *, lend: bool = False) -> Iterator[None]:
        """Only this run writes here, with all its workers, while the block runs; `lend`: and runs within it.

        Raises:
            BusyError: another run does.
            CheckpointError: a link has the name of the folder.
        """
        if self.path.is_symlink():
            msg = f"{self.path} is a link, and this is a folder that runs clear; remove the link"
            raise CheckpointError(msg)
        with holding(self.path, self.out, lend=lend):
            if self.old.exists() and not self.out.exists():  # a run was killed between two renames
                self.old.rename(self.out)
            yield

    def enter(self, want: str) -> None:
        """From here on this is the room of the plan `want`, a digest."""
        self._enter(self.path / want[:16])

    def prepare(self, *, resume: bool) -> None:
        """Makes the room, or takes over what is whole in it; others go."""
        if not (resume and self.notes.is_dir()):
            self._empty()
        for folder in (self.made, self.notes, self.pieces):
            folder.mkdir(parents=True, exist_ok=True)
            sweep(folder)
            keep_files(folder)
        keep_files(self.made, {path.stem for path in self.notes.glob("*.json")})

    @property
    def worth(self) -> bool:
        """Whether there is something that a later run of the plan goes on from."""
        shards = any((self.made / note.stem).exists() for note in self.notes.glob("*.json"))
        survey = self.made.is_dir() and (self.notes / FACTS).exists()
        return shards or survey or any(self.pieces.glob("*.json"))

    def remove(self, *, quietly: bool = False) -> None:
        """Removes all that is in the folder, and the folder when it is no longer held."""
        self._empty(quietly=quietly)
        with contextlib.suppress(OSError):  # the lock is in it
            self.path.rmdir()

    def _empty(self, *, quietly: bool = False) -> None:
        with contextlib.suppress(OSError if quietly else FileNotFoundError):
            for path in list(self.path.iterdir()):
                if path.is_dir() and not path.is_symlink():
                    remove_room(path, quietly=quietly)
                elif path.name != LOCK:
                    path.unlink()


def sweep(folder: Path) -> None:
    """Removes what runs and workers that were killed left; a worker that still runs may do so itself right now."""
    for stray in folder.glob(".*.tmp"):
        if stray.is_dir():
            shutil.rmtree(stray, ignore_errors=True)
        else:
            stray.unlink(missing_ok=True)


def keep_files(folder: Path, names: set[str] | None = None) -> None:
    """Removes what is no file of these names, such as what an earlier run copied beside them; None: of any name."""
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):  # a worker that still runs has renamed it
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.is_symlink() or not path.is_file() or (names is not None and path.name not in names):
                path.unlink()


def remove_room(path: Path, *, quietly: bool) -> None:
    """Removes a folder which workers that were left behind may still write into, as long as it has its name."""
    gone = path.with_name(f"{secrets.token_hex(8)}.gone")
    path.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)  # some of it they may remove themselves
    if gone.exists():
        shutil.rmtree(gone, ignore_errors=quietly)


def note(manifest: Path, found: Mapping[str, Any]) -> None:
    """Writes the manifest of a part that is whole and on the disk."""
    temporary = manifest.with_suffix(f".{os.getpid()}.tmp")
    put_text(temporary, note_text(found))
    temporary.replace(manifest)


def note_text(found: Mapping[str, Any]) -> str:
    """The text of a manifest, which tells what was changed in it."""
    return json.dumps({**found, _CHECK: checksum(json.dumps(found).encode())})


def noted(manifest: Path) -> dict[str, Any] | None:
    """What a manifest says; None where there is none that is whole."""
    try:
        found = json.loads(manifest.read_bytes())
        check = found.pop(_CHECK)
        return found if check == checksum(json.dumps(found).encode()) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def put_file(made: Path, out: Path) -> None:
    """Renames a finished file to its place; one that is replaced hands on what `hand_on` says, a link is followed."""
    target = Path(os.path.realpath(out))
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, "a folder stands where the file would go", str(target))
    with contextlib.suppress(FileNotFoundError):
        hand_on(target.stat(), target, made)
    os.replace(made, target)
