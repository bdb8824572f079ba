"""Jobs: each reads from one file and writes one shard by itself, anywhere, in any order, twice, with the same bytes."""

import contextlib
import functools
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import CheckpointError, PatternError
from sparsefmt.checkpoint.ahead import worked
from sparsefmt.checkpoint.engine import run_all
from sparsefmt.checkpoint.entry import Value
from sparsefmt.checkpoint.model import open_checkpoint
from sparsefmt.checkpoint.parts import note, note_text, noted
from sparsefmt.checkpoint.plan import CHUNK, Chunks, Plan, plan_tensor
from sparsefmt.checkpoint.readers.base import RowsOf, Source
from sparsefmt.checkpoint.readers.registry import open_file
from sparsefmt.checkpoint.recipe import PRUNED, pruned_names
from sparsefmt.checkpoint.remote import remote
from sparsefmt.checkpoint.snapshot import Identity
from sparsefmt.checkpoint.steps import Function, Pack, Prunes, Step
from sparsefmt.checkpoint.ticks import Advance, Ticker
from sparsefmt.checkpoint.unsettled import SettleBehind, Unsettled, settle
from sparsefmt.checkpoint.waiting import Waiting
from sparsefmt.checkpoint.writer import ShardWriter
from sparsefmt.io import schema
from sparsefmt.io.write import save_read
from sparsefmt.kernels.checksum import Checksum, checksum
from sparsefmt.kernels.settings import get_num_threads, set_num_threads

EMPTY = checksum(b"")


@dataclass(frozen=True)
class Job:
    """What one worker does: picklable, and small; tensors never travel.

    Args:
        source: path of the file to read.
        identity: of that file when the plan was made.
        reader: the name of its reader.
        names: the tensors to write.
        chosen: those of them that the step works on; others are copied.
        step: the step, or a function of the user.
        out: path of the file to write.
        manifest: path of the manifest to write when that file is complete.
        chunk: bytes of rows to work on at a time.
        threads: for kernels, in a process other than `owner`; 0: as they are.
        owner: the process that made the plan.
        nbytes: of the tensors as they are in the source.
        rows: of the only tensor, first and behind the last; None: whole tensors.
        checkpoint: path of the whole, where tensors take arrays from several of its files; None: the file is enough.
    """

    source: Path
    identity: Identity
    reader: str
    names: tuple[str, ...]
    chosen: frozenset[str]
    step: Step | Function
    out: Path
    manifest: Path
    chunk: int = CHUNK
    threads: int = 0
    owner: int = 0
    checkpoint: Path | None = None
    nbytes: int = 0
    rows: tuple[int, int] | None = None

    @property
    def label(self) -> str:
        """What its progress is called."""
        return self.source.name


@dataclass(frozen=True)
class TensorLine:
    """What became of a tensor: its format and bytes; `dense` bytes as an array."""

    name: str
    format: str
    dense: int
    nbytes: int
    changed: bool


@dataclass
class Manifest:
    """What a finished job wrote.

    Args:
        tensors: line by line.
        arrays: key of every array in the file, with the XXH3-128 of its bytes.
        size: bytes of the file.
        kept: whether it was found finished.
    """

    tensors: list[TensorLine] = field(default_factory=list)
    arrays: dict[str, str] = field(default_factory=dict)
    size: int = 0
    kept: bool = False

    def to_json(self) -> dict[str, Any]:
        """As it is stored."""
        lines = [dict(vars(t)) for t in self.tensors]  # not `asdict`, which copies deeply: there may be 100,000 lines
        return {"tensors": lines, "arrays": self.arrays, "size": self.size}

    @classmethod
    def from_file(cls, path: Path, out: Path) -> "Manifest | None":
        """The manifest of a finished job; None where it or its file is not there, or not whole."""
        if (found := noted(path)) is None:
            return None
        try:
            size = out.stat().st_size
        except OSError:
            return None
        if found["size"] != size:
            return None
        return cls([TensorLine(**t) for t in found["tensors"]], found["arrays"], size, kept=True)


