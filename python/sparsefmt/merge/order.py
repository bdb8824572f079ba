"""Order statistics of magnitudes over many tensors, exact, in bounded memory.

Magnitudes of float32 are integers of 31 bits in the same order. A first pass counts their upper 16 bits; where the
wanted rank falls, a second one counts the lower 15. What ties with it is then counted for each tensor, so that lower
positions come first across tensors.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.kernels.merge import keys, merge_between, merge_histogram
from sparsefmt.merge.method import Each, Source
from sparsefmt.merge.stack import Stack

UPPER, LOWER = 16, 15
NO_ROOM = np.zeros(0, np.uint32)
"""For magnitudes that are counted alone."""


class Cut(NamedTuple):
    """The magnitude at a rank: `above` are larger, and of those that equal it `ties` are within the rank."""

    key: int
    above: int
    ties: int
    all_ties: int


class Bins(NamedTuple):
    """What to count for one model: the low `shift` bits of what begins with `prefix`, or what is above `shift`."""

    model: int
    shift: int
    prefix: int


def count(job: tuple[Source, Sequence[Bins]]) -> list[Array]:
    """The histograms of one tensor."""
    source, wanted = job
    stack = source.stack()
    found = [np.zeros(1 << (b.shift if b.prefix >= 0 else UPPER), np.int64) for b in wanted]
    for lo, hi in stack.chunks():
        base, base_dtype = stack.bits(-1, lo, hi)
        held = {model: stack.bits(model, lo, hi) for model in dict.fromkeys(b.model for b in wanted)}
        for bins, counts in zip(wanted, found, strict=True):
            bits, dtype = held[bins.model]
            merge_histogram(base, bits, (base_dtype, dtype), stack.basis, bins.shift, bins.prefix, counts)
    return found


def total(sources: Sequence[Source], wanted: Sequence[Bins], each: Each) -> list[Array]:
    """The histograms of all tensors together."""
    sums: list[Array] = []
    for found in each(count, [(source, wanted) for source in sources]):
        sums = found if not sums else [a + b for a, b in zip(sums, found, strict=True)]
    return sums


def descend(counts: Array, rank: int) -> tuple[int, int]:
    """The bin that holds the `rank`-th largest (from 1), and how many lie in bins above it."""
    from_top = np.cumsum(counts[::-1])
    place = int(np.searchsorted(from_top, rank))
    return len(counts) - 1 - place, int(from_top[place] - counts[::-1][place])


def cuts(sources: Sequence[Source], ranks: Sequence[tuple[int, int]], each: Each) -> list[Cut]:
    """The magnitudes at ranks (model, rank), rank 1 being the largest; each rank lies within 1 to the element count."""
    if not ranks:
        return []
    models = sorted({model for model, _ in ranks})
    coarse = dict(zip(models, total(sources, [Bins(m, LOWER, -1) for m in models], each), strict=True))
    upper = [descend(coarse[model], rank) for model, rank in ranks]
    bins = sorted({Bins(model, LOWER, prefix) for (model, _), (prefix, _) in zip(ranks, upper, strict=True)})
    fine = dict(zip(bins, total(sources, bins, each), strict=True))
    found = []
    for (model, rank), (prefix, over) in zip(ranks, upper, strict=True):
        counts = fine[Bins(model, LOWER, prefix)]
        low, between = descend(counts, rank - over)
        above = over + between
        found.append(Cut((prefix << LOWER) | low, above, rank - above, int(counts[low])))
    return found


def shares(sources: Sequence[Source], wanted: Sequence[tuple[int, Cut]], each: Each) -> list[list[int]]:
    """For each (model, cut) and each tensor: the position before which its ties are within the rank.

    Tensors take their ties in order; only the one where they run out is looked at again.
    """
    partial = [(m, cut) for m, cut in wanted if 0 < cut.ties < cut.all_ties]
    bins = [Bins(m, 0, cut.key) for m, cut in partial]
    counts = list(each(count, [(source, bins) for source in sources])) if partial else []
    places: dict[tuple[int, Cut], list[int]] = {}
    for column, (model, cut) in enumerate(partial):
        places[model, cut] = spread(sources, model, cut, [int(found[column][0]) for found in counts])
    return [places.get((m, cut)) or evenly(len(sources), cut) for m, cut in wanted]


def evenly(count: int, cut: Cut) -> list[int]:
    """The positions where all ties are within the rank, or none is."""
    return [1 << 62 if cut.ties > 0 else 0] * count


def spread(sources: Sequence[Source], model: int, cut: Cut, counts: Sequence[int]) -> list[int]:
    """The positions where some ties are within the rank; `counts` are the ties of each tensor."""
    left, places = cut.ties, []
    for source, here in zip(sources, counts, strict=True):
        if here <= left:
            places.append(1 << 62)
        elif left == 0:
            places.append(0)
        else:
            places.append(locate(source.stack(), model, cut.key, left))
        left -= min(here, left)
    return places


def locate(stack: Stack, model: int, key: int, ties: int) -> int:
    """The position behind the `ties`-th element whose magnitude is `key`."""
    for lo, hi in stack.chunks():
        base, base_dtype = stack.bits(-1, lo, hi)
        bits, dtype = stack.bits(model, lo, hi)
        _, count, _ = merge_between(base, bits, (base_dtype, dtype), stack.basis, key, key + 1, 1, NO_ROOM)
        if count >= ties:
            delta = stack.delta(model, lo, hi).astype(np.float32)
            return lo + int(np.flatnonzero(keys(delta) == key)[ties - 1]) + 1
        ties -= count
    return stack.size
