"""HDF5 files and Zarr folders: Binsparse, anndata, and plain arrays of numbers."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from sparsefmt.base.dtypes import DTYPES, Array
from sparsefmt.base.errors import BackendError, CorruptFileError, FormatError, SizeError, SparsefmtError
from sparsefmt.checkpoint.entry import PLAIN, Entry, Value
from sparsefmt.checkpoint.readers.base import Source, as_said, check_rows
from sparsefmt.checkpoint.readers.hdf5_trial import WALKER
from sparsefmt.checkpoint.readers.lone import begins_with, reading
from sparsefmt.interop import groups
from sparsefmt.interop.anndata import read_matrix
from sparsefmt.interop.binsparse import DENSE, MEMBERS, from_binsparse
from sparsefmt.interop.binsparse_formats import format_name
from sparsefmt.io.dtypes import is_stored

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_ZARR_MARKS = ("zarr.json", ".zgroup", ".zarray")
_MATRICES = ("csr_matrix", "csc_matrix")
_MAX_DEPTH = 16


def sniff(path: Path) -> bool:
    """Whether it is an HDF5 file, by its first bytes, or a Zarr folder."""
    if path.is_dir():
        return any((path / mark).is_file() for mark in _ZARR_MARKS)
    return begins_with(path, HDF5_MAGIC)


def open(path: Path) -> Source:
    """Walks through the groups, once."""
    with reading(path), _decoding():
        return Hierarchical(path)


@contextmanager
def _decoding() -> Iterator[None]:
    """Turns what h5py and zarr raise for damage, of any class, into a typed error."""
    try:
        yield
    except (SparsefmtError, KeyboardInterrupt, FileNotFoundError, PermissionError):
        raise
    except MemoryError as e:
        msg = f"it claims more than the system has memory for: {e}"
        raise SizeError(msg) from e
    except Exception as e:
        msg = f"damaged, or of an unknown kind: {' '.join(str(e).split())[:500] or type(e).__name__}"
        raise CorruptFileError(msg) from e


def _root(path: Path) -> Any:  # noqa: ANN401
    """The file, opened by the package that reads it.

    Raises:
        BackendError: the package is not installed.
    """
    try:
        if path.is_dir():
            import zarr  # not at the top: an extra

            found = zarr.open(str(path), mode="r")
            if groups.is_array(found):
                msg = "its root is an array, want a group; zarr.open_group makes one, and arrays in it have names"
                raise FormatError(msg)
            return found
        import h5py  # likewise

        WALKER.walk(path)
        return h5py.File(path, "r")
    except ImportError as e:
        msg = f"{path}: {e.name} is not installed; pip install 'sparsefmt[interchange]'"
        raise BackendError(msg) from None
    except OSError as e:
        msg = f"no HDF5 file, or damaged: {e}"
        raise FormatError(msg) from None


class Hierarchical(Source):
    """Matrices in groups, by their paths. The one of the root itself has the name of the file."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, os.stat(path))
        self._regular = not path.is_dir()
        self._root = _root(path)
        self._reads: dict[str, partial[Any]] = {}
        self._plain: dict[str, tuple[Any, str]] = {}
        entries: dict[str, Entry] = {}
        others: list[str] = []
        try:
            for name, node, read in _found(self._root, "", 0):
                key = name or path.name.rpartition(".")[0] or path.name
                if read is None:
                    others.append(key)
                    continue
                shape, dtype, nbytes, fmt = _described(node)
                entries[key] = Entry(shape, dtype, nbytes, fmt, path.name)
                self._reads[key] = read
                if groups.is_array(node):
                    self._plain[key] = read.args
        except BaseException:
            self.close()  # HDF5 lets nobody write to a file that is open
            raise
        self.entries, self.others = entries, tuple(others)

    def read(self, name: str) -> Value:
        """The matrix, in memory."""
        with reading(self.path):
            try:
                with _decoding():
                    return as_said(self._reads[name](), self.entries[name])
            except FormatError as e:
                msg = f"{name}: {e}"
                raise type(e)(msg) from e

    def rows(self, name: str, low: int, high: int) -> Array:
        """See `Source.rows`. Of a plain array with leading axes only what the rows stand in is read."""
        shape = self.entries[name].shape
        if name not in self._plain or len(shape) < 2:
            return super().rows(name, low, high)
        check_rows(name, shape, low, high)
        each = max(prod(shape[1:-1]), 1)  # rows of the matrix in one of the first axis
        first = low // each
        with reading(self.path), _decoding():
            some = groups.array(*self._plain[name], slice(first, -(-high // each)))
        return some.reshape(-1, shape[-1])[low - first * each : high - first * each]

    def has_place(self, name: str) -> bool:
        """Not numbers of 80 bits and more."""
        return is_stored(self.entries[name].dtype)

    def close(self) -> None:
        """Closes the file."""
        super().close()
        if hasattr(self._root, "close"):
            self._root.close()


def _found(group: Any, prefix: str, depth: int) -> Iterator[tuple[str, Any, partial[Any] | None]]:  # noqa: ANN401
    """Name, node and reader of everything that is a matrix or an array of numbers; no reader of texts and tables."""
    if depth > _MAX_DEPTH:
        msg = f"{prefix!r}: groups are nested deeper than {_MAX_DEPTH}"
        raise FormatError(msg)
    if groups.attribute(group, "binsparse") is not None:
        yield prefix, group, partial(_binsparse, group)
        yield from ((f"{prefix}/{key}".lstrip("/"), None, None) for key in groups.keys(group) if key not in MEMBERS)
        return
    if groups.attribute(group, "encoding-type") == "dataframe":
        yield prefix, group, None
        return
    for key in groups.keys(group):
        name, node = f"{prefix}/{key}".lstrip("/"), groups.child(group, key)
        if groups.is_array(node):
            held = groups.is_filled(node) and np.dtype(node.dtype).kind in "biufc"
            yield name, node, partial(groups.array, group, key) if held else None
        elif groups.attribute(node, "encoding-type") in _MATRICES:
            yield name, node, partial(read_matrix, group, key)
        elif groups.is_group(node):
            yield from _found(node, name, depth + 1)


def _descriptor(group: Any) -> dict[str, Any]:  # noqa: ANN401
    text = groups.attribute(group, "binsparse")
    try:
        found = text if isinstance(text, dict) else json.loads(str(text))
    except (ValueError, RecursionError) as e:
        msg = f"the attribute binsparse is no JSON: {e}"
        raise FormatError(msg) from None
    inner = found.get("binsparse", found) if isinstance(found, dict) else None
    if not isinstance(inner, dict):
        msg = "the attribute binsparse is no JSON object"
        raise FormatError(msg)
    return inner


def _binsparse(group: Any) -> Value:  # noqa: ANN401
    arrays = {key: groups.array(group, key) for key in groups.keys(group) if groups.is_array(groups.child(group, key))}
    return from_binsparse(_descriptor(group), arrays)


def _described(node: Any) -> tuple[tuple[int, ...], str, int, str]:  # noqa: ANN401
    """Shape, dtype, bytes and format, without reading data."""
    if groups.is_array(node):
        dtype = np.dtype(node.dtype)
        return tuple(node.shape), dtype.newbyteorder("=").name, prod(node.shape) * dtype.itemsize, PLAIN
    parts = [groups.child(node, key) for key in groups.keys(node)]
    nbytes = sum(prod(p.shape) * np.dtype(p.dtype).itemsize for p in parts if groups.is_array(p))
    encoding = groups.attribute(node, "encoding-type")
    if encoding in _MATRICES:
        given = groups.attribute(node, "shape")
        shape = tuple(int(n) for n in np.asarray([] if given is None else given).reshape(-1))
        data = groups.child(node, "data")
        return shape, np.dtype(data.dtype).newbyteorder("=").name, nbytes, str(encoding)[:3]
    found = _descriptor(node)
    types, lengths = found.get("data_types"), found.get("shape")
    text = str(types.get("values") if isinstance(types, dict) else "")
    inner = text.removeprefix("iso[").removesuffix("]") if text.startswith("iso[") else text
    names = {"bint8": "bool", "complex[float32]": "complex64", "complex[float64]": "complex128"}
    stored = np.dtype(groups.child(node, "values").dtype).newbyteorder("=").name
    dtype_name = names.get(inner, inner if inner in DTYPES else stored)
    shape = tuple(n for n in lengths if type(n) is int) if isinstance(lengths, list) else ()
    return shape, dtype_name, nbytes, _structure(found)


def _structure(descriptor: dict[str, Any]) -> str:
    """The format that the matrix will have."""
    try:
        kind = format_name(descriptor)
    except FormatError:  # is said when it is read; the other matrices of the file are sound
        return PLAIN
    return {"CVEC": "coo", "COOR": "coo", "COOC": "coo"}.get(kind, PLAIN if kind in DENSE else kind.lower()[-3:])
