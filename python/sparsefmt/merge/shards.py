"""Writing the shards of a merge, each by itself, anywhere, with the same bytes."""

import contextlib
import functools
import os
from dataclasses import asdict, dataclass

from sparsefmt.checkpoint.parts import note, noted
from sparsefmt.checkpoint.ticks import Ticker
from sparsefmt.checkpoint.unsettled import SettleBehind, Unsettled, settle
from sparsefmt.checkpoint.writer import ShardWriter
from sparsefmt.kernels.settings import set_num_threads
from sparsefmt.merge.disk import Advance, MergeJob, StackAt, write_tensor
from sparsefmt.merge.packed import write_packed


@dataclass(frozen=True, slots=True)
class Shard:
    """A finished shard: bytes of its arrays, their keys, and how many tensors were packed."""

    nbytes: int
    keys: tuple[str, ...]
    packed: int
    kept: bool = False
    """Whether an earlier run wrote it."""


def finished(job: MergeJob) -> Shard | None:
    """What an earlier run wrote of this shard, if it is whole."""
    if (found := noted(job.manifest)) is None:
        return None
    try:
        return Shard(**found["shard"] | {"kept": True}) if found["size"] == job.out.stat().st_size else None
    except OSError:
        return None


def run_job(
    job: MergeJob, advance: Advance | None = None, ticks: bool = False, behind: SettleBehind | None = None
) -> Shard:
    """Writes a shard; with `ticks` it notes beside the manifest how far it is, for whoever waits.

    `behind` settles the file and writes the manifest later.

    Raises:
        MergeError: what cannot be merged, or models that changed.
        OSError: the file could not be written.
    """
    if job.threads and os.getpid() != job.owner:
        set_num_threads(job.threads)
    with Ticker(job.manifest) if ticks else contextlib.nullcontext(advance) as told:
        shard, size, file = packed_shard(job) if job.fmt else plain_shard(job, told)
        settle(file, functools.partial(note, job.manifest, {"size": size, "shard": asdict(shard)}), behind)
        if job.fmt and told is not None:
            for target in job.targets:
                told(target.output.name, target.nbytes)
    return shard


def plain_shard(job: MergeJob, advance: Advance | None) -> tuple[Shard, int, Unsettled]:
    """Writes a shard of plain tensors; the bytes of its file, which the caller is to settle."""
    slots = [(t.output.name, t.dtype, t.shape) for t in job.targets]
    with ShardWriter(job.out, slots, {"format": "pt"}) as writer:
        for target, facts in zip(job.targets, job.facts, strict=True):
            write_tensor(StackAt(job.models, target), facts, writer)
            if advance is not None:
                advance(target.output.name, target.nbytes)
        job.check()
        return Shard(writer.nbytes, tuple(s[0] for s in slots), 0), writer.size, writer.sealed()


def packed_shard(job: MergeJob) -> tuple[Shard, int, Unsettled]:
    """Writes a shard of packed matrices; the bytes of its file, which the caller is to settle."""
    made, file = write_packed(job)
    packed = sum(t.changed for t in made.tensors)
    return Shard(sum(t.nbytes for t in made.tensors), tuple(made.arrays), packed), made.size, file
