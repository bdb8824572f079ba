"""Whether a packed or unpacked checkpoint is its original, tensor by tensor."""

import math
from collections.abc import Collection, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path

from sparsefmt.api.compare import group_of, measured, snr_db
from sparsefmt.api.encode import encode
from sparsefmt.api.equal import equal
from sparsefmt.base.errors import CheckpointError, FormatError, naming
from sparsefmt.checkpoint.entry import Value
from sparsefmt.checkpoint.model import Checkpoint, open_checkpoint
from sparsefmt.checkpoint.plan import OPAQUE
from sparsefmt.checkpoint.readers.base import Source
from sparsefmt.checkpoint.recipe import PRUNED as PRUNED_KEY
from sparsefmt.checkpoint.recipe import pruned_names
from sparsefmt.checkpoint.rounding import Rounding
from sparsefmt.checkpoint.ticks import Advance
from sparsefmt.checkpoint.verdict import DIFFERS, EXACT, PRUNED, QUANTIZED, identical, judge, small, whole
from sparsefmt.tensor.layout import same
from sparsefmt.tensor.sparse import SparseTensor

MISSING, EXTRA, OTHER = "missing", "extra", "other shape or dtype"
_WORST = 1 + 2**-20
"""The relative error of zeros: no codec rounds so badly, whatever scales or codebook a file brings."""
MEASURED = (EXACT, PRUNED, QUANTIZED, DIFFERS)


@dataclass(frozen=True)
class Row:
    """The finding for one tensor; numbers are 0 where nothing could be measured.

    Args:
        name: of the tensor.
        status: exact, pruned, quantized, differs, missing, extra, or other shape or dtype.
        format: as it is packed.
        kept: share of the elements that are equal.
        max_abs: the largest absolute error.
        relative: the Frobenius norm of the error relative to that of the original.
        allowed: whether a status other than exact is accepted.
        energy: share of the sum of squares that became zero.
        worst: the largest relative error of a group of columns: those under one scale, else 128.
    """

    name: str
    status: str
    format: str
    kept: float = 1.0
    max_abs: float = 0.0
    relative: float = 0.0
    allowed: bool = False
    energy: float = 0.0
    worst: float = 0.0

    @property
    def fails(self) -> bool:
        """Whether it makes the exit code 1."""
        return not (self.status == EXACT or (self.status in MEASURED and self.allowed))

    @property
    def snr(self) -> float:
        """Signal to noise in dB."""
        return snr_db(self.relative)

    def to_json(self) -> dict[str, object]:
        """As `--json` prints it; an error that is not finite becomes text."""
        numbers = {
            "equal": self.kept, "max_abs_error": self.max_abs, "relative_frobenius_error": self.relative,
            "worst_group_error": self.worst, "energy_gone": self.energy,
        }  # fmt: skip
        finite = {k: v if v < float("inf") else "inf" for k, v in numbers.items()}
        return {"name": self.name, "status": self.status, "format": self.format, **finite, "fails": self.fails}


@dataclass(frozen=True)
class VerifyJob:
    """The comparison of the tensors of one file: picklable.

    Args:
        original: path of the original.
        packed: path of what is compared with it.
        files: names of a file in each, where they are folders with variants.
        shard: the file of `packed` whose tensors are compared.
        strict: accept nothing but exact tensors.
        limit: the relative error up to which a tensor is accepted; None: the status decides.
        names: the tensors to compare; None: all.
    """

    original: Path
    packed: Path
    files: tuple[str | None, str | None]
    shard: str
    strict: bool
    limit: float | None
    names: frozenset[str] | None


def verify(
    original: Checkpoint,
    packed: Checkpoint,
    *,
    strict: bool = False,
    limit: float | None = None,
    executor: Executor | None = None,
    progress: Advance | None = None,
    names: Collection[str] | None = None,
) -> Iterator[Row]:
    """Compares all tensors; the lone tensors of two files belong together whatever their names.

    Args:
        original: the original.
        packed: what was made of it.
        strict: accept nothing but exact tensors.
        limit: the relative error up to which a tensor is accepted; None: the status decides.
        executor: compares file by file elsewhere; None: here.
        progress: called with a name and its bytes.
        names: the tensors to compare; None: all but what holds no numbers in both.

    Yields:
        A row per tensor of either.

    Raises:
        CheckpointError: a file changed while it was read.
    """
    partner = partners(original, packed)
    if names is None and (odd := not_compared(original, packed)):
        names = {*original, *packed} - set(odd)
    wanted = None if names is None else frozenset(names)
    if executor is None:
        for source in packed.sources:
            for row in shard_rows(original, packed, source, partner, strict=strict, limit=limit, names=wanted):
                yield row
                if progress is not None:
                    progress(row.name, packed.entries[row.name].nbytes)
    else:
        files = (chosen_file(original), chosen_file(packed))
        jobs = [
            VerifyJob(original.path.absolute(), packed.path.absolute(), files, shard, strict, limit, wanted)
            for shard in packed.shards
        ]
        for rows in executor.map(run_verify, jobs):
            for row in rows:
                yield row
                if progress is not None:
                    progress(row.name, packed.entries[row.name].nbytes)
    found = set(partner.values())
    for name in original:
        if name not in found and (wanted is None or name in wanted):
            yield Row(name, MISSING, "", 0.0)
    original.check()
    packed.check()


