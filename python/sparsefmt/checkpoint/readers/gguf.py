"""GGUF files of llama.cpp."""

import os
from math import prod
from pathlib import Path

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.base.words import many
from sparsefmt.checkpoint.entry import PLAIN, Entry, Value
from sparsefmt.checkpoint.readers.base import Source, check_rows, matrix_of
from sparsefmt.checkpoint.readers.lone import begins_with, reading
from sparsefmt.interop.gguf import MAGIC, Stored, read_header, read_tensor
from sparsefmt.interop.gguf import PLAIN as DTYPE_NAMES
from sparsefmt.io.mapping import read_only
from sparsefmt.tensor.sparse import SparseTensor

_FORMATS = {2: "dense/int4", 8: "dense/int8"}


def sniff(path: Path) -> bool:
    """Whether it begins with GGUF."""
    return begins_with(path, MAGIC)


def open(path: Path) -> Source:
    """Reads the header and maps the file."""
    with reading(path):
        return Gguf(path)


class Gguf(Source):
    """A GGUF file. Q4_0 and Q8_0 are packed tensors with the codes of the file, other block types float32 arrays."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            super().__init__(path, status)
            mapped = read_only(file.fileno(), status.st_size) if status.st_size else b""
        self._data: Array = np.frombuffer(mapped, np.uint8)
        header = read_header(self._data)
        self._tensors = header.tensors
        self.metadata = {key: str(value) for key, value in header.fields.items()}
        self.entries = {name: _entry(stored, path.name) for name, stored in header.tensors.items()}
        total = header.fields.get("split.tensors.count")
        if type(total) is int and total > len(header.tensors):
            self.others = (f"{many(total - len(header.tensors), 'tensor')} of other parts of a model that was split",)
        self.notes: dict[str, str] = {}

    def read(self, name: str) -> Value:
        """A view of the file, a packed tensor, or decoded float32."""
        with reading(self.path):
            value, reason = read_tensor(self._data, self._tensors[name])
        if reason:
            self.notes[name] = reason
        return value

    def origin(self, name: str) -> str:
        """The type as ggml calls it, where it is no dtype of NumPy."""
        stored = self._tensors[name]
        return "" if stored.type in DTYPE_NAMES else stored.type_name

    def rows(self, name: str, low: int, high: int) -> Array:
        """Rows, decoded, without the others."""
        stored = self._tensors[name]
        check_rows(name, stored.shape, low, high)
        with reading(self.path):
            value, _ = read_tensor(self._data, stored, low, high)
        dense = value.to_dense() if isinstance(value, SparseTensor) else value
        return dense.reshape(high - low, matrix_of(stored.shape)[1])


def _entry(stored: Stored, shard: str) -> Entry:
    dtype = DTYPE_NAMES.get(stored.type, "float32")
    nbytes = stored.end - stored.start or 4 * prod(stored.shape)
    return Entry(stored.shape, dtype, nbytes, _FORMATS.get(stored.type, PLAIN), shard)
