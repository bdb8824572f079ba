"""Delta folders of SkyRL: `delta-00000001` and so on, a manifest and payloads of zstd frames of XOR bytes."""

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
from sparsefmt.delta.change import Parts, shape_of
from sparsefmt.delta.disk import is_file_name
from sparsefmt.delta.files import encoded
from sparsefmt.delta.foreign import CHECKSUMS, Version, as_old, both_versions, check_sum, xored
from sparsefmt.delta.spool import Spool
from sparsefmt.delta.units import compressed, decompressed
from sparsefmt.io import load, save
from sparsefmt.io.paths import text_beside
from sparsefmt.kernels.header import parse_json

PREFIX = "delta-"
MANIFEST = "manifest.json"
PAYLOAD = "payload-00000.safetensors"
LEVEL = 3


@dataclass(frozen=True)
class SkyVersion(Version):
    """A delta folder, opened."""

    records: Mapping[str, Mapping[str, Any]]

    def new(self, name: str, old: Array | None) -> Array:
        """See `Version.new`."""
        record = self.records[name]
        size, where = record["uncompressed_num_bytes"], self.path / record["payload_file"]
        if old is None or old.nbytes != size or list(old.shape) != list(record["shape"]):
            got = "no such tensor" if old is None else f"{old.nbytes} bytes of shape {old.shape}"
            msg = f"{self.path}: tensor {name!r} has {size} bytes of shape {record['shape']}, the base has {got}"
            raise DeltaError(msg)
        if old.dtype.name != str(record["dtype"]).removeprefix("torch."):
            msg = f"{self.path}: tensor {name!r} is {record['dtype']}, the base has {old.dtype}"
            raise DeltaError(msg)
        try:
            frame = load(where, names=[record["payload_key"]])[record["payload_key"]]
        except (CorruptFileError, KeyError, FileNotFoundError) as e:
            msg = f"{where}: the delta is cut or damaged: {e}"
            raise DeltaError(msg) from None
        raw = xored(old, np.frombuffer(decompressed(np.asarray(frame).tobytes(), size), np.uint8))
        check_sum(raw, str(record["checksum"]), str(record["checksum_algorithm"]), name, self.path)
        return as_old(raw, old, name, self.path)


def sniff(path: Path) -> bool:
    """Whether it is one version: a folder with a manifest."""
    return (path / MANIFEST).is_file()


def open_version(path: Path) -> Version:
    """A version folder.

    Raises:
        DeltaError: its manifest makes no sense.
    """
    try:
        found = parse_json(text_beside(path / MANIFEST), MANIFEST)
        records = {}
        for record in found["tensors"]:
            algorithm = "xxh3-128" if "checksum" in record else "sha256"
            made = {"checksum": record.get("sha256"), "checksum_algorithm": algorithm, **record}
            _check_record(made, path)
            if made["name"] in records:
                msg = f"{path}: the manifest names tensor {made['name']!r} twice"
                raise DeltaError(msg)
            records[made["name"]] = made
        return SkyVersion(path, str(found["version"]), str(found["base_version"]), records, names=tuple(records))
    except (CorruptFileError, KeyError, TypeError, AttributeError) as e:
        msg = f"{path / MANIFEST}: the delta is cut or damaged: {e}"
        raise DeltaError(msg) from None


def _check_record(record: Mapping[str, Any], path: Path) -> None:
    """Raises DeltaError where a record of the manifest does not say all of a tensor."""
    shape_of(record["shape"])
    for key in ("name", "dtype", "payload_key", "checksum", "checksum_algorithm"):
        if not isinstance(record[key], str):
            msg = f"{path}: {key} {str(record[key])[:40]!r} of tensor {str(record['name'])[:60]!r}; want a text"
            raise DeltaError(msg)
    if type(size := record["uncompressed_num_bytes"]) is not int or size < 0:
        msg = f"{path}: uncompressed_num_bytes {str(size)[:40]!r} of tensor {record['name']!r}; want a number of bytes"
        raise DeltaError(msg)
    if not is_file_name(record["payload_file"]):
        msg = f"{path}: the manifest names a file elsewhere, or none: {str(record['payload_file'])[:60]!r}"
        raise DeltaError(msg)


def write_version(
    path: Path,
    parts: Parts,
    base: Mapping[str, Any],
    algorithm: str = "xxh3-128",
    version: int | None = None,
    base_version: int | None = None,
) -> None:
    """Writes a version folder; see `sparsefmt.delta.save`.

    Raises:
        DeltaError: tensors come, go or change their shape.
    """
    if parts.wholes:
        msg = f"tensor {next(iter(parts.wholes))!r} comes, goes or changes its shape: save a full checkpoint instead"
        raise DeltaError(msg)
    if algorithm not in ("xxh3-128", "sha256"):
        msg = f"checksum {algorithm!r}; this format has xxh3-128 and sha256"
        raise DeltaError(msg)
    number = re.fullmatch(rf"{PREFIX}(\d+)", path.name)
    if version is None:
        version = int(number[1]) if number else 1
    arrays: dict[str, Array] = {}
    spool = Spool()
    records: list[dict[str, Any]] = []
    for i, (name, change) in enumerate((n, c) for n, c in parts.changes.items() if c.pieces):
        before, after = both_versions(change, base, name)
        frame = spool.array(np.frombuffer(compressed((before ^ after).tobytes(), LEVEL), np.uint8))
        key = f"{i:08d}.values"
        arrays[key] = frame
        records.append(
            {
                "name": name,
                "dtype": change.dtype,
                "shape": list(change.shape),
                "uncompressed_num_bytes": len(after),
                "compressed_num_bytes": len(frame),
                "payload_file": PAYLOAD,
                "payload_key": key,
                "checksum": CHECKSUMS[algorithm](after),
                "checksum_algorithm": algorithm,
            }
        )
    manifest = {
        "version": version,
        "base_version": version - 1 if base_version is None else base_version,
        "tensors": records,
        "total_uncompressed_num_bytes": sum(r["uncompressed_num_bytes"] for r in records),
        "total_compressed_num_bytes": sum(r["compressed_num_bytes"] for r in records),
        "payload_files": [PAYLOAD],
    }
    with new_folder(path) as folder:
        save(folder / PAYLOAD, arrays)
        (folder / MANIFEST).write_bytes(encoded(json.dumps(manifest, ensure_ascii=False, indent=2) + "\n"))
