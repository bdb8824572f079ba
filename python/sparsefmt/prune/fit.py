"""Least squares on the positions that a mask keeps."""

import math

import numpy as np

from sparsefmt.base.coerce import as_array, is_number, whole
from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import DtypeError, FormatError
from sparsefmt.kernels.blas import each_block, matmul
from sparsefmt.prune.moments import Moments

STEPS, TOLERANCE = 80, 1e-3


def refit(mask: object, target: object, m: "Moments | Array", *, steps: int = STEPS, tol: float = TOLERANCE) -> Array:
    """The weights on the kept positions whose outputs are nearest to those of `target`, in the mean square.

    Per row it is H_SS^-1 (H t)_S for the kept columns S, here by conjugate gradients for all rows at once,
    preconditioned by the diagonal of H. Where inputs never vary, the target stays.

    Args:
        mask: (rows, cols) bool, True is kept.
        target: (rows, cols), the weights whose outputs are wanted.
        m: the moments of the inputs, or H itself, (cols, cols).
        steps: at most so many.
        tol: the residual to reach, relative to the first one, in every row.

    Returns:
        (rows, cols) float32, 0 where the mask is False.

    Raises:
        FormatError: shapes that do not fit, values that are not finite or beyond float32, steps that are no count.
        DtypeError: complex weights.

    Source: Hestenes and Stiefel 1952, J. Res. Natl. Bur. Stand. 49(6).

    >>> h = np.array([[2.0, 1.0], [1.0, 1.0]])
    >>> refit(np.array([[True, False]]), np.array([[1.0, 1.0]]), h)
    array([[1.5, 0. ]], dtype=float32)
    """
    t, h = real(target, "target"), second_moments(m)
    keep, steps = np.asarray(mask), whole(steps, "steps", 0, 2**31 - 1)
    check_fit(t, h)
    if keep.dtype != bool or keep.shape != t.shape:
        msg = f"mask: want bool of shape {t.shape}, got {keep.dtype} of shape {keep.shape}"
        raise FormatError(msg)
    peak = float(np.abs(t).max(initial=0))
    if peak > float(np.finfo(np.float32).max):
        msg = f"target: {peak} is beyond float32, in which weights are given"
        raise FormatError(msg)
    if h.ndim == 1:  # columns do not make up for each other
        return np.where(keep, t, 0).astype(np.float32)
    return solve_on(keep, t, h, steps, tol).astype(np.float32)


def second_moments(m: "Moments | Array") -> Array:
    """H as it is held: (cols, cols), or the diagonal."""
    if isinstance(m, Moments):
        return m.second
    h = real(m, "moments").astype(np.float64)
    if h.ndim not in (1, 2) or (h.ndim == 2 and h.shape[0] != h.shape[1]):
        msg = f"moments: want Moments or (cols, cols), got shape {h.shape}"
        raise FormatError(msg)
    least = float((h if h.ndim == 1 else np.diagonal(h)).min(initial=0))
    if least < 0:
        msg = f"moments: {least} on the diagonal; second moments are 0 or more"
        raise FormatError(msg)
    return h


def real(w: object, name: str) -> Array:
    """Real numbers as an array.

    Raises:
        DtypeError: complex ones, or none.
    """
    a = as_array(w, name)
    if a.dtype.kind == "c":
        msg = f"{name}: want real numbers, got {a.dtype}"
        raise DtypeError(msg)
    return a


def check_fit(w: Array, h: Array) -> None:
    """Raises FormatError unless w is a finite matrix and as wide as the moments."""
    if w.ndim != 2 or w.shape[1] != h.shape[-1]:
        msg = f"moments are of {h.shape[-1]} columns, and the weights have shape {w.shape}"
        raise FormatError(msg)
    for name, a in (("weights", w), ("moments", h)):
        if not np.isfinite(a).all():
            at = tuple(int(i) for i in np.argwhere(~np.isfinite(a))[0])
            msg = f"{name}: {a[at]} at {list(at)}; want finite numbers"
            raise FormatError(msg)


def damped(h: Array, share: float) -> Array:
    """H with a share of the mean of its diagonal added to the diagonal.

    Raises:
        FormatError: the share is no number >= 0.
    """
    if not is_number(share) or not 0 <= share < math.inf:
        msg = f"damp = {share!r}; want a number >= 0"
        raise FormatError(msg)
    if h.ndim == 1:
        return np.asarray(h + share * h.mean())
    return np.asarray(h + share * np.trace(h) / len(h) * np.eye(len(h)))


def scaled(a: Array) -> tuple[Array, int]:
    """`a` in float32 over a power of two near its largest magnitude, and its exponent.

    No digit changes, and squares and sums of what is far from 1 neither overflow nor vanish.
    """
    exponent = int(np.frexp(np.abs(a).max(initial=0).astype(np.float64))[1])
    return np.ldexp(a.astype(np.float64, copy=False), -exponent).astype(np.float32), exponent


def solve_on(keep: Array, t: Array, h: Array, steps: int, tol: float, start: Array | None = None) -> Array:
    """Conjugate gradients on (V - T) H V' restricted to the mask, from `start` or the masked target.

    It works in float32; what it gives is float64 where the target is.
    """
    wide = t.dtype == np.float64
    (t, exponent), (h, _) = scaled(t), scaled(h)
    if start is not None:
        start = np.ldexp(start, -exponent).astype(np.float32)
    diagonal = np.diagonal(h)
    inverse = np.where(diagonal > 0, 1 / np.where(diagonal > 0, diagonal, 1), 0).astype(np.float32)
    v = np.where(keep, t if start is None else start, np.float32(0))

    def some(rows: slice) -> None:
        _descend(v[rows], keep[rows].astype(np.float32), t[rows], h, inverse, steps, tol)

    each_block(some, len(t))
    return np.asarray(np.ldexp(v.astype(np.float64) if wide else v, exponent))


def _descend(v: Array, on: Array, t: Array, h: Array, inverse: Array, steps: int, tol: float) -> None:
    """The same for a block of rows, in place; it ends when the last of them is there."""
    whole = np.sqrt(np.square(((t * on) @ h) * on).sum(axis=1)) + np.float32(1e-30)
    r = ((t - v) @ h) * on
    z = r * inverse
    p = z.copy()
    rz = np.einsum("ij,ij->i", r, z)
    q = np.empty_like(v)
    for _ in range(steps):
        if (np.sqrt(np.einsum("ij,ij->i", r, r)) / whole).max(initial=0) < tol:
            break
        np.matmul(p, h, out=q)
        q *= on
        pq = np.einsum("ij,ij->i", p, q)
        step = np.where(pq > 0, rz / np.where(pq > 0, pq, 1), 0).astype(np.float32)[:, None]
        v += step * p
        q *= step
        r -= q
        np.multiply(r, inverse, out=z)
        after = np.einsum("ij,ij->i", r, z)
        p *= np.where(rz > 0, after / np.where(rz > 0, rz, 1), 0).astype(np.float32)[:, None]
        p += z
        rz = after


def output_energy(e: Array, h: Array) -> float:
    """The mean square of the outputs of weights e, all rows together: sum of e H e'."""
    wide = e.astype(np.float64)
    if h.ndim == 1:
        return float((np.square(wide) * h).sum())
    return float(np.einsum("ij,ij->", matmul(wide, h), wide))
