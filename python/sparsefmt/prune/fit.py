"""Least squares on the positions that a mask keeps."""

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import FormatError
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
        FormatError: shapes that do not fit, or values that are not finite.

    Source: Hestenes and Stiefel 1952, J. Res. Natl. Bur. Stand. 49(6).

    >>> h = np.array([[2.0, 1.0], [1.0, 1.0]])
    >>> refit(np.array([[True, False]]), np.array([[1.0, 1.0]]), h)
    array([[1.5, 0. ]], dtype=float32)
    """
    t, h = np.asarray(target), second_moments(m)
    keep = np.asarray(mask)
    check_fit(t, h)
    if keep.dtype != bool or keep.shape != t.shape:
        msg = f"mask: want bool of shape {t.shape}, got {keep.dtype} of shape {keep.shape}"
        raise FormatError(msg)
    if h.ndim == 1:  # columns do not make up for each other
        return np.where(keep, t, 0).astype(np.float32)
    return solve_on(keep, t.astype(np.float32), h.astype(np.float32), steps, tol)


def second_moments(m: "Moments | Array") -> Array:
    """H as it is held: (cols, cols), or the diagonal."""
    if isinstance(m, Moments):
        return m.second
    h = np.asarray(m, np.float64)
    if h.ndim not in (1, 2) or (h.ndim == 2 and h.shape[0] != h.shape[1]):
        msg = f"moments: want Moments or (cols, cols), got shape {h.shape}"
        raise FormatError(msg)
    return h


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
    """H with a share of the mean of its diagonal added to the diagonal."""
    if h.ndim == 1:
        return np.asarray(h + share * h.mean())
    return np.asarray(h + share * np.trace(h) / len(h) * np.eye(len(h)))


def solve_on(keep: Array, t: Array, h: Array, steps: int, tol: float, start: Array | None = None) -> Array:
    """Conjugate gradients on (V - T) H V' restricted to the mask, from `start` or the masked target; all float32."""
    diagonal = np.diagonal(h)
    inverse = np.where(diagonal > 0, 1 / np.where(diagonal > 0, diagonal, 1), 0).astype(np.float32)
    v = np.where(keep, t if start is None else start, np.float32(0))

    def some(rows: slice) -> None:
        _descend(v[rows], keep[rows].astype(np.float32), t[rows], h, inverse, steps, tol)

    each_block(some, len(t))
    return v


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
