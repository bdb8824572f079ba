"""One shard by several workers: tensors and ranges of rows are pieces, written by themselves and then put together."""

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path

from sparsefmt.base.errors import CheckpointError
from sparsefmt.checkpoint.engine import run_all, workers
from sparsefmt.checkpoint.entry import PLAIN, Entry
from sparsefmt.checkpoint.jobs import Job, Manifest, TensorLine, opened, run_jobs, written
from sparsefmt.checkpoint.parts import note
from sparsefmt.checkpoint.plan import (
    OPAQUE,
    Chunks,
    Plan,
    assembled,
    dense_bytes,
    paired,
    plain_dtype,
    plan_tensor,
)
from sparsefmt.checkpoint.readers.base import Source, matrix_of
from sparsefmt.checkpoint.readers.registry import open_file
from sparsefmt.checkpoint.rows import ranges
from sparsefmt.checkpoint.sizes import measured_sizes
from sparsefmt.checkpoint.steps import Step
from sparsefmt.checkpoint.ticks import Advance
from sparsefmt.checkpoint.unsettled import SettleBehind, settle
from sparsefmt.io.dtypes import is_paired, stored_as
from sparsefmt.tensor.layout import is_moved
from sparsefmt.tensor.sparse import SparseTensor

PIECE = 256 << 20
"""Bytes of tensors, dense or packed, whichever is more, in a piece."""


@dataclass(frozen=True)
class Join:
    """Puts the pieces of a shard together: a job like any other, after theirs."""

    job: Job
    pieces: tuple[Job, ...]
    nbytes: int = 0

    @property
    def label(self) -> str:
        """What its progress is called."""
        return self.job.label

    @property
    def manifest(self) -> Path:
        """That of the shard."""
        return self.job.manifest


def run_split(
    jobs: Sequence[Job],
    folder: Path,
    *,
    executor: Executor | None = None,
    resume: bool = True,
    progress: Advance | None = None,
    piece: int | None = None,
) -> list[Manifest]:
    """Runs jobs as `run_jobs` does; one that would keep a worker busy when the others are done is cut into pieces.

    The files have the same bytes, whatever is cut, and where.

    Args:
        jobs: one per shard.
        folder: for pieces.
        executor: whose workers share the shards; None: nothing is cut.
        resume: leave out shards and pieces that are there.
        progress: as for `run_jobs`.
        piece: bytes of a piece; default `PIECE`.
    """
    most = PIECE if piece is None else piece
    cuts: dict[int, tuple[Job, ...]] = {}
    if executor is not None:
        share = sum(job.nbytes for job in jobs) // workers(executor)
        for i, job in enumerate(jobs):
            whole = resume and Manifest.from_file(job.manifest, job.out) is not None
            if job.nbytes > share and job.nbytes >= most and not whole:
                cuts[i] = pieces_of(job, folder, most)
    first = [part for i, job in enumerate(jobs) for part in cuts.get(i) or (job,)]
    found = iter(run_jobs(first, executor=executor, resume=resume, progress=progress))
    manifests = {i: [next(found) for _ in cuts.get(i) or (job,)] for i, job in enumerate(jobs)}
    joins = [Join(jobs[i], parts) for i, parts in cuts.items() if parts]
    joined = iter(run_all(joins, run_join, [None] * len(joins), executor, progress))
    return [next(joined) if cuts.get(i) else manifests[i][0] for i in range(len(jobs))]


