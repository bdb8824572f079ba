"""Factors, and what a product must be near to."""

from typing import Any

import numpy as np

import sparsefmt as sf


def factor(shape: tuple[int, ...], dtype: Any, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    w = rng.integers(-9, 9, shape) if np.dtype(dtype).kind in "iu" else rng.standard_normal(shape)
    return np.abs(w).astype(dtype) if np.dtype(dtype).kind == "u" else w.astype(dtype)


def exact_weights(t: sf.SparseTensor) -> np.ndarray:
    """Codes times scales in float64, without the rounding to the dtype of the tensor."""
    codes = np.zeros(t.shape, np.uint8)
    t.structure.decode(t.values.lift(t.structure), 0, t.shape[0], codes)
    return codes.view(np.int8).astype(np.float64) * t.values.arrays()["scale"].astype(np.float64)


def close(got: np.ndarray, t: sf.SparseTensor, x: np.ndarray, own: np.ndarray | None = None) -> None:
    """Within the rounding of the result and of sums in float32; exactly, for integers."""
    wide = np.int64 if got.dtype.kind in "iu" else np.complex128 if got.dtype.kind == "c" else np.float64
    w = t.to_dense().astype(wide) if own is None else own
    want = w @ x.astype(wide)
    assert got.shape == want.shape
    if wide == np.int64:
        assert np.array_equal(got, want.astype(got.dtype))
        return
    eps = {2: 2.0**-8 if got.dtype.name == "bfloat16" else 2.0**-11, 4: 2.0**-20, 8: 2.0**-20}.get(
        got.dtype.itemsize, 1e-12
    )
    bound = eps * np.abs(want) + 2.0**-18 * (np.abs(w) @ np.abs(x.astype(wide))) + 1e-6
    assert (np.abs(got.astype(wide) - want) <= bound).all()