def not_compared(original: Checkpoint, packed: Checkpoint) -> dict[str, str]:
    """The dtypes of what both hold beside numbers, by name; what one of them alone holds is missing, or extra."""
    return {name: dtype for name, dtype in original.no_numbers.items() if name in packed.no_numbers}


def chosen_file(model: Checkpoint) -> str | None:
    """The `file=` that a folder was opened with."""
    if model.layout is None:
        return None
    index = model.layout.index
    return index.name if index is not None else (model.shards[0] if len(model.shards) == 1 else None)


def run_verify(job: VerifyJob) -> list[Row]:
    """Does a job."""
    with (
        open_checkpoint(job.original, file=job.files[0]) as original,
        open_checkpoint(job.packed, file=job.files[1]) as packed,
    ):
        source = next(s for s in packed.sources if s.path.name == job.shard)
        partner = partners(original, packed)
        rows = list(shard_rows(original, packed, source, partner, strict=job.strict, limit=job.limit, names=job.names))
        original.check()
        packed.check()
        return rows


def partners(original: Checkpoint, packed: Checkpoint) -> dict[str, str]:
    """The name of the original for every name of the packed checkpoint that has one."""
    if len(original) == len(packed) == 1:
        theirs, ours = next(iter(original)), next(iter(packed))
        if original.entries[theirs].lone or packed.entries[ours].lone:
            return {ours: theirs}
    return {name: name for name in packed if name in original}


def shard_rows(
    original: Checkpoint,
    packed: Checkpoint,
    source: Source,
    partner: dict[str, str],
    *,
    strict: bool,
    limit: float | None,
    names: frozenset[str] | None,
) -> Iterator[Row]:
    """The rows of the tensors of one file."""
    pruned = set() if strict else accepted(source)
    for name in packed.names(source):
        entry = source.entries[name]
        if names is not None and name not in names:
            continue
        if name not in partner:
            yield Row(name, EXTRA, entry.format, 0.0)
            continue
        theirs = partner[name]
        row = compared(original, theirs, source, name, pruned=name in pruned, strict=strict)
        if limit is not None and row.status in MEASURED:
            row = replace(row, allowed=row.relative <= limit)
        yield row


def compared(original: Checkpoint, theirs: str, source: Source, name: str, *, pruned: bool, strict: bool) -> Row:
    """The row of a tensor that both have."""
    a, b = original.entries[theirs], source.entries[name]
    if a.shape != b.shape or a.dtype != b.dtype:
        return Row(name, f"{OTHER}: {b.dtype} {b.shape}, was {a.dtype} {a.shape}", b.format, 0.0)
    with naming(name):
        value, theirs_value = source.read(name), original[theirs]
        if a.dtype in OPAQUE:
            return bytes_row(name, theirs_value, value)
        fmt = value.format if isinstance(value, SparseTensor) else b.format
        theirs_value, value = same(theirs_value, value)
        first, second = theirs_value, value
        if small(theirs_value, value):
            first, second = whole(theirs_value), whole(value)
        if identical(first, second):
            return Row(name, EXACT, fmt)
        plain = not isinstance(theirs_value, SparseTensor)
        found = judge(first, second, Rounding.of(value, plain=plain) if isinstance(value, SparseTensor) else None)
        if not found.unequal:
            return Row(name, EXACT, fmt)
        status = found.status
        if status == DIFFERS and isinstance(value, SparseTensor) and encoded_again(theirs_value, value):
            status = QUANTIZED
        error = measured(second, first, group_of(value))
        if status == QUANTIZED and error.rel_frobenius > _WORST:
            status = DIFFERS
    allowed = not strict and status in (PRUNED, QUANTIZED) and (pruned or not found.zeroed)
    kept = 1 - error.unequal / error.elements
    worst = error.worst_group.rel_frobenius if error.worst_group else 0.0
    return Row(name, status, fmt, kept, error.max_abs, error.rel_frobenius, allowed, found.energy, worst)


def bytes_row(name: str, original: Value, packed: Value) -> Row:
    """The row of tensors that are compared as bytes."""
    if isinstance(original, SparseTensor) or isinstance(packed, SparseTensor):
        msg = f"{name}: a dtype that cannot be packed is packed"
        raise CheckpointError(msg)
    same = original.tobytes() == packed.tobytes()
    return Row(name, EXACT if same else DIFFERS, "plain", float(same), 0.0 if same else math.inf)


def encoded_again(original: Value, packed: SparseTensor) -> bool:
    """Whether packing the original once more gives the same tensor: for codecs that have neither scales nor books."""
    if packed.values.kind == "raw" or Rounding.of(packed, plain=True) is not None:
        return False
    w = original.to_dense() if isinstance(original, SparseTensor) else original
    return equal(encode(w, packed.format), packed)


def accepted(source: Source) -> set[str]:
    """The tensors that `pack` says it pruned.

    Raises:
        FormatError: the list is no list.
    """
    try:
        return pruned_names(source.metadata)
    except (ValueError, TypeError) as e:
        msg = f"{source.path}: metadata {PRUNED_KEY}: {e}"
        raise FormatError(msg) from e
