"""Hostile files: a typed error in one line, or a tensor that is valid; never a crash, never a large allocation."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sparsefmt as sf
from sparsefmt.base.dtypes import Array
from sparsefmt.kernels.header import parse_header

Check = Callable[..., Any]


def with_header(header: bytes, data: bytes = b"") -> bytes:
    return len(header).to_bytes(8, "little") + header + data


def small_file(folder: Path) -> bytes:
    path = folder / "small"
    tensors: dict[str, sf.SparseTensor | Array] = {
        "a": sf.encode(np.diag([1, 2, 3]).astype(np.int8), "csr"),
        "b": sf.encode(np.eye(2, 5, dtype=np.float16), "nm2:4"),
        "c": np.ones(2, complex),
    }
    sf.save(path, tensors, {"k": "v"})
    return path.read_bytes()


@pytest.mark.parametrize("mmap", [True, False])
def test_cut_at_every_byte(tmp_path: Path, loads: Check, mmap: bool) -> None:
    raw = small_file(tmp_path)
    for length in range(len(raw)):
        with pytest.raises(sf.CorruptFileError):
            loads(raw[:length], mmap)
    with pytest.raises(sf.CorruptFileError):
        loads(raw + b"\0", mmap)


@pytest.mark.parametrize("change", [1, 2, 16, 32, 128], ids=lambda bit: f"flip{bit}")
def test_every_byte_flipped(tmp_path: Path, survives: Check, change: int) -> None:
    raw = small_file(tmp_path)
    for at in range(len(raw)):
        survives(raw[:at] + bytes([raw[at] ^ change]) + raw[at + 1 :])


@pytest.mark.parametrize("value", [b'"', b"}", b"9", b"\\", b"", b"0,"], ids=repr)
def test_every_header_byte_replaced(tmp_path: Path, survives: Check, value: bytes) -> None:
    raw = small_file(tmp_path)
    length = int.from_bytes(raw[:8], "little")
    header, data = raw[8 : 8 + length], raw[8 + length :]
    for at in range(len(header.rstrip())):
        survives(with_header(header[:at] + value + header[at + 1 :], data))


def test_the_two_header_parsers_agree(tmp_path: Path) -> None:
    definition = getattr(parse_header, "__wrapped__", parse_header)
    raw = small_file(tmp_path)
    length = int.from_bytes(raw[:8], "little")
    good, bytes_left = raw[8 : 8 + length].rstrip(), len(raw) - 8 - length

    def result(parse: Callable[..., Any], text: bytes) -> object:
        try:
            return parse(np.frombuffer(text, np.uint8), bytes_left)
        except sf.CorruptFileError:
            return None

    assert result(parse_header, good) is not None
    for at in range(len(good)):
        for value in (b"", b"1", b"-0", b'"', b"\xff", b"\\ud800", bytes([good[at] ^ 1]), b"{", b"null", b" "):
            text = good[:at] + value + good[at + 1 :]
            assert result(parse_header, text) == result(definition, text), text


def head(**fields: object) -> bytes:
    """A header with one tensor of 8 bytes, fields replaced."""
    return json.dumps({"a": {"dtype": "U8", "shape": [8], "data_offsets": [0, 8], **fields}}).encode()


U8 = b'{"dtype":"U8","shape":[8],"data_offsets":[0,8]}'


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"[]",
        b"1",
        b"null",
        b"\xff",
        b"\xef\xbb\xbf{}",
        b'{"a":' + U8 + b',"a":' + U8 + b"}",
        b'{"a":' + U8 + b',"__metadata__":{"x":"1","x":"2"}}',
        b'{"__metadata__":{},"a":' + U8 + b',"__metadata__":{}}',
        b'{"a":' + U8 + b',"__metadata__":{"x":1}}',
        b'{"a":["U8",[8],[0,8]]}',
        b'{"\\ud800":' + U8 + b"}",
        head(extra=1),
        head(dtype="U9"),
        head(dtype={"U8": None}),
        head(dtype=["U8"]),
        head(shape=[8.0]),
        head(shape=[True, 8]),
        head(shape=["8"]),
        head(shape=[-8]),
        head(shape=None),
        head(shape=[2**62, 2**62]),
        head(shape=[2**63, 2**63, 0]),
        head(shape=[2**64]),
        b'{"a":{"dtype":"U8","shape":[' + b"9" * 5000 + b"]}}",
        head(shape=[9]),
        head(shape=[8] + [1] * 64),
        head(shape=[1] * 100_000),
        b'{"a":{"dtype":"U8","dtype":"U8","shape":[8],"data_offsets":[0,8]}}',
        b'{"a":{"dtype":"U8","shape":[8]}}',
        head(dtype="F4", shape=[15]),
        head(data_offsets=[8, 0]),
        head(data_offsets=[1, 9]),
        head(data_offsets=[0, 2**64 - 1], shape=[2**64 - 1]),
        head(data_offsets=[0, 4 << 40], shape=[4 << 40]),
        head(data_offsets=[0, 7], shape=[7]),
        head(data_offsets=[0]),
        head(data_offsets=[0, 8, 8]),
        head(data_offsets=[0, 8.0]),
        head(data_offsets=None),
        b'{"a":{"dtype":"U8","shape":[5],"data_offsets":[0,5]},"b":{"dtype":"U8","shape":[5],"data_offsets":[3,8]}}',
        b'{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}',
        b'{"a":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
        b'{"a":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_001,
        b'{"a":{"dtype":"U8","shape":' + b"[" * 1000 + b"]" * 1000 + b',"data_offsets":[0,8]}}',
        b'{"a":{"dtype":"U8","shape":[NaN],"data_offsets":[0,8]}}',
        b'{"a":{"dtype":"U8","shape":[1e1],"data_offsets":[0,8]}}',
        b"{} {}",
        b"{}",
    ],
    ids=lambda header: repr(header[:48]),
)
def test_hostile_headers(refused: Check, header: bytes) -> None:
    refused(with_header(header, bytes(8)))
    with pytest.raises(sf.CorruptFileError):
        getattr(parse_header, "__wrapped__", parse_header)(np.frombuffer(header, np.uint8), 8)


@pytest.mark.parametrize("claim", [9, 1000, 100_000_000, 100_000_001, 2**63, 2**64 - 1])
def test_hostile_header_lengths(refused: Check, claim: int) -> None:
    refused(claim.to_bytes(8, "little") + b"{}      ", text="header claims")


def test_no_file_of_this_kind(tmp_path: Path, refused: Check) -> None:
    refused(b"", text="holds 0 bytes")
    refused(b"PK\x03\x04" + bytes(100), text="not a safetensors file")
    refused(b"\x93NUMPY" + bytes(100), text="not a safetensors file")
    with pytest.raises(FileNotFoundError):
        sf.load(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(sf.CheckpointError, match="the folder holds no"):
        sf.load(tmp_path / "empty")
    with pytest.raises(sf.CorruptFileError, match="no regular file"):
        sf.load("/dev/zero")
