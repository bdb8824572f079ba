"""Which frequencies N:M is coded by: tables for classes of columns, so many that they save more than they take.

Everything is counted in integers, so that all machines choose the same.
"""

from dataclasses import dataclass
from math import comb, log2

import numpy as np

from sparsefmt.base.alloc import zeros
from sparsefmt.base.dtypes import Array
from sparsefmt.kernels import nm_rans as kernels
from sparsefmt.structures.nm import Nm

_BIT = 1 << 16  # costs are in 1/65536 bits
_NEVER = 1 << 30
_RARE = np.array([kernels.frequency(i) for i in range(kernels.RAREST + 1)], np.int64)
_RARE_COST = np.array([round(_BIT * -log2(f / _BIT)) if f else _NEVER for f in _RARE.tolist()], np.int64)
_OTHER_COST = np.array([round(_BIT * -log2(1 - f / _BIT)) for f in _RARE.tolist()], np.int64)
_TRIALS = range(1, 7)  # bits of a number that columns of a class may differ in
_MOST_CLASSES = 256


@dataclass(frozen=True, slots=True)
class Chosen:
    """Tables, which of them the columns of groups have, and about how many bits all that takes."""

    classes: Array  # (groups,) uint8, or empty: each its own
    tables: Array  # (classes, contexts) uint8
    bits: int


def numbers(counts: Array) -> tuple[Array, Array]:
    """The bytes that suit counts (..., 2) of dropped and kept best, and what coding these takes (cost units)."""
    less, total = counts.min(axis=-1), counts.sum(axis=-1)
    low = np.searchsorted(_RARE, (less << 16) // np.maximum(total, 1), side="right") - 1
    low = np.maximum(low, less > 0)  # what occurs is never excluded
    high = np.minimum(low + 1, kernels.RAREST)
    costs = [less * _RARE_COST[i] + (total - less) * _OTHER_COST[i] for i in (low, high)]
    rare = np.where(costs[1] < costs[0], high, low)
    return (rare | (counts[..., 1] > counts[..., 0]) << 7).astype(np.uint8), np.minimum(*costs)


def choose(s: Nm) -> Chosen:
    """The cheapest of: one table, one for every column of groups, and one for columns that are nearly alike.

    Contexts tell which positions of a group were kept, if that pays, else how many.
    """
    short, masks = kernels.short_contexts(s.n, s.m), kernels.long_contexts(s.n, s.m)
    by_mask = masks != short and comb(s.m, s.n) <= kernels.MOST_MASKS and s.shape[0] >= 16 * masks
    counts = count(s, masks if by_mask else short)
    chosen = _of(counts, s.groups)
    if by_mask:
        other = _of(_shortened(counts, s.n, s.m), s.groups)
        chosen = min(other, chosen, key=lambda found: found.bits)
    return chosen


def count(s: Nm, contexts: int) -> Array:
    """(columns of groups, contexts, 2): dropped and kept. One for all columns where tables of their own cannot pay."""
    columns = s.groups if s.shape[0] >= 4 * contexts else min(s.groups, 1)
    counts = zeros((columns, contexts, 2), np.int64, "counts of decisions")
    if counts.size:
        kernels.nm_rans_count(s.codes, s.n, s.m, s.groups, counts.view(np.uint64))
    return counts


def entropy(s: Nm) -> float | None:
    """Bits per group, given its column and what was kept before in it (how many, where there are many masks).

    None for no groups.
    """
    masks = kernels.long_contexts(s.n, s.m)
    contexts = masks if comb(s.m, s.n) <= kernels.MOST_MASKS else kernels.short_contexts(s.n, s.m)
    if not s.shape[0] * s.groups:
        return None
    total = 0.0
    for low in range(0, s.groups, 8):  # a multiple of 8 groups starts on a byte
        part = s.codes[:, low * s.bits // 8 : -(-(low + 8) * s.bits // 8)]
        counts = np.zeros((min(8, s.groups - low), contexts, 2), np.int64)
        if counts.size:
            kernels.nm_rans_count(np.ascontiguousarray(part), s.n, s.m, len(counts), counts.view(np.uint64))
        both = counts.sum(axis=-1, keepdims=True)
        share = counts / np.maximum(both, 1)
        total -= float((counts * np.log2(np.where(counts, share, 1.0))).sum())
    return total / (s.shape[0] * s.groups)


def _shortened(counts: Array, n: int, m: int) -> Array:
    """Counts by masks, as those by numbers."""
    short = kernels.chain(n, m, kernels.short_contexts(n, m))
    long = kernels.chain(n, m, kernels.long_contexts(n, m))
    to = {0: 0}
    for at, step in enumerate(long):
        to |= {step[bit][0]: short[to[at]][bit][0] for bit in (0, 1)}
    made = np.zeros((len(counts), len(short), 2), np.int64)
    for at in range(len(long)):
        made[:, to[at]] += counts[:, at]
    return made


def _of(counts: Array, groups: int) -> Chosen:
    """The cheapest tables for counts."""
    columns, contexts = counts.shape[:2]
    best = _with(counts, np.zeros(columns, np.uint8), min(groups, 1), groups)
    if columns < 2 or not contexts:
        return best
    own, cost = numbers(counts)
    rising = np.where(own & 128, 2 * kernels.RAREST + 1 - (own & 127), own).astype(np.uint8)
    for shift in _TRIALS:
        alike, classes = np.unique(rising >> shift, axis=0, return_inverse=True)
        if 1 < len(alike) <= _MOST_CLASSES:
            best = min(best, _with(counts, classes.reshape(-1).astype(np.uint8), len(alike), groups), key=_bits)
    alone = Chosen(np.empty(0, np.uint8), own, int(cost.sum()) // _BIT + 8 * own.size)
    return min(best, alone, key=_bits)


def _bits(found: Chosen) -> int:
    return found.bits


def _with(counts: Array, classes: Array, many: int, groups: int) -> Chosen:
    sums = np.zeros((many, *counts.shape[1:]), np.int64)
    if counts.size:
        np.add.at(sums, classes, counts)
    tables, cost = numbers(sums)
    bits = int(cost.sum()) // _BIT + 8 * (tables.size + groups)
    return Chosen(classes if len(classes) == groups else zeros((groups,), np.uint8, "classes"), tables, bits)