def run_job(
    job: Job, advance: Advance | None = None, ticks: bool = False, behind: SettleBehind | None = None
) -> Manifest:
    """Does a job; with `ticks` it notes beside the manifest how far it is, for whoever waits.

    `behind` settles the file and writes its manifest later, unless the file is uploaded.

    Raises:
        CheckpointError: its file is not the one that the plan was made for, or changed while it was read.
        SparsefmtError: the step failed.
        OSError: the file could not be written.
    """
    if job.threads and os.getpid() != job.owner:
        set_num_threads(job.threads)
    with contextlib.ExitStack() as stack:
        if ticks and remote(job.manifest) is None:
            advance = stack.enter_context(Ticker(job.manifest))
        source = stack.enter_context(opened(job))
        if source.identity != job.identity:
            msg = f"{job.source} changed after the plan was made; start again"
            raise CheckpointError(msg)
        far = remote(job.out)
        here = job if far is None else replace(job, out=scratch(stack) / job.out.name)
        part = source if job.rows is None else RowsOf(source, job.names[0], *job.rows)
        try:
            manifest, file = written(here, part, planned(here, part, stack, advance), advance)
        except PatternError as e:
            source.check()
            if job.rows is None or not job.rows[0]:
                raise
            msg = f"{e} (within rows {job.rows[0]}..{job.rows[1]} of {job.names[0]})"
            raise PatternError(msg) from e
        except Exception:
            source.check()  # what failed may have failed because the file changed
            raise
        if far is not None:
            file.settle()
            far.put(here.out)
            job.manifest.write_bytes(note_text(manifest.to_json()).encode())
        else:
            settle(file, functools.partial(note, job.manifest, manifest.to_json()), behind)
    return manifest


def scratch(stack: contextlib.ExitStack) -> Path:
    """A folder of this machine for a shard that is to be uploaded."""
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sparsefmt-")))


def opened(job: Job) -> Source:
    """The file of a job, or the part of a checkpoint whose tensors begin in that file.

    Raises:
        CheckpointError: the checkpoint no longer has that file.
    """
    if job.checkpoint is None:
        return open_file(job.source, job.reader)
    for source in open_checkpoint(job.checkpoint).sources:
        if source.path.absolute() == job.source:
            return source
    msg = f"{job.checkpoint} no longer has {job.source.name}; start again"
    raise CheckpointError(msg)


def planned(job: Job, source: Source, stack: contextlib.ExitStack, advance: Advance | None = None) -> list[Plan]:
    """The plans of all tensors of a job."""
    if not isinstance(job.step, Step):
        return called(job, job.step, source, stack, advance)
    plans: list[Plan] = []
    budget = (1 + get_num_threads()) * job.chunk  # a third of the three chunks for each thread, and one more
    waiting = Waiting(job.out.parent, budget)
    stack.callback(waiting.close)
    for name in job.names:
        step = job.step.of(name) if name in job.chosen else None
        plans.append(plan_tensor(source, name, step, chunk=job.chunk, waiting=waiting))
    return plans


def results_of(function: Function, name: str, value: Value) -> Mapping[str, Value]:
    """What a function of the user makes of a tensor.

    Raises:
        CheckpointError: it is no mapping from names to arrays and SparseTensors.
    """
    made: object = function(name, value)
    if not isinstance(made, Mapping):
        msg = f"the step gives {type(made).__name__} for {name!r}; want a mapping from names to arrays"
        raise CheckpointError(msg)
    for key, result in made.items():
        if not isinstance(key, str) or not hasattr(result, "nbytes"):
            msg = (
                f"the step gives {type(result).__name__} as {key!r} for {name!r}; want arrays and SparseTensors by name"
            )
            raise CheckpointError(msg)
    return made


def called(
    job: Job, function: Function, source: Source, stack: contextlib.ExitStack, advance: Advance | None = None
) -> list[Plan]:
    """Calls a function of the user for every tensor; the results wait in files, a chunk's worth in each."""
    folder = Path(tempfile.mkdtemp(prefix=".results-", suffix=".tmp", dir=job.out.parent))
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    plans: list[Plan] = []
    batch: dict[str, Value] = {}

    def spool() -> None:
        path = folder / f"{len(plans)}.safetensors"
        save_read(path, batch)
        results = stack.enter_context(open_file(path))
        for name in batch:
            plan = plan_tensor(results, name, None, chunk=job.chunk)
            plan.changed = True
            plans.append(plan)
        batch.clear()

    for name in job.names:
        if name not in job.chosen:
            plans.append(plan_tensor(source, name, None, chunk=job.chunk))
            continue
        for made, value in results_of(function, name, source.read(name)).items():
            if made in batch:
                msg = f"{job.out.name}: the step gives two tensors the name {made!r}"
                raise CheckpointError(msg)
            batch[made] = value
        if advance is not None and source.entries[name].nbytes:  # here: what is written may have other names and sizes
            advance(name, source.entries[name].nbytes)
        if sum(v.nbytes for v in batch.values()) >= job.chunk:
            spool()
    if batch:
        spool()
    return plans


