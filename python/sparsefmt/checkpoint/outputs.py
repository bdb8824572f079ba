"""Files of every kind that a command writes, by rows where they are dense."""

import zipfile
from collections.abc import Collection, Iterator
from math import prod
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy

from sparsefmt.base.dtypes import DTYPES
from sparsefmt.base.errors import DtypeError, FormatError
from sparsefmt.checkpoint.entry import Entry, Value
from sparsefmt.checkpoint.model import Checkpoint
from sparsefmt.checkpoint.readers.base import matrix_of
from sparsefmt.checkpoint.rows import ranges
from sparsefmt.interop.matrix_market_text import write_matrix_market
from sparsefmt.io.atomic import replacing

DENSE_SUFFIXES = (".safetensors", ".npy", ".npz", ".mtx")

_BLOCK = 1 << 24  # bytes of rows that are decoded together


def write_arrays(out: Path, model: Checkpoint, names: Collection[str]) -> None:
    """Writes tensors of a checkpoint to a file of the kind that the suffix names: .npz, .npy, .mtx.

    Raises:
        FormatError: it holds one tensor, and there are more or none; or it holds no such rank.
        DtypeError: it does not hold the dtype.
    """
    if out.name.endswith(".npz"):
        with replacing(out) as file, zipfile.ZipFile(file, "w") as archive:
            for name in names:  # not numpy.savez: it holds all at once, and no tensor may be named "file"
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    _write_npy(member, model, name)
        return
    if len(names) != 1:
        msg = f"{out.name} holds one tensor, and {len(names)} are to be written; choose one with --include NAME"
        raise FormatError(msg)
    (name,) = names
    if out.name.endswith(".npy"):
        with replacing(out) as file:
            _write_npy(file, model, name)
    else:
        _write_matrix(out, name, model[name])


def _write_npy(file: IO[bytes], model: Checkpoint, name: str) -> None:
    """One array as `numpy.save` writes it, row by row."""
    entry = model.entries[name]
    dtype = _numpy_own(name, entry)
    descr = npy.dtype_to_descr(dtype)
    npy.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": entry.shape})
    for low, high in _blocks(entry, dtype.itemsize):
        block = np.ascontiguousarray(model.rows(name, low, high), dtype)
        file.write(block.reshape(-1).view(np.uint8).data)


def _blocks(entry: Entry, itemsize: int) -> Iterator[tuple[int, int]]:
    rows, cols = matrix_of(entry.shape)
    return ranges(rows, cols * itemsize, 1, _BLOCK) if prod(entry.shape) else iter(())


def _write_matrix(out: Path, name: str, value: Value) -> None:
    """Writes Matrix Market text: `coordinate` for a packed tensor, `array` for a plain one."""
    if value.ndim != 2 or value.dtype.name in ("bool", "bfloat16") or value.dtype.name.startswith("float8"):
        msg = (
            f"{name}: a Matrix Market file holds matrices of numbers that C has, not {value.dtype} of rank {value.ndim}"
        )
        raise DtypeError(msg)
    write_matrix_market(out, value)


def _numpy_own(name: str, entry: Entry) -> np.dtype[np.generic]:
    """The dtype of a tensor, if NumPy's files keep it.

    Raises:
        DtypeError: they do not.
    """
    if entry.dtype not in DTYPES or entry.dtype == "bfloat16" or entry.dtype.startswith("float8"):
        msg = f"{name}: NumPy's files do not hold {entry.dtype}; write .safetensors"
        raise DtypeError(msg)
    return np.dtype(DTYPES[entry.dtype])
