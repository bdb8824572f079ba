"""Arcee Fusion: takes over the changes of the greatest importance."""

from dataclasses import dataclass

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.merge.method import Facts, Method, Settings, Source
from sparsefmt.merge.order import cuts
from sparsefmt.merge.stack import Elementwise, Merger, Stack, row_length
from sparsefmt.merge.trim import here, value


def softmax(rows: Array) -> Array:
    """The softmax of each row."""
    grown = np.exp(rows - rows.max(axis=1, keepdims=True))
    return np.asarray(grown / grown.sum(axis=1, keepdims=True))


@dataclass(frozen=True, slots=True)
class Importance:
    """abs(x - base) times the divergence of the softmax of its row, as a tensor that can be read."""

    stack: Stack
    dtype: str = "float32"

    def read(self, lo: int, hi: int) -> Array:
        """Elements lo to hi; the rows that they lie in are looked at whole."""
        cols = row_length(self.stack.shape)
        first, last = lo // cols * cols, -(-hi // cols) * cols
        x, base = (self.stack.values(i, first, last).astype(np.float64).reshape(-1, cols) for i in (0, -1))
        with np.errstate(all="ignore"):
            p, q = softmax(x) + 1e-8, softmax(base) + 1e-8
            divergence = np.maximum((p * np.log(p / q)).sum(axis=1, keepdims=True), 0)
            found = (np.abs(x - base) * divergence).astype(np.float32)
        return np.asarray(found.reshape(-1)[lo - first : hi - first])


def merge(stack: Stack, settings: Settings, facts: Facts) -> Merger:
    """Changes whose importance reaches median + 1.5 (third - first quartile), exactly, whatever the size."""
    scores = Stack(stack.name, stack.shape, None, (Importance(stack),), ("importance",))
    size = stack.size
    if size == 0:
        edge = np.float32(0)
    else:
        ranks = [(0, size - int(q * (size - 1))) for q in (0.5, 0.25, 0.75)]
        median, low, high = (np.float32(value(c.key)) for c in cuts([Source(lambda: scores, settings)], ranks, here))
        edge = median + np.float32(1.5) * (high - low)

    def stretch(stack: Stack, lo: int, hi: int) -> Array:
        taken = scores.values(0, lo, hi) >= edge
        return np.asarray(stack.values(-1, lo, hi) + np.where(taken, stack.delta(0, lo, hi), 0).astype(stack.dtype))

    return Elementwise(stack, stretch, row_length(stack.shape), settings.nan)


ARCEE_FUSION = Method(
    "arcee_fusion",
    "takes over the changes of the greatest importance",
    "mergekit 0.1.5, method arcee_fusion",
    merge,
    base="needed",
    count=(1, 1),
    weighted=False,
)
