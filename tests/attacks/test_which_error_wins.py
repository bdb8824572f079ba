"""Damage and version in one file, white space, null, and dtypes beyond those that can be packed."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sparsefmt as sf

PLAIN = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}


def written(folder: Path, header: object, data: bytes = b"") -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path = folder / "x.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def entry(**fields: Any) -> dict[str, Any]:  # noqa: ANN401
    part = {"kind": "raw", "params": {}, "arrays": {}}
    return {
        "version": 1,
        "shape": [2, 2],
        "dtype": "float32",
        "structure": part | {"kind": "dense"},
        "values": part,
    } | fields


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        ({"version": 9, "shape": "x"}, sf.VersionError),
        (entry(version=9, dtype=3), sf.VersionError),
        (entry(structure={"kind": "nope", "params": {}, "arrays": {}}), sf.VersionError),
        (entry(values={"kind": "nope", "params": {"a": 1}, "arrays": {}}), sf.VersionError),
        (entry(dtype="float3", shape=[-1]), sf.VersionError),
        (entry(version="9"), sf.CorruptFileError),
        (entry(shape=[-1]), sf.CorruptFileError),
        (entry(axis=0), sf.CorruptFileError),
    ],
)
def test_entries(tmp_path: Path, bad: object, error: type[Exception]) -> None:
    path = written(tmp_path, {"__metadata__": {"sparsefmt": json.dumps({"tensors": {"w": bad}})}})
    for read in (sf.load, sf.inspect, sf.open_checkpoint):
        with pytest.raises(error) as e:
            read(path)
        assert type(e.value) is error
    damaged = written(tmp_path, path.read_bytes()[8:], b"bytes behind the end")
    with pytest.raises(sf.CorruptFileError) as e:
        sf.load(damaged)
    assert type(e.value) is sf.CorruptFileError


@pytest.mark.parametrize(
    "header",
    [
        {"__metadata__": None, "w": PLAIN},
        b" \t\r\n" + json.dumps({"w": PLAIN}).encode(),
        json.dumps({"w": PLAIN}).encode() + b"\n\t ",
        json.dumps({"w": PLAIN}, indent=2).encode(),
    ],
)
def test_null_and_white_space(tmp_path: Path, header: object) -> None:
    path = written(tmp_path, header, b"\0\0\x80?")
    assert sf.load(path)["w"].tolist() == [1.0]  # type: ignore[union-attr]
    assert sf.inspect(path)["w"].density == 1.0


@pytest.mark.parametrize(("dtype", "shape", "nbytes"), [("F4", 2, 1), ("F6_E2M3", 4, 3), ("F6_E3M2", 4, 3)])
def test_dtypes_that_numpy_lacks(tmp_path: Path, dtype: str, shape: int, nbytes: int) -> None:
    path = written(tmp_path, {"w": {"dtype": dtype, "shape": [shape], "data_offsets": [0, nbytes]}}, b"\7" * nbytes)
    with pytest.raises(sf.DtypeError, match="leave it out with names="):
        sf.io.load(path)
    with sf.open_checkpoint(path) as c:
        assert c.entries["w"].dtype == dtype
        assert np.asarray(c["w"]).tolist() == [7] * nbytes
    assert sf.inspect(path)["w"].dtype == dtype


@pytest.mark.parametrize("dtype", ["F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"])
def test_dtypes_that_pass_through(tmp_path: Path, dtype: str) -> None:
    path = written(tmp_path, {"w": {"dtype": dtype, "shape": [2], "data_offsets": [0, 2]}}, b"\1\2")
    again = tmp_path / "again.safetensors"
    sf.save(again, sf.load(path))
    assert sf.load(again)["w"].view(np.uint8).tolist() == [1, 2]  # type: ignore[union-attr]
