"""A new checkpoint from an old one and a delta, as a stream: checked at both ends, whole or not at all."""

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import DeltaError
from sparsefmt.checkpoint.folder import copy_side_files, new_folder, write_index
from sparsefmt.checkpoint.places import check_paths
from sparsefmt.checkpoint.writer import ShardWriter
from sparsefmt.delta.apply import check_names, check_whole, fitting, streamed
from sparsefmt.delta.change import Change, Parts
from sparsefmt.delta.disk import Arrays, Layout, new_layout, opened

Progress = Callable[[str, int], None]


def rewrite(
    parts: Parts,
    layouts: tuple[Layout, Layout] | None,
    old: str | os.PathLike[str],
    out: str | os.PathLike[str],
    progress: Progress,
) -> Path:
    """Writes the new version of the checkpoint `old` to `out`.

    In files as the delta says, where it leads from a folder as `old` is one, or from a file; else in files as `old` has
    them. A folder gets the side files of the old one. At most a piece of a tensor is held at a time.

    Raises:
        DeltaError: `old` is another version, or the result is not what the delta promises; `out` is as it was.
        CheckpointError: `out` would be in the folder `old`, or around it, or is a file where a folder goes.
    """
    target = Path(out)
    with opened(old) as base:
        check_names(parts, set(base))
        for name, whole in parts.wholes.items():
            check_whole(whole, base[name] if whole.old_sum is not None else None, name)
        folders = base.model.layout is not None
        check_paths(base.model.path, target, overwrite=True, folder=folders)
        made = new_layout(parts, base, layouts)
        _check_layout(made, parts)
        if not made["folder"]:
            (shard,) = made["shards"].values()
            _write(target, shard, parts, base, progress)
            base.model.check()
            return target
        with new_folder(target) as folder:
            weight_map, total = dict[str, str](), 0
            for name, shard in made["shards"].items():
                total += _write(folder / name, shard, parts, base, progress)
                weight_map |= dict.fromkeys(shard["arrays"], name)
            if made["index"] is not None:
                write_index(folder, weight_map, total, made["index"])
            base.model.check()
            if folders:
                copy_side_files(base.model.path, folder)
                shutil.copymode(base.model.path, folder)
    return target


def _check_layout(made: Layout, parts: Parts) -> None:
    held = sorted(key for shard in made["shards"].values() for key in shard["arrays"])
    want = sorted({*parts.changes, *(name for name, w in parts.wholes.items() if w.new_sum is not None)})
    if held != want:
        odd = sorted({*held} ^ {*want})[:3]
        msg = f"the delta is damaged: its files and its tensors differ in {odd or 'tensors that lie in two files'}"
        raise DeltaError(msg)


def _write(path: Path, shard: Mapping[str, Any], parts: Parts, base: Arrays, progress: Progress) -> int:
    """Writes a shard; gives the bytes of its arrays."""
    slots = [(key, dtype, tuple(shape)) for key, (dtype, shape) in shard["arrays"].items()]
    total = 0
    with ShardWriter(path, slots, shard["metadata"]) as writer:
        for key, *_ in slots:
            if key in parts.changes:
                nbytes = _stream(writer, key, parts.changes[key], base[key])
            else:
                new = parts.wholes[key].arrived(key)
                writer.write(key, new)
                nbytes = new.nbytes
            total += nbytes
            progress(key, nbytes)
    return total


def _stream(writer: ShardWriter, key: str, change: Change, base: Array) -> int:
    """Writes the new version of a tensor piece by piece, and checks the old and the new one on the way."""
    for part in streamed(change, fitting(change, base, key), key):
        writer.write(key, part)
    return base.nbytes
