"""Tables and densities that cost nothing to make: fallbacks and baselines, labelled as such.

Measured losses beat them all: on a sentence encoder at equal bits, plans by weight energy and by the outputs of each
layer were worse than the same pattern everywhere; see docs/pruning.md.
"""

import math
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np

from sparsefmt.api.encode import encode
from sparsefmt.base.coerce import as_array, is_number, magnitudes
from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import FormatError, naming
from sparsefmt.kernels.blas import answering
from sparsefmt.plan.plan import Plan
from sparsefmt.plan.tables import listed
from sparsefmt.prune.coded import packed_format
from sparsefmt.prune.compensate import compensated
from sparsefmt.prune.fit import second_moments
from sparsefmt.prune.moments import Moments
from sparsefmt.prune.patterns import pattern_of

_ABOUT = "a baseline: nothing was measured and nothing is proved"


def energy_table(tensors: Mapping[str, Any], patterns: Iterable[str]) -> dict[str, dict[str, float]]:
    """Squared error of the weights per tensor and pattern. A fallback: plans of it were worse than one pattern for all.

    Args:
        tensors: arrays by name, of any rank and numeric dtype; groups run along the last axis.
        patterns: texts such as "nm2:4", or with a codec, "nm2:4/int4:g128", whose rounding counts too.

    Raises:
        FormatError: an unknown pattern, or one text in place of a list; with the name of the tensor.
        DtypeError: a dtype that no format holds.

    >>> energy_table({"w": np.array([[2.0, 1.0]])}, ["1:2", "2:2"])
    {'w': {'1:2': 1.0, '2:2': 0.0}}
    """
    texts = listed(patterns, "patterns")
    table: dict[str, dict[str, float]] = {}
    for name, w in tensors.items():
        a = as_array(w, name)
        a = a.reshape(math.prod(a.shape[:-1]), a.shape[-1])
        with naming(name):
            size = magnitudes(a)
            table[name] = {t: _lost(a, size, t) for t in texts}
    return table


def _lost(w: Array, size: Array, text: str) -> float:
    """Squared magnitude of what a pattern leaves out of a matrix, and of what its codec rounds off."""
    keep = pattern_of(text).mask(size)
    lost = float(np.square(size[~keep]).sum())
    if text.partition("/")[2]:
        held = np.where(keep, w, np.zeros(1, w.dtype))
        off = held.astype(np.float64) - encode(held, packed_format(text)).to_dense().astype(np.float64)
        lost += float(np.square(off).sum())
    return lost


def output_table(
    tensors: Mapping[str, Any], patterns: Iterable[str], statistics: Mapping[str, Moments], method: str = "wanda"
) -> dict[str, dict[str, float]]:
    """Relative error of the outputs of each layer alone. A fallback, as `energy_table`.

    Args:
        tensors: matrices (out, in) by name.
        patterns: see `sparsefmt.prune.compensated`.
        statistics: moments of the inputs by the same names.
        method: how masks are chosen.

    Raises:
        FormatError: a tensor without moments, or what `compensated` refuses.

    >>> m = Moments(4).update(np.eye(4).repeat(5, axis=0))
    >>> output_table({"w": np.eye(4)}, ["2:4", "4:4"], {"w": m})
    {'w': {'2:4': 0.0, '4:4': 0.0}}
    """
    texts = listed(patterns, "patterns")
    return {
        name: {t: compensated(w, t, _of(statistics, name), method=method).output_error for t in texts}  # type: ignore[arg-type]
        for name, w in tensors.items()
    }


def uniform(layers: Iterable[str], pattern: str) -> Plan:
    """The same pattern everywhere: the default.

    >>> uniform(["q", "k"], "nm2:4").choice
    {'q': 'nm2:4', 'k': 'nm2:4'}
    """
    return Plan({name: pattern for name in listed(layers, "layers")}, made="uniform", about=_ABOUT)


def depth(layers: Iterable[str], density: float, slope: float) -> dict[str, float]:
    """Densities that fall along the depth by `slope` from first to last, with the mean `density`.

    >>> depth(["a", "b", "c"], 0.5, 0.2)
    {'a': 0.6, 'b': 0.5, 'c': 0.4}
    """
    names = listed(layers, "layers")
    return _around(names, np.linspace(1, -1, len(names)) if len(names) > 1 else np.zeros(1), density, slope / 2)


