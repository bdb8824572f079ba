"""Files of every kind that a command writes."""

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import DtypeError, FormatError
from sparsefmt.checkpoint.entry import Value
from sparsefmt.interop.scipy import to_scipy
from sparsefmt.io.atomic import replacing
from sparsefmt.tensor.sparse import SparseTensor

DENSE_SUFFIXES = (".safetensors", ".npy", ".npz", ".mtx")


def write_arrays(out: Path, tensors: Mapping[str, Value]) -> None:
    """Writes a file of the kind that the suffix names: .npz, .npy, .mtx.

    Raises:
        FormatError: it holds one tensor, and there are more or none; or it holds no such rank.
        DtypeError: it does not hold the dtype.
    """
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
    matrix = to_scipy(value) if isinstance(value, SparseTensor) else value
    digits = 17 if value.dtype.itemsize >> (value.dtype.kind == "c") > 4 else 9  # these read back to the same bits
    if value.dtype.kind in "fc":  # SciPy's writer breaks complex64 and cuts float16 to integers
        matrix = matrix.astype(np.result_type(value.dtype, np.float64))
    with replacing(out) as file:
        scipy.io.mmwrite(file, matrix, precision=digits, symmetry="general")


def as_dense(value: Value) -> Array:
    """The decoded array."""
    return value.to_dense() if isinstance(value, SparseTensor) else value


def numpy_own(name: str, a: Array) -> Array:
    """`a`, if NumPy's files keep its dtype.

    Raises:
        DtypeError: they do not.
    """
    if a.dtype.name == "bfloat16" or a.dtype.name.startswith("float8"):
        msg = f"{name}: NumPy's files do not hold {a.dtype}; write .safetensors"
        raise DtypeError(msg)
    return a
