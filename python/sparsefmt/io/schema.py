"""The JSON in `__metadata__["sparsefmt"]`: what is packed, and how."""

import json
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from sparsefmt.base.dtypes import DTYPES
from sparsefmt.base.errors import CorruptFileError, VersionError
from sparsefmt.base.part import Part
from sparsefmt.codecs.registry import CODECS
from sparsefmt.io.dtypes import PAIRED
from sparsefmt.kernels.header import parse_json
from sparsefmt.structures.registry import STRUCTURES
from sparsefmt.tensor.axes import moved

KEY = "sparsefmt"
METADATA = "__metadata__"
VERSION = 4
"""The newest version of an entry; each has the oldest that knows what it says: 2 for int2, int3, int5, int6, int7,
3 for an axis, 4 for streams of N:M."""
_AXIS_SINCE = 3
PARTS = ("structure", "values")
_MAX_RANK, _MAX_LENGTH = 64, 2**63 - 1
_REGISTRIES: dict[str, Mapping[str, type[Part]]] = {"structure": STRUCTURES, "values": CODECS}
_STRUCTURE_DTYPES = ("uint8", "int32", "int64")


@dataclass(frozen=True, slots=True)
class PartEntry:
    """A structure or a codec: its kind, its parameters, and the dtypes of its arrays by name."""

    kind: str
    params: dict[str, Any]
    arrays: dict[str, str]


@dataclass(frozen=True, slots=True)
class Entry:
    """A packed tensor, or a plain complex128 one, which has no parts."""

    shape: tuple[int, ...]
    dtype: str
    parts: dict[str, PartEntry]
    axis: int | None = None
    """The axis that columns run along, counted from the front; None: the last."""

    @property
    def version(self) -> int:
        """The oldest version that knows its parts."""
        since = 1 if self.axis is None else _AXIS_SINCE
        for role, p in self.parts.items():
            since = max(since, _REGISTRIES[role][p.kind].since)
        return since

    def to_json(self) -> dict[str, Any]:
        """What stands in the file."""
        parts = {name: {"kind": p.kind, "params": p.params, "arrays": p.arrays} for name, p in self.parts.items()}
        axis = {} if self.axis is None else {"axis": self.axis}
        return {"version": self.version, "shape": list(self.shape), "dtype": self.dtype, **axis, **parts}


def key(name: str, part: str, array: str) -> str:
    """The key of an array in the container."""
    return f"{name}.{part}.{array}"


def owned(keys: list[str], name: str) -> list[str]:
    """Those of the sorted `keys` that belong to a packed tensor of that name."""
    found = []
    for part in PARTS:
        prefix = key(name, part, "")
        at = bisect_left(keys, prefix)
        while at < len(keys) and keys[at].startswith(prefix):
            found.append(keys[at])
            at += 1
    return found


def dump(entries: dict[str, Entry]) -> str:
    """The JSON text; the same for every order of the entries."""
    return dump_json({name: entry.to_json() for name, entry in entries.items()})


