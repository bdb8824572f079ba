"""Whole checkpoints through a step."""

import os
import pickle
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import replace
from typing import TypeAlias

from sparsefmt.base.coerce import whole
from sparsefmt.base.errors import CheckpointError, FormatError
from sparsefmt.checkpoint.companions import companions
from sparsefmt.checkpoint.entry import Entry
from sparsefmt.checkpoint.findings import check_findings, compared_lines, findings_of
from sparsefmt.checkpoint.model import Checkpoint, open_checkpoint
from sparsefmt.checkpoint.places import check_paths
from sparsefmt.checkpoint.remote import located
from sparsefmt.checkpoint.select import Selection
from sparsefmt.checkpoint.steps import Function, Pack, Quantize, Step, Verify
from sparsefmt.checkpoint.ticks import Advance
from sparsefmt.checkpoint.transform_report import TransformReport
from sparsefmt.checkpoint.transform_run import TransformRun
from sparsefmt.io.paths import check_ending

Select: TypeAlias = Selection | Callable[[str, Entry], bool] | str | Iterable[str] | None


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
            folder = model.is_folder or max_shard_bytes is not None
            check_paths(model.path, out, overwrite=overwrite, folder=folder)
            if not folder:
                check_ending(out)
        chosen = selected(model, step, select)
        run = TransformRun(model, step, chosen, executor, progress, resume, overwrite, max_shard_bytes)
        if not isinstance(step, Verify):
            assert out is not None
            return run.write(out)
        findings = findings_of(model, step, None if select is None else chosen, executor, None if out else progress)
        if out is None:
            return TransformReport(None, compared_lines(model, chosen), 0, 0, model.left_out, (), findings)
        check_findings(findings, step.original)
        return replace(replace(run, chosen=frozenset()).write(out), findings=findings)
    finally:
        if model is not src:
            model.close()


def check_sendable(step: Step | Function, executor: Executor | None) -> None:
    """Refuses a step that other processes cannot be given, and what is no executor.

    Raises:
        CheckpointError: it is not picklable.
        FormatError: no calls can be handed to the executor.
    """
    if executor is not None and not hasattr(executor, "submit"):
        msg = f"executor: want a concurrent.futures.Executor, or None, got {executor!r:.60}"
        raise FormatError(msg)
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
    return frozenset(selectable(model, step) - beside if isinstance(step, Step) else set(model) - set(model.no_numbers))


def selectable(model: Checkpoint, step: Step) -> set[str]:
    """What a step works on where nothing is said: never what neither an array nor a file of ours holds."""
    return {name for name, entry in model.entries.items() if step.selects(entry)} - set(model.no_numbers)
