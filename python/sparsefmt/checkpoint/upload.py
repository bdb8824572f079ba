"""Results behind a URL: each shard is written here, uploaded and noted; the index comes last."""

from collections.abc import Iterable
from pathlib import Path

from sparsefmt.checkpoint.folder import DENSE_SUFFIXES, copy_side_files
from sparsefmt.checkpoint.index import is_index, is_weights
from sparsefmt.checkpoint.remote import RemotePath, remote

NOTES = ".sparsefmt.parts"
"""The folder of manifests beside shards that are not complete; removed at the end."""


def prepare(notes: RemotePath, want: str, *, resume: bool) -> None:
    """Makes the folder of manifests, or takes over one of the same plan."""
    note = notes / "plan"
    if note.exists():
        if resume and note.read_bytes() == want.encode():
            return
        notes.remove()
    note.write_bytes(want.encode())


def side_files(source: Path, made: Path) -> tuple[str, ...]:
    """Copies what belongs to a folder of weights besides them, from wherever it is; returns what was left out."""
    far = remote(source)
    if far is None:
        return copy_side_files(source, made)
    left = []
    for name, path in far.walk():
        first, last = name.partition("/")[0], name.rpartition("/")[2]
        if last.startswith("._") or first in (".git", ".cache", ".DS_Store", NOTES):
            continue
        if "/" not in name and (is_weights(last) or is_index(last)):
            continue
        if name.endswith((*DENSE_SUFFIXES, *(f"{s}.index.json" for s in DENSE_SUFFIXES))):
            left.append(name)
            continue
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        path.fetch(made / name)
    return tuple(left)


def uploaded(files: Iterable[Path], root: Path, out: RemotePath) -> None:
    """Uploads files below `root` to the same names below `out`."""
    for path in files:
        (out / path.relative_to(root).as_posix()).put(path)


def finish(staged: Path, out: RemotePath) -> None:
    """Uploads side files, and last the index files, which make the folder complete."""
    found = [p for p in sorted(staged.rglob("*")) if p.is_file()]
    indexes = [p for p in found if p.parent == staged and is_index(p.name)]
    uploaded((p for p in found if p not in indexes), staged, out)
    uploaded(indexes, staged, out)