def owl(
    tensors: Mapping[str, Any],
    statistics: Mapping[str, Moments],
    density: float,
    *,
    reach: float = 0.08,
    outlier: float = 5.0,
) -> dict[str, float]:
    """Densities by the share of outliers, |w| times the deviation of the input, above `outlier` times their mean.

    Args:
        tensors: matrices (out, in) by name.
        statistics: moments of the inputs by the same names.
        density: the mean of the result.
        reach: the most that one is away from it, before the mean is restored.
        outlier: where outliers begin.

    Raises:
        FormatError: a tensor without moments, an empty one, or densities outside 0..1.

    >>> flat, peak = np.ones((2, 8)), np.array([[9.0] + 15 * [0.1]]).reshape(2, 8)
    >>> m = Moments(8).update(np.eye(8).repeat(5, axis=0))
    >>> owl({"flat": flat, "peak": peak}, {"flat": m, "peak": m}, 0.5)
    {'flat': 0.42, 'peak': 0.58}

    Source: Yin et al. 2023, OWL, arXiv:2310.05175, section 3.
    """
    shares = []
    for name, w in tensors.items():
        h = second_moments(_of(statistics, name))
        if not np.size(w):
            msg = f"{name}: want a matrix, not empty, got shape {np.shape(w)}"
            raise FormatError(msg)
        score = magnitudes(as_array(w, name)) * np.sqrt(h if h.ndim == 1 else np.diagonal(h))
        shares.append(float((score > outlier * score.mean()).mean()))
    return _around(list(tensors), _spread(np.array(shares)), density, reach)


def alpha(tensors: Mapping[str, Any], density: float, *, reach: float = 0.08) -> dict[str, float]:
    """Densities by the tail of each spectrum: a heavier one (a smaller exponent) is kept denser.

    The exponent is Hill's estimate over the larger half of the eigenvalues of W'W.

    Args:
        tensors: real, finite matrices by name.
        density: the mean of the result.
        reach: the most that one is away from it, before the mean is restored.

    Raises:
        FormatError: another rank, empty, complex or not finite, or densities outside 0..1.

    >>> alpha({"steep": np.diag([64.0, 8, 1, 1]), "flat": np.diag([2.0, 1.5, 1, 1])}, 0.5)
    {'steep': 0.58, 'flat': 0.42}

    Source: Lu et al. 2024, AlphaPruning, arXiv:2410.10912, section 3.
    """
    exponents = []
    for name, w in tensors.items():
        a = as_array(w, name)
        if a.ndim != 2 or not a.size or a.dtype.kind == "c" or not np.isfinite(a).all():
            msg = f"{name}: want a finite real matrix, not empty, got {a.dtype} of shape {a.shape}"
            raise FormatError(msg)
        found = answering(partial(np.linalg.svd, a.astype(np.float64), compute_uv=False), min(a.shape))
        values = np.sort(np.square(found))[::-1]
        half = max(len(values) // 2, 1)
        tail = np.log(np.maximum(values[:half], 1e-300) / max(values[half - 1], 1e-300)).sum()
        exponents.append(1 + half / tail if tail > 0 else np.inf)
    finite = np.array(exponents)
    finite[~np.isfinite(finite)] = finite[np.isfinite(finite)].max(initial=1.0)
    return _around(list(tensors), -_spread(finite), density, reach)


def _of(statistics: Mapping[str, Moments], name: str) -> Moments:
    if name not in statistics:
        msg = f"statistics: there are no moments for {name!r}"
        raise FormatError(msg)
    return statistics[name]


def _spread(a: Array) -> Array:
    """To -1..1."""
    low, high = a.min(initial=np.inf), a.max(initial=-np.inf)
    return np.zeros(len(a)) if not high > low else np.asarray(2 * (a - low) / (high - low) - 1)


def _around(names: list[str], place: Array, density: float, reach: float) -> dict[str, float]:
    """Densities `density + reach * (place - its mean)`.

    Raises:
        FormatError: one is outside 0..1, or no number.
    """
    if not names:
        return {}
    if not is_number(density) or not is_number(reach):
        msg = f"density = {density!r}, reach = {reach!r}; want numbers"
        raise FormatError(msg)
    made = density + reach * (place - place.mean())
    if not ((made >= 0) & (made <= 1)).all():
        msg = f"densities {made.min():.3f}..{made.max():.3f} leave 0..1; use less reach or another density"
        raise FormatError(msg)
    return {name: round(float(d), 12) for name, d in zip(names, made, strict=True)}
