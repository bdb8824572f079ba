"""Writing tensors to files."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import BinaryIO, Literal

import numpy as np

from sparsefmt.base.alloc import ALIGNMENT
from sparsefmt.base.coerce import is_plain
from sparsefmt.base.dtypes import Array, Dtype, index_dtype, name_of
from sparsefmt.base.errors import DtypeError, FormatError
from sparsefmt.base.foreign import foreign_array
from sparsefmt.base.matrix import BLOCK_BYTES
from sparsefmt.io import schema
from sparsefmt.io.atomic import replacing
from sparsefmt.io.container import LENGTH, MAX_HEADER
from sparsefmt.io.dtypes import PAIRED, has_odd_bools, is_paired, stored_as
from sparsefmt.io.paths import check_ending
from sparsefmt.tensor.base import Packed
from sparsefmt.tensor.layout import is_moved
from sparsefmt.tensor.sparse import SparseTensor

_MOST_PAIRED = 63  # axes of an array whose items take an axis of two in the file


@dataclass(frozen=True, slots=True)
class Item:
    """An array to be written under `key` as `dtype`; `first`: it is to start at a multiple of 64."""

    key: str
    array: Array
    dtype: Dtype
    stored: str
    first: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """As the container has it."""
        return (*self.array.shape, 2) if is_paired(self.dtype) else self.array.shape

    @property
    def nbytes(self) -> int:
        """Bytes in the file."""
        return self.array.size * self.dtype.itemsize

    @property
    def rank(self) -> tuple[bool, int, str]:
        """Sorts the arrays so that each starts at a multiple of its item size."""
        return not self.first, -min(self.dtype.itemsize, 8), self.key


def save(
    path: str | os.PathLike[str],
    tensors: Mapping[str, SparseTensor | Array],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Writes tensors to a safetensors file, exactly, whole or not at all.

    The file is written beside `path` and takes its place when it has reached the disk: after a crash or on a full
    disk the old file is whole. Tensors that were loaded from the old file stay valid. The same tensors give the same
    bytes, in whatever order they come.

    Args:
        path: of the file; its folder must exist. The usual ending is ".safetensors"; those of other kinds are refused.
        tensors: by name; SparseTensors, and ndarrays of any rank (scalars too) and strides, stored as plain tensors;
            dense arrays of torch (detached, on the CPU) and jax too.
            Indices are written as int32 where these are enough. No array is copied as a whole.
        metadata: texts by name, for any reader.

    Raises:
        FormatError: a name or a piece of metadata that is no text, is empty or reserved ("__metadata__", metadata
            "sparsefmt"); a plain name that begins with `<packed name>.structure.` or `<packed name>.values.`; a value
            that is neither a SparseTensor nor an ndarray; a header beyond 100 MB; an ending such as ".npz", which
            says another kind. Nothing is written then.
        DtypeError: an ndarray of another dtype than those of `encode`, or a masked one.
        OSError: the file cannot be written.

    Source: docs/format.md; https://github.com/huggingface/safetensors (container).

    >>> import numpy as np, sparsefmt as sf, tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp(), "w.safetensors")
    >>> sf.save(path, {"w": sf.encode(np.eye(4), "csr"), "bias": np.ones(4)})
    >>> sf.load(path)["bias"]
    array([1., 1., 1., 1.])
    """
    if isinstance(tensors, Mapping):
        for name in tensors:
            if name == "":
                raise _bad_name(name)
    save_read(path, tensors, metadata)


