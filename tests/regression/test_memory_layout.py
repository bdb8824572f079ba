"""Where arrays start in memory."""

import numpy as np
import pytest

import sparsefmt as sf
from sparsefmt.base.alloc import zeros


@pytest.mark.parametrize("size", [1, 7, 1000, 10**6])
def test_zeroed_arrays_start_at_a_multiple_of_64(size: int) -> None:
    assert all(zeros(size, np.int32).ctypes.data % 64 == 0 for _ in range(8))


def test_offsets_of_all_structures_are_aligned() -> None:
    w = np.eye(99, 77)
    for fmt in ("csr", "csc", "bsr3x5", "bitmask"):
        for a in sf.encode(w, fmt).structure.arrays().values():
            assert a.ctypes.data % 64 == 0
