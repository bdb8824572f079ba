"""Whole checkpoints through a step: jobs, a folder of finished parts, the rename."""

import os
import pickle
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from sparsefmt.base.coerce import whole
from sparsefmt.base.errors import CheckpointError, FormatError, SparsefmtError
from sparsefmt.checkpoint.companions import companions
from sparsefmt.checkpoint.complete import finish_folder
from sparsefmt.checkpoint.engine import threads_each
from sparsefmt.checkpoint.entry import Entry
from sparsefmt.checkpoint.findings import check_findings, compared_lines, findings_of
from sparsefmt.checkpoint.fingerprint import fingerprint
from sparsefmt.checkpoint.folder import followed, put_in_place
from sparsefmt.checkpoint.jobs import Job, Manifest, TensorLine, run_jobs
from sparsefmt.checkpoint.joined import check_all_joined
from sparsefmt.checkpoint.model import Checkpoint, open_checkpoint
from sparsefmt.checkpoint.parts import Parts, put_file, sweep
from sparsefmt.checkpoint.places import check_free, check_paths
from sparsefmt.checkpoint.plan import CHUNK, dense_bytes
from sparsefmt.checkpoint.readers.base import Source
from sparsefmt.checkpoint.readers.registry import READERS
from sparsefmt.checkpoint.remote import RemotePath, located, remote
from sparsefmt.checkpoint.select import Selection
from sparsefmt.checkpoint.split import run_split
from sparsefmt.checkpoint.steps import Function, Pack, Quantize, Step, Verify
from sparsefmt.checkpoint.ticks import Advance
from sparsefmt.checkpoint.upload import NOTES, finish
from sparsefmt.checkpoint.upload import prepare as prepare_notes
from sparsefmt.checkpoint.verification import Row

Select: TypeAlias = Selection | Callable[[str, Entry], bool] | str | Iterable[str] | None


@dataclass(frozen=True)
class TransformReport:
    """What a transform did.

    Args:
        out: path of the result; None where nothing was written.
        tensors: one line per tensor: name, format, dense bytes, bytes in the file, whether the step worked on it.
        shards: files that were written.
        kept: of these, how many an earlier, interrupted run had finished.
        left_out: shards and tensors of the input that its index does not name.
        not_copied: what stayed behind: weights of other kinds, links out of the folder; of an npz archive texts, dates,
            records and objects.
        findings: of the step `verify`: a row per tensor of either checkpoint.
    """

    out: Path | None
    tensors: tuple[TensorLine, ...]
    shards: int
    kept: int
    left_out: tuple[str, ...]
    not_copied: tuple[str, ...]
    findings: tuple[Row, ...] = ()

    @property
    def changed(self) -> tuple[TensorLine, ...]:
        """The tensors that the step worked on."""
        return tuple(t for t in self.tensors if t.changed)

    @property
    def verified(self) -> bool:
        """Whether the step `verify` accepted every tensor."""
        return not any(row.fails for row in self.findings)

    def to_json(self) -> dict[str, Any]:
        """As JSON has it."""
        lines = [dict(vars(t)) for t in self.tensors]
        found = {**vars(self), "out": None if self.out is None else str(self.out), "tensors": lines}
        rows = found.pop("findings")
        return {**found, "findings": [row.to_json() for row in rows]} if rows else found


