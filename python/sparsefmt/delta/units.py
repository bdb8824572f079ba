"""Pieces made small for transport: several small ones, or one large one, at a time."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import DeltaError, FormatError
from sparsefmt.base.limits import check_size
from sparsefmt.delta.planes import Flat, from_planes, gaps_between, magnitudes, negatives, signed, to_planes
from sparsefmt.kernels.packing import adaptive_decode, adaptive_encode, zstd_bound, zstd_compress, zstd_decompress

UNIT = 1 << 15
"""Steps after which a unit is full."""
ZSTD_LEVEL = 3

Form = dict[str, Any]
Heading = tuple[int, int, int, int, int]
"""Of a piece: which of its tensor, where it starts, its items, its steps, bytes of a step."""


def compressed(data: bytes, level: int = ZSTD_LEVEL) -> bytes:
    """A zstd frame of `data`."""
    out = np.empty(zstd_bound(len(data)), np.uint8)
    return out[: zstd_compress(np.frombuffer(data, np.uint8), level, out)].tobytes()


def decompressed(frame: bytes, size: int) -> bytes:
    """What the zstd frame holds.

    Raises:
        DeltaError: it is no frame of `size` bytes.
        SizeError: `size` is more than allowed.
    """
    check_size(size, "a decompressed part of a delta")
    out = np.empty(size, np.uint8)
    try:
        got = zstd_decompress(np.frombuffer(frame, np.uint8), out)
    except FormatError as e:
        msg = f"the delta is damaged: {e}"
        raise DeltaError(msg) from None
    if got != size:
        msg = f"the delta is damaged: a frame holds {got} bytes, want {size}"
        raise DeltaError(msg)
    return out.tobytes()


def grouped(sizes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Begin and end of every unit of pieces with so many steps."""
    start, held = 0, 0
    for i, size in enumerate(sizes):
        if held and held + size > UNIT:
            yield start, i
            start, held = i, 0
        held += size
    if start < len(sizes):
        yield start, len(sizes)


def encode_wire(pieces: Sequence[Flat]) -> tuple[bytes, list[Form]]:
    """The planes of pieces, each plane of all of them compressed together, and what is needed to read them."""
    each = [to_planes(f) for f in pieces]
    names = list(dict.fromkeys(name for planes in each for name in planes))
    out, forms = b"", []
    for name in names:
        raw = b"".join(planes.get(name, b"") for planes in each)
        packed = compressed(raw)
        smaller = len(packed) < len(raw)
        stored = packed if smaller else raw
        sizes = [len(planes[name]) if name in planes else None for planes in each]
        forms.append({"plane": name, "sizes": sizes, "bytes": len(stored), "zstd": smaller})
        out += stored
    return out, forms


def decode_wire(data: bytes, forms: Sequence[Form], heads: Sequence[Heading]) -> list[Flat]:
    """The inverse of `encode_wire`.

    Raises:
        DeltaError: the data is cut or damaged.
    """
    each: list[dict[str, bytes]] = [{} for _ in heads]
    for form in forms:
        stored, data = data[: form["bytes"]], data[form["bytes"] :]
        total = sum(size or 0 for size in form["sizes"])
        raw = decompressed(stored, total) if form["zstd"] else stored
        if len(raw) != total or len(form["sizes"]) != len(heads):
            msg = f"the delta is damaged: plane {str(form['plane'])[:20]!r} holds {len(raw)} bytes, want {total}"
            raise DeltaError(msg)
        for planes, size in zip(each, form["sizes"], strict=True):
            if size is not None:
                planes[form["plane"]], raw = raw[:size], raw[size:]
    if data:
        msg = "the delta is damaged: bytes follow the last plane"
        raise DeltaError(msg)
    return [from_planes(planes, *head) for planes, head in zip(each, heads, strict=True)]


def _adaptive(values: Array) -> bytes:
    out = np.empty(2 * len(values) + 64, np.uint8)
    size = adaptive_encode(values, out)
    if size > len(out):
        out = np.empty(size, np.uint8)
        adaptive_encode(values, out)
    return out[:size].tobytes()


def encode_archive(pieces: Sequence[Flat]) -> tuple[bytes, list[Form]]:
    """Gaps and steps of pieces by the adaptive coder."""
    none = np.zeros(0, np.uint64)
    gaps = [none, *(gaps_between(f.where).astype(np.uint64) for f in pieces)]
    steps = [none, *(folded(f.steps) for f in pieces)]
    both = [_adaptive(np.concatenate(found)) for found in (gaps, steps)]
    return b"".join(both), [{"bytes": len(stream)} for stream in both]


def folded(steps: Array) -> Array:
    """Steps as numbers, uint64: 1, -1, 2, -2 ... are 0, 1, 2, 3 ..."""
    return np.asarray(magnitudes(steps).astype(np.uint64) << np.uint64(1) | negatives(steps), np.uint64)


def decode_archive(data: bytes, forms: Sequence[Form], heads: Sequence[Heading]) -> list[Flat]:
    """The inverse of `encode_archive`.

    Raises:
        DeltaError: the data is cut or damaged.
    """
    total = sum(head[3] for head in heads)
    if sum(form["bytes"] for form in forms) != len(data) or len(forms) != 2:
        msg = f"the delta is damaged: a unit holds {len(data)} bytes, want {sum(form['bytes'] for form in forms)}"
        raise DeltaError(msg)
    check_size(16 * total, "the steps of a unit")
    gaps, steps = np.empty(total, np.uint64), np.empty(total, np.uint64)
    adaptive_decode(np.frombuffer(data[: forms[0]["bytes"]], np.uint8), gaps)
    adaptive_decode(np.frombuffer(data[forms[0]["bytes"] :], np.uint8), steps)
    found, at = [], 0
    for which, start, count, slots, itemsize in heads:
        mine, values = gaps[at : at + slots], steps[at : at + slots]
        if slots and int(mine.max()) >= count:
            msg = f"the delta is damaged: a gap of {int(mine.max())} in a piece of {count} items"
            raise DeltaError(msg)
        where = np.cumsum(mine.astype(np.int64) + 1) - 1
        magnitude = (values >> np.uint64(1)).astype(f"u{itemsize}")
        found.append(Flat(which, start, count, where, signed(magnitude, (values & np.uint64(1)) != 0)))
        at += slots
    return found


CODERS = {"wire": (encode_wire, decode_wire), "archive": (encode_archive, decode_archive)}
