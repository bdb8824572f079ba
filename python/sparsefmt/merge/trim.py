"""Which magnitudes a task vector keeps: bands, from ranks of one tensor or of the whole model."""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from sparsefmt.base.errors import MergeError
from sparsefmt.merge.choices import Choices
from sparsefmt.merge.method import NO_BAND, NOTHING, Band, Each, Source
from sparsefmt.merge.order import Cut
from sparsefmt.merge.window import ranked


def exact_floor(density: float, size: int) -> int:
    """floor(density n) of the number as it is written: 0.29 of 100 is 29."""
    return math.floor(Fraction(repr(float(density))) * size)


def here(function: object, items: Sequence[object]) -> list[object]:
    """Calls a function on every item, in this thread."""
    return [function(item) for item in items]  # type: ignore[operator]


class Kept(NamedTuple):
    """Ranks of what a model keeps: those after the first `skip`, up to rank `last`."""

    skip: int
    last: int


def bands(sources: Sequence[Source], kept: Sequence[Kept], each: Each) -> list[tuple[Band, ...]]:
    """For each tensor the band of each model that holds just the ranks that are kept of all tensors together."""
    size = sum(source.stack().size for source in sources)
    wanted = []
    for model, (skip, last) in enumerate(kept):
        wanted += [(model, rank) for rank in (skip, last) if 0 < rank < size and last > skip]
    found, places = ranked(sources, list(dict.fromkeys(wanted)), each)

    def edge(model: int, rank: int, tensor: int) -> tuple[int, int]:
        if rank <= 0:
            return NO_BAND[2:]
        if rank >= size:
            return NO_BAND[:2]
        return found[model, rank].key, places[model, rank][tensor]

    def band(model: int, tensor: int) -> Band:
        skip, last = kept[model]
        return NOTHING if last <= skip else (*edge(model, last, tensor), *edge(model, skip, tensor))

    return [tuple(band(m, t) for m in range(len(kept))) for t in range(len(sources))]


def magnitude_bands(
    sources: Sequence[Source], densities: Sequence[float], choices: Choices, each: Each
) -> list[tuple[Band, ...]]:
    """TIES: the largest of each task vector, by one of the rules of `Choices.trim`.

    Source: Yadav et al. 2023, arXiv:2306.01708, section 4.1 and algorithm 1.
    """
    size, rule = sum(source.stack().size for source in sources), choices.trim
    if rule == "threshold":
        return threshold_bands(sources, densities, size, each)
    if rule == "percentile":
        return percentile_bands(sources, densities, size, each)
    counts = [exact_floor(k, size) if rule == "model" else int(k * size) for k in densities]
    if choices.least == "one":
        counts = [max(k, 1) if density > 0 else k for k, density in zip(counts, densities, strict=True)]
    return bands(sources, [Kept(0, min(max(k, 0), size)) for k in counts], each)


def same(sources: Sequence[Source], found: Sequence[Band]) -> list[tuple[Band, ...]]:
    """The same bands for every tensor."""
    return [tuple(found)] * len(sources)


def threshold_bands(
    sources: Sequence[Source], densities: Sequence[float], size: int, each: Each
) -> list[tuple[Band, ...]]:
    """At least the magnitude at rank int(K n) + 1: that many, and all that tie."""
    ranks = [(m, int(size * k) + 1) for m, k in enumerate(densities) if int(size * k) < size]
    found = {m: cut for (m, _), cut in ranked(sources, ranks, each)[0].items()}
    return same(
        sources, [(found[m].key, 1 << 62, *NO_BAND[2:]) if m in found else NO_BAND for m in range(len(densities))]
    )


def percentile_bands(
    sources: Sequence[Source], densities: Sequence[float], size: int, each: Each
) -> list[tuple[Band, ...]]:
    """Strictly above the percentile 100 (1 - K), on the line between two neighbours in order; 1 keeps all."""
    places = {}
    for m, k in enumerate(densities):
        if k < 1 and size:
            at = (size - 1) * (1 - k)
            places[m] = (at, min(max(int(at), 0), size - 1))
    ranks = [(m, size - i - o) for m, (_, i) in places.items() for o in (0, 1) if i + o < size]
    found: dict[tuple[int, int], Cut] = ranked(sources, ranks, each)[0]
    chosen: list[Band] = [NO_BAND] * len(densities)
    for m, (at, i) in places.items():
        low = value(found[m, size - i].key)
        high = value(found.get((m, size - i - 1), found[m, size - i]).key)
        edge = np.float32(np.interp(at - i, [0, 1], [low, high]))
        if float(edge) > low + (high - low) * (at - i):
            edge = np.nextafter(edge, np.float32(-1))
        chosen[m] = (int(edge.view(np.uint32)), 0, *NO_BAND[2:])
    return same(sources, chosen)


def value(key: int) -> float:
    """The magnitude of an integer key."""
    return float(np.uint32(key).view(np.float32))


def outlier_bands(
    sources: Sequence[Source], densities: Sequence[float], gammas: Sequence[float]
) -> list[tuple[Band, ...]]:
    """Breadcrumbs: without the int(gamma n) largest, the next int(density n); fewer are dropped where both exceed n.

    Source: Davari and Belilovsky 2023, arXiv:2312.06795, section 3.
    """
    size = sum(source.stack().size for source in sources)
    kept = []
    for density, gamma in zip(densities, gammas, strict=True):
        if density >= 1:
            kept.append(Kept(0, size))
            continue
        target, top = int(density * size), int(gamma * size)
        top = min(top, size - target)
        kept.append(Kept(top, top + target))
    return bands(sources, kept, here)


def check_fraction(name: str, values: Sequence[float]) -> None:
    """Raises MergeError unless all values lie within 0 and 1."""
    for value_ in values:
        if not 0 <= value_ <= 1:
            msg = f"{name} = {value_} is out of range; allowed 0 to 1"
            raise MergeError(msg)
