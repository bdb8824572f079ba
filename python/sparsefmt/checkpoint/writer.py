"""Writing a safetensors file as a stream: every byte once, the header last."""

import contextlib
import json
import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from sparsefmt.base.alloc import ALIGNMENT
from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import CheckpointError, DtypeError, FormatError
from sparsefmt.checkpoint.unsettled import Unsettled
from sparsefmt.io.atomic import hand_on
from sparsefmt.io.container import LENGTH, MAX_HEADER
from sparsefmt.io.dtypes import CONTAINER, VIEWS
from sparsefmt.io.paths import naming_file
from sparsefmt.kernels.header import BITS

Slot = tuple[str, str, tuple[int, ...]]
"""Key, dtype and shape of an array in the file; the dtype as the container calls it ("BF16"), or NumPy ("bfloat16")."""

_STORED = {**{name: stored for stored, name in CONTAINER.items()}, **{d.name: s for s, d in VIEWS.items()}}


def stored_dtype(dtype: str) -> str:
    """What the container calls a dtype, given by its own name or NumPy's.

    Raises:
        DtypeError: it has none.
    """
    found = dtype if dtype in BITS else _STORED.get(dtype)
    if found is None:
        msg = f"dtype {dtype!r} is none of the container's: {', '.join(BITS)}"
        raise DtypeError(msg)
    return found


@dataclass(slots=True)
class Place:
    """Where an array goes: its bytes are `start..start + nbytes` of the data, `done` of them are written."""

    stored: str
    shape: tuple[int, ...]
    start: int
    nbytes: int
    done: int = 0


