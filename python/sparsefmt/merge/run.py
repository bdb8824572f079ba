"""Whole merges on disk: a recipe in, a folder of shards out."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sparsefmt.base.errors import MergeError, SparsefmtError
from sparsefmt.checkpoint.engine import in_order, run_all, threads_each
from sparsefmt.checkpoint.folder import followed, put_in_place, write_index
from sparsefmt.checkpoint.model import Checkpoint, open_checkpoint
from sparsefmt.checkpoint.parts import FACTS, Parts, note, noted, put_file
from sparsefmt.checkpoint.places import check_free, check_kind, overlap
from sparsefmt.delta.formats import sniff
from sparsefmt.io.paths import check_parent
from sparsefmt.merge.choices import PRESETS, Choices
from sparsefmt.merge.disk import Advance, MergeJob, StackAt, Target, is_mergeable, targets_of
from sparsefmt.merge.method import NO_FACTS, Facts, Source
from sparsefmt.merge.opened import Model, Opened
from sparsefmt.merge.recipe.config import Config, find_model, parse, read_config
from sparsefmt.merge.recipe.outline import Outliner
from sparsefmt.merge.registry import method_named
from sparsefmt.merge.shards import Shard, finished, run_job
from sparsefmt.merge.sidefiles import write_side_files
from sparsefmt.merge.stepped import TunedCheckpoint
from sparsefmt.merge.trim import here

SHARD_BYTES = 5_000_000_000
VERSION = 2


@dataclass(frozen=True)
class MergeReport:
    """What a merge did: tensors and shards of the result, shards that an earlier run had finished, and warnings."""

    out: Path
    tensors: int
    nbytes: int
    shards: tuple[str, ...]
    kept: int
    warnings: tuple[str, ...]
    packed: int = 0
    """Tensors that were packed."""


@dataclass(frozen=True)
class Planned:
    """A merge before it runs."""

    config: Config
    models: tuple[Model, ...]
    opened: Mapping[str, Opened]
    targets: tuple[Target, ...]
    choices: Choices


def plan(
    config: str | os.PathLike[str] | Mapping[str, Any],
    *,
    choices: Choices | None = None,
    seed: int = 0,
    nan: str = "error",
    compute: str = "float32",
    tie: bool = False,
    truncate_vocab: bool = False,
) -> Planned:
    """Reads a recipe and the headers of its models.

    Raises:
        MergeError: see `run`.
    """
    recipe = parse(read_config(config))
    beside = None if isinstance(config, Mapping) else Path(config).absolute().parent
    opened = opened_models(recipe, beside)
    chosen = PRESETS["mergekit"] if choices is None else choices
    names = {name: list(checkpoint) for name, checkpoint in opened.items()}
    outputs = Outliner(recipe, names, chosen, seed, nan, tie).outputs()
    targets = targets_of(outputs, opened, recipe.out_dtype or recipe.dtype, compute, truncate_vocab)
    models = tuple(Model.of(name, checkpoint) for name, checkpoint in opened.items())
    return Planned(recipe, models, opened, tuple(targets), chosen)


def opened_models(recipe: Config, beside: Path | None) -> dict[str, Opened]:
    """All models of a recipe, deltas on top of its base.

    Raises:
        MergeError: one is not here, or a delta has no base.
    """
    found: dict[str, Opened] = {}
    for name in recipe.models:  # the base is the first
        path = find_model(name, beside)
        if not sniff(path):
            found[name] = open_checkpoint(path)
            continue
        base = None if recipe.base is None else found.get(recipe.base)
        if not isinstance(base, Checkpoint):
            msg = f"model {name!r} is a delta, which leads from a base; say which by base_model (--base)"
            raise MergeError(msg)
        found[name] = TunedCheckpoint(path, base)
    return found


def run(
    config: str | os.PathLike[str] | Mapping[str, Any],
    out: str | os.PathLike[str],
    *,
    executor: Executor | None = None,
    resume: bool = True,
    overwrite: bool = False,
    progress: Advance | None = None,
    shard_bytes: int = SHARD_BYTES,
    copy_tokenizer: bool = True,
    format: str | None = None,
    **options: Any,  # noqa: ANN401
) -> MergeReport:
    """Merges checkpoints as a mergekit YAML says, in bounded memory.

    Args:
        config: path of the YAML, or the mapping that it holds. Models are local folders of safetensors, or files, seen
            from the working folder or from that of the YAML.
        out: the folder to write. Finished shards lie beside it until all are done; a run that was killed goes on there.
        executor: any `concurrent.futures.Executor` that runs shards; None: this process.
        resume: go on from shards that an earlier run of the same merge finished.
        overwrite: replace the files of an older `out`.
        progress: called with a tensor's name and its bytes when it is done.
        shard_bytes: the most bytes of tensors in a shard; a larger tensor has one of its own.
        copy_tokenizer: whether tokenizer files of the base are copied.
        format: the format that matrices are packed in, exactly, as they are merged; tensors of other ranks stay plain.
        options: `seed` of random choices; `choices`, by default those of mergekit; `nan`, `compute`, `tie` (a head that
            is tied in one model and not in another is read from the embedding) and `truncate_vocab` (rows that all
            models have).

    Returns:
        What was done. Values are computed in float32 and rounded once to out_dtype, else to dtype, else to the dtype of
        the base or the first model.

    Raises:
        MergeError: a recipe that is incomplete or asks for what is not here, models that do not fit.
        CheckpointError: a model contradicts itself, or changed meanwhile; `out` is a file where a folder is written, or
            the other way.
        PatternError: a matrix has not the pattern of `format`.
        BusyError: another process, or another thread, is writing `out`.
        FileExistsError: `out` exists.

    Source: the YAML of mergekit 0.1.5, https://github.com/arcee-ai/mergekit.
    """
    target = Path(out)
    check_free(target, overwrite=overwrite)
    check_parent(followed(target))
    planned = plan(config, **options)
    for model in planned.models:
        if overlap(Path(model.path), target):
            msg = f"the result would replace the model {model.path}, or lie inside or around it; write to another path"
            raise MergeError(msg)
    check_kind(target, folder=not target.name.endswith(".safetensors"))
    parts = Parts(followed(target))
    with parts.held():
        check_free(target, overwrite=overwrite)  # again: another run may have ended meanwhile
        return merge_to(planned, target, parts, executor, progress, resume, shard_bytes, copy_tokenizer, format or "")


def merge_to(
    planned: Planned,
    out: Path,
    parts: Parts,
    executor: Executor | None,
    progress: Advance | None,
    resume: bool,
    shard_bytes: int,
    copy_tokenizer: bool,
    fmt: str = "",
) -> MergeReport:
    """Runs a plan, and puts the result in its place; its folder of parts is held."""
    parts.enter(fingerprint(planned, shard_bytes, fmt))
    made, notes = parts.made, parts.notes
    try:
        parts.prepare(resume=resume)
        facts = surveyed(planned, executor, notes / FACTS)
        single = out.name.endswith(".safetensors")
        shards = [list(range(len(planned.targets)))] if single else sharded(planned.targets, shard_bytes)
        threads = threads_each(executor)
        jobs = []
        for at, members in enumerate(shards):
            name = "model.safetensors" if len(shards) == 1 else f"model-{at + 1:05d}-of-{len(shards):05d}.safetensors"
            jobs.append(
                MergeJob(
                    planned.models, tuple(planned.targets[i] for i in members), tuple(facts[i] for i in members),
                    made / name, notes / f"{name}.json", threads, os.getpid(), fmt,
                )
            )  # fmt: skip
        found = [finished(job) for job in jobs]
        written = run_all(jobs, run_job, found, executor, progress)
        for checkpoint in planned.opened.values():
            checkpoint.check()
        if single:
            put_file(jobs[0].out, parts.out)
            parts.remove()
            return done_with(planned, out, jobs, written)
        if len(jobs) > 1:
            weight_map = {key: job.out.name for job, shard in zip(jobs, written, strict=True) for key in shard.keys}
            write_index(made, weight_map, sum(shard.nbytes for shard in written))
        write_side_files(planned.config, planned.opened, planned.targets, made, copy_tokenizer)
        put_in_place(made, parts.out, parts.old)
        parts.remove()
    except BaseException as e:
        if isinstance(e, SparsefmtError) or not resume or not parts.worth:
            parts.remove(quietly=True)
        raise
    return done_with(planned, out, jobs, written)


def done_with(planned: Planned, out: Path, jobs: Sequence[MergeJob], shards: Sequence[Shard]) -> MergeReport:
    """What was done."""
    total, packed, kept = (sum(getattr(shard, n) for shard in shards) for n in ("nbytes", "packed", "kept"))
    names = tuple(job.out.name for job in jobs)
    return MergeReport(out, len(planned.targets), total, names, kept, planned.config.warnings, packed)


def fingerprint(planned: Planned, shard_bytes: int, fmt: str) -> str:
    """What must agree for finished parts to be of use."""
    plan_ = [VERSION, shard_bytes, fmt, [asdict(m) for m in planned.models], [repr(t) for t in planned.targets]]
    return hashlib.sha256(json.dumps(plan_, sort_keys=True, default=str).encode()).hexdigest()


def surveyed(planned: Planned, executor: Executor | None, at: Path | None) -> list[Facts]:
    """What looking at the whole model finds out, kept for a run that goes on."""
    facts = [NO_FACTS] * len(planned.targets)
    floats = [i for i, t in enumerate(planned.targets) if is_mergeable(t.dtype)]
    survey = planned.config.method.survey
    if survey is None or not floats:
        return facts
    if at is not None and (kept := noted(at)) is not None:
        return [Facts(tuple(map(tuple, bands)), majority) for bands, majority in kept[FACTS]]
    ordered = sorted(floats, key=lambda i: planned.targets[i].output.name)
    sources = [Source(StackAt(planned.models, planned.targets[i]), planned.targets[i].output.settings) for i in ordered]
    for i, fact in zip(ordered, survey(sources, mapper(executor)), strict=True):
        facts[i] = fact
    if at is not None:
        note(at, {FACTS: facts})
    return facts


def sharded(targets: Sequence[Target], shard_bytes: int) -> list[list[int]]:
    """Tensors in order, as many to a shard as fit."""
    shards: list[list[int]] = [[]]
    size = 0
    for at, target in enumerate(targets):
        if shards[-1] and size + target.nbytes > shard_bytes:
            shards.append([])
            size = 0
        shards[-1].append(at)
        size += target.nbytes
    return shards


def mapper(executor: Executor | None) -> Callable[[Callable[..., Any], Sequence[Any]], list[Any]]:
    """What calls a function on every item, here or on an executor."""
    if executor is None:
        return here
    return lambda function, items: in_order(function, items, executor)


def described(planned: Planned) -> Iterator[str]:
    """What each tensor gets, line by line."""
    for target in planned.targets:
        output = target.output
        s = output.settings
        method = method_named(output.method)
        words = [output.name, target.dtype, "x".join(map(str, target.shape)) or "scalar", method.name]
        if not is_mergeable(target.dtype):
            yield "  ".join([*words[:3], "copied"])
            continue
        if method.weighted:
            words.append("weights " + " ".join(f"{w:g}" for w in s.weights))
        for key, values in s.each.items():
            if any(v is not None for v in values):
                words.append(f"{key} " + " ".join("-" if v is None else f"{v:g}" for v in values))
        words += [f"{key} {value:g}" for key, value in s.shared.items() if isinstance(value, float) and value != 1.0]
        yield "  ".join(words)
