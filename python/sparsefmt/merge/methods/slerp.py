"""Interpolation of two models along the arc between them."""

from collections.abc import Callable
from math import acos, sin, sqrt

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.kernels.merge import PLAIN, Rule
from sparsefmt.merge.combination import ByRow, combine
from sparsefmt.merge.method import REQUIRED, Facts, Method, Settings
from sparsefmt.merge.mixing import Mixer
from sparsefmt.merge.norms import gram
from sparsefmt.merge.stack import Elementwise, Merger, Stack, compute_dtype, row_length

COLLINEAR = 0.9995
"""Above this cosine slerp takes the straight line."""


def slerp(stack: Stack, settings: Settings, facts: Facts) -> Merger:
    """The angle is that of the whole flattened tensors; the coefficients apply to the tensors as they are."""
    t = float(settings.shared["t"])
    products = gram(stack, PLAIN)
    lengths = [sqrt(p) if sqrt(p) > 1e-8 else 1.0 for p in np.diag(products)]
    cosine = float(products[0, 1] / lengths[0] / lengths[1])
    if abs(cosine) > COLLINEAR:
        return combine(stack, (1 - t, t), settings.nan)
    angle = acos(cosine)
    return combine(stack, (sin((1 - t) * angle) / sin(angle), sin(t * angle) / sin(angle)), settings.nan)


def arc(t: float) -> Callable[[Array, Array, Array], Array]:
    """Coefficients (2, ...) from the products (a.a, a.b, b.b), each (...), of what lies along the arc at `t`."""

    def coefficients(aa: Array, ab: Array, bb: Array) -> Array:
        lengths = np.maximum(np.sqrt(aa), 1e-7) * np.maximum(np.sqrt(bb), 1e-7)
        angle = np.arccos(np.clip(ab / lengths, -1, 1))
        bend = np.sin(angle)
        straight = np.abs(bend) < 1e-8
        safe = np.where(straight, 1, bend)
        return np.stack(
            [
                np.where(straight, 1 - t, np.sin((1 - t) * angle) / safe),
                np.where(straight, t, np.sin(t * angle) / safe),
            ]
        )

    return coefficients


def nuslerp(stack: Stack, settings: Settings, facts: Facts) -> Merger:
    """T = w2 / (w1 + w2), between the models or, with a base, between their task vectors."""
    first, second = settings.weights
    t = 0.5 if abs(first + second) < 1e-6 else second / (first + second)
    find, based = arc(t), stack.base is not None
    if settings.shared["nuslerp_flatten"]:
        products = gram(stack, stack.basis if based else PLAIN)
        along = find(*(np.array(products[pair]) for pair in ((0, 0), (0, 1), (1, 1))))
        rule = Rule(basis=stack.basis if based else PLAIN)
        return Mixer(stack, rule, tuple(float(c) for c in along), nan=settings.nan)
    if settings.shared["nuslerp_row_wise"] and len(stack.shape) > 1:
        return by_columns(stack, settings, find)

    def rows(values: Array) -> Array:
        a, b = values
        return find((a * a).sum(axis=1), (a * b).sum(axis=1), (b * b).sum(axis=1))

    return ByRow(stack, rows, row_length(stack.shape), based, settings.nan)


def by_columns(stack: Stack, settings: Settings, find: Callable[[Array, Array, Array], Array]) -> Merger:
    """The same for each column: products are added up row by row, whatever the stretches."""
    inner = max(stack.size // max(stack.shape[0], 1), 1)
    sums = np.zeros((3, inner))
    for lo, hi in stack.chunks(inner):
        a, b = (stack.delta(i, lo, hi).astype(np.float64).reshape(-1, inner) for i in (0, 1))
        for at, terms in enumerate((a * a, a * b, b * b)):
            sums[at] = np.add.reduce(np.concatenate([sums[at : at + 1], terms]), axis=0)
    first, second = find(*sums).astype(compute_dtype(stack.dtype))

    def stretch(stack: Stack, lo: int, hi: int) -> Array:
        a, b = (stack.delta(i, lo, hi).reshape(-1, inner) for i in (0, 1))
        return np.asarray(stack.values(-1, lo, hi) + (first * a + second * b).reshape(-1))

    return Elementwise(stack, stretch, inner, settings.nan)


SLERP = Method(
    "slerp",
    "spherical interpolation at t between two models; the straight line where they are nearly parallel",
    "Shoemake 1985, Animating rotation with quaternion curves, section 3.3",
    slerp,
    base="member",
    count=(2, 2),
    weighted=False,
    shared={"t": REQUIRED},
)
NUSLERP = Method(
    "nuslerp",
    "spherical interpolation by weights, of whole tensors, rows or columns, or of task vectors",
    "mergekit 0.1.5, method nuslerp",
    nuslerp,
    count=(2, 2),
    shared={"nuslerp_flatten": True, "nuslerp_row_wise": False},
)
