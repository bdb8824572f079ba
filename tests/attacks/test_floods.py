"""Headers that say far more than a file holds are refused before they are parsed."""

import json
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import sparsefmt as sf
from sparsefmt.io.flood import check_flood

SIZE = 12_000_000  # bytes of a header


def _packed(text: str) -> str:
    return json.dumps({"__metadata__": {"sparsefmt": text}})


FLOODS: dict[str, Callable[[], str]] = {
    "entries": lambda: _packed('{"tensors":{' + ",".join(f'"w{i}":{{"version":1}}' for i in range(SIZE // 22)) + "}}"),
    "lists": lambda: _packed('{"tensors":{"w":[' + "[]," * (SIZE // 3) + "1]}}"),
    "tensors": lambda: (
        "{" + ",".join(f'"a{i}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}' for i in range(SIZE // 40)) + "}"
    ),
    "blanks": lambda: (
        "{" + ",".join(f'"a{i}" :{{"dtype" :"U8","shape" :[0],"data_offsets" :[0,0]}}' for i in range(SIZE // 44)) + "}"
    ),
    "metadata": lambda: json.dumps({"__metadata__": {f"k{i}": "" for i in range(SIZE // 10)}}),
}


@pytest.fixture
def no_limit() -> Iterator[None]:
    yield
    sf.set_max_bytes(None)


@pytest.mark.parametrize("kind", FLOODS)
def test_floods_are_refused_in_linear_time_and_memory(tmp_path: Path, no_limit: None, kind: str) -> None:
    header = FLOODS[kind]().encode()
    path = tmp_path / "f"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    start = time.process_time()
    tracemalloc.start()
    try:
        with pytest.raises(sf.SizeError, match="set a limit of memory with"):
            sf.load(path)
        assert tracemalloc.get_traced_memory()[1] < 8 * len(header)
    finally:
        tracemalloc.stop()
    assert time.process_time() - start < 10
    sf.set_max_bytes(50 << 20)
    with pytest.raises(sf.SizeError, match=r"allowed 52428800"):
        sf.load(path)


def test_a_limit_of_memory_lets_large_headers_pass(tmp_path: Path, no_limit: None) -> None:
    count = 260_000
    header = "{" + ",".join(f'"{i}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}' for i in range(count)) + "}"
    path = tmp_path / "f"
    path.write_bytes(len(header).to_bytes(8, "little") + header.encode())
    with pytest.raises(sf.SizeError, match="1040000 fields for 0 bytes"):
        sf.load(path, ["5"])
    sf.set_max_bytes(1 << 30)
    assert sf.load(path, ["5"])["5"].shape == (0,)


def test_a_million_arrays_with_data_pass(tmp_path: Path) -> None:
    """Where each is about a byte at least; with one byte for all of them they are a flood. Only the limit is tried."""
    names = b",".join(b'"%d":{"dtype":"U8","shape":[1],"data_offsets":[%d,%d]}' % (i, i, i + 1) for i in range(10**6))
    header = b"{" + names + b"}"
    check_flood(header, 10**6)
    with pytest.raises(sf.SizeError, match="4000000 fields for 1 bytes of data, allowed 1000005"):
        check_flood(header, 1)


def test_data_do_not_pay_for_every_header(tmp_path: Path) -> None:
    """Three million fields for ten million bytes of data: more than a header may have without a limit of memory."""
    header = '{"z":{"dtype":"U8","shape":[10000000],"data_offsets":[0,10000000]},"__metadata__":{'
    header += ",".join(f'"{i:x}":""' for i in range(3_000_000)) + "}}"
    path = tmp_path / "f.safetensors"
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header.encode())
        file.truncate(8 + len(header) + 10_000_000)
    with pytest.raises(sf.SizeError, match="allowed 2500004"):
        sf.open_checkpoint(path)
