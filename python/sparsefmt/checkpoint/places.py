"""Where a result may be written."""

import errno
from pathlib import Path

from sparsefmt.base.errors import CheckpointError
from sparsefmt.checkpoint.folder import check_movable, followed
from sparsefmt.checkpoint.remote import remote
from sparsefmt.io.paths import check_parent, real


def overlap(source: Path, out: Path) -> bool:
    """Whether a result would be its input, or lie inside or around it."""
    a, b = real(source), real(out)
    return a == b or (a.is_dir() and a in b.parents) or b in a.parents


def check_free(out: Path, *, overwrite: bool) -> None:
    """Refuses to replace what is there, or cannot be."""
    if out.exists() and not overwrite:
        raise FileExistsError(errno.EEXIST, "exists; overwrite=True replaces it", str(out))
    if remote(out) is None:
        check_movable(out)


def check_kind(out: Path, *, folder: bool) -> None:
    """Refuses a folder in the place of a file, and the other way; `folder`: the result is one."""
    if out.exists() and remote(out) is None and out.is_dir() is not folder:
        kinds = ("folder", "file") if folder else ("file", "folder")
        msg = f"the result is a {kinds[0]}, but {out} is a {kinds[1]}; write to another path"
        raise CheckpointError(msg)


def check_paths(source: Path, out: Path, *, overwrite: bool, folder: bool) -> None:
    """Refuses a result that would fall on the input, or on something else; `folder`: it is one."""
    near = (remote(source) is None) == (remote(out) is None)
    if near and out.exists() and source.exists() and out.samefile(source):
        msg = f"the result would replace its input, {source}; write to another path"
        raise CheckpointError(msg)
    if folder and remote(source) is None and remote(out) is None:
        a, b = real(source), real(out)
        if a in b.parents or b in a.parents:
            msg = f"the result {out} would be inside its input {source}, or around it; write to another folder"
            raise CheckpointError(msg)
    check_kind(out, folder=folder)
    check_free(out, overwrite=overwrite)
    if remote(out) is None:
        check_parent(followed(out))
