"""Nonzero values of every structure with every codec, counted at once and a block of rows at a time."""

import numpy as np
import pytest

import sparsefmt as sf
from sparsefmt.codecs.registry import CODECS
from sparsefmt.structures.registry import STRUCTURES
from sparsefmt.tensor import cpu

FORMATS = [
    f"{structure}/{codec}" for s in STRUCTURES.values() for structure in s.examples()
    for c in CODECS.values() for codec in c.examples()
]  # fmt: skip


@pytest.mark.parametrize("fmt", FORMATS)
def test_blocks_of_rows_count_the_same(fmt: str, monkeypatch: pytest.MonkeyPatch) -> None:
    w = np.random.default_rng(0).standard_normal((24, 64)).astype(np.float32)
    w[3], w[:, 5], w[7, :3] = 0, -0.0, 1e-3  # small values that codes round to zero
    w = sf.prune.nm(w, 2, 4)
    if fmt.startswith("nm"):  # a few of them keep one of 32
        w[:, np.arange(64) % 32 > 0] = 0
    t = sf.encode(w, fmt)
    expected = np.count_nonzero(t.to_dense())
    assert t.nnz == expected
    monkeypatch.setattr(cpu, "_MOST_SLOTS", 8 * 64 * 4)
    assert t.nnz == expected


def test_some_are_counted_by_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    w = sf.prune.nm(np.ones((24, 64), np.float32))
    monkeypatch.setattr(cpu, "_MOST_SLOTS", 8 * 64 * 4)
    found = {fmt: cpu._by_blocks(sf.encode(w, fmt)) for fmt in ("nm2:4/int4:g16", "csr/int8", "csc/int8", "csr")}
    assert found == {"nm2:4/int4:g16": True, "csr/int8": True, "csc/int8": False, "csr": False}
