"""Checkpoints as the arrays of their files: a delta need not know what they mean."""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import DeltaError
from sparsefmt.checkpoint.model import Checkpoint, open_checkpoint
from sparsefmt.delta.change import DTYPES, Parts
from sparsefmt.io.container import Container, reading
from sparsefmt.io.dtypes import VIEWS, stored_as

Layout = Mapping[str, Any]
"""What is in which file: {"folder": bool, "index": name or None, "shards": {name: {"metadata": texts, "arrays":
{key: [dtype as the container calls it, shape]}}}}."""


class Arrays(Mapping[str, Array]):
    """The arrays of all files of a checkpoint by key, mapped; of a dtype that NumPy lacks their bytes, flat uint8."""

    def __init__(self, model: Checkpoint, files: Mapping[str, Container]) -> None:
        self.model, self.files = model, files
        index = model.layout.weight_map if model.layout is not None and model.layout.index is not None else None
        self.where = dict(index) if index is not None else {k: n for n, f in files.items() for k in f.stored}

    def __getitem__(self, key: str) -> Array:
        file = self.files[self.where[key]]
        stored = file.stored[key]
        return file.array(key) if stored.dtype in VIEWS else file.fetch(stored.start, stored.end)

    def __iter__(self) -> Iterator[str]:
        return iter(self.where)

    def __len__(self) -> int:
        return len(self.where)

    @property
    def layout(self) -> Layout:
        """Which file holds what."""
        layout = self.model.layout
        shards: dict[str, Any] = {}
        for name, file in self.files.items():
            arrays = {k: [s.dtype, list(s.shape)] for k, s in file.stored.items() if self.where.get(k) == name}
            shards[name] = {"metadata": dict(file.metadata), "arrays": arrays}
        index = layout.index.name if layout is not None and layout.index is not None else None
        return {"folder": layout is not None, "index": index, "shards": shards}

    def kind(self, key: str) -> tuple[str, tuple[int, ...]]:
        """The container's dtype, and the shape."""
        stored = self.files[self.where[key]].stored[key]
        return stored.dtype, stored.shape


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[Arrays]:
    """The arrays of the checkpoint at `path`, a safetensors file or a folder of them; one snapshot.

    Raises:
        DeltaError: files of another kind.
        CheckpointError: its index and its shards contradict each other, or a file changed while it was open.
    """
    with open_checkpoint(path) as model, ExitStack() as stack:
        if any(source.path.suffix != ".safetensors" for source in model.sources):
            msg = f"{model.path}: a {model.reader} file; deltas are between safetensors: sparsefmt unpack makes one"
            raise DeltaError(msg)
        files = {source.path.name: stack.enter_context(reading(source.path)) for source in model.sources}
        for file in files.values():
            file.fetch(0, 0)  # mapped now, so that the arrays outlive this block
        yield Arrays(model, files)
        model.check()


def new_layout(parts: Parts, base: Arrays, ends: tuple[Layout, Layout] | None) -> Layout:
    """The layout of the new version; `ends` are those of both versions that the delta knows.

    As the delta says, where it leads from a folder as the base is one, or from a file; else as the base, with what came
    in its last file.
    """
    layout = base.layout
    if ends is not None and ends[0]["folder"] == layout["folder"]:
        return ends[1]
    shards = [] if ends is None else ends[1]["shards"].values()
    kinds = {name: kind for shard in shards for name, kind in shard["arrays"].items()}  # also of what NumPy lacks
    last: dict[str, Any] = {}
    for shard in layout["shards"].values():
        for name in [k for k in shard["arrays"] if k in parts.wholes]:
            del shard["arrays"][name]
        last = shard["arrays"]
    for name, whole in parts.wholes.items():
        if whole.new is not None:
            last[name] = kinds.get(name) or [stored_as(whole.new.dtype)[0], list(whole.new.shape)]
    return layout


def is_path(value: object) -> bool:
    """Whether it names a file or a folder."""
    return isinstance(value, (str, os.PathLike))


def checked_layout(value: object) -> Layout:
    """A layout as it came from JSON.

    Raises:
        DeltaError: it is none, or a file name leads elsewhere.
    """
    try:
        assert isinstance(value, dict)
        for name, shard in value["shards"].items():
            if not is_file_name(name):
                msg = f"the delta names a file {name[:60]!r} that is none of a checkpoint's"
                raise DeltaError(msg)
            for dtype, shape in shard["arrays"].values():
                assert isinstance(dtype, str)
                assert all(type(n) is int and n >= 0 for n in shape)
            assert all(isinstance(t, str) for pair in shard["metadata"].items() for t in pair)
        index = value["index"]
        assert index is None or (isinstance(index, str) and Path(index).name == index)
        return {"folder": bool(value["folder"]), "index": index, "shards": value["shards"]}
    except (AssertionError, KeyError, TypeError, ValueError, AttributeError):
        msg = "the layout of files in the delta makes no sense"
        raise DeltaError(msg) from None


def is_file_name(value: object) -> bool:
    """Whether it is text that names a file in a folder, and none elsewhere."""
    return isinstance(value, str) and value not in ("", ".", "..") and Path(value).name == value


def flat(a: Array) -> Array:
    """The bytes of an array."""
    return np.ascontiguousarray(a).reshape(-1).view(np.uint8)


__all__ = ["DTYPES", "Arrays", "Layout", "checked_layout", "flat", "is_file_name", "is_path", "new_layout", "opened"]