def laid_out(slots: Iterable[Slot], first: Collection[str] = ()) -> dict[str, Place]:
    """The place of every array: those of `first` first, then by descending item size, so that items are aligned.

    Raises:
        FormatError: two have one key.
        DtypeError: a dtype that the container does not have, or a shape that is no whole number of bytes.
    """
    sized = []
    for key, dtype, shape in slots:
        stored = stored_dtype(dtype)
        bits = BITS[stored]
        for n in shape:
            bits *= n
        if bits % 8:
            msg = f"{key!r} of {stored} and shape {shape} takes {bits} bits, no whole number of bytes"
            raise DtypeError(msg)
        sized.append((key not in first, -min(BITS[stored], 64), key, stored, tuple(shape), bits // 8))
    places: dict[str, Place] = {}
    start = 0
    for *_, key, stored, shape, nbytes in sorted(sized):
        if key in places:
            msg = f"two arrays have the key {key!r}; rename one of them"
            raise FormatError(msg)
        places[key] = Place(stored, shape, start, nbytes)
        start += nbytes
    return places


def header_text(places: Mapping[str, Place], metadata: Mapping[str, str]) -> bytes:
    """The JSON text of a header, without padding."""
    header: dict[str, object] = {"__metadata__": dict(sorted(metadata.items()))} if metadata else {}
    for key, p in places.items():
        header[key] = {"dtype": p.stored, "shape": list(p.shape), "data_offsets": [p.start, p.start + p.nbytes]}
    return json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()


class ShardWriter:
    """Writes one safetensors file of which all names, dtypes and shapes are known ahead.

    The data streams to a temporary file in the folder of `path`, from a place that leaves room for the header; the
    header is written last and padded with spaces; then the file takes its place. If the block ends by an error, or the
    writer is killed, nothing is left.
    Arrays may come in any order, the chunks of one array in theirs; nothing is held.

    Args:
        path: of the file; its folder must exist.
        slots: key, dtype and shape of every array.
        metadata: texts; `writer.metadata` may change until the block ends, within the room that was reserved.
        first: keys of arrays that are to start at a multiple of 64 bytes.
        room: bytes to reserve for metadata that come later.

    Raises:
        FormatError: two arrays have one key, or the header is beyond 100 MB.
        DtypeError: a dtype that the container does not have.
        OSError: it cannot be written.

    >>> import numpy as np, sparsefmt as sf, tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp(), "w.safetensors")
    >>> with ShardWriter(path, [("w", "F16", (2, 4))], {"format": "pt"}) as writer:
    ...     _ = writer.write("w", np.zeros((1, 4), np.float16))
    ...     _ = writer.write("w", np.ones((1, 4), np.float16))
    >>> sf.load(path)["w"]
    array([[0., 0., 0., 0.],
           [1., 1., 1., 1.]], dtype=float16)
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        slots: Iterable[Slot],
        metadata: Mapping[str, str] | None = None,
        *,
        first: Collection[str] = (),
        room: int = 0,
    ) -> None:
        self.path = Path(path)
        self.metadata = dict(metadata or {})
        self.places = laid_out(slots, first)
        self._room = room

    def __enter__(self) -> Self:
        self._text, self._told = header_text(self.places, self.metadata), dict(self.metadata)
        length = len(self._text) + self._room
        self.data = -(-(LENGTH + length) // ALIGNMENT) * ALIGNMENT
        check_header(self.data - LENGTH)
        self._file, self._given = Unsettled(self.path), False
        return self

    @property
    def nbytes(self) -> int:
        """Bytes of the data."""
        return sum(p.nbytes for p in self.places.values())

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self.data + self.nbytes

    def write(self, key: str, chunk: Array | bytes) -> Array:
        """Writes the next chunk of an array.

        Args:
            key: of the array.
            chunk: its next items in C order, of any shape; its bytes count.

        Returns:
            The bytes that were written, flat uint8.

        Raises:
            CheckpointError: there is no such array, or it has fewer bytes.
            OSError: it cannot be written.
        """
        data = np.frombuffer(chunk, np.uint8) if isinstance(chunk, bytes) else flat_bytes(chunk)
        place = self.places.get(key)
        if place is None:
            msg = f"{self.path}: no array {key!r} was announced"
            raise CheckpointError(msg)
        if place.done + data.size > place.nbytes:
            msg = f"{self.path}: {key!r} takes {place.nbytes} bytes, got {place.done + data.size}"
            raise CheckpointError(msg)
        chunk_bytes = memoryview(data.data)
        if not is_zero(chunk_bytes):  # zeros stay a hole of the file
            with naming_file(self.path):
                self._put(chunk_bytes, self.data + place.start + place.done)
                self._file.wrote(len(chunk_bytes))
        place.done += data.size
        return data

    def _put(self, left: memoryview, at: int) -> None:
        """Writes bytes from `at` on; the system may take fewer at a time."""
        while left:
            written = os.pwrite(self._file.number, left, at)
            at, left = at + written, left[written:]

    def sealed(self) -> Unsettled:
        """Ends the writing; the file is the caller's when the block ends without an error, who settles or discards it.

        Raises:
            CheckpointError: an array has fewer bytes than announced, or the metadata more than were reserved.
            OSError: it cannot be written.
        """
        for key, p in self.places.items():
            if p.done != p.nbytes:
                msg = f"{self.path}: {key!r} takes {p.nbytes} bytes, got {p.done}"
                raise CheckpointError(msg)
        text = self._text if self.metadata == self._told else header_text(self.places, self.metadata)
        length = self.data - LENGTH
        if len(text) > length:
            msg = f"{self.path}: the header takes {len(text)} bytes, and {length} are reserved"
            raise CheckpointError(msg)
        with naming_file(self.path):
            number, target = self._file.number, self._file.target
            self._put(memoryview(length.to_bytes(LENGTH, "little") + text.ljust(length)), 0)
            os.ftruncate(number, self.size)
            with contextlib.suppress(FileNotFoundError):
                hand_on(target.stat(), target, number)
        self._given = True
        return self._file

    def __exit__(self, kind: type[BaseException] | None, *raised: object) -> None:
        given = self._given
        try:
            if kind is None and not given:
                self.sealed().settle()
        finally:
            if kind is not None or not given:
                self._file.discard()  # nothing, once it is settled


def is_zero(data: memoryview) -> bool:
    """Whether a chunk is large and holds zero bytes alone; the first page answers where it does not."""
    page = 4096
    return len(data) > page and not any(data[:page]) and data[:-page] == data[page:]


def flat_bytes(a: Array) -> Array:
    """The bytes of an array in C order."""
    return np.ascontiguousarray(a).reshape(-1).view(np.uint8)


def check_header(length: int) -> None:
    """Raises FormatError for a header that no reader takes."""
    if length > MAX_HEADER:
        msg = f"the header would take {length} bytes, allowed {MAX_HEADER}; write more shards, or fewer tensors"
        raise FormatError(msg)
