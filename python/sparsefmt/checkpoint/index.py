"""Which files of a folder make up a checkpoint: its index decides, else their names."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sparsefmt.base.errors import CheckpointError, CorruptFileError
from sparsefmt.io.paths import bytes_beside

INDEX = "model.safetensors.index.json"
WEIGHTS = ".safetensors"
_INDEX_NAME = re.compile(r".*\.safetensors\.index(\.[^.]+)?\.json")
_NUMBERED = re.compile(r"(?P<stem>.*?)-?(?P<number>\d+)-of-(?P<total>\d+)(?P<rest>.*)\.safetensors")


@dataclass(frozen=True)
class Layout:
    """The files of a checkpoint in a folder.

    Args:
        files: the shards, in the order of the index or of their names.
        index: the index file, if there is one.
        weight_map: what it says: the shard of every array; empty without an index.
        strays: weight files that the index does not name.
    """

    files: tuple[Path, ...]
    index: Path | None = None
    weight_map: Mapping[str, str] = field(default_factory=dict)
    strays: tuple[str, ...] = ()


_SINGLE = (".gguf", ".npz", ".npy", ".h5ad", ".h5", ".hdf5", ".onnx", ".mtx", ".mtx.gz")
"""Endings of files that are read one at a time, never as the shards of a folder."""


def is_index(name: str) -> bool:
    """Whether a file of this name is an index of safetensors shards, of a variant too ("...index.fp16.json")."""
    return _INDEX_NAME.fullmatch(name) is not None and not name.startswith(".")


def is_weights(name: str) -> bool:
    """Whether a file of this name holds safetensors; names that begin with a dot (AppleDouble) are no files."""
    return name.endswith(WEIGHTS) and not name.startswith(".")


def find_files(folder: Path, file: str | None = None) -> Layout:
    """Finds the shards of a folder.

    Args:
        folder: the folder.
        file: the name of one of its weight files, or of one of its index files, which decides alone.

    Raises:
        CheckpointError: there are none, several index files, or shards are missing.
    """
    names = sorted(p.name for p in folder.iterdir())
    weights = [n for n in names if is_weights(n)]
    indexes = [n for n in names if is_index(n)]
    if file is not None:
        if file not in weights + indexes:
            msg = f"{folder} has no weights or index {file!r}; have {', '.join(weights + indexes) or 'none'}"
            raise CheckpointError(msg)
        if file in weights:
            return Layout((folder / file,))
        indexes = [file]
    if len(indexes) > 1:
        msg = f"{folder}: {len(indexes)} index files ({', '.join(indexes)}); choose one: file= (--file)"
        raise CheckpointError(msg)
    if indexes:
        return indexed(folder / indexes[0], weights)
    if not weights:
        others = [n for n in names if n.endswith((".bin", ".pt", ".pth", ".ckpt"))]
        single = [n for n in names if n.endswith(_SINGLE) and not n.startswith(".")]
        hint = f"; {others[0]} is a pickle of PyTorch: save it as safetensors first" if others else ""
        hint = f"; {single[0]} is read by its own path, {folder / single[0]}" if single and not others else hint
        msg = f"{folder}: the folder holds no .safetensors file{hint}"
        raise CheckpointError(msg)
    check_numbers(folder, weights)
    return Layout(tuple(folder / n for n in weights))


def indexed(index: Path, weights: list[str]) -> Layout:
    """The shards that an index file names, in its order.

    Raises:
        CheckpointError: it is no index, it is empty, or a name leads out of the folder, or to no file, or it
            is a pipe.
    """
    try:
        found = json.loads(bytes_beside(index))
        weight_map = found["weight_map"] if isinstance(found, dict) else found
        if not isinstance(weight_map, dict) or not all(isinstance(n, str) for n in weight_map.values()):
            msg = f"got {str(weight_map)[:80]!r}"
            raise TypeError(msg)
        shards = list(dict.fromkeys(weight_map.values()))
        outside = [n for n in shards if Path(n).name != n or not n.endswith(WEIGHTS)]
    except CorruptFileError as e:
        raise CheckpointError(str(e)) from e
    except (ValueError, KeyError, TypeError, RecursionError) as e:
        why = "it has none" if isinstance(e, KeyError) else str(e)
        msg = f"{index}: want a JSON object with a weight_map from tensors to files: {why}"
        raise CheckpointError(msg) from e
    if not shards:
        msg = f"{index}: weight_map is empty; remove the index to read all weight files of the folder"
        raise CheckpointError(msg)
    for n in shards:
        if n in outside or not (index.parent / n).is_file():
            first = next(name for name, shard in weight_map.items() if shard == n)
            msg = (
                f"{index}: weight_map names {n!r} (for {first!r}), which is no safetensors file in this folder: "
                "the shard is missing; fetch it again"
            )
            raise CheckpointError(msg)
    named = set(shards)
    files = tuple(index.parent / n for n in shards)
    return Layout(files, index, weight_map, tuple(n for n in weights if n not in named))


def check_numbers(folder: Path, weights: list[str]) -> None:
    """Checks that of numbered shards ("model-00002-of-00003") none is missing.

    Raises:
        CheckpointError: one is.
    """
    for name in weights:
        found = _NUMBERED.fullmatch(name)
        if found is None:
            continue
        total, number = int(found["total"]), found["number"]
        first = 0 if any(other_number(name, found, 0) == n for n in weights) else 1
        if total > len(weights) + first:  # not counted one by one: it may be any number
            known = set(weights)
            at = next(i for i in range(first, total + first) if other_number(name, found, i) not in known)
            missing = [other_number(name, found, at)]
        else:
            missing = [n for i in range(first, total + first) if (n := other_number(name, found, i)) not in weights]
        if missing:
            msg = f"{folder}: shard {missing[0]} is missing ({name} is number {int(number)} of {total}); fetch it again"
            raise CheckpointError(msg)


def other_number(name: str, found: re.Match[str], number: int) -> str:
    """The name of the shard of another number."""
    start, end = found.span("number")
    return f"{name[:start]}{number:0{end - start}}{name[end:]}"