def pruned_by(job: Job, source: Source, plans: list[Plan]) -> list[str]:
    """The tensors of the file that were pruned, by this step or before; none where this step prunes nothing."""
    if isinstance(job.step, Pack):
        now = {p.name for p in plans if p.changed and p.entry is not None and job.step.recipe.prune}
    else:
        now = set(job.step.pruned) & {p.name for p in plans} if isinstance(job.step, Prunes) else set()
    try:
        before = pruned_names(source.metadata)
    except (ValueError, TypeError):  # of others
        before = set()
    return [p.name for p in plans if p.name in now | before] if now else []


def written(job: Job, source: Source, plans: list[Plan], advance: Advance | None) -> tuple[Manifest, Unsettled]:
    """Writes the file of a job, which the caller is to settle.

    Raises:
        CheckpointError: its source changed meanwhile.
        OSError: the file could not be written.
    """
    metadata = dict(source.metadata)
    packed = {p.name: p.entry for p in plans if p.entry is not None}
    if packed:
        metadata[schema.KEY] = schema.dump_json(packed)
    pruned = pruned_by(job, source, plans)
    if pruned:
        metadata[PRUNED] = json.dumps(pruned)
    if metadata:
        metadata.setdefault("format", "pt")  # transformers refuses metadata without it
    slots = [slot for plan in plans for slot in plan.slots]
    first = {key for plan in plans for key in plan.first}
    check_owned(slots, packed)
    manifest = Manifest()
    ahead = worked(piece for plan in plans for piece in plan.pieces)
    with ShardWriter(job.out, slots, metadata, first=first) as writer, contextlib.closing(ahead):
        for plan in plans:
            counted = isinstance(job.step, Step) or not plan.changed  # else it was when its source was read
            entry = source.entries.get(plan.name) if counted else None
            sums: dict[str, Checksum] = {}
            done, stored = 0, 0
            whole = entry.nbytes if entry else 0
            made = sum(writer.places[key].nbytes for key, *_ in plan.slots)
            for key, chunk in taken(plan, ahead) if plan.pieces else plan.chunks():
                data = writer.write(key, chunk)
                if data.size == writer.places[key].nbytes:  # all of it at once
                    manifest.arrays[key] = checksum(data)
                else:
                    sums.setdefault(key, Checksum()).update(data)
                stored += data.size
                if advance is not None and data.size < made:
                    now = whole * stored // made
                    advance(plan.name, now - done)
                    done = now
            if advance is not None and whole > done:
                advance(plan.name, whole - done)
            manifest.arrays |= {key: total.hexdigest() for key, total in sums.items()}
            for key, *_ in plan.slots:  # an array of no bytes has no chunk
                manifest.arrays.setdefault(key, EMPTY)
            manifest.tensors.append(TensorLine(plan.name, plan.format, plan.before, made, plan.changed))
        source.check()
        manifest.size = writer.size
        return manifest, writer.sealed()


def taken(plan: Plan, ahead: Iterator[Sequence[tuple[str, Array | bytes]]]) -> Chunks:
    """The chunks of a plan, from the results of the pieces of all plans."""
    for _ in plan.pieces:
        yield from next(ahead)


def check_owned(slots: Sequence[tuple[str, str, tuple[int, ...]]], packed: dict[str, Any]) -> None:
    """Checks that no array would be taken for one of a packed tensor.

    Raises:
        CheckpointError: one would.
    """
    for key, *_ in slots:
        for part in schema.PARTS:
            owner, found, array = key.rpartition(f".{part}.")
            if found and owner in packed and array not in packed[owner].get(part, {}).get("arrays", {}):
                msg = f"key {key!r} looks like an array of the packed tensor {owner!r}; rename one of them"
                raise CheckpointError(msg)


def run_jobs(
    jobs: Sequence[Job], *, executor: Executor | None = None, resume: bool = True, progress: Advance | None = None
) -> list[Manifest]:
    """Runs jobs, here or on an executor, and returns their manifests in the order of the jobs.

    Args:
        jobs: to be done.
        executor: any `concurrent.futures.Executor`; None: this process. At most two jobs per worker are outstanding.
        resume: leave out jobs whose file and manifest are there.
        progress: called with a name and the bytes that are done.
    """
    found = [Manifest.from_file(job.manifest, job.out) if resume else None for job in jobs]
    return run_all(jobs, run_job, found, executor, progress)
