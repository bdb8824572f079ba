"""DELLA: drop at random, the small more often."""

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.kernels.philox import philox_words
from sparsefmt.merge.consensus import Family, Masks, RowMasks, family_method, streams
from sparsefmt.merge.draw import check_epsilon, drawn, keep_probabilities, kept_by_rank
from sparsefmt.merge.method import Facts, Settings
from sparsefmt.merge.stack import Stack
from sparsefmt.merge.trim import check_fraction

SOURCE = "Deep et al. 2024, arXiv:2406.11617, section 3"


def dropped(stack: Stack, settings: Settings, facts: Facts) -> Masks:
    """Each element is kept with a probability that grows with its rank in its row."""
    densities, epsilons = settings.each["density"], settings.each["epsilon"]
    check_fraction("density", densities)
    check_epsilon(densities, epsilons)
    inner = stack.shape[1:] if len(stack.shape) > 1 else (stack.size,)
    names = streams(stack)

    def find(model: int, delta: Array, start: int) -> tuple[Array, Array | None]:
        density = densities[model]
        mask = settings.masks[model].reshape(-1)[start : start + delta.size] != 0 if settings.masks else None
        if density >= 1 or density <= 0:
            return np.full(delta.size, density >= 1) if mask is None else mask, None
        magnitudes = np.abs(delta).astype(np.float32, copy=False).reshape(-1, *inner)
        if mask is None and magnitudes.ndim == 2:
            words = np.empty(delta.size, np.uint32)
            philox_words(settings.seed, names[model], start, words)
            return kept_by_rank(magnitudes, density, epsilons[model], words)
        probabilities = keep_probabilities(magnitudes, density, epsilons[model]).reshape(-1)
        keep = drawn(probabilities, settings.seed, names[model], start) if mask is None else mask
        return keep, probabilities

    return Masks(rows=RowMasks(max(int(np.prod(inner)), 1), find))


DELLA = family_method(
    "della",
    "drops at random by rank of magnitude, rescales, elects signs, averages what agrees",
    SOURCE,
    Family(dropped, vote=True, normalize=True, rescale=True, by_rows=True),
    each={"epsilon": 0.15},
)
DELLA_LINEAR = family_method(
    "della_linear",
    "drops at random by rank of magnitude, rescales, adds up",
    SOURCE,
    Family(dropped, vote=False, normalize=False, rescale=True, by_rows=True),
    each={"epsilon": 0.15},
)
