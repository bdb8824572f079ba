"""Which weights to keep, by what the outputs lose."""

import math

import numpy as np

from sparsefmt.base.coerce import is_number, whole
from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import FormatError
from sparsefmt.kernels.blas import answering, each_block, matmul, one_blas_thread
from sparsefmt.prune.fit import check_fit, damped, real, scaled, second_moments
from sparsefmt.prune.moments import Moments
from sparsefmt.prune.patterns import Given, Nm, Pattern, pattern_of
from sparsefmt.prune.select import nm as keep_nm

STEPS, RHO, GROWTH, DAMP = 40, 0.1, 1.15, 0.01
_LAST = np.float32(2.0**60)  # a penalty that moves nothing any more


def wanda(w: object, pattern: object, m: "Moments | Array") -> Array:
    """The mask by |w| times the deviation of the input.

    Args:
        w: (rows, cols).
        pattern: see `compensated`.
        m: the moments of the inputs.

    Returns:
        (rows, cols) bool.

    Raises:
        FormatError: shapes that do not fit, or values that are not finite.

    Source: Sun et al. 2023, arXiv:2306.11695, section 3, with inputs taken about their mean.

    >>> wanda(np.array([[3.0, 1.0]]), "nm1:2", np.diag([1.0, 100.0]))
    array([[False,  True]])
    """
    t, h = real(w, "w").astype(np.float64), second_moments(m)
    check_fit(t, h)
    return pattern_of(pattern).mask(np.abs(t) * np.sqrt(_diagonal(h)))


def _diagonal(h: Array) -> Array:
    return h if h.ndim == 1 else np.diagonal(h)


def admm(
    w: object,
    pattern: object,
    m: "Moments | Array",
    *,
    steps: int = STEPS,
    rho: float = RHO,
    growth: float = GROWTH,
    damp: float = DAMP,
) -> Array:
    """The mask by alternating directions: a ridge regression on the outputs, then the nearest weights of the pattern.

    Columns are scaled to unit variance. With one eigendecomposition of H every step is two matrix products. The
    penalty grows, so that the mask settles.

    Args:
        w: (rows, cols), the weights whose outputs are wanted.
        pattern: see `compensated`.
        m: the moments of the inputs; with their diagonal alone this is `wanda`.
        steps: how many.
        rho: the penalty of the first step.
        growth: what it is multiplied by at every step.
        damp: added to the diagonal of the scaled H.

    Returns:
        (rows, cols) bool; weights for it come from `refit`.

    Raises:
        FormatError: shapes that do not fit, values that are not finite, a number out of range.

    Source: Boyd et al. 2011, Found. Trends Mach. Learn. 3(1), section 9.1; Meng et al. 2024, ALPS, arXiv:2406.07831.

    >>> h = np.array([[2.0, 1.9, 0.0], [1.9, 2.0, 0.0], [0.0, 0.0, 1.0]])
    >>> admm(np.array([[1.1, 1.0, 0.9]]), "nm2:3", h)
    array([[ True, False,  True]])
    """
    t, h = real(w, "w"), second_moments(m)
    check_fit(t, h)
    chosen = pattern_of(pattern)
    steps = whole(steps, "steps", 1, 2**31 - 1)
    numbers = all(is_number(n) for n in (rho, growth, damp))
    if not numbers or not (0 < rho < math.inf and 1 <= growth < math.inf and 0 <= damp < math.inf):
        msg = f"rho = {rho}, growth = {growth}, damp = {damp}; want > 0, >= 1, >= 0"
        raise FormatError(msg)
    if h.ndim == 1 or isinstance(chosen, Given):
        return wanda(t, chosen, h)
    return alternating(t, chosen, h, steps=steps, rho=rho, growth=growth, damp=damp)[0]


