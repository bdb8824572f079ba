"""Safetensors files, with packed or plain tensors or both."""

import stat
import threading
from collections.abc import Container, Iterator, Mapping
from pathlib import Path

from sparsefmt.base.alloc import reshaped
from sparsefmt.base.dtypes import DTYPES, Array, name_of
from sparsefmt.base.errors import FormatError
from sparsefmt.base.forks import in_child, kept
from sparsefmt.base.part import Form, Part
from sparsefmt.checkpoint.entry import PLAIN, Entry, Value
from sparsefmt.checkpoint.readers.base import Source, check_rows, decoded_rows, matrix_of
from sparsefmt.checkpoint.remote import RemoteFile, remote
from sparsefmt.checkpoint.snapshot import check_unchanged
from sparsefmt.codecs.registry import CODECS
from sparsefmt.io import container, schema
from sparsefmt.io.dtypes import PAIRED, VIEWS
from sparsefmt.io.read import Catalog
from sparsefmt.io.report import TensorInfo, tensor_info
from sparsefmt.structures.registry import STRUCTURES


def sniff(path: Path) -> bool:
    """Whether the name ends in .safetensors, or a file of a suffix that says nothing begins as a header does."""
    if path.suffix == ".safetensors":
        return not path.is_dir()
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return False
        with path.open("rb") as file:
            start = file.read(9)
    except OSError:
        return False
    return start[8:] == b"{" and 2 <= int.from_bytes(start[:8], "little") <= status.st_size - 8


def open(path: Path) -> Source:
    """Reads the header."""
    return Safetensors(path)


class Safetensors(Source):
    """A safetensors file. It stays open: whatever takes its place, bytes are of the version that was opened."""

    def __init__(self, path: Path) -> None:
        with container.naming(str(path)):
            far = remote(path)
            self._file = container.File(path) if far is None else RemoteFile(far)
            try:
                super().__init__(path, self._file.status)
                self._catalog = Catalog(container.container(path, self._file, mapped=far is None))
                self.entries = Entries(self._catalog, path.name)
            except BaseException:
                self._file.close()
                raise
        self._copied = container.copying(self._file)
        self.metadata = {k: v for k, v in self._catalog.file.metadata.items() if k != schema.KEY}
        self._latest: tuple[str, Value] | None = None
        self._unlock()
        in_child(self, Safetensors._unlock)
        self.concurrent = far is None

    def _unlock(self) -> None:
        self._reading = threading.Lock()

    @property
    @kept
    def keys(self) -> Mapping[str, str]:
        """The keys of all arrays."""
        plain = dict(zip(self._catalog.file.stored, self._catalog.file.stored, strict=True))
        if not self._catalog.owned:
            return plain
        return plain | {key: name for name, keys in self._catalog.owned.items() for key in keys}

    def read(self, name: str) -> Value:
        """The tensor, mapped and checked; of a dtype that NumPy lacks its bytes, flat uint8."""
        with container.naming(str(self.path)):
            stored = self._catalog.file.stored.get(name)
            if stored is not None and stored.dtype not in VIEWS:
                return self._catalog.file.fetch(stored.start, stored.end)
            return self._catalog.tensor(name)

    def info(self, name: str) -> TensorInfo:
        """What `sparsefmt.inspect` says of a tensor."""
        with container.naming(str(self.path)):
            return tensor_info(self._catalog, name)

    def rows(self, name: str, low: int, high: int) -> Array:
        """Rows, decoded; those of a plain tensor are read, not mapped, so that a file that shrinks is an error."""
        entry = self.entries[name]
        if entry.is_packed:
            check_rows(name, entry.shape, low, high)
            with self._reading:  # it is checked as a whole, by one thread
                if self._latest is None or self._latest[0] != name:
                    self._latest = name, self.read(name)
                value = self._latest[1]
            return decoded_rows(value, low, high)
        check_rows(name, entry.shape, low, high)
        stored = self._catalog.file.stored[name]
        rows, cols = matrix_of(entry.shape)
        whole, rest = divmod(stored.end - stored.start, max(rows, 1))
        if rest:
            msg = f"{name}: rows of {entry.dtype} and shape {entry.shape} begin inside a byte; read it whole"
            raise FormatError(msg)
        with container.naming(str(self.path)):
            data = self._copied(stored.start + low * whole, stored.start + high * whole)
        if entry.dtype == PAIRED:
            return reshaped(data.view(DTYPES[PAIRED]), (high - low, cols), name)
        view = VIEWS.get(stored.dtype)
        if view is None:
            return reshaped(data, (high - low, whole), name)
        return reshaped(data.view(view), (high - low, cols), name)

    def check(self) -> None:
        """Checks that the file is still the one that was opened."""
        check_unchanged(self._place, self.identity)

    def close(self) -> None:
        """Closes the file; arrays that were mapped stay valid."""
        self._latest = None
        self._file.close()


class Entries(Mapping[str, Entry]):
    """What the header says of every tensor: of packed ones checked at once, of plain ones made when it is asked for."""

    def __init__(self, catalog: Catalog, shard: str) -> None:
        self._catalog, self._shard = catalog, shard
        self._made = {name: stored_entry(catalog, name, shard) for name in catalog.entries}

    def __getitem__(self, name: str) -> Entry:
        found = self._made.get(name)
        if found is None:
            if name not in self:
                raise KeyError(name)
            found = self._made[name] = stored_entry(self._catalog, name, self._shard)
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._made or (name in self._catalog.file.stored and name in self._plain)

    @property
    @kept
    def _plain(self) -> Container[str]:
        return set(self._catalog.names) if self._catalog.owned else self._catalog.file.stored

    def __iter__(self) -> Iterator[str]:
        return iter(self._catalog.names)

    def __len__(self) -> int:
        return len(self._catalog.names)


def stored_entry(catalog: Catalog, name: str, shard: str) -> Entry:
    """What the header says of a tensor."""
    stored = catalog.file.stored
    if name not in catalog.entries:
        found = stored[name]
        dtype = name_of(VIEWS[found.dtype]) if found.dtype in VIEWS else found.dtype
        return Entry(found.shape, dtype, found.end - found.start, PLAIN, shard)
    entry = catalog.entry(name)
    keys = catalog.owned.get(name, [name])
    nbytes = sum(stored[k].end - stored[k].start for k in keys)
    return Entry(entry.shape, entry.dtype, nbytes, format_text(entry, name, stored), shard)


def format_text(entry: schema.Entry, name: str, stored: Mapping[str, container.Stored]) -> str:
    """The format that the header tells; of a part that it says nonsense of, the kind: reading is what refuses it."""
    if not entry.parts:
        return PLAIN
    kinds: dict[str, Mapping[str, type[Part]]] = {"structure": STRUCTURES, "values": CODECS}
    texts = []
    for role, known in kinds.items():
        part = entry.parts[role]
        try:
            forms = {a: Form(stored[schema.key(name, role, a)].shape, dtype) for a, dtype in part.arrays.items()}
            texts.append(known[part.kind].text_of(part.params, forms))
        except (KeyError, TypeError, ValueError, IndexError):
            texts.append(part.kind)
    return "/".join(filter(None, texts))
