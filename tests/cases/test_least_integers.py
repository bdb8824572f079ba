"""Magnitudes that the dtype of the values does not hold: of the least integer, and of large complex64."""

from typing import Any

import numpy as np
import pytest

import sparsefmt as sf
from sparsefmt.dynamic import Levels
from sparsefmt.structures.registry import STRUCTURES

FORMATS = [s.example for s in STRUCTURES.values()]


def least(dtype: str) -> np.ndarray[Any, Any]:
    low = np.iinfo(dtype).min
    return np.array([[low, 0, 0, 1], [0, low, low, 0], [0, 0, 0, 0]], dtype)


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64"])
@pytest.mark.parametrize("fmt", FORMATS)
def test_norms_of_the_least_integer(fmt: str, dtype: str) -> None:
    w = least(dtype)
    t, wide = sf.encode(w, fmt), w.astype(np.float64)
    for order in (None, "fro", 1, np.inf):
        assert t.norm(order) == np.linalg.norm(wide, order)
    for order in (None, 0, 1, 2, np.inf):
        for axis in (0, 1):
            assert np.array_equal(t.norm(order, axis), np.linalg.norm(wide, order, axis))
    assert sf.encode(w, "csr", axis=0).norm(np.inf, axis=1).tolist() == np.abs(wide).max(1).tolist()


def test_norms_of_large_and_small_complex64() -> None:
    for scale in (3e38, 1e-40):
        z = np.array([[scale * (1 + 1j), 0, 0], [0, scale, 0]], np.complex64)
        t, wide = sf.encode(z, "csr"), z.astype(np.complex128)
        for order in (None, 1, np.inf):
            assert np.isclose(t.norm(order), np.linalg.norm(wide, order), rtol=1e-12, atol=0)
            assert np.allclose(t.norm(order, 0), np.linalg.norm(wide, order, 0), rtol=1e-12, atol=0)


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint64", "float16", ">f4"])
def test_levels_rank_as_pruning_does(dtype: str) -> None:
    """Also -128, neighbours that float64 does not tell apart, and NaN."""
    rng = np.random.default_rng(0)
    w = rng.integers(0 if dtype[0] == "u" else -9, 9, (8, 16)).astype(dtype)
    if dtype == "int8":
        w[:, ::3] = -128
    elif dtype.endswith("int64"):
        w += np.array(2**60, dtype)
    else:
        w[0, :4] = [np.nan, 1, -np.inf, 3]
    levels = Levels.of(w, 4)
    for n in (1, 2, 3):
        want = sf.prune.nm(w, n, 4)
        assert levels.at(n).astype(want.dtype).tobytes() == want.tobytes()


@pytest.mark.parametrize("fmt", ["bsr2147483647x2147483647/int4:tensor", "bsr2147483647x2147483647"])
def test_casts_of_blocks_that_are_too_large_to_be_counted(fmt: str) -> None:
    t = sf.encode(np.zeros((5, 2), np.int8), fmt)
    for call in (
        lambda: t.astype(np.float64), lambda: t.astype("complex64"), lambda: t * np.float64(2), lambda: t / 2,
    ):  # fmt: skip
        with pytest.raises(sf.SizeError, match=r"values of shape \(0, 2147483647, 2147483647\) cannot be made"):
            call()
    assert abs(t).nnz == (-t).nnz == 0


@pytest.mark.parametrize("codec", ["kmeans3", "kmeans4", "kmeans4:row"])
@pytest.mark.parametrize("fmt", [s.example for s in STRUCTURES.values()])
def test_codebooks_of_64_bit_integers(fmt: str, codec: str) -> None:
    """The float64 of the largest ones is beyond the dtype, and neighbours above 2**53 are one number to the fit."""
    for values, dtype in (([-(2**63), 2**63 - 1], "int64"), ([2**64 - 1, 1], "uint64"), ([127, -128], "int8")):
        w = np.array([[*values, 0, 0]], dtype)
        assert sf.encode(w, f"{fmt}/{codec}").to_dense().tolist() == w.tolist()
    near = np.array([[2**53 + 1, 2**53, 0, 0, 7, 0, 2**53 + 2, 0]])
    for t in (sf.encode(near, f"{fmt}/{codec}"), sf.cluster(sf.encode(near, fmt), codec, weights=np.ones(near.shape))):
        assert np.abs(t.to_dense() - near).max() <= 2
