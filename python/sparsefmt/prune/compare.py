"""Patterns side by side: bytes, index bits, energy, output error, speed."""

import time
from collections.abc import Iterable
from math import comb, log2
from typing import NamedTuple

import numpy as np

from sparsefmt.api.encode import encode
from sparsefmt.base.coerce import as_array, whole
from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import FormatError
from sparsefmt.prune.coded import structure_text
from sparsefmt.prune.fit import check_fit, output_energy, second_moments
from sparsefmt.prune.moments import Moments
from sparsefmt.prune.patterns import Nm, Transposable, pattern_of


class PatternRow(NamedTuple):
    """What one pattern costs."""

    pattern: str
    format: str
    """The structure that stores it."""
    nbytes: int
    bits_per_weight: float
    index_bits: float
    """Per weight."""
    index_bound: float | None
    """Per weight: no code of equally likely masks takes fewer; None where no count of masks is known."""
    density: float
    energy: float
    """The share of the squared magnitude that is kept."""
    output_error: float | None
    """The mean square of the outputs' error, relative, with moments; without any compensation."""
    products_per_second: float | None
    """With a batch of `batch` columns, measured here and now; None if not asked for."""


def compare_patterns(
    w: object,
    patterns: Iterable[object],
    *,
    moments: Moments | None = None,
    density: float = 0.5,
    batch: int = 0,
    seconds: float = 0.1,
) -> list[PatternRow]:
    """A weight in several patterns, pruned by magnitude.

    Args:
        w: (rows, cols) floats.
        patterns: see `compensated`; "nm2:4", "bsr8x8", 0.5 ...
        moments: of the inputs, for the error of the outputs.
        density: of blocks and free patterns.
        batch: columns of the product that is timed; 0: none is.
        seconds: how long each product is timed.

    Returns:
        A row per pattern, in order.

    Raises:
        FormatError: no matrix of finite numbers, moments of another width, an unknown pattern.

    >>> rows = compare_patterns(np.arange(1.0, 33).reshape(2, 16), ["nm2:4", "nm4:8"])
    >>> [(r.pattern, r.index_bits, round(r.index_bound, 3)) for r in rows]
    [('nm2:4', 0.75, 0.646), ('nm4:8', 0.875, 0.766)]
    """
    a = as_array(w)
    if a.ndim != 2 or a.dtype.kind == "c" or not np.isfinite(a).all():
        msg = f"w: want a finite real matrix, got {a.dtype} of shape {a.shape}"
        raise FormatError(msg)
    wide = a.astype(np.float64)
    wide = np.ldexp(wide, -int(np.frexp(np.abs(wide).max(initial=0))[1]))  # shares are the same, squares are finite
    if moments is not None:
        check_fit(wide, second_moments(moments))
    batch = whole(batch, "batch", 0, 2**31 - 1)
    x = np.random.Generator(np.random.Philox(0)).standard_normal((a.shape[1], max(batch, 1)), np.float32)
    return [_row(a, wide, spec, moments, density, x if batch else None, seconds) for spec in patterns]


def _row(
    a: Array, wide: Array, spec: object, moments: Moments | None, density: float, x: Array | None, seconds: float
) -> PatternRow:
    pattern = pattern_of(spec, density=density)
    keep = pattern.mask(np.abs(wide))
    pruned = np.where(keep, a, np.zeros(1, a.dtype))
    t = encode(pruned, structure_text(spec))
    total = float(np.square(wide).sum()) or 1.0
    error = None
    if moments is not None:
        h = second_moments(moments)
        energy = output_energy(wide, h)
        error = output_energy(np.where(keep, 0, wide), h) / energy if energy else 0.0
    rate: float | None = None
    if x is not None:
        t @ x
        count, start = 0, time.perf_counter()
        while (spent := time.perf_counter() - start) < seconds:
            t @ x
            count += 1
        rate = count / spent if spent else None
    return PatternRow(
        pattern.text,
        t.format,
        t.nbytes,
        t.bits_per_weight,
        t.structure.metadata_bits / max(a.size, 1),
        _bound(pattern, a.size),
        float(keep.mean()) if keep.size else 0.0,
        float(np.square(wide[keep]).sum()) / total,
        error,
        rate,
    )


def _bound(pattern: object, size: int) -> float | None:
    if isinstance(pattern, Transposable) and pattern.m == 4:
        return log2({1: 24, 2: 90, 3: 24, 4: 1}[pattern.n]) / 16
    if isinstance(pattern, Nm):
        return log2(comb(pattern.m, pattern.n)) / pattern.m
    return None
