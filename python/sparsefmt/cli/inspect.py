"""`sparsefmt inspect`."""

import json
from pathlib import Path
from typing import Any

import click

import sparsefmt as sf
from sparsefmt.arrays import dtype_named
from sparsefmt.cli import options
from sparsefmt.cli.models import open_model
from sparsefmt.cli.progress import size, table
from sparsefmt.errors import DtypeError, FormatError


@click.command()
@options.path_argument("file", "FILE")
@options.json_option
def inspect(file: Path, as_json: bool) -> None:
    """Lists the tensors of FILE, a safetensors file or a folder of them, with totals.

    Bits per weight and density are stored bits and stored values per element.
    """
    file.stat()  # a missing file is named as such, whatever its ending
    model = open_model(file)
    other = [f for f in model.files if f.suffix != ".safetensors"]
    if other:
        msg = f"{other[0]}: inspect reads safetensors files; pack it first"
        raise FormatError(msg)
    found = [(shard, name, info) for shard in model.files for name, info in sf.inspect(shard).items()]
    dense = sum(dense_bytes(info) for *_, info in found)
    stored = sum(info.nbytes for *_, info in found)
    files = sum(f.stat().st_size for f in model.files)
    if as_json:
        tensors = [
            {"name": name, **info.to_json(), **({"file": shard.name} if model.is_folder else {})}
            for shard, name, info in found
        ]
        total = {"tensors": len(found), "nbytes": stored, "dense_nbytes": dense, "file_nbytes": files}
        click.echo(json.dumps({"tensors": tensors, "total": total}, indent=2))
        return
    rows = [row(name, info) for _, name, info in found]
    rows.append(["total", "", "", f"{len(found)} tensors", f"{stored:,}", "", ""])
    table(["name", "shape", "dtype", "format", "bytes", "bits/weight", "density"], rows, left=4)
    ratio = f"{stored / dense:.1%} of {size(dense)} dense" if dense else "empty"
    click.echo(f"{size(stored)} stored, {ratio}; {size(files)} in {len(model.files)} file{'s'[: len(model.files) > 1]}")


def row(name: str, info: Any) -> list[str]:  # noqa: ANN401
    """The cells of a tensor."""
    shape = "x".join(map(str, info.shape)) or "scalar"
    density = "" if info.density is None else f"{info.density:.4f}"
    return [name, shape, str(info.dtype), info.format, f"{info.nbytes:,}", f"{info.bits_per_weight:.2f}", density]


def dense_bytes(info: Any) -> int:  # noqa: ANN401
    """Bytes of the decoded tensor."""
    size = 1
    for n in info.shape:
        size *= n
    try:
        return size * dtype_named(str(info.dtype)).itemsize
    except DtypeError:  # a plain tensor of a dtype that only safetensors knows
        return int(info.nbytes)