def transform(
    src: str | os.PathLike[str] | Checkpoint,
    dst: str | os.PathLike[str] | None,
    step: Step | Function,
    *,
    select: Select = None,
    executor: Executor | None = None,
    resume: bool = True,
    overwrite: bool = False,
    progress: Advance | None = None,
    max_shard_bytes: int | None = None,
) -> TransformReport:
    """Writes what a step makes of a checkpoint: a file for a file, a folder for a folder.

    Every shard is a job that reads and writes by itself; large tensors stream by ranges of rows, so that memory is
    bounded by a chunk (32 MiB) and not by a model, a shard or a tensor. The result has the same bytes whatever the
    executor, the order and the number of runs. Finished shards lie in `.<name>.parts` beside `dst` until all are done;
    a run that was killed goes on from there.

    Args:
        src: a path, a URL, or an open checkpoint.
        dst: path of the result; the folder that holds it must exist. To a URL shards are uploaded one by one, the
            index last, by way of the temporary folder of this machine, which must hold a shard per worker. None, with
            the step `verify`: nothing is written.
        step: `pack`, `unpack`, `convert`, `quantize` or `verify` of `sparsefmt.checkpoint`, or a function that takes a
            name and a tensor (one array or SparseTensor at a time, whole) and returns tensors by name. It must be
            picklable where it runs in other processes.
        select: names and globs, a function of name and entry, or a Selection; default: what the step is made for.
        executor: any `concurrent.futures.Executor`: threads, processes, `distributed.Client.get_executor()`,
            `mpi4py.futures.MPIPoolExecutor`; None: this process. Workers need the same paths.
        resume: go on from finished parts of the same input and the same step.
        overwrite: replace the files of an older `dst`; others in it stay.
        progress: called with a name and the bytes of it that are done; with an executor a few times a second. If it has
            a method `worker`, that is called with the process, the shard, and the bytes of it that are done and that
            there are.
        max_shard_bytes: the most bytes of tensors in a shard of the result, which is a folder then; tensors count as
            many as they take dense, or packed if that is more; a larger tensor has a shard of its own. Each shard is a
            job, so that one large file is spread over workers too. Shards of the input are split, not joined; default:
            as they are.

    Returns:
        A report with a line per tensor.

    Raises:
        CheckpointError: the input contradicts itself, changed meanwhile, or is `dst`, or inside or around it; `dst` is
            a folder where a file is written, or the other way; two tensors get one name; the step is not picklable.
        BusyError: another process, or another thread, is writing `dst`.
        FileExistsError: `dst` exists.
        FormatError: nothing is selected by a name or glob, or by an empty list.
        SparsefmtError: the step failed; nothing is left then.

    >>> import numpy as np, sparsefmt as sf, tempfile, pathlib
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> sf.save(folder / "w.safetensors", {"w": np.eye(64, dtype=np.float16), "b": np.ones(4)})
    >>> report = sf.transform(folder / "w.safetensors", folder / "p.safetensors", sf.checkpoint.pack("csr"))
    >>> [(t.name, t.format, t.dense, t.nbytes) for t in report.changed]
    [('w', 'csr', 8192, 644)]
    """
    if dst is None and not isinstance(step, Verify):
        msg = "dst: only the step verify writes nothing; give a path"
        raise CheckpointError(msg)
    if max_shard_bytes is not None:
        max_shard_bytes = whole(max_shard_bytes, "max_shard_bytes", 1, 2**63 - 1)
    check_sendable(step, executor)
    given: object = step
    if not isinstance(given, Step) and not callable(given):
        msg = f"step: want a step such as sf.checkpoint.pack(...), or a function, got {type(given).__name__}"
        raise CheckpointError(msg)
    model = src if isinstance(src, Checkpoint) else open_checkpoint(src)
    out = None if dst is None else located(dst)
    try:
        if out is not None:
            check_paths(model.path, out, overwrite=overwrite, folder=model.is_folder or max_shard_bytes is not None)
        chosen = selected(model, step, select)
        how: Any = {"resume": resume, "overwrite": overwrite, "most": max_shard_bytes}
        if not isinstance(step, Verify):
            assert out is not None
            return run(model, out, step, chosen, executor, progress, **how)
        findings = findings_of(model, step, None if select is None else chosen, executor, None if out else progress)
        if out is None:
            return TransformReport(None, compared_lines(model, chosen), 0, 0, model.left_out, (), findings)
        check_findings(findings, step.original)
        made = run(model, out, step, frozenset(), executor, progress, **how)
        return replace(made, findings=findings)
    finally:
        if model is not src:
            model.close()


