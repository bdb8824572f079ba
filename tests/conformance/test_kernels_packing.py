"""Kernels that compress: frames are read by every implementation and by the package, codes are the same bits."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsefmt.base.errors import FormatError
from sparsefmt.kernels import packing

Array = np.ndarray[Any, Any]


def definition(kernel: Callable[..., Any]) -> Callable[..., Any]:
    found: Callable[..., Any] = getattr(kernel, "__wrapped__", kernel)
    return found


def samples() -> list[bytes]:
    rng, pick = np.random.default_rng(0), random.Random(0)
    return [
        b"",
        b"a",
        b"abc" * 1000,
        rng.bytes(1000),
        rng.bytes(140_000),
        np.clip(rng.geometric(0.015, 50_000) - 1, 0, 255).astype(np.uint8).tobytes(),
        (rng.integers(0, 2, 20_000) * 2).astype(np.uint8).tobytes(),
        bytes(300_000),
        rng.integers(0, 5, 200).astype(np.uint8).tobytes(),
        b"".join(pick.choice([b"hello ", b"world", b"sparse", b"format "]) for _ in range(30_000)),
    ]


SAMPLES = samples()


def unpacked(run: Callable[..., Any], frame: bytes, size: int) -> bytes:
    out = np.zeros(size, np.uint8)
    return out[: run(np.frombuffer(frame, np.uint8), out)].tobytes()


@pytest.mark.parametrize("which", range(len(SAMPLES)))
@pytest.mark.parametrize("level", [1, 3, 19])
def test_frames_of_the_package_are_read(which: int, level: int) -> None:
    data = SAMPLES[which]
    for options in ({}, {"write_checksum": True}, {"write_content_size": False}):
        frame = zstandard.ZstdCompressor(level=level, **options).compress(data)
        assert unpacked(packing.zstd_decompress, frame, len(data)) == data
        assert unpacked(definition(packing.zstd_decompress), frame, len(data)) == data


@pytest.mark.parametrize("which", range(len(SAMPLES)))
@pytest.mark.parametrize("native", [True, False])
def test_frames_are_read_by_the_package(which: int, native: bool) -> None:
    run = packing.zstd_compress if native else definition(packing.zstd_compress)
    data = SAMPLES[which]
    out = np.zeros(packing.zstd_bound(len(data)), np.uint8)
    frame = out[: run(np.frombuffer(data, np.uint8), 3, out)].tobytes()
    assert zstandard.ZstdDecompressor().decompress(frame) == data
    assert zstandard.frame_content_size(frame) == len(data)


@pytest.mark.parametrize("native", [True, False])
def test_damaged_frames_are_refused(native: bool) -> None:
    run = packing.zstd_decompress if native else definition(packing.zstd_decompress)
    data = SAMPLES[5][:3000]
    frame = zstandard.ZstdCompressor(level=3).compress(data)
    for cut in range(0, len(frame), 37):
        with pytest.raises(FormatError):
            unpacked(run, frame[:cut], len(data))
    with pytest.raises(FormatError):
        unpacked(run, frame, len(data) - 1)
    with pytest.raises(FormatError):
        unpacked(run, frame + b"x", len(data))
    rng = random.Random(1)
    for _ in range(60):  # any other damage: an error, or other bytes; never more than there is room for
        bad = bytearray(frame)
        bad[rng.randrange(len(bad))] ^= 1 << rng.randrange(8)
        try:
            assert len(unpacked(run, bytes(bad), len(data))) <= len(data)
        except FormatError:
            continue


numbers = st.one_of(st.integers(0, 3), st.integers(0, 300), st.integers(0, 2**64 - 1), st.sampled_from([2**64 - 1]))


@settings(max_examples=120, deadline=None)
@given(st.lists(numbers, max_size=200))
def test_numbers_come_back_from_the_same_bits(values: list[int]) -> None:
    a = np.array(values, np.uint64)
    out = [np.zeros(32 * len(a) + 16, np.uint8) for _ in range(2)]
    size = packing.adaptive_encode(a, out[0])
    assert definition(packing.adaptive_encode)(a, out[1]) == size
    assert out[0].tobytes() == out[1].tobytes()
    for run in (packing.adaptive_decode, definition(packing.adaptive_decode)):
        back = np.zeros(len(a), np.uint64)
        run(out[0][:size], back)
        assert np.array_equal(back, a)


def test_long_streams_cost_about_their_entropy() -> None:
    rng = np.random.default_rng(0)
    a = (rng.geometric(0.02, 30_000) - 1).astype(np.uint64)
    out = np.zeros(100_000, np.uint8)
    size = packing.adaptive_encode(a, out)
    share = np.bincount(a.astype(int)) / len(a)
    share = share[share > 0]
    assert size < 1.02 * len(a) * -(share * np.log2(share)).sum() / 8
    assert packing.adaptive_encode(a, out[:10]) == size


@pytest.mark.parametrize("native", [True, False])
def test_any_bytes_decode_to_something(native: bool) -> None:
    run = packing.adaptive_decode if native else definition(packing.adaptive_decode)
    for seed in range(20):
        back = np.zeros(50, np.uint64)
        run(np.frombuffer(np.random.default_rng(seed).bytes(seed), np.uint8), back)


def test_any_bytes_decode_to_the_same() -> None:
    for seed in range(20):
        data = np.frombuffer(np.random.default_rng(seed).bytes(3 * seed), np.uint8)
        got, want = np.zeros(50, np.uint64), np.zeros(50, np.uint64)
        packing.adaptive_decode(data, got)
        definition(packing.adaptive_decode)(data, want)
        assert np.array_equal(got, want)
