"""A checkpoint: a file of any kind that a reader knows, or a folder of shards, opened once."""

import difflib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NoReturn, Self

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import CheckpointError, CorruptFileError
from sparsefmt.base.forks import kept
from sparsefmt.base.words import many
from sparsefmt.checkpoint.entry import Entry, Value
from sparsefmt.checkpoint.index import Layout, find_files
from sparsefmt.checkpoint.readers.base import Source
from sparsefmt.checkpoint.readers.registry import READERS, open_file, reader_for
from sparsefmt.checkpoint.remote import located, remote
from sparsefmt.checkpoint.schemes.settings import settings_text
from sparsefmt.checkpoint.schemes.translated import MARKS, Translated, find_weights, settings_of
from sparsefmt.checkpoint.schemes.weight import Context, Weight, named_dtype
from sparsefmt.checkpoint.show import html
from sparsefmt.io.paths import bytes_beside
from sparsefmt.tensor.sparse import SparseTensor

OF_ACTIVATIONS = " (scales activations)"
"""Follows the names of scales that were left out because they are no part of a weight."""


class Checkpoint(Mapping[str, Value]):
    """A read-only mapping from names to arrays and SparseTensors, which are mapped when they are asked for.

    Made by `sparsefmt.open_checkpoint`. Every file was opened once. Reading from one that was replaced, changed or
    removed since is a CheckpointError; what was read before, and is mapped, stays as it is where a file was replaced.

    Args:
        path: as given.
        reader: the name of the reader.
        sources: the opened files.
        layout: of a folder with shards; None for a file.
    """

    def __init__(self, path: Path, reader: str, sources: tuple[Source, ...], layout: Layout | None = None) -> None:
        self.path = path
        self._place = path.absolute()  # for what is read later, whatever folder the process has gone to
        self.reader = reader
        self.sources = sources
        self.layout = layout
        self.left_out: tuple[str, ...] = ()
        """What the folder holds and the checkpoint does not: shards and tensors that the index does not name."""
        self._owners = self._found_owners()

    def _found_owners(self) -> dict[str, Source]:
        if self.layout is not None and self.layout.index is not None:
            return self._indexed(self.layout.index, self.layout)
        found: dict[str, Source] = {}
        for source in self.sources:
            for name in source.entries:
                if name in found:
                    first, second = found[name].path.name, source.path.name
                    msg = (
                        f"{self.path}: tensor {name!r} is in {first} and in {second}, and no index says which counts; "
                        f"if they are variants, choose one: file={first!r} (--file {first})"
                    )
                    raise CheckpointError(msg)
                found[name] = source
        return found

    def _indexed(self, index: Path, layout: Layout) -> dict[str, Source]:
        """Takes every tensor from the shard that the index names."""
        sources = {source.path.name: source for source in self.sources}
        owners: dict[str, Source] = {}
        for key, shard in layout.weight_map.items():
            name = sources[shard].keys.get(key)
            if name is None:
                others = [n for n, source in sources.items() if key in source.keys]
                where = f"; it is in {others[0]}" if others else ", and no other shard has it"
                msg = f"{index}: weight_map says that {shard} holds {key!r}, which it lacks{where}"
                raise CheckpointError(msg)
            if owners.setdefault(name, sources[shard]) is not sources[shard]:
                msg = f"{index}: weight_map spreads the arrays of tensor {name!r} over {shard} and another shard"
                raise CheckpointError(msg)
        unnamed = [
            f"{name} in {source.path.name}" for source in self.sources for name in source.entries if name not in owners
        ]
        self.left_out = (*layout.strays, *unnamed)
        return owners

    def __getitem__(self, name: str) -> Value:
        source = self._owner(name)
        value = source.read(name)
        _still(source)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._owners)

    def __len__(self) -> int:
        return len(self._owners)

    def __contains__(self, name: object) -> bool:
        return name in self._owners

    def __reduce__(self) -> NoReturn:
        way = f"hand on its path, and open it there: sparsefmt.open_checkpoint({str(self.path)!r})"
        msg = f"a checkpoint is open files, which are neither copied nor pickled; {way}"
        raise TypeError(msg)

    def __repr__(self) -> str:
        files = many(len(self.sources), "file")
        return f"<sparsefmt checkpoint {str(self.path)!r}: {many(len(self), 'tensor')}, {self.nbytes} bytes in {files}>"

    def _repr_html_(self) -> str:
        return html(self.path.name or str(self.path), self.entries)

    def _owner(self, name: str) -> Source:
        try:
            return self._owners[name]
        except KeyError:
            raise KeyError(missing_name(name, list(self._owners), str(self.path))) from None

    @property
    @kept
    def entries(self) -> Mapping[str, Entry]:
        """Shape, dtype, bytes, format and shard of every tensor, from the headers alone."""
        return MappingProxyType({name: source.entries[name] for name, source in self._owners.items()})

    @property
    def shards(self) -> tuple[str, ...]:
        """The names of its files."""
        return tuple(source.path.name for source in self.sources)

    @property
    @kept
    def no_numbers(self) -> Mapping[str, str]:
        """The dtypes of what others hold beside numbers of this package, by name: texts, records, float4 of ONNX.

        No format has a place for them, nor has a safetensors file; asking for one is a DtypeError or FormatError.
        """
        odd = (name for source in self.sources for name in self.names(source) if not source.has_place(name))
        return MappingProxyType({name: self.entries[name].dtype for name in odd})

    @property
    def others(self) -> tuple[str, ...]:
        """What its files hold beside tensors, and nothing here reads: texts and tables of HDF5, other members."""
        return tuple(other for source in self.sources for other in source.others)

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder of shards."""
        return self.layout is not None

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors, as they are stored."""
        return sum(entry.nbytes for entry in self.entries.values())

    @property
    @kept
    def metadata(self) -> Mapping[str, str]:
        """The texts that its files hold; where shards differ, the first one counts."""
        found: dict[str, str] = {}
        for source in self.sources:
            found = {**source.metadata, **found}
        return MappingProxyType(found)

    @property
    @kept
    def config(self) -> Mapping[str, Any]:
        """What config.json beside the weights says; empty without one.

        Raises:
            CheckpointError: it is no JSON object.
        """
        path = (self._place if self._place.is_dir() else self._place.parent) / "config.json"
        try:
            found = json.loads(bytes_beside(path))
        except FileNotFoundError:
            return MappingProxyType({})
        except CorruptFileError as e:
            raise CheckpointError(str(e)) from e
        except (ValueError, RecursionError) as e:
            msg = f"{path}: want a JSON object: {e}"
            raise CheckpointError(msg) from e
        if not isinstance(found, dict):
            msg = f"{path}: want a JSON object, got {type(found).__name__}"
            raise CheckpointError(msg)
        return MappingProxyType(found)

    def names(self, source: Source) -> list[str]:
        """The tensors of the checkpoint that one of its files holds, in the order of the file."""
        return [name for name in source.entries if self._owners.get(name) is source]

    def rows(self, name: str, low: int, high: int) -> Array:
        """Rows of a tensor, dense, without reading the others.

        Args:
            name: of a plain or a packed tensor.
            low: first row; leading axes are flattened, a tensor of rank 1 is one row.
            high: one behind the last row.

        Returns:
            (high - low, cols) in the dtype of the tensor; a copy, or a read-only view of the file.

        Raises:
            KeyError: there is no such tensor.
            FormatError: the rows are out of range.
            CheckpointError: the file was replaced, changed or removed since it was opened.
        """
        source = self._owner(name)
        found = source.rows(name, low, high)
        _still(source)
        return found

    def array(self, name: str) -> Array:
        """A plain array.

        Raises:
            KeyError: there is no such tensor.
            CheckpointError: it is packed.
        """
        value = self[name]
        if isinstance(value, SparseTensor):
            msg = f"{self.path}: {name!r} is packed as {value.format}, want a plain array"
            raise CheckpointError(msg)
        return value

    @property
    def scheme(self) -> str:
        """What quantised its weights and how, as config.json has it: "gptq: 4 bits, groups of 128"; else empty."""
        return settings_text(settings_of(self.config))

    def origin(self, name: str) -> str:
        """How its file holds a tensor: the arrays of a weight, the type of a GGUF block; empty: as it is read.

        Raises:
            KeyError: there is no such tensor.
        """
        return self._owner(name).origin(name)

    def explain(self, name: str) -> str:
        """Says what a tensor is, and why it is not packed where its file holds codes that no format here takes.

        Raises:
            KeyError: there is no such tensor.
        """
        value, source = self[name], self._owner(name)
        kind = value.format if isinstance(value, SparseTensor) else f"plain {value.dtype}"
        note = getattr(source, "notes", {}).get(name, "")
        stored = source.origin(name)
        origin = f" from {stored}" if stored else ""
        return f"{name}: {kind}, read by {self.reader}{origin}" + (f"; not packed: {note}" if note else "")

    def check(self) -> None:
        """Checks that all files are still those that were opened; to be called after reading.

        Raises:
            CheckpointError: one was replaced, changed or removed.
        """
        for source in self.sources:
            source.check()

    def close(self) -> None:
        """Closes all files; arrays that were mapped stay valid."""
        for source in self.sources:
            source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()


