"""Deltas in files: one safetensors file each, see docs/format.md."""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, cast

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import CorruptFileError, DeltaError, VersionError
from sparsefmt.delta.change import Change, Whole, named, shape_of
from sparsefmt.delta.disk import Layout, checked_layout
from sparsefmt.delta.grid import BYTES, grid, spans
from sparsefmt.delta.model import LEVELS, Delta, Level
from sparsefmt.delta.pieces import Piece
from sparsefmt.delta.planes import flat, piece
from sparsefmt.delta.spool import HELD, Spool, contents
from sparsefmt.delta.units import CODERS, Heading, compressed, decompressed, grouped
from sparsefmt.io import load, save
from sparsefmt.io.container import reading
from sparsefmt.kernels.checksum import checksum
from sparsefmt.kernels.header import parse_json
from sparsefmt.tensor.sparse import SparseTensor

KEY = "sparsefmt.delta"
"""Of the metadata that says what the file is."""
VERSION = 1
_DIGEST = 16


def write(path: str | os.PathLike[str], delta: Delta) -> None:
    """Writes a delta in its level."""
    head, tensors = _head(delta), _wholes(delta)
    pieces = [(name, c, p) for name, c in delta.changes.items() for p in c.pieces]
    if delta.level == "store":
        head["tensors"] = [
            [*_named(n, c), c.old, c.new, c.marks, [p.at for p in c.pieces]] for n, c in delta.changes.items()
        ]
        tensors |= {f"steps.{p.at}.{name}": p.steps for name, _, p in pieces}
    else:
        counts = [_slots(p) for _, _, p in pieces]
        each = iter(counts)
        head["tensors"] = [
            [*_named(n, c), c.marks is not None, [[p.at, next(each)] for p in c.pieces]]
            for n, c in delta.changes.items()
        ]
        digests = "".join(c.old + c.new for c in delta.changes.values())
        marks = "".join("".join(c.marks or ()) for c in delta.changes.values())
        tensors["marks"] = np.frombuffer(bytes.fromhex(marks), np.uint8).reshape(-1, 2, _DIGEST // 2)
        tensors["digests"] = np.frombuffer(bytes.fromhex(digests), np.uint8).reshape(-1, 2, _DIGEST)
        tensors["units"], head["units"] = _units(delta.level, [p for _, _, p in pieces], counts)
    text = json.dumps(head, ensure_ascii=False, separators=(",", ":"))
    packed = encoded(text)
    short: dict[str, Any] = {"version": VERSION, "level": delta.level, "checksum": checksum(packed)}
    if delta.level == "store":
        short["manifest"] = text
    else:
        short["manifest_bytes"] = len(packed)
        tensors["manifest"] = np.frombuffer(compressed(packed, 9), np.uint8)
    save(path, tensors, {KEY: json.dumps(short, ensure_ascii=False, separators=(",", ":"))})


def encoded(text: str) -> bytes:
    """A manifest in UTF-8.

    Raises:
        DeltaError: the name of a file or a tensor has bytes that are none.
    """
    try:
        return text.encode()
    except UnicodeEncodeError as e:
        msg = f"a name that is no text in UTF-8, at {text[max(e.start - 30, 0) : e.end + 15]!r}; rename it"
        raise DeltaError(msg) from None


def _named(name: str, change: Change) -> list[Any]:
    return [name, change.dtype, list(change.shape)]


def _slots(p: Piece) -> int:
    return len(flat(p).steps)


def _head(delta: Delta) -> dict[str, Any]:
    wholes = [[name, w.old_sum, w.new_sum, w.old is not None, w.new is not None] for name, w in delta.wholes.items()]
    ends = delta.layouts
    layouts = None if ends is None else [ends[0], None if ends[0] == ends[1] else ends[1]]
    kinds = [[_kind(w.old), _kind(w.new)] for w in delta.wholes.values()]
    return {"kind": delta.kind, "layouts": layouts, "piece_bytes": BYTES, "wholes": wholes, "kinds": kinds}


def _kind(a: Array | None) -> list[Any] | None:
    return None if a is None else [a.dtype.name, list(a.shape)]


def _wholes(delta: Delta) -> dict[str, SparseTensor | Array]:
    found: dict[str, SparseTensor | Array] = {}
    for name, w in delta.wholes.items():
        found |= {f"{role}.{name}": a for role, a in (("old", w.old), ("new", w.new)) if a is not None}
    return found


def _units(level: str, pieces: list[Piece], counts: list[int]) -> tuple[Array, list[Any]]:
    """The coded steps of all pieces, one unit behind the other, and what is needed to read them."""
    encode, forms = CODERS[level][0], list[Any]()
    with tempfile.SpooledTemporaryFile(HELD) as out:
        for start, stop in grouped(counts):
            data, made = encode([flat(p) for p in pieces[start:stop]])
            forms.append([stop - start, len(data), made])
            out.write(data)
        return contents(out), forms


def is_delta(path: str | os.PathLike[str]) -> bool:
    """Whether the file says that it is a delta of this package."""
    with reading(path) as file:
        return KEY in file.metadata


def read(path: str | os.PathLike[str]) -> Delta:
    """The delta in a file; packed tensors and whole arrays stay mapped.

    Raises:
        DeltaError: the file is no delta, is cut, or contradicts itself.
        VersionError: it was written by a version that this one does not know.
    """
    where = os.fsdecode(path)
    try:
        with reading(path) as file:
            text = file.metadata.get(KEY)
        if text is None:
            msg = f"{where}: no delta; its metadata has no {KEY!r}"
            raise DeltaError(msg)
        short = parse_json(text, KEY)
        if not isinstance(short, dict) or short.get("version") != VERSION or short.get("level") not in LEVELS:
            msg = f"{where}: a delta of version {str(short)[:60]}, this reads {VERSION}; update sparsefmt"
            raise VersionError(msg)
        return _read(load(path), short)
    except VersionError:
        raise
    except DeltaError as e:
        msg = f"{where}: {e}" if not str(e).startswith(where) else str(e)
        raise DeltaError(msg) from None
    except (CorruptFileError, KeyError, TypeError, ValueError, IndexError) as e:
        msg = f"{where}: the delta is cut or damaged: {e}"
        raise DeltaError(msg) from None


def _read(tensors: Mapping[str, Any], short: Mapping[str, Any]) -> Delta:
    level = cast("Level", short["level"])
    text = short["manifest"] if level == "store" else _manifest(tensors, short)
    head = parse_json(text, "manifest")
    if "checksum" in short and short["checksum"] != checksum(text.encode()):  # deltas of before have none
        msg = "the delta is damaged: its manifest has another checksum"
        raise DeltaError(msg)
    if head["piece_bytes"] != BYTES:
        msg = f"the delta has pieces of {head['piece_bytes']} bytes, this reads {BYTES}"
        raise DeltaError(msg)
    if head["kind"] not in ("array", "mapping", "checkpoint"):
        msg = f"the delta is of {str(head['kind'])[:20]!r}"
        raise DeltaError(msg)
    kinds = head.get("kinds", [None] * len(head["wholes"]))
    wholes = {entry[0]: _whole(tensors, entry, kind) for entry, kind in zip(head["wholes"], kinds, strict=True)}
    changes = _stored(tensors, head) if level == "store" else _coded(tensors, head, level)
    for name, c in changes.items():
        if not c.pieces and c.old != c.new:  # the old version would be handed on
            msg = f"the delta is damaged: no step of tensor {name!r} is there, but its versions differ"
            raise DeltaError(msg)
    return Delta(changes, wholes, head["kind"], level, _layouts(head["layouts"]))


def _layouts(found: Any) -> tuple[Layout, Layout] | None:  # noqa: ANN401
    if found is None:
        return None
    old = checked_layout(found[0])
    return old, old if found[1] is None else checked_layout(found[1])


def _manifest(tensors: Mapping[str, Any], short: Mapping[str, Any]) -> str:
    return decompressed(tensors["manifest"].tobytes(), int(short["manifest_bytes"])).decode()


def _whole(tensors: Mapping[str, Any], entry: list[Any], kinds: list[Any] | None) -> Whole:
    name, old, new, has_old, has_new = entry
    a, b = (tensors[f"{role}.{name}"] if there else None for role, there in (("old", has_old), ("new", has_new)))
    if (has_old and old is None) or (has_new and new is None) or (old, new) == (None, None):
        msg = f"the delta is damaged: tensor {name!r} lacks a checksum"
        raise DeltaError(msg)
    if kinds not in (None, found := [_kind(a), _kind(b)]):  # deltas of before have none
        msg = f"the delta is damaged: the versions of tensor {name!r} are {found}, want {kinds}"
        raise DeltaError(msg)
    return Whole(a, b, old, new)


def _stored(tensors: Mapping[str, Any], head: Mapping[str, Any]) -> dict[str, Change]:
    found = {}
    for name, dtype, shape, old, new, marks, which in head["tensors"]:
        seen = None if marks is None else (str(marks[0]), str(marks[1]))
        blank = Change(named(dtype).name, shape_of(shape), str(old), str(new), marks=seen)
        places = list(spans(blank.count, blank.itemsize))
        made = []
        for at in which:
            start, stop = places[at]
            steps = tensors[f"steps.{at}.{name}"]
            want = grid(stop - start), np.dtype(f"i{blank.itemsize}")
            if not isinstance(steps, SparseTensor) or (steps.shape, steps.dtype) != want:
                msg = f"tensor {name!r}: steps of piece {at} are {steps!r}, want {want[1]} of shape {want[0]}"
                raise DeltaError(msg)
            made.append(Piece(at, start, stop - start, steps))
        if list(which) != sorted(set(which)):
            msg = f"tensor {name!r}: pieces {which} are out of order"
            raise DeltaError(msg)
        found[name] = replace(blank, pieces=tuple(made))
    return found


def _coded(tensors: Mapping[str, Any], head: Mapping[str, Any], level: str) -> dict[str, Change]:
    digests, blanks, heads = tensors["digests"], dict[str, Change](), list[tuple[str, Heading]]()
    marks = iter(tensors["marks"])
    for i, (name, dtype, shape, marked, which) in enumerate(head["tensors"]):
        old, new = (digests[i, k].tobytes().hex() for k in (0, 1))
        before, after = (m.tobytes().hex() for m in next(marks, ())) if marked else ("", "")
        seen = (before, after) if marked else None
        blank = blanks[name] = Change(named(dtype).name, shape_of(shape), old, new, marks=seen)
        places = list(spans(blank.count, blank.itemsize))
        for at, slots in which:
            start, stop = places[at]
            if not 0 < slots <= stop - start:
                msg = f"tensor {name!r}: {slots} steps in a piece of {stop - start} items"
                raise DeltaError(msg)
            heads.append((name, (at, start, stop - start, slots, blank.itemsize)))
    made: dict[str, list[Piece]] = {name: [] for name in blanks}
    spool = Spool()
    for name, p in _pieces(tensors["units"], head["units"], heads, level):
        made[name].append(spool.piece(p))
    return {n: replace(c, pieces=tuple(made[n])) for n, c in blanks.items()}


def _pieces(
    units: Array, forms: list[Any], heads: list[tuple[str, Heading]], level: str
) -> Iterator[tuple[str, Piece]]:
    decode, at, first = CODERS[level][1], 0, 0
    for count, size, form in forms:
        mine = heads[first : first + count]
        data = units[at : at + size].tobytes()
        at, first = at + size, first + len(mine)
        for (name, _), f in zip(mine, decode(data, form, [h for _, h in mine]), strict=True):
            yield name, piece(f)
    if first != len(heads) or at != len(units):
        msg = f"the delta is damaged: units hold {at} bytes of {len(units)}, {len(heads) - first} pieces are missing"
        raise DeltaError(msg)
