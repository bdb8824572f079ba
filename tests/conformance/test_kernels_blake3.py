"""BLAKE3: the extension and the definition agree with each other and with the published test vectors."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from sparsefmt.base.errors import FormatError
from sparsefmt.kernels.blake3 import blake3, blake3_hash

PUBLISHED = {
    0: "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
    1: "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213",
    1023: "10108970eeda3eb932baac1428c7a2163b0e924c9a9e25b35bba72b28f70bd11",
    1024: "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7",
    1025: "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444",
    2048: "e776b6028c7cd22a4d0ba182a8bf62205d2ef576467e838ed6f2529b85fba24a",
    31744: "62b6960e1a44bcc1eb1a611a8d6235b6b4b78f32e7abc4fb4c6cdcce94895c47",
}
"""Of the bytes 0, 1 ... 250, 0, 1 ...; github.com/BLAKE3-team/BLAKE3, test_vectors/test_vectors.json."""
RUNS: list[Callable[..., Any]] = [blake3_hash, getattr(blake3_hash, "__wrapped__", blake3_hash)]


def hashed(run: Callable[..., Any], data: np.ndarray[Any, Any]) -> str:
    out = np.empty(32, np.uint8)
    run(data, out)
    return out.tobytes().hex()


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("length", PUBLISHED)
def test_published_vectors(run: Callable[..., Any], length: int) -> None:
    assert hashed(run, (np.arange(length) % 251).astype(np.uint8)) == PUBLISHED[length]


@pytest.mark.parametrize("length", [63, 64, 65, 3 * 1024, 3 * 1024 + 1, 5 * 1024 - 1, 100_000])
def test_every_implementation_agrees(length: int) -> None:
    data = np.random.default_rng(length).integers(0, 256, length, np.uint8)
    assert hashed(RUNS[0], data) == hashed(RUNS[1], data) == blake3(data)


@pytest.mark.parametrize("run", RUNS)
def test_another_length_of_the_result_is_an_error(run: Callable[..., Any]) -> None:
    with pytest.raises((FormatError, ValueError)):
        run(np.zeros(3, np.uint8), np.zeros(31, np.uint8))