def open_checkpoint(path: str | os.PathLike[str], *, reader: str | None = None, file: str | None = None) -> Checkpoint:
    """Opens a checkpoint: headers only, every file once.

    An index (`*.safetensors.index.json`) decides which shard holds a tensor; shards and tensors that it does not name
    are left out and listed in `.left_out`. Without one, all weight files of the folder belong to it.

    Args:
        path: of a .safetensors, .npy, .npz or .mtx file, of another kind that a reader knows, or of a folder. A URL
            (s3://bucket/model, memory://...; extra `remote`) of a safetensors file or a folder of them: header and
            tensors are read by ranges.
        reader: the name of the reader; default: the one that takes the file.
        file: in a folder: the name of the weight file, or of the index, where there are several.

    Returns:
        A mapping from names to arrays and SparseTensors, read when they are asked for, with `.entries`, `.shards`,
        `.metadata`, `.config`, `.reader` and `.rows(name, low, high)`. A dtype that NumPy lacks (F4, F6) is given as
        its bytes, flat uint8; `.entries[name].dtype` says what it is.

    Raises:
        CheckpointError: the index and the shards contradict each other, a shard is missing, or there are several
            variants.
        FormatError: no reader takes the file, or its contents make no sense.
        OSError: it cannot be read.

    >>> import numpy as np, sparsefmt as sf, tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp(), "w.safetensors")
    >>> sf.save(path, {"w": sf.encode(np.eye(4, dtype=np.float16), "nm1:4"), "b": np.ones(4)})
    >>> with sf.open_checkpoint(path) as c:
    ...     print(sorted(c), c.entries["w"].format, c.rows("w", 1, 2))
    ['b', 'w'] nm1:4 [[0. 1. 0. 0.]]
    """
    path = located(path)
    if not path.is_dir() and file is not None:
        msg = f"file={file!r} chooses a file of a folder, but {path} is none"
        raise CheckpointError(msg)
    if not path.is_dir() or (remote(path) is None and any(found.sniff(path) for found in READERS.values())):
        name = reader_for(path, reader)
        raw = Checkpoint(path, name, (READERS[name].open(path),))
        return raw if reader is not None else _translated(raw)
    layout = find_files(path, file)
    opened: list[Source] = []
    try:
        opened += (open_file(shard, reader) for shard in layout.files)
        raw = Checkpoint(path, reader or "safetensors", tuple(opened), layout)
        if len(opened) > 1:
            raw.check()  # a folder that took another's place in between would give shards of two versions
        return raw if reader is not None else _translated(raw)
    except BaseException:
        for source in opened:
            source.close()
        raise


