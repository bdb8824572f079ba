"""What is written: whole or not at all, and never over something else without being told to."""

import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import click
import numpy as np
from numpy.lib import format as npy

import sparsefmt as sf
from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import DtypeError, FormatError
from sparsefmt.cli.models import INDEX, Model
from sparsefmt.cli.sources import Source, Value
from sparsefmt.io.atomic import replacing
from sparsefmt.io.container import reading

DENSE_SUFFIXES = (".safetensors", ".npy", ".npz", ".mtx")


def check_out(source: Path, out: Path, suffixes: tuple[str, ...], *, force: bool) -> None:
    """Refuses an OUT that cannot or should not be written, before any work.

    Raises:
        UsageError: OUT is IN, or inside it or around it; it exists; it is no fit for IN.
        FileNotFoundError: IN, or the folder of OUT, does not exist.
    """
    source.stat()
    if out.exists() and out.samefile(source):
        msg = f"IN and OUT are the same, {source}; write to another path, then move it"
        raise click.UsageError(msg)
    folder = source.is_dir()
    if folder:
        a, b = source.resolve(), out.resolve()
        if a in b.parents or b in a.parents:
            msg = f"OUT {out} is inside IN {source}, or around it; write to another folder"
            raise click.UsageError(msg)
        if out.exists() and not out.is_dir():
            msg = f"IN is a folder, so OUT must be one, but {out} is a file"
            raise click.UsageError(msg)
    elif not out.name.endswith(suffixes) or out.is_dir():
        msg = f"OUT {out}: want a file that ends in {' or '.join(suffixes)}"
        raise click.UsageError(msg)
    if out.exists() and not force:
        msg = f"OUT {out} exists; --force replaces it"
        raise click.UsageError(msg)
    if folder and out.exists() and any(out.iterdir()) and not any(out.glob("*.safetensors")):
        msg = f"OUT {out} is a folder without safetensors files; it is not replaced, even with --force"
        raise click.UsageError(msg)
    if not out.absolute().parent.is_dir():
        raise FileNotFoundError(2, os.strerror(2), str(out.absolute().parent))


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder that takes its place when it is complete; what was there is removed then."""
    room = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".tmp", dir=out.absolute().parent))
    try:
        made = room / "new"
        made.mkdir()
        yield made
        if out.exists():
            out.rename(room / "old")
        made.rename(out)
    finally:
        if (room / "old").exists() and not out.exists():
            (room / "old").rename(out)
        shutil.rmtree(room)


Step = Callable[[Source], tuple[Mapping[str, Value], Mapping[str, str]]]


def write_model(model: Model, out: Path, step: Step) -> None:
    """Writes what `step` makes of every shard, tensors and metadata: a file for a file, a folder for a folder.

    A folder gets shards of the same names, an index whose weight_map lists the arrays in the shards, and copies
    of the files beside the weights. One shard is in memory at a time.
    """
    if not model.is_folder:
        for shard in model.shards():
            tensors, metadata = step(shard)
            write_tensors(out, tensors, metadata)
        return
    with new_folder(out) as folder:
        weight_map: dict[str, str] = {}
        total = 0
        for shard in model.shards():
            tensors, metadata = step(shard)
            target = folder / shard.path.name
            sf.save(target, tensors, metadata=metadata)
            with reading(target) as written:
                weight_map |= dict.fromkeys(written.stored, target.name)
            total += sum(t.nbytes for t in tensors.values())
        index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
        (folder / INDEX).write_text(json.dumps(index, indent=2) + "\n")
        for file in model.side_files():
            shutil.copyfile(file, folder / file.name)


def write_tensors(out: Path, tensors: Mapping[str, Value], metadata: Mapping[str, str]) -> None:
    """Writes a file of the kind that the suffix names.

    Raises:
        FormatError: it holds one tensor, and there are more or none; or it holds no such rank.
        DtypeError: it does not hold the dtype.
    """
    if out.name.endswith(".safetensors"):
        sf.save(out, dict(tensors), metadata=dict(metadata))
        return
    if out.name.endswith(".npz"):
        with replacing(out) as file, zipfile.ZipFile(file, "w") as archive:
            for name, t in tensors.items():  # not numpy.savez: it holds all at once, and no tensor may be named "file"
                array = numpy_own(name, as_dense(t))
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    npy.write_array(member, array, allow_pickle=False)
        return
    if len(tensors) != 1:
        msg = f"{out.name} holds one tensor, and {len(tensors)} are to be written; choose one with --include NAME"
        raise FormatError(msg)
    name, value = next(iter(tensors.items()))
    if out.name.endswith(".npy"):
        array = numpy_own(name, as_dense(value))
        with replacing(out) as file:
            np.save(file, array, allow_pickle=False)
    else:
        write_matrix(out, name, value)


def write_matrix(out: Path, name: str, value: Value) -> None:
    """Writes Matrix Market text: `coordinate` for a packed tensor, `array` for a plain one."""
    import scipy.io  # not at the top: takes long, and is only an extra

    if value.ndim != 2 or value.dtype.name in ("bool", "bfloat16") or value.dtype.name.startswith("float8"):
        msg = (
            f"{name}: a Matrix Market file holds matrices of numbers that C has, not {value.dtype} of rank {value.ndim}"
        )
        raise DtypeError(msg)
    matrix = sf.to_scipy(value) if isinstance(value, sf.SparseTensor) else value
    digits = 17 if value.dtype.itemsize >> (value.dtype.kind == "c") > 4 else 9  # these read back to the same bits
    if value.dtype.kind in "fc":  # SciPy's writer breaks complex64 and cuts float16 to integers
        matrix = matrix.astype(np.result_type(value.dtype, np.float64))
    with replacing(out) as file:
        scipy.io.mmwrite(file, matrix, precision=digits, symmetry="general")


def as_dense(value: Value) -> Array:
    """The decoded array."""
    return value.to_dense() if isinstance(value, sf.SparseTensor) else value


def numpy_own(name: str, a: Array) -> Array:
    """`a`, if NumPy's files keep its dtype.

    Raises:
        DtypeError: they do not.
    """
    if a.dtype.name == "bfloat16" or a.dtype.name.startswith("float8"):
        msg = f"{name}: NumPy's files do not hold {a.dtype}; write .safetensors"
        raise DtypeError(msg)
    return a
