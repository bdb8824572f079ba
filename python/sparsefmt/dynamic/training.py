"""Rules for gradients under a mask, and the loss of a student."""

import numpy as np

from sparsefmt.base.coerce import as_array, is_number
from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import FormatError


def _alike(**arrays: object) -> list[Array]:
    made = [as_array(a, name) for name, a in arrays.items()]
    for name, a in zip(arrays, made, strict=True):
        if a.shape != made[0].shape:
            msg = f"{name}: want shape {made[0].shape}, got {a.shape}"
            raise FormatError(msg)
    return made


def straight_through(gradient: object, mask: object) -> Array:
    """The gradient of the dense weights under a mask: that of the masked weights, unchanged.

    Masking it would keep pruned weights where they are for ever: they could never come back.

    Args:
        gradient: of the loss by the masked weights.
        mask: bool, of the same shape.

    Raises:
        FormatError: another shape.

    Source: Bengio et al. 2013, arXiv:1308.3432.

    >>> straight_through([1.0, 2.0], [True, False])
    array([1., 2.])
    """
    g, _ = _alike(gradient=gradient, mask=mask)
    return g.copy()


def sr_ste(gradient: object, w: object, mask: object, decay: float = 2e-4) -> Array:
    """The straight-through gradient, and a pull to zero on the pruned weights, which settles the mask.

    Args:
        gradient: of the loss by the masked weights.
        w: the dense weights.
        mask: bool, True is kept.
        decay: how strong the pull is, >= 0.

    Returns:
        `gradient + decay * (1 - mask) * w`, in their dtype if it is one of floats.

    Raises:
        FormatError: shapes that differ, or a decay below 0.

    Source: Zhou et al. 2021, arXiv:2102.04010, equation 4.

    >>> sr_ste([1.0, 1.0], [3.0, 2.0], [True, False], 0.5)
    array([1., 2.])
    """
    g, a, keep = _alike(gradient=gradient, w=w, mask=mask)
    if not is_number(decay) or not 0 <= decay < np.inf:
        msg = f"decay = {decay!r}; want 0 or more"
        raise FormatError(msg)
    pull = np.where(keep.astype(bool), np.zeros(1, a.dtype), a)
    made = np.asarray(g + float(decay) * pull)  # of bfloat16 in float32
    return made.astype(g.dtype, copy=False) if g.dtype == a.dtype and g.dtype.kind not in "biu" else made


def _log_shares(logits: Array) -> Array:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def distillation_loss(
    student: object, teacher: object, T: float = 2.0, lam: float = 0.5, task: float = 0.0
) -> tuple[float, Array]:
    """`task + lam * T**2 * KL(teacher || student)` at temperature T, and its gradient by the student's logits.

    T**2 keeps the size of the gradient as T grows.

    Args:
        student: (..., classes) logits.
        teacher: of the same shape.
        T: the temperature, > 0.
        lam: the weight of distillation, >= 0.
        task: the loss of the task itself.

    Returns:
        the loss, the mean over examples in float64; and the gradient of the distillation part, in the shape of the
        logits.

    Raises:
        FormatError: shapes that differ, no classes, logits that are not finite, T, lam or task out of range.

    Source: Hinton et al. 2015, arXiv:1503.02531, section 2.

    >>> loss, gradient = distillation_loss([[0.0, 0.0]], [[0.0, 0.0]])
    >>> loss, gradient.tolist()
    (0.0, [[0.0, 0.0]])
    """
    logits = _alike(student=student, teacher=teacher)
    if not (is_number(T) and is_number(lam)) or not (0 < T < np.inf and 0 <= lam < np.inf):
        msg = f"T = {T!r}, lam = {lam!r}; want T > 0 and lam >= 0"
        raise FormatError(msg)
    if not is_number(task):
        msg = f"task = {task!r}; want the loss of the task, a number"
        raise FormatError(msg)
    if any(a.dtype.kind == "c" for a in logits):
        msg = "logits: want real numbers, got complex ones"
        raise FormatError(msg)
    s, t = (a.astype(np.float64) for a in logits)
    if not s.ndim or not s.size or not (np.isfinite(s).all() and np.isfinite(t).all()):
        msg = f"logits: want (..., classes) of finite numbers, got shape {s.shape}"
        raise FormatError(msg)
    mine, wanted = _log_shares(s / T), _log_shares(t / T)
    examples = s.size // s.shape[-1]
    loss = float((np.exp(wanted) * (wanted - mine)).sum()) / examples
    gradient = lam * T * (np.exp(mine) - np.exp(wanted)) / examples
    return task + lam * T * T * loss, gradient
