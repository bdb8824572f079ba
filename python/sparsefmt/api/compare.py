"""How far two tensors are from each other."""

import math
from dataclasses import dataclass

import numpy as np

from sparsefmt.base.alloc import empty
from sparsefmt.base.coerce import as_array
from sparsefmt.base.dtypes import native
from sparsefmt.base.errors import FormatError
from sparsefmt.base.matrix import blocks, copy_rows
from sparsefmt.tensor.sparse import SparseTensor, as_tensor

_BUDGET = 1 << 22  # bytes of decoded rows at a time


@dataclass(frozen=True, slots=True)
class Comparison:
    """How far a packed tensor is from an array, in float64."""

    max_abs: float
    """Largest absolute difference."""
    rel_frobenius: float
    """Frobenius norm of the difference over that of the array."""
    snr_db: float
    """Signal to noise: -20 log10 of `rel_frobenius`; infinite when equal."""
    cosine: float
    """Cosine of the angle between the two, as vectors."""


def compare(t: SparseTensor, w: object) -> Comparison:
    """Measures how far `t` is from `w`, a block of rows at a time, never with a dense copy of a large t.

    Args:
        t: a tensor.
        w: an array of its shape.

    Returns:
        max abs difference, relative Frobenius error, signal-to-noise ratio in dB, cosine. Two arrays of zeros are
        equal: 0, 0, inf, 1.

    Raises:
        FormatError: another shape.

    >>> import sparsefmt as sf
    >>> w = np.array([[3.0, 0.0, 4.0, 0.0]])
    >>> compare(sf.encode(w, "nm2:4"), w)
    Comparison(max_abs=0.0, rel_frobenius=0.0, snr_db=inf, cosine=1.0)
    """
    t, a = as_tensor(t), as_array(w)
    if a.shape != t.shape:
        msg = f"compare: shapes {t.shape} and {a.shape} do not fit"
        raise FormatError(msg)
    rows, cols = t.structure.shape
    largest, noise, signal, packed, both = 0.0, 0.0, 0.0, 0.0, 0.0
    wide = np.dtype(np.complex128 if "c" in (t.dtype.kind, a.dtype.kind) else np.float64)
    for low, high in blocks(rows, 16 * max(cols, 1), t.structure.row_step, _BUDGET):
        ours, theirs = empty((high - low, cols), t.dtype), empty((high - low, cols), native(a.dtype))
        t.values.decode_rows(t.structure, low, high, ours)
        copy_rows(a, low, high, theirs)
        x, y = ours.astype(wide), theirs.astype(wide)
        with np.errstate(all="ignore"):
            difference = np.where(x == y, 0, x - y)  # equal infinities differ by nothing
            largest = max(largest, float(np.abs(difference).max(initial=0.0)))
            noise += float(np.vdot(difference, difference).real)
            signal += float(np.vdot(y, y).real)
            packed += float(np.vdot(x, x).real)
            both += float(np.vdot(y, x).real)
        if math.isnan(noise):
            largest = math.nan
    relative = math.sqrt(noise / signal) if signal else (0.0 if noise == 0 else math.inf)
    snr = math.inf if relative == 0 else -20 * math.log10(relative)
    scale = math.sqrt(signal) * math.sqrt(packed)
    cosine = both / scale if scale else float(signal == packed)
    return Comparison(largest, relative, snr, min(cosine, 1.0))
