"""A transform that is decided on: its jobs, a folder of finished parts, the rename."""

import os
import tempfile
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path

from sparsefmt.base.errors import SparsefmtError
from sparsefmt.checkpoint.complete import finish_folder
from sparsefmt.checkpoint.engine import threads_each
from sparsefmt.checkpoint.fingerprint import fingerprint
from sparsefmt.checkpoint.folder import followed, put_in_place
from sparsefmt.checkpoint.jobs import Job, Manifest, run_jobs
from sparsefmt.checkpoint.joined import check_all_joined
from sparsefmt.checkpoint.model import Checkpoint
from sparsefmt.checkpoint.parts import Parts, put_file, sweep
from sparsefmt.checkpoint.places import check_free
from sparsefmt.checkpoint.plan import CHUNK, dense_bytes
from sparsefmt.checkpoint.readers.base import Source
from sparsefmt.checkpoint.readers.registry import READERS
from sparsefmt.checkpoint.remote import RemotePath, remote
from sparsefmt.checkpoint.split import run_split
from sparsefmt.checkpoint.steps import Function, Step
from sparsefmt.checkpoint.ticks import Advance
from sparsefmt.checkpoint.transform_report import TransformReport
from sparsefmt.checkpoint.upload import NOTES, finish
from sparsefmt.checkpoint.upload import prepare as prepare_notes


@dataclass(frozen=True)
class TransformRun:
    """What is to be done, and how; see `transform`.

    Args:
        model: the input.
        step: what is done.
        chosen: the names of the tensors that the step works on.
        executor: runs the jobs; None: this process.
        progress: is told what is done.
        resume: go on from finished parts.
        overwrite: replace files of an older result.
        most: bytes of tensors in a shard; None: shards as they are.
    """

    model: Checkpoint
    step: Step | Function
    chosen: frozenset[str]
    executor: Executor | None
    progress: Advance | None
    resume: bool
    overwrite: bool
    most: int | None

    def write(self, out: Path) -> TransformReport:
        """Makes the jobs, runs them, and puts the result in its place."""
        far = remote(out)
        if far is not None:
            return self._far(far, out)
        parts = Parts(followed(out))
        with parts.held():
            check_free(out, overwrite=self.overwrite)  # again: another run may have ended meanwhile
            return self._here(out, parts)

    @property
    def _folder(self) -> bool:
        return self.model.is_folder or self.most is not None

    def _here(self, out: Path, parts: Parts) -> TransformReport:
        """Where the result is on this machine, and its folder of parts is held."""
        jobs = self._jobs(parts.out, parts.made, parts.notes)
        parts.enter(fingerprint(self.model, self.step, jobs))
        jobs = [replace(j, out=parts.made / j.out.name, manifest=parts.notes / j.manifest.name) for j in jobs]
        try:
            parts.prepare(resume=self.resume)
            manifests = run_split(
                jobs, parts.pieces, executor=self.executor, resume=self.resume, progress=self.progress
            )
            self.model.check()
            check_free(out, overwrite=self.overwrite)  # again: others may have written there meanwhile
            not_copied: tuple[str, ...] = ()
            if self._folder:
                sweep(parts.made)
                not_copied = finish_folder(self.model, jobs, manifests, parts.made)
                put_in_place(parts.made, parts.out, parts.old)
            else:
                put_file(jobs[0].out, parts.out)
            parts.remove()
        except BaseException as e:
            if isinstance(e, SparsefmtError) or not self.resume or not parts.worth:
                parts.remove(quietly=True)
            elif isinstance(e, KeyboardInterrupt):
                done = sum(Manifest.from_file(job.manifest, job.out) is not None for job in jobs)
                msg = f"{done} of {len(jobs)} shards are done; the same command goes on from there"
                raise KeyboardInterrupt(msg) from None
            raise
        return self._reported(out, jobs, manifests, not_copied)

    def _far(self, far: RemotePath, out: Path) -> TransformReport:
        """Where the result is behind a URL: shards go to their place one by one, the index last."""
        home = out if self._folder else out.parent
        notes = far / NOTES if self._folder else far.parent / f".{out.name}.parts"
        jobs = self._jobs(out, home, home / notes.name)
        prepare_notes(notes, fingerprint(self.model, self.step, jobs), resume=self.resume)
        try:
            manifests = run_jobs(jobs, executor=self.executor, resume=self.resume, progress=self.progress)
            self.model.check()
        except SparsefmtError:
            notes.remove()
            raise
        not_copied: tuple[str, ...] = ()
        if self._folder:
            with tempfile.TemporaryDirectory(prefix="sparsefmt-") as staged:
                not_copied = finish_folder(self.model, jobs, manifests, Path(staged))
                finish(Path(staged), far)
        notes.remove()
        return self._reported(out, jobs, manifests, not_copied)

    def _reported(
        self, out: Path, jobs: list[Job], manifests: list[Manifest], not_copied: tuple[str, ...]
    ) -> TransformReport:
        model = self.model
        tensors = tuple(line for manifest in manifests for line in manifest.tensors)
        kept = sum(manifest.kept for manifest in manifests)
        written = {line.name for line in tensors}
        odd = tuple(
            f"{name} ({dtype}, for which safetensors has no place)"
            for name, dtype in model.no_numbers.items()
            if name not in written
        ) + tuple(f"{other} (not read)" for other in model.others)
        return TransformReport(out, tensors, len(jobs), kept, model.left_out, (*odd, *not_copied))

    def _jobs(self, out: Path, made: Path, notes: Path) -> list[Job]:
        """A job per shard, to write into `made` and note in `notes`; a shard without a tensor to write has none."""
        model, step, chosen, most = self.model, self.step, self.chosen, self.most
        threads = threads_each(self.executor)
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
