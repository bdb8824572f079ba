"""Tensors, activations and references for the kernels."""

import itertools
from typing import Any

import ml_dtypes
import numpy as np

import sparsefmt as sf
from sparsefmt.codecs.affine import Affine
from sparsefmt.tensor.sparse import SparseTensor

DTYPES = {"float16": np.dtype(np.float16), "bfloat16": np.dtype(ml_dtypes.bfloat16), "int8": np.dtype(np.int8)}
_numbers = itertools.count()


def tensor(fmt: str, shape: tuple[int, int], dtype: str, density: float = 0.4) -> SparseTensor:
    """Random weights, packed."""
    rng = np.random.default_rng(next(_numbers))
    w = rng.standard_normal(shape).astype(np.float32)
    if dtype == "int8":
        w = np.clip(40 * w, -128, 127)
    w = w.astype(DTYPES[dtype])
    if fmt.startswith("nm"):
        return sf.encode(sf.prune.nm(w), fmt)
    return sf.encode(np.where(rng.random(shape) < density, w, np.zeros(1, w.dtype)), fmt)


def activations(shape: tuple[int, int], dtype: str, order: str = "F") -> Any:
    """Random activations (cols, k) in C or F order, read-only, starting at a multiple of 16 bytes."""
    rng = np.random.default_rng(next(_numbers))
    x = rng.integers(-128, 128, shape) if dtype == "int8" else rng.standard_normal(shape)
    made = np.asarray(x.astype(DTYPES[dtype]), order=order)  # type: ignore[call-overload]
    made.flags.writeable = False
    return made


def poisoned(shape: tuple[int, int], dtype: str, order: str = "F") -> Any:
    """An output full of what no product gives."""
    kind = DTYPES.get(dtype, np.dtype(dtype))
    return np.full(shape, -(2**30) if kind.kind == "i" else np.nan, kind, order=order)  # type: ignore[call-overload]


def exact(t: SparseTensor, rounded: str | None = None) -> Any:
    """The dense matrix in float64: codes times scales unrounded, or rounded to the dtype of the activations."""
    v = t.values
    if isinstance(v, Affine):
        dtype = np.dtype(np.float64) if rounded is None else DTYPES[rounded]
        same = type(v)(v.codes, v.scale, v.zero_point, v.group, dtype, check=False)
        return SparseTensor.from_checked(t.structure, same, t.shape).to_dense().astype(np.float64)
    return t.to_dense().astype(np.float64)


def check(out: Any, w: Any, x: Any, bias: Any = None) -> None:
    """`out` is w x + bias: integers exactly, floats as sums in float32, rounded once."""
    wide = x.astype(np.float64)
    want, size = w @ wide, np.abs(w) @ np.abs(wide)
    if bias is not None:
        want, size = want + bias.astype(np.float64)[:, None], size + np.abs(bias.astype(np.float64))[:, None]
    if out.dtype.kind == "i":
        np.testing.assert_array_equal(out, want)
        return
    step = {"float16": 2.0**-11, "bfloat16": 2.0**-8, "float32": 2.0**-24}[out.dtype.name]
    error = np.abs(out.astype(np.float64) - want)
    assert np.isfinite(error).all()
    allowed = 2e-6 * size + 1.01 * step * np.abs(want) + 1e-7
    assert (error <= allowed).all(), (error / allowed).max()
