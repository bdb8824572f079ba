"""`sparsefmt inspect`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import click

from sparsefmt.base.dtypes import dtype_named
from sparsefmt.base.errors import DtypeError
from sparsefmt.base.words import many
from sparsefmt.checkpoint.model import Checkpoint, open_checkpoint
from sparsefmt.checkpoint.readers.base import Source
from sparsefmt.checkpoint.readers.safetensors import Safetensors
from sparsefmt.checkpoint.remote import remote
from sparsefmt.checkpoint.verification import MISSING, Row, verify
from sparsefmt.cli import options
from sparsefmt.cli.errors import ERRORS, error_cells, error_json
from sparsefmt.cli.foreign import foreign, foreign_json
from sparsefmt.cli.headers import headers, headers_json
from sparsefmt.cli.progress import Advance, progress, size
from sparsefmt.cli.tables import table
from sparsefmt.io.report import TensorInfo

LARGE = 10 * 10**9  # bytes beyond which headers alone are read
COLUMNS = ["name", "shape", "dtype", "format", "bytes", "bits/weight", "density"]


@click.command()
@options.path_argument("source", "FILE", remote=True)
@options.file_option
@options.json_option
@click.option(
    "--against",
    callback=options.optional_place,
    metavar="ORIGINAL",
    help="Measure the error of every tensor against that of ORIGINAL, of any kind that pack reads.",
)
@click.option(
    "--quick",
    is_flag=True,
    help="Read headers only: no densities, no ranges of scales. The default for more than 10 GB, and for URLs.",
)
@click.option("--quiet", is_flag=True, help="Show no progress.")
def inspect(source: Path, file: str | None, as_json: bool, against: Path | None, quick: bool, quiet: bool) -> None:
    """Lists the tensors of FILE, a safetensors file or a folder of them, or of any kind that pack reads, with totals.

    Bits per weight and density are stored bits and stored values per element. Where a tensor has integer or k-means
    codes, the codec is named, and the shape, dtype and range of its scales or codebook.

    Of files and checkpoints of others the format and the scheme are named, and of each weight what it is read as and
    the arrays or blocks that hold it.

    --against adds the Frobenius norm of the error relative to that of the original, the same of the worst group of
    columns (those of a scale, else 128), the largest absolute error, and the signal-to-noise ratio in dB.
    """
    source.stat()  # a missing file is named as such, whatever its ending
    model = open_checkpoint(source, file=file)
    paths = [shard.path for shard in model.sources]
    if quick and against is not None:
        msg = "--quick reads headers only, --against all data; leave out one of them"
        raise click.UsageError(msg)
    errors = None if against is None else measured(open_checkpoint(against), model, quiet=quiet)
    if model.reader != "safetensors":
        click.echo(json.dumps(foreign_json(model, errors), indent=2)) if as_json else foreign(model, errors)
        return
    if quick or (against is None and (model.nbytes > LARGE or remote(source) is not None)):
        click.echo(json.dumps(headers_json(model), indent=2)) if as_json else headers(model)
        return
    with progress(model.nbytes, quiet=quiet) as advance:
        found = [(s.path, name, info) for s in model.sources for name, info in infos(s, advance)]
    dense = sum(dense_bytes(info) for *_, info in found)
    stored = sum(info.nbytes for *_, info in found)
    files = sum(f.stat().st_size for f in paths)
    missing = [name for name, row in (errors or {}).items() if row.status == MISSING]
    if as_json:
        tensors = [
            {
                "name": name,
                **info.to_json(),
                **({"file": shard.name} if model.is_folder else {}),
                **({} if errors is None else {"error": error_json(errors[name])}),
            }
            for shard, name, info in found
        ]
        total = {"tensors": len(found), "nbytes": stored, "dense_nbytes": dense, "file_nbytes": files}
        lost = {} if errors is None else {"missing": missing}
        click.echo(json.dumps({"tensors": tensors, "total": total, **lost}, indent=2))
        return
    coded = any(info.entries for *_, info in found)
    headings = [*COLUMNS, *(["codec", "scales"] if coded else []), *([] if errors is None else ERRORS)]
    rows = []
    for _, name, info in found:
        cells = [*row(name, info), *([info.codec, entries(info)] if coded else [])]
        rows.append(cells + ([] if errors is None else error_cells(errors[name])))
    total_row = ["total", "", "", many(len(found), "tensor"), f"{stored:,}", "", ""]
    rows.append(total_row + [""] * (len(headings) - len(total_row)))
    table(headings, rows, left=4)
    ratio = f"{stored / dense:.1%} of {size(dense)} dense" if dense else "empty"
    click.echo(f"{size(stored)} stored, {ratio}; {size(files)} in {many(len(paths), 'file')}")
    if missing:
        click.echo(f"only in {against}: {', '.join(missing)}")


def measured(original: Checkpoint, model: Checkpoint, *, quiet: bool) -> dict[str, Row]:
    """The rows of all tensors of either; of those without numbers, which are not compared, too."""
    odd = {name: Row(name, "no numbers", "", 0.0) for name in model.no_numbers}
    odd |= {name: Row(name, MISSING, "", 0.0) for name in original.no_numbers if name not in model}
    with progress(model.nbytes, quiet=quiet) as advance:
        return odd | {row.name: row for row in verify(original, model, progress=advance)}


def infos(source: Source, advance: Advance) -> Iterator[tuple[str, TensorInfo]]:
    """What a safetensors file holds, from the file that was opened."""
    for name in source.entries:
        info = cast(Safetensors, source).info(name)
        yield name, info
        advance(name, info.nbytes)


def row(name: str, info: TensorInfo) -> list[str]:
    """The cells of a tensor."""
    shape = "x".join(map(str, info.shape)) or "scalar"
    return [
        name, shape, str(info.dtype), info.format, f"{info.nbytes:,}", f"{info.bits_per_weight:.2f}",
        f"{info.density:.4f}",
    ]  # fmt: skip


def entries(info: TensorInfo) -> str:
    """The scales or the codebook in a cell: "64x8 float16 0.0012..0.05"."""
    if info.entries is None:
        return ""
    found = info.entries
    shape = "x".join(map(str, found.shape))
    points = " and zero points" if found.asymmetric else ""
    return f"{shape} {found.dtype} {found.low:.3g}..{found.high:.3g}{points}"


def dense_bytes(info: TensorInfo) -> int:
    """Bytes of the decoded tensor."""
    size = 1
    for n in info.shape:
        size *= n
    try:
        return size * dtype_named(str(info.dtype)).itemsize
    except DtypeError:  # a plain tensor of a dtype that only safetensors knows
        return int(info.nbytes)
