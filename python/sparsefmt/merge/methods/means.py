"""Means of more than two models on the sphere; every vector on the way is a combination of the models."""

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import MergeError
from sparsefmt.kernels.merge import PLAIN, Rule
from sparsefmt.merge.combination import combine
from sparsefmt.merge.consensus import checked_total
from sparsefmt.merge.method import Facts, Method, Settings
from sparsefmt.merge.mixing import Mixer
from sparsefmt.merge.norms import gram
from sparsefmt.merge.stack import Merger, Stack


def length(coefficients: Array, products: Array) -> float:
    """The length of a combination of vectors whose products are given."""
    return float(np.sqrt(max(float(coefficients @ products @ coefficients), 0.0)))


def multislerp(stack: Stack, settings: Settings, facts: Facts) -> Merger:
    """Barycentric: logarithms at the mean direction are averaged, and the exponential of that is taken.

    Source: Goddard 2025, https://goddard.blog/posts/multislerp-wow-what-a-cool-idea.
    """
    eps = float(settings.shared["eps"])
    weights = np.array(settings.weights, np.float64)
    if settings.shared["normalize_weights"]:
        checked_total(settings.weights)
        weights = weights / weights.sum()
    rule = Rule(basis=PLAIN if stack.base is None else stack.basis)
    if len(weights) == 1:
        return Mixer(stack, rule, (1.0,), nan=settings.nan)
    products = gram(stack, rule.basis)
    lengths = np.sqrt(np.diag(products))
    if not lengths.any():  # where no model differs from the base there is no direction, and nothing to add
        return Mixer(stack, rule, (0.0,) * len(weights), nan=settings.nan)
    to_unit = 1 / (lengths + eps)
    mean = weights * to_unit
    mean_length = length(mean, products)
    if mean_length < eps:
        if len(weights) == 2:
            return Mixer(stack, rule, tuple(weights), nan=settings.nan)
        msg = (
            f"tensor {stack.name or '(array)'}: the weighted sum of {len(weights)} directions is 0, so that they have "
            "no mean direction; choose other weights"
        )
        raise MergeError(msg)
    mean = mean / mean_length
    dots = to_unit * (products @ mean)
    tangent = weights * to_unit - (weights @ dots) * mean
    angle = length(tangent, products) + eps
    found = (mean * np.cos(angle) + tangent * (np.sin(angle) / angle)) * (lengths @ weights)
    return Mixer(stack, rule, tuple(found), nan=settings.nan)


def karcher(stack: Stack, settings: Settings, facts: Facts) -> Merger:
    """The Riemannian mean of the directions, times the mean of the lengths.

    Source: Karcher 1977, Riemannian center of mass and mollifier smoothing; iterated as mergekit 0.1.5 does.
    """
    tol, rounds = float(settings.shared["tol"]), int(settings.shared["max_iter"])
    checked_total(settings.weights)
    weights = np.array(settings.weights, np.float64) / np.sum(settings.weights)
    if len(weights) == 1:
        return combine(stack, (1.0,), settings.nan)
    products = gram(stack, PLAIN)
    lengths = np.sqrt(np.diag(products))
    valid = lengths > tol
    if not valid.any():
        return combine(stack, (0.0,) * len(weights), settings.nan)
    to_unit = np.where(valid, 1 / np.where(valid, lengths, 1), 0)
    cosines = products * np.outer(to_unit, to_unit)
    shares = np.where(valid, weights, 0) / weights[valid].sum()
    mean = shares / size if (size := length(shares, cosines)) >= tol else np.eye(len(weights))[np.argmax(valid)]
    for _ in range(rounds):
        step = np.zeros(len(weights))
        for at in np.flatnonzero(valid):
            dot = float(np.clip(cosines[at] @ mean, -1, 1))
            angle = np.arccos(dot)
            if angle >= tol:
                step += shares[at] * angle / np.sin(angle) * (np.eye(len(weights))[at] - dot * mean)
        size = length(step, cosines)
        if size < tol:
            break
        mean = np.cos(size) * mean + np.sin(size) * step / size
        if (whole := length(mean, cosines)) > tol:
            mean = mean / whole
    return combine(stack, mean * to_unit * (weights @ lengths), settings.nan)


MULTISLERP = Method(
    "multislerp",
    "barycentric interpolation on the sphere by weights",
    "Goddard 2025, https://goddard.blog/posts/multislerp-wow-what-a-cool-idea",
    multislerp,
    shared={"normalize_weights": True, "eps": 1e-8},
)
KARCHER = Method(
    "karcher",
    "the Riemannian mean of directions, times the mean length",
    "Karcher 1977, Riemannian center of mass and mollifier smoothing",
    karcher,
    base="member",
    weighted=False,
    shared={"max_iter": 10, "tol": 1e-5},
)
