"""How much a loss grows when weights are taken away: Taylor's first and second order, Fisher, and OBS."""

from typing import Literal

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import FormatError
from sparsefmt.prune.fit import check_fit, damped, real, second_moments
from sparsefmt.prune.masks import inverse_factor
from sparsefmt.prune.moments import Moments

Kind = Literal["first", "second", "fisher", "obs"]


def sensitivity(
    w: object,
    *,
    gradient: object = None,
    hessian: object = None,
    fisher: object = None,
    moments: "Moments | Array | None" = None,
    kind: Kind | None = None,
    change: object = None,
    damp: float = 0.01,
) -> Array:
    """The change of the loss when each weight alone is set to 0 (or changed by `change`).

    - "first": g dw. With a gradient.
    - "second": g dw + h dw**2 / 2, h the diagonal of the Hessian; with `moments` it is the variance of the inputs, the
      Hessian of half the mean square of the outputs.
    - "fisher": g dw + f dw**2 / 2, f the mean of squared gradients in place of the Hessian.
    - "obs": w**2 / (2 [H^-1]_ii): what is left when all other weights of the row make up for it. With `moments`.

    Args:
        w: (rows, cols).
        gradient: of the loss by w, of its shape; default 0.
        hessian: its diagonal, of the shape of w.
        fisher: mean of squared gradients, of the shape of w.
        moments: of the inputs, or H (cols, cols).
        kind: default: what the arguments say.
        change: dw, of the shape of w; default -w, which prunes.
        damp: for "obs": the share of the mean variance that is added.

    Returns:
        float64, of the shape of w: how much the loss grows.

    Raises:
        FormatError: arguments that are missing for the kind, shapes that differ, values that are not finite.

    Source: LeCun et al. 1989, Optimal Brain Damage; Hassibi and Stork 1992, Optimal Brain Surgeon, NeurIPS 5; Theis
        et al.
        2018, arXiv:1801.05787 (Fisher).

    >>> sensitivity(np.array([[2.0, -1.0]]), gradient=np.array([[0.5, 1.0]])).tolist()
    [[-1.0, 1.0]]
    """
    a = _finite(w, "w")
    if kind is None:
        kind = "fisher" if fisher is not None else "second" if hessian is not None else "first"
        if moments is not None and fisher is None and hessian is None:
            kind = "obs" if gradient is None else "second"
    if kind not in ("first", "second", "fisher", "obs"):
        msg = f"kind = {kind!r}; have first, second, fisher, obs"
        raise FormatError(msg)
    if kind == "obs":
        return _obs(a, moments, damp)
    step = -a if change is None else _alike(change, a, "change")
    if kind == "first" and gradient is None:
        msg = "gradient: the first order needs one"
        raise FormatError(msg)
    grown = np.zeros(a.shape) if gradient is None else _alike(gradient, a, "gradient") * step
    if kind == "first":
        return np.asarray(grown)
    if kind == "fisher":
        curve = _alike(fisher, a, "fisher")
    elif hessian is not None:
        curve = _alike(hessian, a, "hessian")
    else:
        curve = np.broadcast_to(_variance(a, moments), a.shape)
    return np.asarray(grown + curve * np.square(step) / 2)


def _alike(given: object, w: Array, name: str) -> Array:
    if given is None:
        msg = f"{name}: wanted for this kind"
        raise FormatError(msg)
    a = _finite(given, name)
    if a.shape != w.shape:
        msg = f"{name}: want shape {w.shape}, got {a.shape}"
        raise FormatError(msg)
    return a


def _finite(given: object, name: str) -> Array:
    a = real(given, name).astype(np.float64)
    if not np.isfinite(a).all():
        at = tuple(int(i) for i in np.argwhere(~np.isfinite(a))[0])
        msg = f"{name}: {a[at]} at {list(at)}; want finite numbers"
        raise FormatError(msg)
    return a


def _moments(w: Array, moments: "Moments | Array | None") -> Array:
    if moments is None:
        msg = "moments: wanted for this kind"
        raise FormatError(msg)
    h = second_moments(moments)
    check_fit(w, h)
    return h


def _variance(w: Array, moments: "Moments | Array | None") -> Array:
    h = _moments(w, moments)
    return h if h.ndim == 1 else np.diagonal(h)


def _obs(w: Array, moments: "Moments | Array | None", damp: float) -> Array:
    h = _moments(w, moments)
    if h.ndim == 1:
        return np.asarray(np.square(w) * h / 2)
    upper = inverse_factor(damped(h, damp))
    inverse = np.square(upper).sum(axis=0)  # the diagonal of U'U
    return np.asarray(np.square(w) / (2 * inverse))
