"""A merged shard in a packed format: rows are merged and encoded range by range, and never stand dense."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from sparsefmt.base.alloc import empty
from sparsefmt.base.dtypes import Array
from sparsefmt.checkpoint.entry import Entry
from sparsefmt.checkpoint.jobs import Job, Manifest, written
from sparsefmt.checkpoint.plan import plan_tensor
from sparsefmt.checkpoint.readers.base import Source, matrix_of
from sparsefmt.checkpoint.snapshot import Identity
from sparsefmt.checkpoint.steps import pack
from sparsefmt.checkpoint.unsettled import Unsettled
from sparsefmt.checkpoint.waiting import Waiting
from sparsefmt.merge.disk import MergeJob, StackAt, Target, merger_of
from sparsefmt.merge.inputs import float_dtype
from sparsefmt.merge.stack import CHUNK, Merger

CHUNK_BYTES = 4 * CHUNK
"""Of rows that are merged and encoded at once."""


@dataclass
class Made:
    """How one tensor is made: by its merger, or the copy that all models agree on."""

    target: Target
    merger: Merger | None
    copied: Array | None = field(default=None, repr=False)

    def flat(self, low: int, high: int) -> Array:
        """Elements low to high."""
        if self.merger is None:
            assert self.copied is not None
            return self.copied.reshape(-1)[low:high]
        granule, size = self.merger.granule, int(np.prod(self.target.shape, dtype=np.int64))
        first, last = low // granule * granule, min(-(-high // granule) * granule, size)
        out = empty(last - first, float_dtype(self.target.dtype), "rows of a merged tensor")
        self.merger.write(first, last, out)
        return out[low - first : high - first]


class Merged(Source):
    """The tensors of a shard as a file that makes them when they are asked for."""

    def __init__(self, job: MergeJob) -> None:
        self.path, self._job = job.out, job
        self.metadata = {"format": "pt"}
        self._sources = {
            target.output.name: (StackAt(job.models, target), facts)
            for target, facts in zip(job.targets, job.facts, strict=True)
        }
        self.entries: Mapping[str, Entry] = {
            name: Entry(s.target.shape, s.target.dtype, s.target.nbytes) for name, (s, _) in self._sources.items()
        }
        self._made = lru_cache(1)(self._opened)  # rows of one tensor are asked for in turn

    def _opened(self, name: str) -> Made:
        source, facts = self._sources[name]
        merger = merger_of(source, facts)
        return Made(source.target, None, merger) if isinstance(merger, np.ndarray) else Made(source.target, merger)

    def check(self) -> None:
        """See `Source.check`."""
        self._job.check()

    def read(self, name: str) -> Array:
        """The merged tensor."""
        entry = self.entries[name]
        return self._made(name).flat(0, entry.size).reshape(entry.shape)

    def rows(self, name: str, low: int, high: int) -> Array:
        """Rows of the merged tensor."""
        cols = matrix_of(self.entries[name].shape)[1]
        return self._made(name).flat(low * cols, high * cols).reshape(high - low, cols)


def is_matrix(entry: Entry) -> bool:
    """Whether a tensor is one that is packed."""
    return len(entry.shape) == 2 and entry.is_inexact


def write_packed(job: MergeJob) -> tuple[Manifest, Unsettled]:
    """Writes a shard whose matrices are packed, exactly; tensors of other ranks, and integers, stay plain.

    The caller is to settle the file.

    Formats whose rows do not stand for themselves (see `checkpoint.rows.joins`) take a matrix at a time.

    Raises:
        CheckpointError: a model changed meanwhile.
        PatternError: a matrix has not the pattern of the format.
    """
    source, step = Merged(job), pack(job.fmt)
    chosen = frozenset(name for name, entry in source.entries.items() if is_matrix(entry))
    waiting = Waiting(job.out.parent, CHUNK_BYTES)
    plans = [
        plan_tensor(source, name, step if name in chosen else None, chunk=CHUNK_BYTES, waiting=waiting)
        for name in source.entries
    ]
    names = tuple(source.entries)
    like = Job(job.out, Identity(0, 0, 0, 0), "merge", names, chosen, step, job.out, job.manifest, CHUNK_BYTES)
    with contextlib.closing(waiting):
        return written(like, source, plans, None)
