"""Tensors of a merge in files: opened where they are needed, read by stretches, written shard by shard."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import MergeError
from sparsefmt.base.threads import Threads
from sparsefmt.checkpoint.writer import ShardWriter
from sparsefmt.io.dtypes import is_stored
from sparsefmt.kernels.settings import get_num_threads
from sparsefmt.merge.inputs import Group, float_dtype, not_merged
from sparsefmt.merge.method import Facts, Settings
from sparsefmt.merge.opened import Model, Opened
from sparsefmt.merge.recipe.outline import Output
from sparsefmt.merge.registry import method_named
from sparsefmt.merge.stack import Merger, Stack, chunks_of

Advance = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class Target:
    """A tensor to be merged: what it is made of, and what it becomes."""

    output: Output
    shape: tuple[int, ...]
    dtype: str
    compute: str
    truncate: bool = False

    @property
    def nbytes(self) -> int:
        """Bytes of the result."""
        return int(np.prod(self.shape, dtype=np.int64)) * float_dtype(self.dtype).itemsize


@dataclass(frozen=True, slots=True)
class StackAt:
    """A stack that is opened where it is asked for."""

    models: tuple[Model, ...]
    target: Target

    def group(self) -> Group:
        """The values of the tensor in all models."""
        opened = {m.label: m.open() for m in self.models}
        output = self.target.output
        base = None if output.base is None else opened[output.base.model][output.base.name]
        found = Group(
            output.name, base, tuple(opened[p.model][p.name] for p in output.models),
            tuple(p.model for p in output.models), self.target.truncate,
        )  # fmt: skip
        return found.checked()

    def __call__(self) -> Stack:
        """The stack."""
        return replace(self.group().stack(self.target.compute), shape=self.target.shape)


@dataclass(frozen=True, slots=True)
class MergeJob:
    """One shard of the result: picklable, and small; tensors never travel."""

    models: tuple[Model, ...]
    targets: tuple[Target, ...]
    facts: tuple[Facts, ...]
    out: Path
    manifest: Path
    threads: int = 0
    owner: int = 0
    fmt: str = ""
    """The format that matrices are packed in; empty: none."""

    @property
    def label(self) -> str:
        """What its progress is called."""
        return self.out.name

    @property
    def nbytes(self) -> int:
        """Of the tensors of the result."""
        return sum(target.nbytes for target in self.targets)

    def check(self) -> None:
        """Raises CheckpointError where a model changed meanwhile."""
        for model in self.models:
            model.open().check()


def write_tensor(source: StackAt, facts: Facts, writer: ShardWriter) -> None:
    """Merges a tensor chunk by chunk into the file."""
    target = source.target
    name, dtype = target.output.name, float_dtype(target.dtype)
    merger = merger_of(source, facts)
    if isinstance(merger, np.ndarray):
        writer.write(name, np.ascontiguousarray(merger))
        return
    chunks = list(chunks_of(int(np.prod(target.shape, dtype=np.int64)), merger.granule))
    most = max((hi - lo for lo, hi in chunks), default=0)
    rooms = [np.empty(most, dtype) for _ in chunks[:2]]
    with WriteBehind(writer, name, aside=len(chunks) > 1 and get_num_threads() > 1) as behind:
        for at, (lo, hi) in enumerate(chunks):
            room = rooms[at % 2][: hi - lo]
            merger.write(lo, hi, room)
            behind.write(room.view(np.uint8))


class WriteBehind:
    """Writes the chunks of one array in order, each while the next is made: of two rooms one is always free."""

    def __init__(self, writer: ShardWriter, name: str, *, aside: bool) -> None:
        self.writer, self.name = writer, name
        self.thread = Threads(1) if aside else None
        self.last: Future[Array] | None = None

    def __enter__(self) -> Self:
        return self

    def write(self, chunk: Array) -> None:
        """Writes a chunk once the one before is written; the room of that one is free then.

        Raises:
            OSError: the one before could not be written, or this one.
        """
        if self.thread is None:
            self.writer.write(self.name, chunk)
            return
        self.wait()
        self.last = self.thread.submit(self.writer.write, self.name, chunk)

    def wait(self) -> None:
        """Waits until all is written."""
        if self.last is not None:
            self.last.result()

    def __exit__(self, kind: type[BaseException] | None, *raised: object) -> None:
        try:
            if kind is None:
                self.wait()
        finally:
            if self.thread is not None:
                self.thread.shutdown()


def merger_of(source: StackAt, facts: Facts) -> Merger | Array:
    """What makes the tensor; the tensor itself where all models agree on integers."""
    group = source.group()
    copied = group.copied()
    if copied is not None:
        return copied
    target = source.target
    stack = replace(group.stack(target.compute), shape=target.shape)
    return method_named(target.output.method).merger(stack, target.output.settings, facts)


def targets_of(
    outputs: Sequence[Output], opened: Mapping[str, Opened], dtype: str | None, compute: str, truncate: bool
) -> list[Target]:
    """Shapes and dtypes of all results, from headers alone.

    Raises:
        MergeError: shapes that differ, or a dtype that no array has.
    """
    found = []
    for output in outputs:
        entries = [(p.model, opened[p.model].entries[p.name]) for p in output.all]
        label, first = entries[0]
        for model, entry in entries:
            if not is_stored(entry.dtype):  # texts, halves of bytes; what arrays hold is looked at when they are read
                what = f"{model}, tensor {output.name}"
                raise not_merged(what, entry.dtype)
        shape = first.shape
        for other, entry in entries[1:]:
            if entry.shape == shape:
                continue
            vocabulary = len(shape) == 2 and entry.shape[1:] == shape[1:]
            if not (truncate and vocabulary):
                hint = "; --truncate-vocab merges the rows that all have" if vocabulary else ""
                msg = f"tensor {output.name}: {other} has shape {entry.shape}, {label} has {first.shape}{hint}"
                raise MergeError(msg)
            shape = (min(shape[0], entry.shape[0]), *shape[1:])
        kept = first.dtype if dtype is None or not is_mergeable(first.dtype) else dtype
        found.append(Target(output, shape, kept, compute, truncate))
    return found


def is_mergeable(dtype: str) -> bool:
    """Whether a dtype by its name is one of floats."""
    return dtype.startswith(("float", "bfloat"))


def settings_of(target: Target) -> Settings:
    """What a target gets."""
    return target.output.settings
