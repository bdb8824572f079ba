"""The initialisers of ONNX models: dense arrays, and sparse ones as coo."""

import os
import stat
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from sparsefmt.base.coerce import checked_shape, plain
from sparsefmt.base.dtypes import DTYPES, Array, index_dtype
from sparsefmt.base.errors import BackendError, DtypeError, FormatError, SizeError, naming
from sparsefmt.base.limits import check_size
from sparsefmt.checkpoint.entry import PLAIN, Entry, Value
from sparsefmt.checkpoint.readers.base import Source, as_said
from sparsefmt.checkpoint.readers.lone import reading
from sparsefmt.codecs.raw import Raw
from sparsefmt.interop.triplets import from_triplets
from sparsefmt.io.dtypes import is_stored
from sparsefmt.structures.registry import STRUCTURES
from sparsefmt.tensor.sparse import SparseTensor

_WIDER = {"int4": "int8", "int2": "int8", "uint4": "uint8", "uint2": "uint8"}
"""What integers are read as for which neither NumPy nor a safetensors file has a dtype."""

_MOST = 1 << 31


def sniff(path: Path) -> bool:
    """Whether the name ends in .onnx; a protobuf has no magic bytes."""
    return path.suffix == ".onnx" and not path.is_dir()


def open(path: Path) -> Source:
    """Parses the model.

    Raises:
        BackendError: the package onnx is not installed.
    """
    try:
        import onnx  # not at the top: an extra
    except ImportError:
        path.open("rb").close()
        msg = f"{path}: onnx is not installed; pip install 'sparsefmt[onnx]'"
        raise BackendError(msg) from None
    status = path.stat()
    with reading(path):
        if not stat.S_ISREG(status.st_mode):  # it is read as a whole
            msg = "no regular file"
            raise FormatError(msg)
        if status.st_size >= _MOST:
            msg = f"no ONNX model: it has {status.st_size} bytes, and protobuf allows {_MOST - 1}"
            raise FormatError(msg)
        try:
            model = onnx.load(path, load_external_data=False)
        except Exception as e:  # what protobuf raises is of no public class
            msg = f"no ONNX model, or damaged: {e}"
            raise FormatError(msg) from None
        return Onnx(path, status, model)


class Onnx(Source):
    """A model with its initialisers. Data in other files is read only from the folder of the model."""

    def __init__(self, path: Path, status: os.stat_result, model: Any) -> None:  # noqa: ANN401
        super().__init__(path, status)
        self._dense = {t.name: t for t in model.graph.initializer}
        self._sparse = {t.values.name: t for t in model.graph.sparse_initializer}
        if odd := [n for n in (*self._dense, *self._sparse) if not isinstance(n, str)]:  # as protobuf gives damage
            msg = f"the name {odd[0][:80]!r} of an initialiser is no UTF-8"
            raise FormatError(msg)
        names = [t.name for t in model.graph.initializer] + [t.values.name for t in model.graph.sparse_initializer]
        if twice := [name for name, count in Counter(names).items() if count > 1]:
            msg = f"{names.count(twice[0])} initialisers have the name {twice[0]!r}"
            raise FormatError(msg)
        self.metadata = {p.key: p.value for p in model.metadata_props}
        self.entries = {
            **{
                n: _entry(checked_shape(tuple(t.dims), (0, 64)), t, 0, PLAIN, path.name) for n, t in self._dense.items()
            },
            **{n: _entry(checked_shape(tuple(t.dims)), t.values, 8, "coo", path.name) for n, t in self._sparse.items()},
        }

    def read(self, name: str) -> Value:
        """The initialiser."""
        with reading(self.path), naming(name):
            if name in self._dense:
                return as_said(_array(self._dense[name], self.path), self.entries[name])
            found = self._sparse[name]
            made = _coo(_array(found.values, self.path), _array(found.indices, self.path), tuple(found.dims))
            return as_said(made, self.entries[name])

    def has_place(self, name: str) -> bool:
        """Not texts, float4, float6; sparse ones only of dtypes that tensors have."""
        dtype = self.entries[name].dtype
        return dtype in DTYPES if name in self._sparse else is_stored(dtype)

    def origin(self, name: str) -> str:
        """The type of integers of 2 and 4 bits, which are read as such of 8."""
        dtype = _dtype_name(self._dense[name] if name in self._dense else self._sparse[name].values)
        return dtype if dtype in _WIDER else ""


