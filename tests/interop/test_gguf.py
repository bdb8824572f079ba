"""GGUF against the package `gguf`, which is the oracle here and no dependency."""

from pathlib import Path

import numpy as np
import pytest

import sparsefmt as sf
from sparsefmt.interop.gguf import Stored, read_header, read_tensor
from sparsefmt.interop.gguf_blocks import BLOCKS

gguf = pytest.importorskip("gguf")
ROWS, PER = 24, 3


def value_of(w: object) -> np.ndarray:
    return w.to_dense() if isinstance(w, sf.SparseTensor) else np.asarray(w)


def both(raw: np.ndarray, kind: int) -> tuple[object, str, np.ndarray]:
    block = BLOCKS[kind]
    flat = np.ascontiguousarray(raw).reshape(-1)
    got, reason = read_tensor(flat, Stored((ROWS, PER * block.elements), kind, 0, flat.size))
    with np.errstate(all="ignore"):
        want = gguf.quants.dequantize(flat.reshape(ROWS, -1), gguf.GGMLQuantizationType(kind))
    return got, reason, want


@pytest.mark.parametrize("kind", BLOCKS, ids=[b.name for b in BLOCKS.values()])
def test_random_blocks_of_every_type(kind: int) -> None:
    raw = np.random.default_rng(kind).integers(0, 256, (ROWS, PER, BLOCKS[kind].nbytes)).astype(np.uint8)
    got, reason, want = both(raw, kind)
    np.testing.assert_array_equal(value_of(got), want)
    assert reason  # random scales are negative, infinite, or of a type without a codec


@pytest.mark.parametrize("kind", BLOCKS, ids=[b.name for b in BLOCKS.values()])
@pytest.mark.parametrize("byte", [0, 255])
def test_extreme_blocks_of_every_type(kind: int, byte: int) -> None:
    got, _, want = both(np.full((ROWS, PER, BLOCKS[kind].nbytes), byte, np.uint8), kind)
    np.testing.assert_array_equal(value_of(got), want)


@pytest.mark.parametrize(("kind", "fmt"), [(2, "dense/int4:g32:asym"), (8, "dense/int8:g32")])
def test_zero_and_negative_scales_are_packed(kind: int, fmt: str) -> None:
    rng = np.random.default_rng(5)
    raw = rng.integers(0, 256, (ROWS * PER, BLOCKS[kind].nbytes)).astype(np.uint8)
    if kind == 8:
        raw[:, 2:][raw[:, 2:] == 128] = 129  # -128 has no negative
    scale = rng.standard_normal(ROWS * PER).astype(np.float16)
    scale[:6], scale[6:9] = 0, np.float16(-0.0)
    raw[:, :2] = scale.view(np.uint8).reshape(-1, 2)
    got, reason, want = both(raw, kind)
    assert isinstance(got, sf.SparseTensor)
    assert (got.format, reason) == (fmt, "")
    np.testing.assert_array_equal(got.to_dense(), want)


def test_the_lowest_code_with_a_negative_scale_is_dense() -> None:
    raw = np.full((ROWS * PER, 34), 128, np.uint8)
    raw[:, :2] = np.full(ROWS * PER, -1, np.float16).view(np.uint8).reshape(-1, 2)
    got, reason, want = both(raw, 8)
    assert "-128" in reason
    np.testing.assert_array_equal(value_of(got), want)


@pytest.mark.parametrize("kind", [2, 8, 12, 0, 30])
def test_rows(kind: int) -> None:
    raw = np.random.default_rng(1).integers(0, 60, (4, 6, 256)).astype(np.uint8)
    if kind in BLOCKS:
        raw = raw.reshape(24, -1)[:, : BLOCKS[kind].nbytes]
        shape: tuple[int, ...] = (4, 6, BLOCKS[kind].elements)
    else:
        shape = (4, 6, 256 // (4 if kind == 0 else 2))
    flat = np.ascontiguousarray(raw).reshape(-1)
    stored = Stored(shape, kind, 0, flat.size)
    whole = value_of(read_tensor(flat, stored)[0]).reshape(24, -1)
    np.testing.assert_array_equal(value_of(read_tensor(flat, stored, 5, 17)[0]), whole[5:17])


@pytest.fixture
def written(tmp_path: Path) -> bytes:
    rng = np.random.default_rng(0)
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama")
    writer.add_string("a.b", "text")
    writer.add_array("tokens", ["x", "yy", ""])
    writer.add_tensor("plain", rng.standard_normal((4, 64)).astype(np.float32))
    packed = gguf.quants.quantize(rng.standard_normal((8, 64)).astype(np.float32), gguf.GGMLQuantizationType.Q4_0)
    writer.add_tensor("packed", packed, raw_dtype=gguf.GGMLQuantizationType.Q4_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return (tmp_path / "m.gguf").read_bytes()


def test_a_file_of_the_package(written: bytes) -> None:
    data = np.frombuffer(written, np.uint8)
    header = read_header(data)
    assert header.fields["general.architecture"] == "llama"
    assert header.fields["tokens"] == "list of 3"
    assert {n: s.shape for n, s in header.tensors.items()} == {"plain": (4, 64), "packed": (8, 64)}
    assert read_tensor(data, header.tensors["plain"])[0].dtype == np.float32


def test_cut_at_every_byte(written: bytes) -> None:
    """The padding behind the last tensor may be missing."""
    needed = max(s.end for s in read_header(np.frombuffer(written, np.uint8)).tensors.values())
    for size in range(needed):
        with pytest.raises(sf.CorruptFileError):
            read_header(np.frombuffer(written[:size], np.uint8))


def test_mutated_headers_end_in_an_error_or_a_value(written: bytes) -> None:
    rng = np.random.default_rng(2)
    head = min(s.start for s in read_header(np.frombuffer(written, np.uint8)).tensors.values())
    for _ in range(3000):
        data = np.frombuffer(written, np.uint8).copy()
        at = rng.integers(0, head, rng.integers(1, 4))
        data[at] = rng.choice([0, 1, 127, 128, 255, int(rng.integers(256))], len(at))
        try:
            for stored in read_header(data).tensors.values():
                read_tensor(data, stored)
        except sf.SparsefmtError:
            continue


def test_unknown_types_and_versions_are_named() -> None:
    with pytest.raises(sf.FormatError, match="IQ4_XS are not read"):
        read_tensor(np.zeros(64, np.uint8), Stored((256,), 23, 0, 64))
    with pytest.raises(sf.VersionError, match="GGUF version 1"):
        read_header(np.frombuffer(b"GGUF" + bytes([1, 0, 0, 0]) + bytes(16), np.uint8))
    with pytest.raises(sf.VersionError, match="big-endian"):
        read_header(np.frombuffer(b"GGUF" + bytes([0, 0, 0, 3]) + bytes(16), np.uint8))


def test_a_part_of_a_model_says_that_there_are_others(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama", split_max_tensors=2)
    for i in range(5):
        writer.add_tensor(f"t{i}", np.full((2, 4), i, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    part = tmp_path / "m-00002-of-00003.gguf"
    with sf.open_checkpoint(part) as c:
        assert list(c) == ["t2", "t3"]
        assert c.others == ("3 tensors of other parts of a model that was split",)
    report = sf.transform(part, tmp_path / "o.safetensors", sf.checkpoint.unpack())
    assert report.not_copied == ("3 tensors of other parts of a model that was split (not read)",)
