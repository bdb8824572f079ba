"""Arrays so large that encoding guesses how much there is: the guess changes no byte."""

from collections.abc import Callable

import numpy as np
import pytest

import sparsefmt as sf
from sparsefmt.kernels import bitmask as bitmask_kernels
from sparsefmt.kernels import bsr
from sparsefmt.kernels import csr as csr_kernels
from sparsefmt.structures import guess

ROWS, COLS = 1100, 1003  # over 4 MiB of float32, and no multiples of anything


def scattered(density: float) -> np.ndarray:
    rng = np.random.default_rng(5)
    return np.where(rng.random((ROWS, COLS)) < density, rng.standard_normal((ROWS, COLS)), 0).astype(np.float32)


def one_dense_corner() -> np.ndarray:
    """All of it where a sample hardly looks."""
    w = np.zeros((ROWS, COLS), np.float32)
    w[-60:, -300:] = 1
    return w


def mostly(value: float) -> np.ndarray:
    w = np.full((ROWS, COLS), value, np.float32)
    w[3, 5] = 7
    return w


MAKERS: dict[str, Callable[[], np.ndarray]] = {
    "half": lambda: scattered(0.5),
    "tenth": lambda: scattered(0.1),
    "rare": lambda: scattered(1e-5),
    "corner": one_dense_corner,
    "zeros": lambda: mostly(0.0),
    "ones": lambda: mostly(1.0),
    "negative zeros": lambda: mostly(-0.0),
}


@pytest.mark.parametrize("fmt", ["csr", "bitmask", "bitmask@64", "bsr16x16", "bsr3x7", "bsr1x1"])
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_the_guess_changes_no_byte(make: Callable[[], np.ndarray], fmt: str, monkeypatch: pytest.MonkeyPatch) -> None:
    w = make()
    at_once = sf.encode(w, fmt)
    monkeypatch.setattr(guess, "LARGE", w.nbytes + 1)
    assert sf.equal(at_once, sf.encode(w, fmt))
    assert np.array_equal(at_once.to_dense(), w)


def test_rare_items_leave_no_room_unused() -> None:
    t = sf.encode(scattered(1e-5), "csr")
    for a in t.structure.arrays().values():
        assert a.base is None or a.base.nbytes <= 2 * a.nbytes + guess.UNTOUCHED


def test_too_little_room_gives_the_number_and_the_offsets() -> None:
    w = scattered(0.1).view(np.uint32)
    every, total = 2**32 - 1, np.count_nonzero(w)
    counts, indptr = np.zeros(ROWS + 1, np.int32), np.zeros(ROWS + 1, np.int32)
    csr_kernels.dense_row_counts(w, every, counts[1:])
    room = total - 1
    assert csr_kernels.dense_to_csr_within(w, every, indptr, np.zeros(room, np.int32), np.zeros(room, w.dtype)) == total
    assert np.array_equal(indptr, np.cumsum(counts))
    bits = np.zeros((ROWS, -(-w.shape[1] // 8)), np.uint8)
    assert bitmask_kernels.dense_to_bits_within(w, every, bits, indptr, np.zeros(room, w.dtype)) == total
    assert np.array_equal(indptr, np.cumsum(counts))
    assert np.array_equal(np.unpackbits(bits, axis=1, bitorder="little")[:, : w.shape[1]], w != 0)
    lines = -(-ROWS // 16)
    counts, indptr = np.zeros(lines + 1, np.int32), np.zeros(lines + 1, np.int32)
    bsr.bsr_block_counts(w, every, (16, 16), counts[1:])
    outs = np.zeros(5, np.int32), np.zeros((5, 16, 16), w.dtype)
    assert bsr.dense_to_bsr_within(w, every, indptr, *outs) == counts.sum()
    assert np.array_equal(indptr, np.cumsum(counts))


@pytest.mark.parametrize("cols", [5000, 140_000])
def test_large_transpositions_equal_scipy(cols: int) -> None:
    rng = np.random.default_rng(6)
    row, col = rng.integers(0, 3000, 400_000), rng.integers(0, cols, 400_000)
    scipy_sparse = pytest.importorskip("scipy.sparse")
    for dtype in (np.int8, np.float32, np.float64, np.complex128):
        m = scipy_sparse.coo_array((rng.integers(1, 99, 400_000).astype(dtype), (row, col)), (3000, cols)).tocsr()
        t = sf.from_scipy(m, "csr").convert("csc")
        want = m.tocsc()
        assert np.array_equal(t.structure.indptr, want.indptr)
        assert np.array_equal(t.structure.indices, want.indices)
        assert np.array_equal(t.values.data, want.data)
        back = t.convert("csr")
        assert np.array_equal(back.structure.indices, m.indices)
        assert np.array_equal(back.values.data, m.data)