def dump_json(tensors: dict[str, dict[str, Any]]) -> str:
    """The same for entries that are JSON already."""
    return json.dumps({"tensors": tensors}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _fields(value: object, names: tuple[str, ...], what: str) -> dict[str, Any]:
    """`value` as an object with exactly these fields."""
    if not isinstance(value, dict):
        msg = f"{what}: want an object, got {type(value).__name__}"
        raise CorruptFileError(msg)
    if set(value) != set(names):
        odd = sorted(set(value) ^ set(names))[0]
        msg = f"{what}: field {odd[:80]!r} is {'unknown' if odd in value else 'missing'}"
        raise CorruptFileError(msg)
    return value


def load(text: str) -> dict[str, object]:
    """The entries by name, not looked into.

    Raises:
        CorruptFileError: the text is not JSON of that form.
    """
    tensors = _fields(parse_json(text, KEY), ("tensors",), KEY)["tensors"]
    if not isinstance(tensors, dict):
        msg = f"{KEY}: tensors is no object"
        raise CorruptFileError(msg)
    return tensors


def has_parts(entry: object) -> bool:
    """Whether an entry that was not looked into may own arrays `<name>.structure...` and `<name>.values...`."""
    return not isinstance(entry, dict) or any(part in entry for part in PARTS)


def parse(value: object) -> Entry:
    """An entry, checked as far as it can be without its arrays.

    Raises:
        VersionError: a version, a structure, a codec or a dtype that this package does not know.
        CorruptFileError: anything else that is not as it must be.
    """
    if not isinstance(value, dict) or not _is_int(value.get("version")):
        msg = "want an object with a version"
        raise CorruptFileError(msg)
    version = value["version"]
    if not 1 <= version <= VERSION:
        msg = f"it has version {str(version)[:40]}, this sparsefmt reads versions 1 to {VERSION}; upgrade sparsefmt"
        raise VersionError(msg)
    plain, has_axis = not has_parts(value), version >= _AXIS_SINCE and "axis" in value
    _fields(value, ("version", "shape", "dtype", *(() if plain else (*(("axis",) * has_axis), *PARTS))), "its entry")
    dtype = value["dtype"]
    if not isinstance(dtype, str):
        msg = f"dtype is {type(dtype).__name__}, want a text"
        raise CorruptFileError(msg)
    if dtype not in DTYPES:
        raise VersionError(_unknown("dtype", dtype, DTYPES))
    if plain and dtype != PAIRED:
        msg = f"it has no structure and no values, which only {PAIRED} has; got {dtype}"
        raise CorruptFileError(msg)
    parts = {} if plain else {name: _part(name, value[name]) for name in PARTS}
    shape = _shape(value["shape"], 0 if plain else 1)
    made = Entry(shape, dtype, parts, None if plain or not has_axis else _axis(value["axis"], shape))
    if made.version != version:
        msg = f"it has version {version}, but its parts are of version {made.version}"
        raise CorruptFileError(msg)
    return made


def _is_int(n: object) -> bool:
    return isinstance(n, int) and not isinstance(n, bool)


def _unknown(what: str, got: str, known: Iterable[str]) -> str:
    return f"{what} {got[:80]!r} is unknown; this sparsefmt knows {', '.join(known)}; upgrade sparsefmt"


def _shape(shape: object, least: int) -> tuple[int, ...]:
    if not isinstance(shape, list) or not least <= len(shape) <= _MAX_RANK:
        msg = f"shape: want a list of {least} to {_MAX_RANK} integers"
        raise CorruptFileError(msg)
    rows = 1
    for n in shape:
        if not _is_int(n) or not 0 <= n <= _MAX_LENGTH:
            msg = f"shape: want integers in 0..2^63-1, got {str(n)[:40]!r}"
            raise CorruptFileError(msg)
    for n in shape[:-1]:
        rows *= n
    if rows > _MAX_LENGTH:
        msg = f"shape {shape} has more than 2^63-1 rows"
        raise CorruptFileError(msg)
    return tuple(shape)


def _axis(axis: object, shape: tuple[int, ...]) -> int:
    if not isinstance(axis, int) or not _is_int(axis) or not 0 <= axis < len(shape) - 1:
        msg = f"axis {str(axis)[:40]!r}: want an integer in 0..{len(shape) - 2}; the last axis is not named"
        raise CorruptFileError(msg)
    if prod(moved(shape, axis)[:-1]) > _MAX_LENGTH:
        msg = f"shape {shape} has more than 2^63-1 rows along axis {axis}"
        raise CorruptFileError(msg)
    return axis


def _part(role: str, value: object) -> PartEntry:
    fields = _fields(value, ("kind", "params", "arrays"), role)
    kind, params, arrays = fields["kind"], fields["params"], fields["arrays"]
    registry: dict[str, type[Part]] = {**STRUCTURES} if role == "structure" else {**CODECS}
    if not isinstance(kind, str) or not isinstance(params, dict) or not isinstance(arrays, dict):
        msg = f"{role}: want a text as kind, and objects as params and arrays"
        raise CorruptFileError(msg)
    if kind not in registry:
        raise VersionError(_unknown("codec" if role == "values" else role, kind, registry))
    for name, dtype in arrays.items():
        if name not in registry[kind].array_names or not isinstance(dtype, str) or dtype not in DTYPES:
            msg = f"{role} {kind}: unknown array {name[:80]!r} of dtype {str(dtype)[:40]!r}"
            raise CorruptFileError(msg)
    if role == "structure":
        found = set(arrays.values())
        if not found <= set(_STRUCTURE_DTYPES) or {"int32", "int64"} <= found:
            msg = f"structure {kind}: arrays are uint8, and all int32 or all int64; got {', '.join(sorted(found))}"
            raise CorruptFileError(msg)
    return PartEntry(kind, params, arrays)
