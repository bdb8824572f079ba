"""Checksums: the extension, the definition and the package `xxhash` agree."""

import random
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import xxhash

from sparsefmt.base.errors import FormatError
from sparsefmt.kernels import checksum

LENGTHS = [*range(0, 260), 511, 512, 513, 1023, 1024, 1025, 1087, 1088, 1089, 2047, 2048, 2049, 10_000, 65_536]


def definition(kernel: Callable[..., Any]) -> Callable[..., Any]:
    return getattr(kernel, "__wrapped__", kernel)


def random_bytes(n: int) -> bytes:
    return np.random.default_rng(n).bytes(n)


@pytest.mark.parametrize("n", LENGTHS)
def test_every_implementation_equals_the_package(n: int) -> None:
    data = random_bytes(n)
    want = xxhash.xxh3_128_hexdigest(data)
    assert checksum.checksum(data) == want
    high, low = definition(checksum.xxh3_128)(np.frombuffer(data, np.uint8))
    assert f"{high:016x}{low:016x}" == want


@pytest.mark.parametrize("n", LENGTHS[::7] + LENGTHS[-14:])
@pytest.mark.parametrize("most", [1, 63, 1024, 3000])
def test_pieces_give_the_checksum_of_the_whole(n: int, most: int) -> None:
    if n > 3000 and most == 1:
        n = 3000
    data, rng = random_bytes(n), random.Random(n)
    pieces, at = checksum.Checksum(), 0
    while at < n:
        size = rng.randint(0, most)
        pieces.update(data[at : at + size])
        at += size
        if rng.random() < 0.05:  # a digest on the way disturbs nothing
            assert pieces.hexdigest() == xxhash.xxh3_128_hexdigest(data[: min(at, n)])
    assert pieces.total == n
    assert pieces.hexdigest() == xxhash.xxh3_128_hexdigest(data)


@pytest.mark.parametrize(("n", "length"), [(0, 5), (1, 5), (10, 5), (300_001, 1000), (3_000_000, 131_072)])
def test_rows(n: int, length: int) -> None:
    data = np.frombuffer(random_bytes(n), np.uint8)
    got, want = (np.zeros((-(-n // length), 2), np.uint64) for _ in range(2))
    checksum.xxh3_rows(data, length, got)
    definition(checksum.xxh3_rows)(data, length, want)
    assert got.tobytes() == want.tobytes()
    assert all(tuple(got[r]) == checksum.xxh3_128(data[r * length : (r + 1) * length]) for r in range(len(got)))
    for refused, sums in ((0, got), (length, np.zeros((len(got) + 1, 2), np.uint64))):
        for call in (checksum.xxh3_rows, definition(checksum.xxh3_rows)):
            with pytest.raises(FormatError):
                call(data, refused, sums)


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@pytest.mark.parametrize("offsets", [[0], [0, 0], [3, 3, 10, 500, 500, 900], [0, 300_000, 300_001, 700_000]])
def test_sums_of_spans(offsets: list[int], dtype: type) -> None:
    data, ends = np.frombuffer(random_bytes(700_000), np.uint8), np.array(offsets, dtype)
    got, want = (np.zeros((len(ends) - 1, 2), np.uint64) for _ in range(2))
    checksum.xxh3_spans(data, ends, got)
    definition(checksum.xxh3_spans)(data, ends, want)
    assert got.tobytes() == want.tobytes()
    assert all(tuple(got[r]) == checksum.xxh3_128(data[a:b]) for r, (a, b) in enumerate(pairwise(ends)))
    beyond, falling = np.array([0, 700_001], dtype), np.array([0, 9, 8, 10], dtype)
    for refused, sums in ((beyond, np.zeros(2, np.uint64)), (falling, np.zeros(6, np.uint64)), (ends[:0], got)):
        for call in (checksum.xxh3_spans, definition(checksum.xxh3_spans)):
            with pytest.raises(FormatError):
                call(data, refused, sums)


@pytest.mark.parametrize("blocks", [0, 1, 2, 33])
def test_sums_of_blocks(blocks: int) -> None:
    data = np.frombuffer(random_bytes(1024 * blocks), np.uint8)
    got, want = np.array(checksum.START, np.uint64), np.array(checksum.START, np.uint64)
    checksum.xxh3_blocks(got, data)
    definition(checksum.xxh3_blocks)(want, data)
    assert got.tobytes() == want.tobytes()


@pytest.mark.parametrize("run", [checksum.xxh3_blocks, definition(checksum.xxh3_blocks)])
def test_sums_refuse_what_is_no_block(run: Callable[..., Any]) -> None:
    with pytest.raises(FormatError):
        run(np.zeros(8, np.uint64), np.zeros(1023, np.uint8))
    with pytest.raises(FormatError):
        run(np.zeros(7, np.uint64), np.zeros(1024, np.uint8))


def test_any_buffer_and_layout() -> None:
    w = np.arange(60, dtype=np.float32).astype(ml_dtypes.bfloat16).reshape(5, 12)
    want = xxhash.xxh3_128_hexdigest(w.tobytes())
    assert checksum.checksum(w) == want
    assert checksum.checksum(np.asfortranarray(w)) == want
    assert checksum.checksum(w.tobytes()) == want
    assert checksum.checksum(bytearray(w.tobytes())) == want
    assert checksum.checksum(memoryview(w.view(np.uint16))) == want
    assert checksum.checksum(np.float64(1.5)) == xxhash.xxh3_128_hexdigest(np.float64(1.5).tobytes())
