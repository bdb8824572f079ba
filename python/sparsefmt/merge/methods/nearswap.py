"""NearSwap: interpolates strongly where two models are nearly the same."""

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.merge.method import REQUIRED, Facts, Method, Settings
from sparsefmt.merge.stack import Elementwise, Merger, Stack


def merge(stack: Stack, settings: Settings, facts: Facts) -> Merger:
    """A x + (1 - a) base with a = clip(t / max(abs(base - x), 1e-6), 0, 1)."""

    def stretch(stack: Stack, lo: int, hi: int) -> Array:
        base, x = stack.values(-1, lo, hi), stack.values(0, lo, hi)
        one = base.dtype.type(1)
        share = base.dtype.type(settings.shared["t"]) * (one / np.maximum(np.abs(base - x), base.dtype.type(1e-6)))
        share = np.clip(share, 0, one)
        return np.asarray(share * x + (one - share) * base)

    return Elementwise(stack, stretch, nan=settings.nan)


NEARSWAP = Method(
    "nearswap",
    "swaps in what is nearly the same",
    "https://huggingface.co/alchemonaut/QuartetAnemoi-70B-t0.0001",
    merge,
    base="needed",
    count=(1, 1),
    weighted=False,
    shared={"t": REQUIRED},
)
