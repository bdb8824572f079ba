"""Pruning one layer so that its outputs stay what they were."""

from typing import Literal

import numpy as np

from sparsefmt.base.coerce import as_array
from sparsefmt.base.dtypes import Array, Dtype
from sparsefmt.base.errors import FormatError, PatternError
from sparsefmt.kernels.blas import answering, one_blas_thread
from sparsefmt.prune.coded import code_weights
from sparsefmt.prune.fit import STEPS, TOLERANCE, check_fit, damped, output_energy, real, solve_on
from sparsefmt.prune.masks import alternating, sparsegpt, wanda
from sparsefmt.prune.moments import Moments
from sparsefmt.prune.patterns import Given, Pattern, pattern_of
from sparsefmt.prune.result import Compensated
from sparsefmt.tensor.axes import checked_axis

Method = Literal["admm", "sparsegpt", "wanda", "magnitude"]
METHODS = ("admm", "sparsegpt", "wanda", "magnitude")
DAMP = 0.01


def compensated(
    w: object,
    pattern: object,
    m: Moments,
    *,
    method: Method = "admm",
    target: object = None,
    bias: object = None,
    codec: str | None = None,
    mask: object = None,
    density: float | None = None,
    refit: bool = True,
    damp: float = DAMP,
    axis: int = -1,
) -> Compensated:
    """Prunes a weight (out, in) and fits what stays to the outputs of the whole, for inputs with the moments `m`.

    Args:
        w: (rows, cols) floats. Not modified.
        pattern: "nm2:4"; "bsr16x16" (a share of the blocks, `density`); "bsr16x16:2:4" (2 of every 4 blocks of a row of
            blocks); "v64:2:8"; "t2:4" (rows and columns alike); a density in 0..1 for any positions; "dense"; a bool
            mask.
            A codec may stand behind a slash.
        m: the moments of the inputs, at least 4 tokens per column (else CalibrationWarning).
        method: how the mask is chosen: "admm" (best), "sparsegpt", "wanda", "magnitude".
        target: the weights whose outputs are wanted, default w; "outputs": the dense outputs that `m` gathered
            (`Moments(cols, outputs=rows)`), by ridge regression towards w.
        bias: (rows,) to correct for the shift of the mean output, which costs no byte.
        codec: e.g. "int4:g128" or "kmeans16": codes are chosen in the same fit, and `tensor` is packed.
        mask: a bool mask to use instead of one that a method chooses; it must have the pattern.
        density: the share that blocks and free patterns keep, default 0.5.
        refit: whether kept weights are fitted by least squares; without, they stay (SparseGPT's: as it leaves them).
        damp: the share of the mean variance of inputs that is added to each.
        axis: the one that inputs lie along: default the last, (out, in); 0 for weights that are kept as (in, out). `w`,
            `target`, `mask` and what is returned are all of that form, and patterns run along it, as for `encode`.

    Returns:
        `Compensated`.

    Raises:
        FormatError: shapes that do not fit, values that are not finite, an unknown pattern or method.
        PatternError: `mask` does not have the pattern.
        CodecError: the codec cannot hold the weights.

    Source: the module docs of `sparsefmt.prune.masks` and `fit`; Nagel et al. 2019, arXiv:1906.04721, section 4.2, for
        the bias.

    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((500, 8)) @ rng.standard_normal((8, 8))
    >>> w = rng.standard_normal((4, 8))
    >>> kept = compensated(w, "nm2:4", Moments(8).update(x))
    >>> kept.output_error < compensated(w, "nm2:4", Moments(8).update(x), method="wanda", refit=False).output_error
    True
    """
    a = as_array(w)
    if a.ndim == 2 and checked_axis(axis, 2) == 0:
        found = compensated(
            np.ascontiguousarray(a.T), _flipped(pattern), m, method=method, target=_flipped(target), bias=bias,
            codec=codec, mask=_flipped(mask), density=density, refit=refit, damp=damp,
        )  # fmt: skip
        return found.turned()
    if method not in METHODS:
        msg = f"method = {method!r}; have {', '.join(METHODS)}"
        raise FormatError(msg)
    held: object = m
    if not isinstance(held, Moments):
        msg = f"m: want sf.prune.Moments, got {type(m).__name__}"
        raise FormatError(msg)
    h = m.second
    if a.dtype.kind in "iub" or a.dtype.kind == "c":
        msg = f"w: want floats, got {a.dtype}; whole numbers cannot make up for others"
        raise FormatError(msg)
    wide = a.astype(np.float64)
    check_fit(wide, h)
    m.enough()
    chosen, codec = _split(pattern, codec, density)
    h = damped(h if h.any() else np.eye(m.cols) if h.ndim == 2 else np.ones(m.cols), damp if h.any() else 0)
    want, base = _wanted(wide, m, h, target, bias, damp)
    h = np.ldexp(h, -(int(np.frexp(h.max())[1]) & ~1))  # the fit is the same for any multiple; even: roots are exact
    keep, values = _kept(want, chosen, h, method, mask, refit)
    kept = _as(values, a.dtype)
    tensor = None
    if codec is not None:
        tensor = code_weights(kept, keep, want, h, pattern, codec)
        kept = tensor.to_dense()
    final = kept.astype(np.float64)
    unit = -int(np.frexp(np.abs(want).max(initial=0))[1])  # so that squares are finite
    energy = output_energy(np.ldexp(want, unit), m.second)  # without what was added for the fit: inputs lack that noise
    error = output_energy(np.ldexp(final - want, unit), m.second) / energy if energy else 0.0
    off = (final @ m.mean) - (base if base is not None else want @ m.mean)
    if bias is None:
        return Compensated(kept, None, keep, error, off, tensor)
    old = np.asarray(bias)
    return Compensated(kept, (-off).astype(old.dtype), keep, error, np.zeros(len(off)), tensor)


