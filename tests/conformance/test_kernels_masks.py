"""The kernels that make and move masks, bit for bit as their definitions, and what they refuse."""

import numpy as np
import pytest

import sparsefmt as sf
from sparsefmt.kernels import nm
from sparsefmt.kernels.registry import NATIVE
from sparsefmt.kernels.transposable import transposable_blocks

pytestmark = pytest.mark.skipif(not NATIVE, reason="the definitions alone")
RNG = np.random.default_rng(0)


@pytest.mark.parametrize("m", [1, 3, 4, 7, 8, 12, 16, 32])
def test_transposable_masks_and_potentials(m: int) -> None:
    blocks = np.square(RNG.standard_normal((6, m, m))), RNG.integers(0, 4, (6, m, m)).astype(float), np.zeros((2, m, m))
    for n in {1, max(1, m // 2), m}:
        for score in blocks:
            made = []
            for call in (transposable_blocks, transposable_blocks.__wrapped__):  # type: ignore[attr-defined]
                keep, potential = np.empty(score.shape, np.uint8), np.empty(score.shape[:2])
                call(score, n, m, keep, potential)
                made.append((keep.tobytes(), potential.tobytes()))
            assert made[0] == made[1], (n, m)


@pytest.mark.parametrize(
    ("n", "m", "keep", "score"), [(3, 2, 4, 1.0), (1, 33, 4, 1.0), (1, 2, 3, 1.0), (1, 2, 4, -1.0), (1, 2, 4, np.nan)]
)
def test_transposable_masks_refuse(n: int, m: int, keep: int, score: float) -> None:
    with pytest.raises(sf.FormatError):
        transposable_blocks(np.full((1, 2, 2), score), n, m, np.empty(keep, np.uint8), np.empty((1, 2)))


@pytest.mark.parametrize(("n", "m"), [(2, 4), (1, 4), (8, 16), (3, 5), (7, 20)])
@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "u8"])
def test_groups_written_anew(n: int, m: int, dtype: str) -> None:
    rows, cols = 37, m * 11 - (m > 4) * 2
    w, groups = RNG.integers(0, 3, (rows, cols)).astype(dtype), 11
    order = RNG.random((rows, groups, m)).argsort(axis=2)
    keep = np.ascontiguousarray((order < RNG.integers(0, n + 1, (rows, groups, 1))).reshape(rows, -1)[:, :cols])
    codes = RNG.integers(0, 255, (rows, (groups * nm.width(n, m) + 7) // 8 + 1), dtype=np.uint8)
    slots = RNG.integers(0, 9, (rows, groups * n + 3)).astype(dtype)
    row, group = RNG.integers(0, rows, 50), RNG.integers(0, groups, 50)
    for chosen in (keep.view(np.uint8), np.empty((0, 0), np.uint8)):  # with all kept, some groups hold too many
        for at in (row, np.sort(row)):
            made = []
            for call in (nm.nm_update, nm.nm_update.__wrapped__):  # type: ignore[attr-defined]
                out = codes.copy(), slots.copy()
                found = call(w, chosen, 255, n, m, at, group, *out)
                made.append((tuple(found), out[0].tobytes(), out[1].tobytes()))
            assert made[0] == made[1]


def test_many_groups_are_written_by_several_threads() -> None:
    w = RNG.integers(0, 2**16, (512, 256)).astype(np.uint16)
    keep = np.tile(np.array([1, 0, 0, 1], np.uint8), (512, 64))
    row, group = (a.ravel() for a in np.divmod(np.arange(512 * 64), 64))
    made = []
    for threads in (1, 2):
        sf.set_num_threads(threads)
        out = np.zeros((512, 24), np.uint8), np.zeros((512, 128), np.uint16)
        nm.nm_update(w, keep, 2**16 - 1, 2, 4, row, group, *out)
        made.append(out)
    whole = np.zeros((512, 24), np.uint8), np.zeros((512, 128), np.uint16)
    nm.nm_encode(w * keep, 2**16 - 1, 2, 4, *whole)
    for codes, slots in made:
        np.testing.assert_array_equal(codes, whole[0])
        np.testing.assert_array_equal(slots, whole[1])


@pytest.mark.parametrize(("row", "group"), [(-1, 0), (2, 0), (0, 2), (0, -1)])
def test_groups_beyond_the_matrix_are_refused(row: int, group: int) -> None:
    out = np.zeros((2, 1), np.uint8), np.zeros((2, 4), np.uint8)
    with pytest.raises(sf.FormatError, match="out of range"):
        nm.nm_update(
            np.ones((2, 8), np.uint8), np.empty((0, 0), np.uint8), 255, 2, 4, np.array([row]), np.array([group]), *out
        )
    assert not out[1].any()
