"""A reader of delta folders of others, written from their rules and without the package."""

import hashlib
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
import zstandard
from safetensors import safe_open

Bytes = dict[str, bytes]


def frames(path: Path) -> tuple[Bytes, dict[str, str]]:
    """The arrays of bytes and the metadata of a file."""
    with safe_open(path, "numpy") as file:
        found = {}
        for name in file.keys():  # noqa: SIM118
            a = file.get_tensor(name)
            assert a.dtype == np.uint8
            assert a.ndim == 1
            found[name] = a.tobytes()
        return found, dict(file.metadata() or {})


def unpacked(frame: bytes, level: int | None = None) -> bytes:
    """What a frame holds; its header must say how much that is."""
    size = zstandard.frame_content_size(frame)
    assert size >= 0
    data = zstandard.ZstdDecompressor().decompress(frame)
    assert len(data) == size
    return data


def xor(a: bytes, b: bytes) -> bytes:
    assert len(a) == len(b)
    return (np.frombuffer(a, np.uint8) ^ np.frombuffer(b, np.uint8)).tobytes()


def overwritten(old: bytes, data: bytes) -> bytes:
    count = int(np.frombuffer(data[:4], "<u4")[0])
    assert len(data) == 4 + 5 * count
    where = np.frombuffer(data[4 : 4 + 4 * count], "<u4")
    assert (np.diff(where.astype(np.int64)) > 0).all()
    made = bytearray(old)
    for place, byte in zip(where.tolist(), data[4 + 4 * count :], strict=True):
        made[place] = byte
    return bytes(made)


def sum_of(data: bytes, algorithm: str) -> str | None:
    """The checksum, in digits; None for what this reader does not know."""
    known: dict[str, Any] = {
        "xxh3-128": lambda: xxhash.xxh3_128_hexdigest(data),
        "adler32": lambda: format(zlib.adler32(data), "08x"),
        "sha256": lambda: hashlib.sha256(data).hexdigest(),
    }
    return known[algorithm]() if algorithm in known else None


def apply_hf(folder: Path, state: Bytes, at: str) -> tuple[Bytes, str]:
    """The state and its version after one version folder of the Hugging Face layout."""
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    metadata, weight_map = index["metadata"], index["weight_map"]
    assert metadata["compression_format"] == "zstd"
    assert metadata["base_version"] == at
    assert metadata["delta_encoding"] in ("xor", "overwrite")
    shards = sorted(p.name for p in folder.glob("*.safetensors"))
    assert shards == [f"model-{i:05d}-of-{len(shards):05d}.safetensors" for i in range(len(shards))]
    made, seen = dict(state), set()
    for shard in shards:
        arrays, sums = frames(folder / shard)
        assert set(arrays) == set(sums) == {n for n, s in weight_map.items() if s == shard}
        for name, frame in arrays.items():
            data = unpacked(frame)
            new = xor(state[name], data) if metadata["delta_encoding"] == "xor" else overwritten(state[name], data)
            assert new != state[name]
            digits = {"xxh3-128": 32, "blake3": 64, "adler32": 8}[metadata["checksum_format"]]
            assert len(sums[name]) == digits
            assert sum_of(new, metadata["checksum_format"]) in (None, sums[name])
            made[name] = new
            seen.add(name)
    assert seen == set(weight_map)
    return made, metadata["version"]


def apply_skyrl(folder: Path, state: Bytes, at: int) -> tuple[Bytes, int]:
    """The state and its version after one version folder of SkyRL."""
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["base_version"] == at
    payloads = {name: frames(folder / name)[0] for name in manifest["payload_files"]}
    made, total, packed = dict(state), 0, 0
    for record in manifest["tensors"]:
        frame = payloads[record["payload_file"]][record["payload_key"]]
        assert len(frame) == record["compressed_num_bytes"]
        new = xor(state[record["name"]], unpacked(frame))
        assert len(new) == record["uncompressed_num_bytes"]
        assert sum_of(new, record["checksum_algorithm"]) == record["checksum"]
        made[record["name"]], total, packed = new, total + len(new), packed + len(frame)
    assert (total, packed) == (manifest["total_uncompressed_num_bytes"], manifest["total_compressed_num_bytes"])
    return made, manifest["version"]