def alternating(
    t: Array,
    chosen: Pattern,
    h: Array,
    *,
    steps: int = STEPS,
    rho: float = RHO,
    growth: float = GROWTH,
    damp: float = DAMP,
) -> tuple[Array, Array]:
    """`admm` where H is whole: the mask, and weights on it that `refit` may start from."""
    deviation = np.sqrt(np.diagonal(h))
    live = deviation > 0
    scale = np.where(live, deviation, 1)
    unit = h / scale[:, None] / scale + damp * np.eye(len(h))
    x = np.where(live, t * scale, 0)
    exponent = int(np.frexp(np.abs(x).max(initial=0))[1])
    x = np.ldexp(x, -exponent)  # a power of two: float32 holds it, and no digit changes
    with one_blas_thread():
        values, vectors = answering(lambda: np.linalg.eigh(unit), len(unit))
    vectors, values = vectors.astype(np.float32), np.maximum(values, 0).astype(np.float32)
    back = np.ascontiguousarray(vectors.T)
    pull = matmul(x, unit).astype(np.float32)
    x = x.astype(np.float32)
    z = np.empty_like(x) if isinstance(chosen, Nm) else project(x, chosen)
    u = np.zeros_like(z)

    def some(rows: slice) -> None:
        z[rows] = project(x[rows], chosen)
        step = min(np.float32(rho), _LAST)
        for _ in range(steps):
            _alternate(z[rows], u[rows], pull[rows], vectors, values, back, step, chosen)
            step = min(step * np.float32(growth), _LAST)

    if isinstance(chosen, Nm):  # rows do not depend on each other
        each_block(some, len(t))
    else:
        penalty = float(rho)
        for _ in range(steps):
            _alternate(z, u, pull, vectors, values, back, np.float32(penalty), chosen)
            penalty = min(penalty * growth, float(_LAST))
    narrow, by = scaled(scale)
    return chosen.mask(np.abs(z)), np.ldexp((z / narrow).astype(np.float64), exponent - by)


def _alternate(
    z: Array, u: Array, pull: Array, vectors: Array, values: Array, back: Array, rho: np.float32, chosen: Pattern
) -> None:
    """One step, in place."""
    product = np.matmul if isinstance(chosen, Nm) else matmul
    a = product(pull + rho * (z - u), vectors)
    a /= values + rho
    u += product(a, back)
    z[...] = project(u, chosen)
    u -= z


def project(a: Array, pattern: Pattern) -> Array:
    """The nearest matrix to `a` that has the pattern."""
    if isinstance(pattern, Nm):
        return keep_nm(a, pattern.n, pattern.m)
    return np.where(pattern.mask(np.square(a)), a, 0)


def sparsegpt(
    w: object, pattern: object, m: "Moments | Array", *, block: int = 128, damp: float = DAMP
) -> tuple[Array, Array]:
    """Prunes column by column; what a column loses is made up by the columns behind it.

    Args:
        w: (rows, cols), the weights whose outputs are wanted.
        pattern: see `compensated`; N:M is chosen group by group, other patterns once for every `block` columns, so
            they are taken within those.
        m: the moments of the inputs; the diagonal alone gives `wanda` and no compensation.
        block: columns after which the rest is brought up to date; as many more as the groups of a pattern take.
        damp: the share of the mean of the diagonal of H that is added to it.

    Returns:
        weights (rows, cols) float64, and the mask.

    Raises:
        FormatError: shapes that do not fit, or values that are not finite.

    Source: Frantar and Alistarh 2023, arXiv:2301.00774, algorithm 1.
    """
    t, h = np.array(real(w, "w"), np.float64), second_moments(m)
    block = whole(block, "block", 1, 2**31 - 1)
    check_fit(t, h)
    chosen = pattern_of(pattern)
    if h.ndim == 1 or not np.trace(h):
        mask = wanda(t, chosen, h) if h.any() else chosen.mask(np.abs(t))
        return np.where(mask, t, 0), mask
    upper = inverse_factor(damped(h, damp))
    cols, mask = t.shape[1], np.zeros(t.shape, bool)
    block = -(-block // chosen.span) * chosen.span  # no group of columns is cut
    step = chosen.m if isinstance(chosen, Nm) else block
    diagonal = np.diagonal(upper)
    settled = chosen.mask(np.abs(t)) if isinstance(chosen, Given) else None
    for low in range(0, cols, block):
        high = min(low + block, cols)
        errors = np.zeros((len(t), high - low))
        for j in range(low, high):
            if (j - low) % step == 0:
                group = slice(j, min(j + step, high))
                lost = np.square(t[:, group] / diagonal[group])
                mask[:, group] = chosen.mask(lost) if settled is None else settled[:, group]
            kept = np.where(mask[:, j], t[:, j], 0)
            error = (t[:, j] - kept) / diagonal[j]
            t[:, j + 1 : high] -= error[:, None] * upper[j, j + 1 : high]
            t[:, j] = kept
            errors[:, j - low] = error
        t[:, high:] -= matmul(errors, upper[low:high, high:])
    return np.where(mask, t, 0), mask


def inverse_factor(h: Array) -> Array:
    """The upper Cholesky factor of the inverse of H.

    Raises:
        FormatError: H is singular beyond what damping mends.
    """
    try:
        with one_blas_thread():
            inverse = answering(lambda: np.linalg.inv(h), len(h))
            factor = answering(lambda: np.linalg.cholesky((inverse + inverse.T) / 2), len(h))
            return np.asarray(factor.T)
    except np.linalg.LinAlgError:
        msg = "the second moments are singular; raise damp, or bring more tokens"
        raise FormatError(msg) from None
