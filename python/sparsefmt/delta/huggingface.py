"""Delta folders of the Hugging Face layout: `weight_v000001` and so on, an index and shards of zstd frames.

Each tensor is one frame of new XOR old bytes, or of count, positions and new bytes; the metadata of a shard maps names
to checksums of the new bytes; unchanged tensors are absent. An index that names no encoding is a full checkpoint.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import CorruptFileError, DeltaError
from sparsefmt.checkpoint.folder import new_folder
from sparsefmt.delta.change import Parts, checked
from sparsefmt.delta.disk import flat, is_file_name, opened
from sparsefmt.delta.files import encoded
from sparsefmt.delta.foreign import CHECKSUMS, Version, as_old, both_versions, check_sum, xored
from sparsefmt.delta.spool import Spool
from sparsefmt.delta.units import compressed, decompressed
from sparsefmt.io import load, save
from sparsefmt.io.container import reading
from sparsefmt.io.paths import text_beside
from sparsefmt.kernels.header import parse_json

PREFIX = "weight_v"
INDEX = "model.safetensors.index.json"
SHARD_BYTES = 1 << 30
ENCODINGS = ("xor", "overwrite")
_POSITIONS = 1 << 32


@dataclass(frozen=True)
class HfVersion(Version):
    """A delta folder, opened."""

    encoding: str
    checksum: str
    weight_map: Mapping[str, str]
    sums: Mapping[str, str]

    def new(self, name: str, old: Array | None) -> Array:
        """See `Version.new`."""
        shard = self.path / self.weight_map[name]
        frame = load(shard, names=[name])[name]
        if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8 or frame.ndim != 1:
            msg = f"{shard}: tensor {name!r} is no frame of bytes"
            raise DeltaError(msg)
        if old is None:
            msg = f"{self.path}: the base has no tensor {name!r}"
            raise DeltaError(msg)
        if self.encoding == "xor":
            try:
                raw = xored(old, np.frombuffer(decompressed(frame.tobytes(), old.nbytes), np.uint8))
            except DeltaError as e:
                msg = f"{shard}: tensor {name!r}, of {old.nbytes} bytes in the base: {e}; or the base is another model"
                raise DeltaError(msg) from None
        else:
            raw = _overwritten(flat(old), frame.tobytes(), name, shard)
        check_sum(raw, self.sums[name], self.checksum, name, shard)
        return as_old(raw, old, name, shard)


@dataclass(frozen=True)
class FullVersion(Version):
    """A full checkpoint in a chain of versions."""

    def new(self, name: str, old: Array | None) -> Array:
        """See `Version.new`."""
        with opened(self.path) as arrays:
            new = np.array(checked(arrays[name], name))
        if old is None or (new.dtype, new.shape) != (old.dtype, old.shape):
            got = "no such tensor" if old is None else f"{old.dtype} of shape {old.shape}"
            msg = f"{self.path}: tensor {name!r} is {new.dtype} of shape {new.shape}, the base has {got}"
            raise DeltaError(msg)
        return new


def _overwritten(old: Array, frame: bytes, name: str, where: Path) -> Array:
    """New bytes from count, ascending positions and bytes, each position 4 bytes, little-endian."""
    room = 4 + 5 * min(len(old), _POSITIONS)
    data = decompressed(frame, _content_size(frame, room, name, where))
    count = int.from_bytes(data[:4], "little")
    if len(data) != 4 + 5 * count:
        msg = f"{where}: tensor {name!r} names {count} bytes, {len(data)} bytes hold them"
        raise DeltaError(msg)
    where_to = np.frombuffer(data, "<u4", count, 4).astype(np.int64)
    if count and (int(where_to[-1]) >= len(old) or (np.diff(where_to) <= 0).any()):
        msg = f"{where}: tensor {name!r}: positions are out of order, or beyond {len(old)} bytes"
        raise DeltaError(msg)
    raw = np.array(old)
    raw[where_to] = np.frombuffer(data, np.uint8, count, 4 + 4 * count)
    return raw


def _content_size(frame: bytes, most: int, name: str, where: Path) -> int:
    """The content size that a frame claims."""
    if len(frame) < 6:
        msg = f"{where}: tensor {name!r} is no zstd frame"
        raise DeltaError(msg)
    single, form = frame[4] >> 5 & 1, frame[4] >> 6
    at, size = 6 - single, (single, 2, 4, 8)[form]
    found = int.from_bytes(frame[at : at + size], "little") + (256 if form == 1 else 0)
    if not size or found > most:
        msg = f"{where}: tensor {name!r}: a frame of {found} bytes where at most {most} make sense"
        raise DeltaError(msg)
    return found


def sniff(path: Path) -> bool:
    """Whether it is one version: a folder whose index says how its deltas are encoded."""
    try:
        return "delta_encoding" in _index(path)["metadata"]
    except (OSError, DeltaError, KeyError, TypeError):
        return False


def _index(path: Path) -> dict[str, Any]:
    try:
        found = parse_json(text_beside(path / INDEX), INDEX)
    except CorruptFileError as e:
        msg = f"{path / INDEX}: {e}"
        raise DeltaError(msg) from None
    if not isinstance(found, dict) or not isinstance(found.get("weight_map"), dict):
        msg = f"{path / INDEX}: want an object with a weight_map"
        raise DeltaError(msg)
    return found


def open_version(path: Path) -> Version:
    """A version folder.

    Raises:
        DeltaError: it contradicts itself, or is encoded in a way that is unknown.
    """
    index = _index(path)
    metadata, weight_map = index.get("metadata") or {}, index["weight_map"]
    if not isinstance(metadata, dict):
        msg = f"{path / INDEX}: metadata {str(metadata)[:40]!r}; want an object, or none"
        raise DeltaError(msg)
    for name, shard in weight_map.items():
        if not is_file_name(shard):
            msg = f"{path}: the index names a file elsewhere, or none, for {name!r}: {str(shard)[:60]!r}"
            raise DeltaError(msg)
    version = str(metadata.get("version", path.name.removeprefix(PREFIX)))
    if "delta_encoding" not in metadata:
        return FullVersion(path, version, None, names=tuple(weight_map), full=True)
    encoding, form = metadata["delta_encoding"], metadata.get("compression_format")
    if encoding not in ENCODINGS or form != "zstd":
        got = f"encoding {str(encoding)[:20]!r} in {str(form)[:20]!r}"
        msg = f"{path}: {got}; this reads {' and '.join(ENCODINGS)} in 'zstd'"
        raise DeltaError(msg)
    sums: dict[str, str] = {}
    for shard in dict.fromkeys(weight_map.values()):
        try:
            with reading(path / shard) as file:
                mine = [n for n, s in weight_map.items() if s == shard]
                if missing := [n for n in mine if n not in file.stored or n not in file.metadata]:
                    msg = f"{path / shard}: tensor {missing[0]!r} or its checksum is missing"
                    raise DeltaError(msg)
                sums |= {n: file.metadata[n] for n in mine}
        except (CorruptFileError, FileNotFoundError) as e:
            msg = f"{path}: the delta is cut or damaged: {e}"
            raise DeltaError(msg) from None
    base = metadata.get("base_version")
    return HfVersion(
        path,
        version,
        None if base is None else str(base),
        str(encoding),
        str(metadata.get("checksum_format", "xxh3-128")),
        weight_map,
        sums,
        names=tuple(weight_map),
    )


def _text(number: int | str) -> str:
    return f"{number:06d}" if isinstance(number, int) else number


def write_version(
    path: Path,
    parts: Parts,
    base: Mapping[str, Any],
    encoding: str,
    algorithm: str = "xxh3-128",
    version: int | str | None = None,
    base_version: int | str | None = None,
) -> None:
    """Writes a version folder; see `sparsefmt.delta.save`.

    Raises:
        DeltaError: tensors come, go or change their shape; or one has 4 GiB, which "overwrite" cannot address.
    """
    if parts.wholes:
        msg = f"tensor {next(iter(parts.wholes))!r} comes, goes or changes its shape: save a full checkpoint instead"
        raise DeltaError(msg)
    if algorithm not in ("xxh3-128", "blake3", "adler32"):
        msg = f"checksum {algorithm!r}; this format has xxh3-128, blake3 and adler32"
        raise DeltaError(msg)
    number = re.fullmatch(rf"{PREFIX}(\d+)", path.name)
    if version is None:
        version = int(number[1]) if number else 1
    if base_version is None:
        base_version = version - 1 if isinstance(version, int) else ""
    shards: list[dict[str, Array]] = [{}]
    sums: list[dict[str, str]] = [{}]
    held, spool = 0, Spool()
    for name, change in parts.changes.items():
        if not change.pieces:
            continue
        before, after = both_versions(change, base, name)
        frame = spool.array(np.frombuffer(compressed(_encoded(before, after, encoding, name), 1), np.uint8))
        if held and held + len(frame) > SHARD_BYTES:
            shards, sums, held = [*shards, {}], [*sums, {}], 0
        shards[-1][name], sums[-1][name] = frame, CHECKSUMS[algorithm](after)
        held += len(frame)
    metadata = {"version": _text(version), "base_version": _text(base_version), "delta_encoding": encoding}
    metadata |= {"compression_format": "zstd", "checksum_format": algorithm}
    weight_map: dict[str, str] = {}
    with new_folder(path) as folder:
        for i, (arrays, texts) in enumerate(zip(shards, sums, strict=True)):
            name = f"model-{i:05d}-of-{len(shards):05d}.safetensors"
            save(folder / name, arrays, texts)
            weight_map |= dict.fromkeys(arrays, name)
        index = {"metadata": metadata, "weight_map": weight_map}
        (folder / INDEX).write_bytes(encoded(json.dumps(index, ensure_ascii=False, indent=2) + "\n"))


def _encoded(old: Array, new: Array, encoding: str, name: str) -> bytes:
    if encoding == "xor":
        return (old ^ new).tobytes()
    if len(new) >= _POSITIONS:
        msg = f"tensor {name!r} has {len(new)} bytes: positions of 4 bytes do not reach; use format='hf-xor'"
        raise DeltaError(msg)
    where = np.flatnonzero(old != new)
    return len(where).to_bytes(4, "little") + where.astype("<u4").tobytes() + new[where].tobytes()
