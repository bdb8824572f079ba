"""Model Stock: how far to go from the base towards the mean, from the angles between task vectors."""

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.merge.combination import combine
from sparsefmt.merge.method import Facts, Method, Settings
from sparsefmt.merge.norms import gram
from sparsefmt.merge.stack import Elementwise, Merger, Stack, row_length


def step(products: Array, floor: float) -> Array:
    """T from the products (models, models, ...) of task vectors: k c / (1 + (k - 1) c), 0 where that has no value."""
    count = len(products)
    cosines = []
    for i in range(count):
        for j in range(i + 1, count):
            lengths = np.sqrt(products[i, i]) * np.sqrt(products[j, j])
            lengths = np.maximum(lengths, floor) if floor else np.where(lengths == 0, 1, lengths)
            cosines.append(np.clip(products[i, j] / lengths, -1, 1))
    cosine = np.mean(cosines, axis=0)
    below = 1 + (count - 1) * cosine
    return np.asarray(np.where(below < 1e-6, 0, count * cosine / np.where(below < 1e-6, 1, below)))


def merge(stack: Stack, settings: Settings, facts: Facts) -> Merger:
    """T mean + (1 - t) base, t for the tensor or for each row."""
    count = len(stack.models)
    floor = 1e-6 if settings.choices.small == "floor" else 0.0
    if not settings.shared["filter_wise"]:
        t = float(step(gram(stack, stack.basis), floor))
        return combine(stack, (t / count,) * count, settings.nan, base=1 - t)
    cols = row_length(stack.shape)

    def stretch(stack: Stack, lo: int, hi: int) -> Array:
        base = stack.values(-1, lo, hi).astype(np.float64).reshape(-1, cols)
        models = [stack.values(i, lo, hi).astype(np.float64).reshape(-1, cols) for i in range(count)]
        tasks = [stack.delta(i, lo, hi).astype(np.float64).reshape(-1, cols) for i in range(count)]
        products = np.zeros((count, count, len(base)))
        for i, a in enumerate(tasks):
            for j, b in enumerate(tasks[i:], i):
                products[i, j] = products[j, i] = (a * b).sum(axis=1)
        # float64 to the end: where vectors nearly cancel, t is large, and rounds what it multiplies
        t = step(products, floor)[:, None]
        base += t * (sum(models) / count - base)
        return np.asarray(base.reshape(-1))

    return Elementwise(stack, stretch, cols, settings.nan)


MODEL_STOCK = Method(
    "model_stock",
    "between base and mean, as far as the angles between task vectors say",
    "Jang et al. 2024, arXiv:2403.19522, section 4",
    merge,
    base="needed",
    count=(2, None),
    weighted=False,
    shared={"filter_wise": False},
)