def _flipped(given: object) -> object:
    """A matrix with its axes exchanged; anything else as it is."""
    return np.ascontiguousarray(np.asarray(given).T) if isinstance(given, np.ndarray | list | tuple) else given


def _split(pattern: object, codec: str | None, density: float | None) -> tuple[Pattern, str | None]:
    if isinstance(pattern, str) and "/" in pattern:
        _, _, named = pattern.partition("/")
        if codec is not None and codec != named:
            msg = f"codec = {codec!r}, and the pattern names {named!r}"
            raise FormatError(msg)
        codec = named
    return pattern_of(pattern, density=density), codec


def _wanted(w: Array, m: Moments, h: Array, target: object, bias: object, damp: float) -> tuple[Array, Array | None]:
    """The weights whose outputs are wanted, and the mean output that is wanted, where it is not theirs."""
    if bias is not None and np.asarray(bias).shape != (len(w),):
        msg = f"bias: want shape ({len(w)},), got {np.asarray(bias).shape}"
        raise FormatError(msg)
    shift = np.zeros(len(w)) if bias is None else _bias(bias)
    if isinstance(target, str):
        if target != "outputs":
            msg = f'target = {target!r}; want an array, or "outputs"'
            raise FormatError(msg)
        return dense_target(w, m, h, damp), m.output_mean
    want = w if target is None else real(target, "target").astype(np.float64)
    if want.shape != w.shape:
        msg = f"target: want shape {w.shape}, got {want.shape}"
        raise FormatError(msg)
    check_fit(want, h)
    return want, w @ m.mean + shift


def _bias(bias: object) -> Array:
    """A bias in float64, which can be corrected: of floats, and finite."""
    a = as_array(bias, "bias")
    if a.dtype.kind in "iubc" or not np.isfinite(a).all():
        msg = f"bias: want finite floats, got {a.dtype}; whole numbers cannot take a correction"
        raise FormatError(msg)
    return a.astype(np.float64)


def _as(values: Array, dtype: Dtype) -> Array:
    with np.errstate(over="ignore"):
        made = values.astype(dtype)
    if not np.isfinite(made).all():
        msg = f"fitted weights reach {np.abs(values).max():g}, which {dtype} does not hold; give w as float32"
        raise FormatError(msg)
    return made


def dense_target(w: Array, m: Moments, h: Array, damp: float) -> Array:
    """The weights that give the outputs that `m` gathered best, by ridge regression towards `w`; h is damped."""
    if m.outputs != len(w):
        msg = f"target: moments hold {m.outputs or 'no'} outputs, and the weights give {len(w)}"
        raise FormatError(msg)
    second = m.second
    if h.ndim == 1:
        share = damp * second.mean()
        return np.asarray((m.cross + share * w) / np.where(h > 0, h, 1))
    share = damp * np.trace(second) / m.cols
    with one_blas_thread():
        try:
            return np.asarray(answering(lambda: np.linalg.solve(h, (m.cross + share * w).T), len(h)).T)
        except np.linalg.LinAlgError:
            return w


def _kept(want: Array, chosen: Pattern, h: Array, method: str, mask: object, refit: bool) -> tuple[Array, Array]:
    """The mask and the weights on it."""
    start: Array | None = None
    if mask is not None:
        given = np.asarray(mask)
        if given.dtype != bool or given.shape != want.shape:
            msg = f"mask: want bool of shape {want.shape}, got {given.dtype} of shape {given.shape}"
            raise PatternError(msg)
        chosen.check(given)
        chosen = Given(given)
    if isinstance(chosen, Given):
        keep = chosen.mask(want)
        values = want
    elif method == "sparsegpt":
        values, keep = sparsegpt(want, chosen, h, damp=0)
    elif method == "magnitude":
        keep, values = chosen.mask(np.abs(want)), want
    elif method == "admm" and h.ndim == 2:
        keep, start = alternating(want, chosen, h)
        values = want
    else:
        keep, values = wanda(want, chosen, h), want
    if refit and h.ndim == 2 and not keep.all():
        return keep, solve_on(keep, want, h, STEPS, TOLERANCE, start)
    return keep, np.where(keep, values, 0)