def _still(source: Source) -> None:
    """Checks that what was read is of the version that was opened; behind a URL each look would be a request."""
    if remote(source.path) is None:
        source.check()


def _translated(raw: Checkpoint) -> Checkpoint:
    """Weights that are several arrays each as tensors; the checkpoint itself where it has none."""
    marked = any(name.endswith(MARKS) for name in raw)
    if raw.reader != "safetensors" or not (marked or (raw.is_folder and settings_of(raw.config))):
        return raw
    context = Context(raw.entries, raw.array, settings_of(raw.config), raw.metadata, named_dtype(raw.config))
    try:
        scheme, weights, hidden = find_weights(context)
    except CheckpointError as e:
        msg = f"{raw.path}: {e}"
        raise CheckpointError(msg) from e
    if not weights:
        return raw
    if twice := [w.name for w in weights if w.name in raw and w.name not in hidden]:
        msg = f"{raw.path}: {twice[0]!r} is there both plain and in parts"
        raise CheckpointError(msg)
    homes: dict[str, list[Weight]] = {}
    for w in weights:
        homes.setdefault(raw.entries[next(iter(w.keys.values()))].shard, []).append(w)
    sources = tuple(Translated(s, raw, homes.get(s.path.name, []), hidden) for s in raw.sources)
    layout = raw.layout
    if layout is not None and layout.index is not None:
        named = {name: e.shard for name, e in raw.entries.items() if name not in hidden}
        shards = named | {w.name: shard for shard, found in homes.items() for w in found}
        layout = replace(layout, weight_map=shards)
    made = Checkpoint(raw.path, scheme, sources, layout)
    made.left_out = (*raw.left_out, *(f"{key}{OF_ACTIVATIONS}" for w in weights for key in w.dropped))
    return made


def missing_name(name: object, names: list[str], where: str) -> str:
    """The message for a name that is not there, with near ones."""
    near = difflib.get_close_matches(name, names, 3) if isinstance(name, str) and len(names) < 10_000 else []
    hint = f"near: {', '.join(map(repr, near))}" if near else f"it holds {len(names)} tensors"
    return f"{where} holds no tensor {name!r}; {hint}"