def check_sendable(step: Step | Function, executor: Executor | None) -> None:
    """Refuses a step that other processes cannot be given.

    Raises:
        CheckpointError: it is not picklable.
    """
    if not isinstance(executor, ProcessPoolExecutor):  # threads need nothing, and Dask pickles more than Python
        return
    try:
        pickle.dumps(step)
    except Exception as e:  # pickle raises all kinds
        msg = f"step: other processes cannot be given it: {e}; define it at the top of a module, or use threads"
        raise CheckpointError(msg) from e


def selected(model: Checkpoint, step: Step | Function, select: Select) -> frozenset[str]:
    """The names that the step works on; of a step that packs never scales and codes of quantised weights.

    Raises:
        FormatError: a name or glob matches nothing.
    """
    beside = set(companions(model)) if isinstance(step, Pack | Quantize) else set()
    if isinstance(select, str):
        select = [select]
    if select is not None and not isinstance(select, Selection) and not callable(select):
        given: object = select
        names = tuple(given) if isinstance(given, Iterable) else ()
        if not names or not all(isinstance(name, str) for name in names):
            msg = f"select: want names and globs, at least one, or a function, got {given!r}"
            raise FormatError(msg)
        select = Selection(names)
    if isinstance(select, Selection):
        named = select.chosen(model)
        found = named if select.include or not isinstance(step, Step) else selectable(model, step) & named
        return frozenset(found - beside)
    if callable(select):
        return frozenset(name for name, entry in model.entries.items() if select(name, entry) and name not in beside)
    return frozenset(selectable(model, step) - beside if isinstance(step, Step) else model)


def selectable(model: Checkpoint, step: Step) -> set[str]:
    """What a step works on where nothing is said."""
    return {name for name, entry in model.entries.items() if step.selects(entry)}


def run(
    model: Checkpoint,
    out: Path,
    step: Step | Function,
    chosen: frozenset[str],
    executor: Executor | None,
    progress: Advance | None,
    *,
    resume: bool,
    overwrite: bool,
    most: int | None,
) -> TransformReport:
    """Makes the jobs, runs them, and puts the result in its place."""
    far = remote(out)
    if far is not None:
        return run_far(model, far, out, step, chosen, executor, progress, resume=resume, most=most)
    parts = Parts(followed(out))
    with parts.held():
        check_free(out, overwrite=overwrite)  # again: another run may have ended meanwhile
        return run_here(model, out, parts, step, chosen, executor, progress, resume, overwrite, most)


def run_here(
    model: Checkpoint,
    out: Path,
    parts: Parts,
    step: Step | Function,
    chosen: frozenset[str],
    executor: Executor | None,
    progress: Advance | None,
    resume: bool,
    overwrite: bool,
    most: int | None,
) -> TransformReport:
    """The same where the result is on this machine, and its folder of parts is held."""
    folder = model.is_folder or most is not None
    jobs = planned_jobs(model, parts.out, step, chosen, parts.made, parts.notes, executor, most)
    parts.prepare(fingerprint(model, step, jobs), resume=resume)
    jobs = [replace(j, out=parts.made / j.out.name, manifest=parts.notes / j.manifest.name) for j in jobs]
    try:
        manifests = run_split(jobs, parts.pieces, executor=executor, resume=resume, progress=progress)
        model.check()
        check_free(out, overwrite=overwrite)  # again: others may have written there meanwhile
        not_copied: tuple[str, ...] = ()
        if folder:
            sweep(parts.made)
            not_copied = finish_folder(model, jobs, manifests, parts.made)
            put_in_place(parts.made, parts.out, parts.old)
        else:
            put_file(jobs[0].out, parts.out)
        parts.remove()
    except BaseException as e:
        done = sum(Manifest.from_file(job.manifest, job.out) is not None for job in jobs)
        if isinstance(e, SparsefmtError) or not resume or not (done or any(parts.pieces.glob("*.json"))):
            parts.remove(quietly=True)
        elif isinstance(e, KeyboardInterrupt):
            msg = f"{done} of {len(jobs)} shards are done; the same command goes on from there"
            raise KeyboardInterrupt(msg) from None
        raise
    return reported(model, out, jobs, manifests, not_copied)


