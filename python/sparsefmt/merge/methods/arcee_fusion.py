"""Arcee Fusion: takes over the changes of the greatest importance."""

from dataclasses import dataclass

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.kernels.merge import Rule
from sparsefmt.merge.method import Facts, Method, Settings, Source
from sparsefmt.merge.mixing import Mixer
from sparsefmt.merge.order import cuts
from sparsefmt.merge.remembered import Kept, Remembered
from sparsefmt.merge.stack import Merger, Stack, row_length
from sparsefmt.merge.trim import here, value


def softmax(rows: Array) -> Array:
    """The softmax of each row."""
    grown = rows - rows.max(axis=1, keepdims=True)
    np.exp(grown, out=grown)
    grown /= grown.sum(axis=1, keepdims=True)
    return np.asarray(grown)


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
            found = np.abs(x - base)
            p, q = softmax(x), softmax(base)
            p += 1e-8
            q += 1e-8
            np.divide(p, q, out=q)
            np.log(q, out=q)
            q *= p
            found *= np.maximum(q.sum(axis=1, keepdims=True), 0)
            return np.asarray(found.astype(np.float32).reshape(-1)[lo - first : hi - first])


def merge(stack: Stack, settings: Settings, facts: Facts) -> Merger:
    """Changes whose importance reaches median + 1.5 (third - first quartile), exactly, whatever the size."""
    scores = Stack(stack.name, stack.shape, None, (Remembered(Importance(stack), Kept(stack.size)),), ("importance",))
    size = stack.size
    if size == 0:
        edge = np.float32(0)
    else:
        ranks = [(0, size - int(q * (size - 1))) for q in (0.5, 0.25, 0.75)]
        median, low, high = (np.float32(value(c.key)) for c in cuts([Source(lambda: scores, settings)], ranks, here))
        edge = median + np.float32(1.5) * (high - low)

    def taken(lo: int, hi: int) -> tuple[Array, ...]:
        return ((scores.values(0, lo, hi) >= edge).view(np.uint8),)

    return Mixer(stack, Rule(basis=stack.basis), (1.0,), masks=taken, nan=settings.nan, granule=row_length(stack.shape))


ARCEE_FUSION = Method(
    "arcee_fusion",
    "takes over the changes of the greatest importance",
    "mergekit 0.1.5, method arcee_fusion",
    merge,
    base="needed",
    count=(1, 1),
    weighted=False,
)
