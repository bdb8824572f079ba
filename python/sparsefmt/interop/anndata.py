"""Matrices as anndata keeps them in h5ad and zarr: a group of `data`, `indices`, `indptr`, or a dense array.

Source: anndata 0.12, "On-disk format" (encoding versions 0.1.0 and 0.2.0).
"""

from typing import Any

import numpy as np

from sparsefmt.base.coerce import as_array, plain
from sparsefmt.base.dtypes import Array, index_dtype
from sparsefmt.base.errors import FormatError, VersionError
from sparsefmt.codecs.raw import Raw
from sparsefmt.interop import groups
from sparsefmt.interop.scipy import WIDENED
from sparsefmt.interop.triplets import narrowed
from sparsefmt.structures.registry import STRUCTURES
from sparsefmt.tensor.layout import along_last
from sparsefmt.tensor.sparse import SparseTensor

_KINDS = {"csr_matrix": "csr", "csc_matrix": "csc"}
_EMPTY = ("layers", "obsm", "obsp", "uns", "varm", "varp")


def read_matrix(parent: Any, name: str = "X") -> SparseTensor | Array:  # noqa: ANN401
    """A matrix of a file: `X`, or a name such as "layers/counts".

    Args:
        parent: the file, or a group of it, of h5py or zarr.
        name: of the matrix, "/" between groups.

    Returns:
        A csr or csc tensor with the indices and values of the file, or an ndarray of a dense matrix.

    Raises:
        FormatError: it is missing, of another encoding, or its arrays contradict each other.
        VersionError: an encoding version that is not known.
        SizeError: it is larger than the limit.
    """
    *path, last = name.split("/")
    for step in path:
        parent = groups.child(parent, step)
    node = groups.child(parent, last)
    if groups.is_array(node):
        return groups.array(parent, last)
    encoding, version = (groups.attribute(node, f"encoding-{k}") for k in ("type", "version"))
    kind = _KINDS.get(str(encoding))
    if kind is None:
        msg = f"{name!r} has the encoding {encoding!r}; want csr_matrix, csc_matrix or a dense array"
        raise FormatError(msg)
    if version != "0.1.0":
        msg = f"{name!r} has the encoding version {version!r}; want 0.1.0"
        raise VersionError(msg)
    rows, cols = _shape(name, groups.attribute(node, "shape"))
    data, indices, indptr = (groups.array(node, k) for k in ("data", "indices", "indptr"))
    for part, a in (("indices", indices), ("indptr", indptr)):
        if a.dtype.kind not in "iu" or a.ndim != 1:
            msg = f"{name}/{part}: want integers of rank 1, got {a.dtype} of shape {a.shape}"
            raise FormatError(msg)
    index = index_dtype(rows, cols, len(indices))
    indptr, indices = (narrowed(f"{name}/{part}", a, index) for part, a in (("indptr", indptr), ("indices", indices)))
    indptr, indices, data = _sorted(indptr, indices, plain(data, data.dtype))
    structure = STRUCTURES[kind].from_parts({"indptr": indptr, "indices": indices}, {}, (rows, cols))
    return SparseTensor(structure, Raw(data), (rows, cols))


def _shape(name: str, given: object) -> tuple[int, int]:
    lengths = [] if given is None else [int(n) for n in np.asarray(given).reshape(-1)]
    if len(lengths) != 2 or min(lengths) < 0:
        msg = f"{name!r} has the shape {lengths}; want two lengths of 0 and more"
        raise FormatError(msg)
    return lengths[0], lengths[1]


def _sorted(indptr: Array, indices: Array, data: Array) -> tuple[Array, Array, Array]:
    """Indices sorted within rows, which anndata does not promise; wrong offsets are left to the structure."""
    fall = np.flatnonzero(indices[1:] <= indices[:-1]) + 1
    if not len(fall) or np.isin(fall, indptr).all() or (np.diff(indptr) < 0).any() or int(indptr[-1]) != len(indices):
        return indptr, indices, data
    row = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    order = np.lexsort((indices, row))
    return indptr, indices[order], data[order]


def write_anndata(root: Any, t: SparseTensor | Array) -> None:  # noqa: ANN401
    """Writes a file whose `X` is a matrix, and whose other parts are empty.

    Args:
        root: an empty file or group of h5py or zarr that can be written.
        t: a matrix; csr and csc stay, other structures become csr, codecs are refused; or an array of rank 2. bfloat16
            and float8 become float32, exactly; float16 too where it is sparse, for anndata hands it to SciPy.

    Raises:
        FormatError: another rank, or a codec.
        DtypeError: an array of a dtype that no format holds, or a masked one.
    """
    t = t if isinstance(t, SparseTensor) else as_array(t, "t")
    if len(t.shape) != 2:
        msg = f"X is a matrix, got shape {t.shape}"
        raise FormatError(msg)
    _mark(root, "anndata", "0.1.0")
    if isinstance(t, SparseTensor):
        if not isinstance(t.values, Raw):
            msg = f"anndata holds raw values, got {t.format}; use sf.dequantize first"
            raise FormatError(msg)
        held = along_last(t)
        made = held if held.structure.kind in ("csr", "csc") else held.convert("csr")
        group = root.create_group("X")
        _mark(group, f"{made.structure.kind}_matrix", "0.1.0")
        group.attrs["shape"] = np.array(t.shape, np.int64) if groups.is_hdf5(root) else list(t.shape)
        data = made.values.decode(made.structure)
        _put(group, "data", data.astype(np.float32) if data.dtype.name in WIDENED else data)
        for name in ("indices", "indptr"):
            _put(group, name, made.structure.arrays()[name])
    else:
        _put(root, "X", t.astype(np.float32) if t.dtype.name in WIDENED[1:] else t)
        _mark(root["X"], "array", "0.2.0")
    for name, count in (("obs", t.shape[0]), ("var", t.shape[1])):
        _frame(root, name, count)
    for name in _EMPTY:
        _mark(root.create_group(name), "dict", "0.1.0")


def _put(group: Any, name: str, a: Array) -> None:  # noqa: ANN401
    if groups.is_hdf5(group):
        group.create_dataset(name, data=a)
    else:
        group.create_array(name, data=np.ascontiguousarray(a))


def _frame(root: Any, name: str, count: int) -> None:  # noqa: ANN401
    """A table without columns, its rows numbered."""
    group = root.create_group(name)
    _mark(group, "dataframe", "0.2.0")
    group.attrs["_index"] = "_index"
    labels = [str(i) for i in range(count)]
    if groups.is_hdf5(root):
        import h5py  # not at the top: an extra

        group.attrs.create("column-order", np.array([], h5py.string_dtype()))
        group.create_dataset("_index", data=np.array(labels, object), dtype=h5py.string_dtype())
    else:
        group.attrs["column-order"] = []
        group.create_array("_index", data=np.array(labels, np.dtypes.StringDType()))
    _mark(group["_index"], "string-array", "0.2.0")


def _mark(node: Any, kind: str, version: str) -> None:  # noqa: ANN401
    node.attrs["encoding-type"] = kind
    node.attrs["encoding-version"] = version
