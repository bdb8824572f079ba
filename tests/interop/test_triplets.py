"""Entries that share a place are summed in the order in which they came, whichever way they are sorted."""

import numpy as np
import pytest

from sparsefmt.interop.triplets import from_triplets, rows_from_triplets


@pytest.mark.parametrize("by_column", [False, True])
@pytest.mark.parametrize(("places", "copies"), [(40, 30), (3000, 2), (100_000, 1)])
@pytest.mark.parametrize("dtype", [np.float32, np.int16, bool])
def test_rows_and_coordinates_agree(places: int, copies: int, by_column: bool, dtype: type) -> None:
    """Few and many entries share a place, in a run of more than a few too."""
    rng, shape = np.random.default_rng(places), (500, 700)
    place = np.concatenate([np.repeat(rng.choice(500 * 700, places, replace=False), copies), np.zeros(20, np.int64)])
    place = rng.permutation(place)
    row, col = (place // 700).astype(np.int32), (place % 700).astype(np.int32)
    if by_column:
        order = np.argsort(col, kind="stable")
        row, col = row[order], col[order]
    data = (rng.standard_normal(len(row)) * 100).astype(dtype)
    found = rows_from_triplets(row, col, data, shape)
    assert found is not None
    want_row, want_col, want = from_triplets(row, col, data, shape)
    assert len(want) == len(np.unique(place))
    indptr, indices, values = found
    assert indptr.dtype == row.dtype
    assert np.array_equal(np.repeat(np.arange(500), np.diff(indptr)), want_row)
    assert np.array_equal(indices, want_col)
    assert np.array_equal(values.view(np.uint8), want.view(np.uint8))