def run_far(
    model: Checkpoint,
    far: RemotePath,
    out: Path,
    step: Step | Function,
    chosen: frozenset[str],
    executor: Executor | None,
    progress: Advance | None,
    *,
    resume: bool,
    most: int | None,
) -> TransformReport:
    """The same where the result is behind a URL: shards go to their place one by one, the index last."""
    folder = model.is_folder or most is not None
    home = out if folder else out.parent
    notes = far / NOTES if folder else far.parent / f".{out.name}.parts"
    jobs = planned_jobs(model, out, step, chosen, home, home / notes.name, executor, most)
    prepare_notes(notes, fingerprint(model, step, jobs), resume=resume)
    try:
        manifests = run_jobs(jobs, executor=executor, resume=resume, progress=progress)
        model.check()
    except SparsefmtError:
        notes.remove()
        raise
    not_copied: tuple[str, ...] = ()
    if folder:
        with tempfile.TemporaryDirectory(prefix="sparsefmt-") as staged:
            not_copied = finish_folder(model, jobs, manifests, Path(staged))
            finish(Path(staged), far)
    notes.remove()
    return reported(model, out, jobs, manifests, not_copied)


def reported(
    model: Checkpoint, out: Path, jobs: list[Job], manifests: list[Manifest], not_copied: tuple[str, ...]
) -> TransformReport:
    """What was done."""
    tensors = tuple(line for manifest in manifests for line in manifest.tensors)
    kept = sum(manifest.kept for manifest in manifests)
    written = {line.name for line in tensors}
    odd = tuple(
        f"{name} ({dtype}, for which safetensors has no place)"
        for name, dtype in model.no_numbers.items()
        if name not in written
    ) + tuple(f"{other} (no array)" for source in model.sources for other in source.others)
    return TransformReport(out, tensors, len(jobs), kept, model.left_out, (*odd, *not_copied))


def planned_jobs(
    model: Checkpoint,
    out: Path,
    step: Step | Function,
    chosen: frozenset[str],
    made: Path,
    notes: Path,
    executor: Executor | None,
    most: int | None,
) -> list[Job]:
    """A job per shard; a shard without a tensor to write has none."""
    threads = threads_each(executor)
    keeps = not isinstance(step, Step) or step.keeps_others
    jobs = []
    whole = None if model.reader in READERS else model.path.absolute()
    found: list[tuple[str, Source, tuple[str, ...]]] = []
    for source in model.sources:
        names = [n for n in model.names(source) if n in chosen or (keeps and source.has_place(n))]
        if most is not None:
            found += (("", source, group) for group in grouped(source, names, most))
        elif names or not model.is_folder:
            found.append((source.path.name if model.is_folder else out.name, source, tuple(names)))
    check_all_joined(model, {name for _, _, names in found for name in names})
    for i, (given, source, group) in enumerate(found, 1):
        name = given or ("model.safetensors" if len(found) == 1 else f"model-{i:05}-of-{len(found):05}.safetensors")
        nbytes = sum(source.entries[n].nbytes for n in group)
        jobs.append(
            Job(
                source.path.absolute(), source.identity, model.reader, group, chosen & frozenset(group), step,
                made / name, notes / f"{name}.json", CHUNK, threads, os.getpid(), whole, nbytes,
            )
        )  # fmt: skip
    return jobs


def grouped(source: Source, names: list[str], most: int) -> list[tuple[str, ...]]:
    """Tensors in order, as many to a shard as fit; a larger one stands alone."""
    groups: list[list[str]] = []
    size = 0
    for name in names:
        entry = source.entries[name]
        nbytes = max(entry.nbytes, dense_bytes(entry))
        if not groups or size + nbytes > most:
            groups.append([])
            size = 0
        groups[-1].append(name)
        size += nbytes
    return [tuple(group) for group in groups]