def pieces_of(job: Job, folder: Path, most: int) -> tuple[Job, ...]:
    """The pieces of a shard, by its header alone; none where it cannot be cut."""
    units: list[tuple[tuple[str, ...], tuple[int, int] | None, int]] = []
    group: list[str] = []
    size = 0
    with contextlib.closing(opened(job)) as source:
        for name in job.names:
            entry = source.entries[name]
            nbytes = max(entry.nbytes, dense_bytes(entry))
            rows = matrix_of(entry.shape)[0]
            step = (job.step.of(name) if isinstance(job.step, Step) else job.step) if name in job.chosen else None
            align = None
            if nbytes > most and not (step is not None and not isinstance(step, Step)):
                align = row_align(source, name, entry, step)
            if group and (align is not None or size + nbytes > most):
                units.append((tuple(group), None, sum(source.entries[n].nbytes for n in group)))
                group, size = [], 0
            if align is None:
                group.append(name)
                size += nbytes
                continue
            for low, high in ranges(rows, nbytes // rows, align, most):
                units.append(((name,), (low, high), entry.nbytes * high // rows - entry.nbytes * low // rows))
        if group:
            units.append((tuple(group), None, sum(source.entries[n].nbytes for n in group)))
    if len(units) < 2:
        return ()
    made = []
    for i, (names, span, nbytes) in enumerate(units):
        out = folder / f"{job.out.name}.{i:06}.safetensors"
        made.append(
            replace(
                job, names=names, chosen=job.chosen & frozenset(names), out=out,
                manifest=out.with_suffix(".json"), nbytes=nbytes, rows=span,
            )
        )  # fmt: skip
    return tuple(made)


def row_align(source: Source, name: str, entry: Entry, step: Step | None) -> int | None:
    """Ranges of rows must start at multiples of this; None: the tensor is one piece."""
    if entry.dtype in OPAQUE or matrix_of(entry.shape)[0] < 2:
        return None
    if step is None:
        return None if entry.is_packed else 1
    align = step.rows(entry)
    if align is None or (step.target is None and align == 1) or not entry.is_packed:
        return align
    t = source.read(name)
    if not isinstance(t, SparseTensor) or is_moved(t):
        return None
    align = math.lcm(align, t.structure.row_step)
    rows = t.structure.shape[0]
    return align if align < rows and t.structure.by_rows else None


def run_join(
    join: Join, advance: Advance | None = None, ticks: bool = False, behind: SettleBehind | None = None
) -> Manifest:
    """Writes the file of a shard from its pieces, which are gone then.

    Raises:
        CheckpointError: its source changed, or a piece is not there.
    """
    job = join.job
    if (done := Manifest.from_file(job.manifest, job.out)) is not None:  # done, and its worker died then
        return replace(done, kept=False)
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(opened(job))
        if source.identity != job.identity:
            msg = f"{job.source} changed after the plan was made; start again"
            raise CheckpointError(msg)
        plans: list[Plan] = []
        ranged: dict[str, list[tuple[int, Source, TensorLine]]] = {}
        for piece in join.pieces:
            manifest = Manifest.from_file(piece.manifest, piece.out)
            if manifest is None:
                msg = f"{piece.out} is gone; start again"
                raise CheckpointError(msg)
            made = stack.enter_context(open_file(piece.out, "safetensors"))
            for line in manifest.tensors:
                if piece.rows is not None:
                    ranged.setdefault(line.name, []).append((piece.rows[0], made, line))
                    if piece.rows[1] == matrix_of(source.entries[line.name].shape)[0]:
                        plans.append(joined(source, line.name, ranged.pop(line.name), job.chunk))
                    continue
                plan = plan_tensor(made, line.name, None, chunk=job.chunk)
                plan.changed, plan.before, plan.format = line.changed, line.dense, line.format
                plans.append(plan)
        manifest, file = written(job, source, plans, None)

        def noted() -> None:
            note(job.manifest, manifest.to_json())
            for piece in join.pieces:
                piece.out.unlink(missing_ok=True)
                piece.manifest.unlink(missing_ok=True)

        settle(file, noted, behind)
    return manifest


def joined(source: Source, name: str, parts: list[tuple[int, Source, TensorLine]], chunk: int) -> Plan:
    """The plan for a tensor whose ranges of rows are in files of their own."""
    entry = source.entries[name]
    plain = [line.format == PLAIN for _, _, line in parts]
    if all(plain):
        changed = any(line.changed for _, _, line in parts)
        dtype = plain_dtype(source, name, entry)
        shape = (*entry.shape, 2) if is_paired(dtype) else entry.shape
        slot = (name, stored_as(dtype)[0], shape)
        return Plan(
            name, [slot], plain_chunks(name, parts, chunk), paired(dtype, entry.shape), changed=changed,
            before=dense_bytes(entry),
        )  # fmt: skip
    if any(plain):  # some rows have not the pattern, so the tensor stays as it is
        return plan_tensor(source, name, None, chunk=chunk)

    def results() -> Iterator[tuple[int, SparseTensor | None]]:
        for low, made, _ in parts:
            t = made.read(name)
            yield low, t if isinstance(t, SparseTensor) else None

    found = measured_sizes(name, results())
    if found is None:
        msg = f"{name}: a piece is no longer packed; start again"
        raise CheckpointError(msg)
    return assembled(name, entry, results, *found)


def plain_chunks(name: str, parts: list[tuple[int, Source, TensorLine]], chunk: int) -> Callable[[], Chunks]:
    """The rows of all pieces, chunk by chunk."""

    def chunks() -> Chunks:
        for _, made, _ in parts:
            rows, cols = matrix_of(made.entries[name].shape)
            for low, high in ranges(rows, made.entries[name].nbytes // max(rows, 1), 1, chunk):
                yield name, made.rows(name, low, high).reshape(high - low, cols)

    return chunks