def _entry(shape: tuple[int, ...], tensor: Any, extra: int, fmt: str, shard: str) -> Entry:  # noqa: ANN401
    name = _dtype_name(tensor)
    read_as = _WIDER.get(name, name)
    if not is_stored(read_as):  # texts, float4, and types of later versions
        return Entry(shape, name, tensor.ByteSize(), fmt, shard)
    dtype = np.dtype(read_as)
    count = int(np.prod(tuple(tensor.dims), dtype=object))
    return Entry(shape, dtype.name, count * (dtype.itemsize + extra), fmt, shard)


def _dtype_name(tensor: Any) -> str:  # noqa: ANN401
    """What NumPy and ml_dtypes call the type of an initialiser, or else the package onnx, or else its number."""
    from onnx import TensorProto
    from onnx.helper import tensor_dtype_to_np_dtype

    kind = tensor.data_type
    if kind not in TensorProto.DataType.values() or kind == TensorProto.UNDEFINED:
        return f"type {kind}"
    if kind == TensorProto.STRING:
        return "string"
    try:
        return str(np.dtype(tensor_dtype_to_np_dtype(kind)).name)
    except KeyError:  # older versions of the package know types that they do not convert
        return str(TensorProto.DataType.Name(kind)).lower()


def _array(tensor: Any, path: Path) -> Array:  # noqa: ANN401
    from onnx import TensorProto, checker, numpy_helper

    name = _dtype_name(tensor)
    if not is_stored(_WIDER.get(name, name)):
        msg = f"no array here has its dtype, {name}; have {', '.join((*DTYPES, *_WIDER))}"
        raise DtypeError(msg)
    if tensor.data_location == TensorProto.EXTERNAL:
        _check_outside({e.key: e.value for e in tensor.external_data}, tensor.name, path)
    try:
        made = np.asarray(numpy_helper.to_array(tensor, base_dir=str(path.parent)))
    except (ValueError, TypeError, checker.ValidationError) as e:  # the last of links, which it does not follow
        raise FormatError(str(e)) from None
    except MemoryError:
        msg = "its data take more than the system has memory for"
        raise SizeError(msg) from None
    if name in _WIDER:
        return made.astype(_WIDER[name])
    return plain(made, made.dtype) if made.dtype.name in DTYPES else made


def _check_outside(facts: dict[str, str], name: str, path: Path) -> None:
    """Refuses data in a file elsewhere, and more of one than may be read, which the package onnx does as a whole."""
    named, length = facts.get("location", ""), facts.get("length", "")
    if Path(named).name != named or not (path.parent / named).is_file():
        msg = f"initialiser {name!r} keeps its data in {named!r}, which is no file beside the model"
        raise FormatError(msg)
    size = (path.parent / named).stat().st_size
    check_size(min(size, int(length)) if length.isascii() and length.isdecimal() else size, f"the data in {named!r}")


def _coo(values: Array, indices: Array, shape: tuple[int, ...]) -> SparseTensor:
    """A sparse initialiser: indices flat (entries,) or by axis (entries, rank)."""
    shape = checked_shape(shape)
    if (
        values.ndim != 1
        or indices.dtype != np.int64
        or indices.shape not in ((len(values),), (len(values), len(shape)))
    ):
        got = f"{values.shape}, {indices.dtype} of shape {indices.shape}"
        msg = f"want values (n,) and int64 indices (n,) or (n, {len(shape)}), got {got}"
        raise FormatError(msg)
    bounds = np.array(shape if indices.ndim == 2 else [np.prod(shape, dtype=object)])
    wide = indices if indices.ndim == 2 else indices[:, None]
    if wide.size and ((wide < 0) | (wide >= bounds)).any():
        at = int(np.argwhere((wide < 0) | (wide >= bounds))[0, 0])
        msg = f"entry {at}: index {wide[at].tolist()} is out of range for shape {shape}"
        raise FormatError(msg)
    flat = np.ravel_multi_index(tuple(wide.T), shape) if indices.ndim == 2 and values.size else wide.reshape(-1)
    rows, cols = int(np.prod(shape[:-1], dtype=object)), shape[-1]
    row, col = np.divmod(flat, max(cols, 1))
    index = index_dtype(rows, cols, len(values))
    row, col, data = from_triplets(row.astype(index), col.astype(index), values, (rows, cols))
    if len(data) != len(values):
        msg = f"{len(values) - len(data)} entries stand at places that others have"
        raise FormatError(msg)
    structure = STRUCTURES["coo"].from_parts({"row": row, "col": col}, {}, (rows, cols))
    return SparseTensor(structure, Raw(data), shape)
