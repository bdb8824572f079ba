"""Reading tensors, checked, from files."""

import difflib
import os
from collections.abc import Iterable

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import CodecError, CorruptFileError, DtypeError, FormatError, SizeError
from sparsefmt.io import schema
from sparsefmt.io.container import Container, reading
from sparsefmt.io.dtypes import PAIRED
from sparsefmt.io.flood import check_entries
from sparsefmt.tensor.sparse import SparseTensor, rebuild


class Catalog:
    """Which tensors a container holds, packed and plain.

    Raises:
        CorruptFileError: the JSON is malformed, or a packed and a plain tensor claim the same name or array.
        SizeError: the JSON has more parts than the arrays can be about.
    """

    def __init__(self, file: Container) -> None:
        self.file = file
        text = file.metadata.get(schema.KEY)
        keys = sorted(file.stored)
        self.owned: dict[str, list[str]] = {}
        self._parsed: dict[str, schema.Entry] = {}
        if text is None:
            self.entries, self.names = {}, keys
            return
        check_entries(text, keys)
        self.entries = schema.load(text)
        plain = set(keys)
        for name in sorted(filter(lambda n: schema.has_parts(self.entries[n]), self.entries)):
            self.owned[name] = schema.owned(keys, name)
            if name in file.stored or not plain.issuperset(self.owned[name]):
                msg = f"tensor {name!r} shares its name or an array with another one"
                raise CorruptFileError(msg)
            plain.difference_update(self.owned[name])
        self.names = sorted(plain | set(self.entries))

    def entry(self, name: str) -> schema.Entry:
        """What the JSON says of a packed tensor, checked once.

        Raises:
            VersionError: a version or a kind that this package does not know.
            CorruptFileError: it is malformed.
        """
        found = self._parsed.get(name)
        if found is None:
            found = self._parsed[name] = schema.parse(self.entries[name])
        return found

    def tensor(self, name: str) -> SparseTensor | Array:
        """One tensor, every index, code, offset and padding checked.

        Raises:
            VersionError: a version or a kind that this package does not know.
            CorruptFileError: its arrays contradict each other or its entry.
            DtypeError: a plain array of a dtype that NumPy does not have.
        """
        try:
            if name not in self.entries:
                return self.file.array(name)
            return self._packed(name, self.entry(name))
        except CorruptFileError as e:
            msg = f"tensor {name!r}: {e}"
            raise type(e)(msg) from None
        except FormatError as e:
            msg = f"tensor {name!r}: {e}"
            raise CorruptFileError(msg) from None

    def _part_array(self, key: str, dtype: str) -> Array:
        """An array of a packed tensor; a dtype or a shape that no part has is damage."""
        try:
            return self.file.array(key, dtype)
        except DtypeError as e:
            raise CorruptFileError(str(e)) from None
        except SizeError as e:
            if self.file.stored[key].end > self.file.stored[key].start:
                raise
            raise CorruptFileError(str(e)) from None

    def _packed(self, name: str, entry: schema.Entry) -> SparseTensor | Array:
        if not entry.parts:
            a = self.file.array(name, PAIRED)
            if a.shape != entry.shape:
                msg = f"its entry says shape {entry.shape}, the array has {a.shape}"
                raise CorruptFileError(msg)
            return a
        want = {schema.key(name, role, array) for role, p in entry.parts.items() for array in p.arrays}
        if extra := [k for k in self.owned[name] if k not in want]:
            msg = f"array {extra[0]!r} belongs to none of its parts"
            raise CorruptFileError(msg)
        parts = {
            role: {n: self._part_array(schema.key(name, role, n), dtype) for n, dtype in p.arrays.items()}
            for role, p in entry.parts.items()
        }
        structure, values = ((entry.parts[r].kind, parts[r], entry.parts[r].params) for r in schema.PARTS)
        try:
            made = rebuild(structure, values, entry.shape, entry.dtype, -1 if entry.axis is None else entry.axis)
        except CodecError as e:
            raise CorruptFileError(str(e)) from None
        for part, role in ((made.structure, "structure"), (made.values, "values")):
            if part.params() != entry.parts[role].params or part.arrays().keys() != parts[role].keys():
                msg = f"{role} {part.kind}: params {str(entry.parts[role].params)[:80]!r}, want {part.params()}"
                raise CorruptFileError(msg)
        return made


def load(
    path: str | os.PathLike[str], names: Iterable[str] | None = None, mmap: bool = True
) -> dict[str, SparseTensor | Array]:
    """Reads tensors from a safetensors file, packed by `save` or plain from anywhere.

    Every index, code, offset and padding bit is checked before a tensor is made. Nothing is allocated because a header
    claims it. Arrays are views of the mapped file, read when they are used; what is not aligned there is copied.

    Args:
        path: of the file.
        names: the tensors to read, in the order of the result; None: all, sorted by name.
        mmap: False copies the bytes first and checks the copy, so that nobody can change them afterwards.

    Returns:
        A SparseTensor for what is packed. A plain tensor is an ndarray of its shape (rank 0 too) and dtype (bfloat16
        and float8 as ml_dtypes has them), read-only if mapped, else writable.

    Raises:
        KeyError: a name that the file does not hold; near names are listed.
        VersionError: a tensor written by a later version, or of an unknown structure or codec.
        CorruptFileError: the file is no safetensors file or contradicts itself.
        DtypeError: a plain tensor of F4 or F6, which NumPy does not have; leave it out with `names`.
        SizeError: with mmap=False, more than `sparsefmt.set_max_bytes` allows; a header far beyond what the data need.
        OSError: it cannot be read.

    Source: docs/format.md.

    >>> import numpy as np, sparsefmt as sf, tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp(), "w.safetensors")
    >>> sf.save(path, {"w": sf.encode(np.eye(4, dtype=np.float16), "nm1:4")})
    >>> sf.load(path)
    {'w': <sparsefmt nm1:4 of float16, shape (4, 4), 4 slots, 12 bytes, 6.00 bits per weight>}
    """
    if names is not None:
        names = [names] if isinstance(names, str) else list(names)
    with reading(path, mapped=mmap) as file:
        catalog = Catalog(file)
        chosen = catalog.names if names is None else names
        known = set(catalog.names)
        for name in chosen:
            if name not in known:
                raise KeyError(_missing(name, catalog.names, file.path))
        return {name: catalog.tensor(name) for name in chosen}


def _missing(name: object, names: list[str], path: str) -> str:
    near = difflib.get_close_matches(name, names, 3) if isinstance(name, str) else []
    hint = f"near: {', '.join(map(repr, near))}" if near else f"it holds {len(names)} tensors"
    return f"{path} holds no tensor {name!r}; {hint}"


def read_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """The metadata that was given to `save`, or that another writer put into the file; keys sorted.

    Raises:
        CorruptFileError: the file is no safetensors file.
        OSError: it cannot be read.

    >>> import numpy as np, sparsefmt as sf, tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp(), "w.safetensors")
    >>> sf.save(path, {"w": np.eye(4)}, metadata={"made by": "me"})
    >>> sf.io.read_metadata(path)
    {'made by': 'me'}
    """
    with reading(path) as file:
        return {k: v for k, v in file.metadata.items() if k != schema.KEY}
