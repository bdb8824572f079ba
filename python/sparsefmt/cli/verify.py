"""`sparsefmt verify`."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import click

import sparsefmt as sf
from sparsefmt.api.compare import DIFFERS, EXACT, PRUNED, Comparison, compare, snr_db
from sparsefmt.base.errors import FormatError
from sparsefmt.checkpoint.model import Checkpoint, open_checkpoint
from sparsefmt.checkpoint.readers.base import Source
from sparsefmt.checkpoint.recipe import PRUNED as PRUNED_KEY
from sparsefmt.checkpoint.recipe import naming
from sparsefmt.cli import options
from sparsefmt.cli.progress import progress, table

QUANTIZED, MISSING, EXTRA, OTHER = "quantized", "missing", "extra", "other shape or dtype"
MEASURED = (EXACT, PRUNED, QUANTIZED, DIFFERS)


@dataclass(frozen=True)
class Row:
    """The finding for one tensor; `max_abs` and `relative` are 0 where nothing could be measured."""

    name: str
    status: str
    format: str
    kept: float = 1.0
    max_abs: float = 0.0
    relative: float = 0.0
    allowed: bool = False
    worst: float = 0.0
    """The relative error of the worst group of columns: the codec's, else of 128."""

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
            "equal": self.kept,
            "max_abs_error": self.max_abs,
            "relative_frobenius_error": self.relative,
            "worst_group_error": self.worst,
        }
        finite = {k: v if v < float("inf") else "inf" for k, v in numbers.items()}
        return {"name": self.name, "status": self.status, "format": self.format, **finite, "fails": self.fails}


def checked_limit(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    """Refuses NaN, which every error would be above."""
    if value is not None and math.isnan(value):
        msg = "want a number of 0 or more"
        raise click.BadParameter(msg, ctx, param)
    return value


@click.command()
@options.path_argument("source", "IN")
@options.path_argument("out", "OUT")
@options.json_option
@click.option("--strict", is_flag=True, help="Exit with 1 for pruned and quantized tensors too.")
@click.option(
    "--max-rel-error",
    type=click.FloatRange(0),
    callback=checked_limit,
    metavar="X",
    help="Exit with 0 if no tensor has a relative error above X, however it came about.",
)
def verify(source: Path, out: Path, as_json: bool, strict: bool, max_rel_error: float | None) -> None:
    r"""Compares OUT, packed or unpacked, with the original IN, tensor by tensor.

    \b
    exact      every element has the bits of the original (0.0 and -0.0 count as the same)
    pruned     whatever is not zero in OUT has the bits of the original; the rest was zeroed
    quantized  not exact, and stored in OUT under a codec, which rounds
    differs    something else than a zero has other bits
    missing, extra, other shape or dtype

    For all that is not exact the table gives the share of equal elements, the largest absolute error
    and the Frobenius norm of the error relative to that of the original.

    The exit code is 0 if every tensor is exact. `pruned` is accepted where OUT says that `pack --prune`
    pruned that tensor, and `quantized` always, unless --strict is given. With --max-rel-error the
    relative error alone decides: exact, pruned, quantized and differing tensors are accepted up to X.
    Everything else exits with 1.
    """
    if strict and max_rel_error is not None:
        msg = "--strict accepts no error at all; leave out one of --strict and --max-rel-error"
        raise click.UsageError(msg)
    found = found_rows(open_checkpoint(source), open_checkpoint(out), strict=strict, limit=max_rel_error)
    rows = sorted(found, key=lambda row: row.name)
    failing = sum(row.fails for row in rows)
    counts = {status: sum(row.status == status for row in rows) for status in (EXACT, PRUNED, QUANTIZED, DIFFERS)}
    other = len(rows) - sum(counts.values())
    if as_json:
        summary = {**counts, "other": other, "failing": failing}
        click.echo(json.dumps({"tensors": [row.to_json() for row in rows], "total": summary}, indent=2))
    else:
        cells = [
            [row.name, row.format, row.status, f"{row.kept:.2%}", f"{row.max_abs:.3g}", f"{row.relative:.3g}"]
            for row in rows
        ]
        table(["name", "format", "status", "equal", "max abs error", "rel. error"], cells, left=3)
        parts = [f"{n} {status}" for status, n in {**counts, "missing or of other form": other}.items() if n]
        verdict = f"FAILED for {failing} of {len(rows)} tensors" if failing else "verified"
        click.echo(f"{', '.join(parts) or 'no tensors'}: {verdict}")
    if failing:
        raise click.exceptions.Exit(1)


def found_rows(
    original: Checkpoint, packed: Checkpoint, *, strict: bool = False, limit: float | None = None
) -> Iterator[Row]:
    """Compares all tensors; the lone tensors of two files belong together whatever their names.

    `limit` is the relative error up to which a tensor is accepted; without it the status decides.
    """
    renamed = {}
    if len(original.entries) == len(packed.entries) == 1:
        theirs, ours = next(iter(original.entries)), next(iter(packed.entries))
        if original.entries[theirs].lone or packed.entries[ours].lone:
            renamed = {ours: theirs}
    where = {name: shard for shard in original.sources for name in original.names(shard)}
    with progress(packed.nbytes) as advance:
        for shard in packed.sources:
            allowed = set() if strict else pruned_names(shard)
            for name in packed.names(shard):
                entry = shard.entries[name]
                source = where.pop(renamed.get(name, name), None)
                if source is None:
                    yield Row(name, EXTRA, entry.format, 0.0)
                else:
                    row = compared(source, shard, renamed.get(name, name), name, allowed=name in allowed, strict=strict)
                    if limit is not None and row.status in MEASURED:
                        row = replace(row, allowed=row.relative <= limit)
                    yield row
                advance(name, entry.nbytes)
    for name in where:
        yield Row(name, MISSING, "", 0.0)


def compared(source: Source, shard: Source, theirs: str, name: str, *, allowed: bool, strict: bool) -> Row:
    """The row of a tensor that both have."""
    a, b = source.entries[theirs], shard.entries[name]
    if a.shape != b.shape or a.dtype != b.dtype:
        return Row(name, f"{OTHER}: {b.dtype} {b.shape}, was {a.dtype} {a.shape}", b.format, 0.0)
    with naming(name):
        value = shard.read(name)
        found = compare(value, source.read(theirs))
    status, fmt = found.status, value.format if isinstance(value, sf.SparseTensor) else b.format
    allowed = allowed and status == PRUNED
    if status != EXACT and isinstance(value, sf.SparseTensor) and value.values.kind != "raw":
        status, allowed = QUANTIZED, not strict
    kept = 1 - found.unequal / found.elements if found.elements else 1.0
    return Row(name, status, fmt, kept, found.max_abs, found.rel_frobenius, allowed, worst_of(found))


def worst_of(found: Comparison) -> float:
    """The relative error of the worst group; 0 where nothing differs."""
    return found.worst_group.rel_frobenius if found.worst_group else 0.0


def pruned_names(shard: Source) -> set[str]:
    """The tensors that `pack --prune` says it pruned.

    Raises:
        FormatError: the list is no list.
    """
    try:
        names = json.loads(shard.metadata.get(PRUNED_KEY, "[]"))
        return {str(name) for name in names}
    except (ValueError, TypeError) as e:
        msg = f"{shard.path}: metadata {PRUNED_KEY}: {e}"
        raise FormatError(msg) from e
