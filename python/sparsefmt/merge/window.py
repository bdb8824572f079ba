"""Ranks of magnitudes in one pass over the tensors, exact.

A sample says between which magnitudes a rank lies. The pass counts what is above, and lists what is between. Where the
sample misled, or too much lies between, the histograms of `order` find the rank.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.kernels.merge import merge_between
from sparsefmt.merge.method import Each, Source
from sparsefmt.merge.order import Cut, cuts, evenly, shares, spread

Rank = tuple[int, int]
"""A model, and a rank of its magnitudes, 1 being the largest."""

LEAST, MOST = 1 << 16, 1 << 21
"""Elements of a model in a sample."""
LISTED = 1 << 22
"""Different magnitudes between the borders that are held at most."""
DEVIATIONS = 6
END = 0x7F800002
"""Behind the largest magnitude, see `kernels.merge.keys`."""


class Window(NamedTuple):
    """Magnitudes of a model from `low` to below `high`."""

    model: int
    low: int
    high: int


class Tally(NamedTuple):
    """What a tensor holds of a window: how many above it, which magnitudes in it, and how often each."""

    above: int
    keys: Array
    counts: Array


class Distinct:
    """The different magnitudes among many, and how often each occurs, in memory for those alone."""

    def __init__(self) -> None:
        self.parts: list[tuple[Array, Array]] = []
        self.new: list[Array] = []
        self.held = self.least = self.waiting = 0

    def add(self, keys: Array) -> None:
        """Counts more of them; `keys` may change afterwards."""
        self.new.append(keys.copy())
        self.waiting += len(keys)
        if self.waiting >= LEAST:
            self.count()

    def count(self) -> None:
        """Counts what has come since, many at once."""
        self.parts.append(np.unique(joined(self.new), return_counts=True))
        self.new, self.waiting = [], 0
        self.held += len(self.parts[-1][0])
        if self.held > 2 * self.least + LEAST:
            self.parts = [self.counted()]
            self.held = self.least = len(self.parts[0][0])

    def counted(self) -> tuple[Array, Array]:
        """The magnitudes, ascending, and their counts."""
        if self.new:
            self.count()
        if len(self.parts) == 1:
            return self.parts[0]
        keys, place = np.unique(joined([keys for keys, _ in self.parts]), return_inverse=True)
        counts = np.zeros(len(keys), np.int64)
        np.add.at(counts, place, np.concatenate([some for _, some in self.parts] or [counts]))
        return keys, counts


def between(source: Source, windows: Sequence[Window], every: int) -> Iterator[tuple[int, int, Array]]:
    """Stretch by stretch of one tensor: the number of a window, how many are above it, and those within."""
    stack = source.stack()
    for lo, hi in stack.chunks():
        base, base_dtype = stack.bits(-1, lo, hi)
        room = np.empty(hi - lo, np.uint32)
        for at, (model, low, high) in enumerate(windows):
            bits, dtype = stack.bits(model, lo, hi)
            over, count, _ = merge_between(base, bits, (base_dtype, dtype), stack.basis, low, high, every, room)
            yield at, over, room[:count]


def sampled(job: tuple[Source, Sequence[int], int]) -> list[Array]:
    """Some magnitudes of each of the models."""
    source, models, every = job
    found: list[list[Array]] = [[] for _ in models]
    for at, _, keys in between(source, [Window(m, 0, END) for m in models], every):
        found[at].append(keys.copy())
    return [joined(keys) for keys in found]


def tallied(job: tuple[Source, Sequence[Window]]) -> list[Tally]:
    """What one tensor holds of each window; cut short where more than `LISTED` magnitudes would be held."""
    source, windows = job
    above, found = [0] * len(windows), [Distinct() for _ in windows]
    for at, over, keys in between(source, windows, 1):
        above[at] += over
        found[at].add(keys)
        if sum(f.least for f in found) > LISTED:
            break
    return [Tally(n, *f.counted()) for n, f in zip(above, found, strict=True)]


def joined(keys: Sequence[Array]) -> Array:
    """All of them."""
    return np.concatenate(keys) if keys else np.zeros(0, np.uint32)


def window_of(model: int, rank: int, size: int, keys: Array, every: int) -> Window:
    """Where a rank lies by all accounts; `keys` are a sample, ascending, or everything."""
    share, count = rank / size, len(keys)
    margin = 0 if every == 1 else int(DEVIATIONS * math.sqrt(count * share * (1 - share))) + 8
    at = rank - 1 if every == 1 else int(share * count)
    first, last = at - margin, at + margin
    low = 0 if last >= count else int(keys[count - 1 - last])
    high = END if first < 0 else int(keys[count - 1 - first]) + 1
    return Window(model, low, high)


def ranked(
    sources: Sequence[Source], ranks: Sequence[Rank], each: Each
) -> tuple[dict[Rank, Cut], dict[Rank, list[int]]]:
    """The magnitudes at ranks, and for each tensor the position before which their ties are within the rank."""
    if not ranks:
        return {}, {}
    size = sum(source.stack().size for source in sources)
    every = -(-size // min(max(128 * math.isqrt(size), LEAST), MOST))
    models = sorted({model for model, _ in ranks})
    samples: list[list[Array]] = [[] for _ in models]
    for some in each(sampled, [(source, models, every) for source in sources]):
        for parts, keys in zip(samples, some, strict=True):
            parts.append(keys)
    sorted_ = {m: np.sort(joined(parts)) for m, parts in zip(models, samples, strict=True)}
    windows = [window_of(m, rank, size, sorted_[m], every) for m, rank in ranks]
    del samples, sorted_
    tallies: list[list[Tally]] = [[] for _ in ranks]
    held = 0
    for found in each(tallied, [(source, windows) for source in sources]):
        held += sum(len(t.keys) for t in found)
        for column, tally in zip(tallies, found, strict=True):
            column.append(tally)
        if held > LISTED:
            break
    chosen, places = dict[Rank, Cut](), dict[Rank, list[int]]()
    for rank, column in zip(ranks, tallies if held <= LISTED else [], strict=False):
        cut = cut_of(column, rank[1])
        if cut is not None:
            chosen[rank] = cut
            ties = [count_of(t, cut.key) for t in column]
            partial = 0 < cut.ties < cut.all_ties
            places[rank] = spread(sources, rank[0], cut, ties) if partial else evenly(len(sources), cut)
    left = [rank for rank in ranks if rank not in chosen]
    if left:
        chosen |= dict(zip(left, cuts(sources, left, each), strict=True))
        places |= dict(zip(left, shares(sources, [(m, chosen[m, r]) for m, r in left], each), strict=True))
    return chosen, places


def cut_of(column: Sequence[Tally], rank: int) -> Cut | None:
    """The magnitude at a rank; None where it lies outside the window."""
    above = sum(t.above for t in column)
    keys, counts = joined([t.keys for t in column]), np.concatenate([t.counts for t in column])
    if not above < rank <= above + int(counts.sum()):
        return None
    order = np.argsort(keys, kind="stable")[::-1]
    upto = above + np.cumsum(counts[order])
    key = int(keys[order[int(np.searchsorted(upto, rank))]])
    ties = int(counts[keys == key].sum())
    above += int(counts[keys > key].sum())
    return Cut(key, above, rank - above, ties)


def count_of(tally: Tally, key: int) -> int:
    """How often a magnitude occurs."""
    at = int(np.searchsorted(tally.keys, key))
    return int(tally.counts[at]) if at < len(tally.keys) and int(tally.keys[at]) == key else 0