def save_read(
    path: str | os.PathLike[str],
    tensors: Mapping[str, SparseTensor | Array],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """The same for tensors that were read from a file, where others may have left a name empty."""
    check_ending(path)
    texts = _checked_metadata(metadata)
    found, entries = _plan(tensors)
    found.sort(key=lambda item: item.rank)
    if entries:
        texts[schema.KEY] = schema.dump(entries)
    head = _header(found, texts)
    with replacing(path) as file:
        file.write(head)
        for item in found:
            _write(file, item)


def _checked_metadata(metadata: object) -> dict[str, str]:
    if metadata is None:
        return {}
    if not isinstance(metadata, Mapping):
        msg = f"metadata: want a dict of texts, got {type(metadata).__name__}"
        raise FormatError(msg)
    for name, value in metadata.items():
        if not _is_text(name) or not _is_text(value):
            msg = f"metadata: want texts, got {name!r}: {str(value)[:40]!r} of {type(value).__name__}"
            raise FormatError(msg)
    if schema.KEY in metadata:
        msg = f"metadata: the key {schema.KEY!r} is reserved"
        raise FormatError(msg)
    return dict(metadata)


def _is_text(value: object) -> bool:
    """Whether it is a str that UTF-8 can hold."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _bad_name(name: object) -> FormatError:
    return FormatError(f"name {name!r}: want a text, not empty and not {schema.METADATA!r}")


def _plan(tensors: object) -> tuple[list[Item], dict[str, schema.Entry]]:
    """The arrays to write and the entries of the JSON, all checked."""
    if not isinstance(tensors, Mapping):
        msg = f"tensors: want a dict of tensors by name, got {type(tensors).__name__}"
        raise FormatError(msg)
    found: list[Item] = []
    entries: dict[str, schema.Entry] = {}
    for name, t in tensors.items():
        if not _is_text(name) or name == schema.METADATA:
            raise _bad_name(name)
        if isinstance(t, SparseTensor):
            items, entries[name] = packed_items(name, t.to("cpu"))
            found += items
        else:
            a = plain_array(name, t)
            found.append(Item(name, a, *stored_as(a.dtype)[::-1]))
            if a.dtype.name == PAIRED:
                entries[name] = schema.Entry(a.shape, PAIRED, {})
    _check_names(found, entries)
    return found, entries


def packed_items(name: str, t: SparseTensor) -> tuple[list[Item], schema.Entry]:
    """The arrays of a packed tensor, and its entry in the JSON."""
    items: list[Item] = []
    entries: dict[str, schema.PartEntry] = {}
    canonical = index_dtype(*t.structure.shape, t.structure.slots)
    aligned = t.structure.params().get("align") == ALIGNMENT
    for role, part in (("structure", t.structure), ("values", t.values)):
        dtypes = {}
        for array_name, a in part.arrays().items():
            is_index = role == "structure" and a.dtype.kind == "i"
            stored, dtype = stored_as(canonical if is_index else a.dtype)
            first = aligned and a.nbytes % ALIGNMENT == 0
            items.append(Item(schema.key(name, role, array_name), a, dtype, stored, first))
            dtypes[array_name] = name_of(dtype)
        entries[role] = schema.PartEntry(part.kind, part.params(), dtypes)
    return items, schema.Entry(t.shape, name_of(t.dtype), entries, t.axis if is_moved(t) else None)


def plain_array(name: str, t: object) -> Array:
    """A plain tensor, checked.

    Raises:
        DtypeError: the container does not have its dtype.
        FormatError: it is no array.
    """
    if isinstance(t, np.ma.MaskedArray):
        msg = f"tensor {name!r} is a masked array; fill it first: a.filled(0)"
        raise DtypeError(msg)
    if isinstance(t, np.generic):
        t = np.asarray(t)
    if isinstance(t, Packed):
        msg = f"tensor {name!r} is the transpose of a packed tensor; save t.T and turn it after loading, or encode "
        raise FormatError(msg + "t.to_dense()")
    if not isinstance(t, np.ndarray) and (found := foreign_array(t, f"tensor {name!r}")) is not None:
        t = found
    if not isinstance(t, np.ndarray):
        msg = f"tensor {name!r}: want a SparseTensor or an ndarray, got {type(t).__name__}; use encode or numpy.asarray"
        raise FormatError(msg)
    try:
        stored_as(t.dtype)
    except DtypeError as e:
        msg = f"tensor {name!r}: {e}"
        raise DtypeError(msg) from None
    if t.dtype.name == PAIRED and t.ndim > _MOST_PAIRED:
        msg = f"tensor {name!r}: {PAIRED} of rank {t.ndim} needs one axis more than NumPy has; reshape it"
        raise FormatError(msg)
    return t


def _check_names(found: list[Item], entries: dict[str, schema.Entry]) -> None:
    """Raises FormatError where an array would be taken for one of another tensor, or holds what no reader takes."""
    keys = sorted(item.key for item in found)
    for name in (n for n, entry in entries.items() if entry.parts):
        own = {schema.key(name, role, a) for role, part in entries[name].parts.items() for a in part.arrays}
        if others := [k for k in schema.owned(keys, name) if k not in own]:
            msg = f"key {others[0]!r} looks like an array of the packed tensor {name!r}; rename one of them"
            raise FormatError(msg)
    for a, b in pairwise(keys):
        if a == b:
            msg = f"two tensors need the key {a!r}; rename one of them"
            raise FormatError(msg)
    for item in found:
        if has_odd_bools(item.array):
            msg = f"{item.key!r}: a bool array holds bytes other than 0 and 1; use a != 0"
            raise FormatError(msg)


def _header(found: list[Item], metadata: dict[str, str]) -> bytes:
    """The length and the JSON text, padded with spaces so that the data starts at a multiple of 64."""
    header: dict[str, object] = {schema.METADATA: dict(sorted(metadata.items()))} if metadata else {}
    start = 0
    for item in found:
        end = start + item.nbytes
        header[item.key] = {"dtype": item.stored, "shape": list(item.shape), "data_offsets": [start, end]}
        start = end
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-(LENGTH + len(text)) % ALIGNMENT)
    if len(text) > MAX_HEADER:
        msg = f"the header would take {len(text)} bytes, allowed {MAX_HEADER}; use fewer tensors, names or metadata"
        raise FormatError(msg)
    return len(text).to_bytes(LENGTH, "little") + text


def _write(file: BinaryIO, item: Item) -> None:
    for chunk in in_chunks(item.array, item.dtype):
        file.write(chunk.reshape(-1).view(np.uint8).data)


def in_chunks(a: Array, dtype: Dtype) -> Iterator[Array]:
    """`a` in C order as `dtype`: itself if it is that already, else in pieces of about a megabyte."""
    if not a.size:
        return
    if is_plain(a) and a.dtype == dtype:
        yield a
        return
    size = BLOCK_BYTES // dtype.itemsize
    flags: tuple[Literal["external_loop"], Literal["buffered"]] = ("external_loop", "buffered")
    with np.nditer([a], flags, op_dtypes=[dtype], order="C", casting="same_kind", buffersize=size) as pieces:
        for piece in pieces:
            yield np.ascontiguousarray(piece)
