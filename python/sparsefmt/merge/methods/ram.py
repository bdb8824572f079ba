"""Reinforced Agent Merging: what one model alone changed is kept, what several changed is averaged."""

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.merge.method import Facts, Method, Settings
from sparsefmt.merge.stack import Elementwise, Merger, Stack

SOURCE = "arXiv:2601.13572, tensor by tensor"


def changed(stack: Stack, epsilon: float, lo: int, hi: int) -> tuple[Array, Array, Array]:
    """Task vectors (models, elements), where they exceed epsilon, and how many do."""
    tasks = np.stack([stack.delta(i, lo, hi) for i in range(len(stack.models))])
    large = np.abs(tasks) > tasks.dtype.type(epsilon)
    return tasks, large, large.sum(axis=0)


def merged(stack: Stack, settings: Settings, gains: Array) -> Merger:
    """Sums of unique changes, times their model's gain, and means of shared ones."""
    epsilon = float(settings.shared["epsilon"])

    def stretch(stack: Stack, lo: int, hi: int) -> Array:
        tasks, large, counts = changed(stack, epsilon, lo, hi)
        dtype = tasks.dtype
        divisor = np.maximum(counts, 1).astype(dtype)
        total = np.zeros(hi - lo, dtype)
        for task, own, gain in zip(tasks, large, gains.astype(dtype), strict=True):
            part = np.where(own, task, dtype.type(0))
            total += np.where(counts == 1, part * gain, dtype.type(0)) + np.where(
                counts > 1, part / divisor, dtype.type(0)
            )
        return np.asarray(stack.values(-1, lo, hi) + total)

    return Elementwise(stack, stretch, nan=settings.nan)


def ram(stack: Stack, settings: Settings, facts: Facts) -> Merger:
    """Unique changes as they are."""
    return merged(stack, settings, np.ones(len(stack.models)))


def ramplus_tl(stack: Stack, settings: Settings, facts: Facts) -> Merger:
    """Unique changes times 1 + r clip(shared / unique, 0, alpha), by the counts of this tensor."""
    epsilon, r, alpha = (float(settings.shared[name]) for name in ("epsilon", "r", "alpha"))
    common, unique = np.zeros(len(stack.models)), np.zeros(len(stack.models))
    for lo, hi in stack.chunks():
        _, large, counts = changed(stack, epsilon, lo, hi)
        common += (large & (counts > 1)).sum(axis=1)
        unique += (large & (counts == 1)).sum(axis=1)
    return merged(stack, settings, 1 + r * np.clip(common / np.maximum(unique, epsilon), 0, alpha))


RAM = Method(
    "ram",
    "keeps what one model alone changed, averages what several changed",
    SOURCE,
    ram,
    base="needed",
    weighted=False,
    shared={"epsilon": 1e-5},
)
RAMPLUS_TL = Method(
    "ramplus_tl",
    "as ram, and raises what one model alone changed",
    SOURCE,
    ramplus_tl,
    base="needed",
    weighted=False,
    shared={"r": 0.1, "alpha": 0.2, "epsilon": 1e-5},
)
