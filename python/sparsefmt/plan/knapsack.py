"""The multiple-choice knapsack: one item of every class, the least cost within a budget, exactly.

The linear relaxation gives a multiplier, a lower bound, and a first choice. What cannot be in a better choice is struck
out by its reduced cost. The rest is a dynamic programme over the sizes that occur, in units of their greatest common
divisor, with states that cannot beat the best known choice left out, so it is a branch and bound where sizes are many.
The work is bounded: where so many states are left that the best choice cannot be proven, the bound tells how far it may
be.

Source: Pisinger 1995, A minimal algorithm for the multiple-choice knapsack problem, EJOR 83(2); Sinha and Zoltners
1979.
"""

import math
from dataclasses import dataclass

import numpy as np

from sparsefmt.base.dtypes import Array

WORK = (1 << 18, 1 << 20, 1 << 23)  # states looked at in one search after the other, until the choice is proven
_EXCHANGES = 64


@dataclass(frozen=True)
class Solution:
    """Which item of every class, and the proof."""

    choice: Array
    """(classes,) int64."""
    bound: float
    """No choice within the budget costs less."""
    dual_bound: float
    """sum over classes of min(cost + multiplier * size) - multiplier * budget."""
    multiplier: float


def solve(cost: Array, size: Array, budget: int) -> Solution:
    """Minimises the cost within the budget.

    Args:
        cost: (classes, items) float64; inf: there is no such item.
        size: (classes, items) int64, >= 0.
        budget: at least the sum of the smallest sizes.
    """
    there = np.isfinite(cost)
    unit = max(int(np.gcd.reduce(size[there], initial=0)), 1)
    size, room = np.where(there, size // unit, 0), int(budget) // unit
    multiplier, first = _relaxed(cost, size, room)
    reduced = cost + multiplier * size
    least = reduced.min(axis=1)
    dual = math.fsum(least) - multiplier * room
    best, lines = _filled(cost, size, room, first), np.arange(len(cost))
    above = reduced - least[:, None]
    best = _exchanged(cost, size, room, best, above, dual)
    bound = dual
    for work in WORK:
        known = math.fsum(cost[lines, best])
        slack = 1e-12 * max(abs(known), abs(dual), 1e-300)
        open_ = above < known - dual - slack
        if known - dual <= slack or not open_.any(axis=1).all() or not (open_.sum(axis=1) > 1).any():
            bound = known
            break
        count = open_.sum(axis=1)
        most = max(work // int(count[count > 1].sum()), 1)
        best, bound = _searched(_Table(cost, size, above, open_, multiplier), room, best, known, dual, most)
        known = math.fsum(cost[lines, best])
        if bound >= known - slack:  # proven, but for rounding
            bound = known
            break
    return Solution(best, max(min(bound, math.fsum(cost[lines, best])), dual), dual, multiplier / unit)


def _relaxed(cost: Array, size: Array, room: int) -> tuple[float, Array]:
    """The multiplier of the linear relaxation, and the largest choice on the hulls that fits."""
    there = np.isfinite(cost)
    smallest = np.where(there, size, np.iinfo(np.int64).max)
    tied = smallest == smallest.min(axis=1, keepdims=True)
    choice = np.where(tied, cost, np.inf).argmin(axis=1)
    slope, line, to = _hulls(cost, size, choice)
    order = np.lexsort((np.arange(len(slope)), slope))
    slope, line, to = slope[order], line[order], to[order]
    lines = np.arange(len(cost))
    before = _before(line, to, choice)
    used = int(size[lines, choice].sum()) + np.cumsum(size[line, to] - size[line, before])
    fits = int(np.searchsorted(used, room, side="right"))
    for i, j in zip(line[:fits], to[:fits], strict=True):
        choice[i] = j
    return (-float(slope[fits]), choice) if fits < len(slope) else (0.0, choice)


def _hulls(cost: Array, size: Array, choice: Array) -> tuple[Array, Array, Array]:
    """The steps along the lower convex hulls of size and cost, from `choice` on while costs fall.

    Gives slopes, classes, and the items stepped to; the steps of a class stand in order.
    """
    lines, at = np.arange(len(cost)), choice.copy()
    slopes, classes, items = [], [], []
    while len(lines):
        run = size[lines] - size[lines, at][:, None]
        rise = cost[lines] - cost[lines, at][:, None]
        with np.errstate(invalid="ignore"):
            slope = np.where((run > 0) & (rise < 0), rise / np.maximum(run, 1), np.inf)
        steepest = slope.min(axis=1)
        far = np.where(slope == steepest[:, None], run, -1).argmax(axis=1)  # of several in a line the last
        on = steepest < np.inf
        lines, at = lines[on], far[on]
        slopes.append(steepest[on])
        classes.append(lines)
        items.append(at)
    return np.concatenate(slopes), np.concatenate(classes), np.concatenate(items)


def _before(line: Array, to: Array, choice: Array) -> Array:
    """The item that each step leaves; steps of a class stand in order."""
    order = np.argsort(line, kind="stable")
    before = np.empty_like(to)
    before[order] = np.concatenate([[0], to[order][:-1]])
    first = order[np.flatnonzero(np.diff(line[order], prepend=-1))]
    before[first] = choice[line[first]]
    return before


def _filled(cost: Array, size: Array, room: int, choice: Array) -> Array:
    """A choice that fits, bettered by single exchanges that still fit, the most gain first."""
    made, lines = choice.copy(), np.arange(len(cost))
    left = room - int(size[lines, made].sum())
    while True:
        gain = cost[lines, made][:, None] - cost
        gain[(size - size[lines, made][:, None]) > left] = -np.inf
        at = int(np.argmax(gain))
        if not gain.flat[at] > 0:
            return made
        i, j = divmod(at, cost.shape[1])
        left -= int(size[i, j] - size[i, made[i]])
        made[i] = j


def _exchanged(cost: Array, size: Array, room: int, choice: Array, above: Array, dual: float) -> Array:
    """A choice bettered by exchanges in two classes at once, the most gain first."""
    made, lines = choice.copy(), np.arange(len(cost))
    for _ in range(_EXCHANGES):
        now, held = cost[lines, made], size[lines, made]
        known = math.fsum(now)
        slack = 1e-12 * max(abs(known), abs(dual), 1e-300)
        line, item = np.nonzero(above < known - dual - slack)
        if not len(line):
            break
        grows, costs = size[line, item] - held[line], cost[line, item] - now[line]
        order = np.lexsort((costs, grows))
        least = np.minimum.accumulate(costs[order])
        fresh = np.concatenate([[True], least[1:] < least[:-1]])
        holder = np.maximum.accumulate(np.where(fresh, np.arange(len(order)), 0))  # where the least so far stands
        last = np.searchsorted(grows[order], room - int(held.sum()) - grows, side="right") - 1
        partner = order[holder[np.maximum(last, 0)]]
        both = np.where((last >= 0) & (line[partner] != line), costs + costs[partner], np.inf)
        best = int(np.argmin(both))
        if not both[best] < -slack:
            break
        for k in (best, int(partner[best])):
            made[line[k]] = item[k]
    return made


@dataclass(frozen=True)
class _Table:
    """What is searched."""

    cost: Array
    size: Array
    above: Array
    """Reduced cost above the least of the class."""
    open_: Array
    """Which items may be in a better choice."""
    multiplier: float


def _searched(t: _Table, room: int, best: Array, known: float, dual: float, most: int) -> tuple[Array, float]:
    """The dynamic programme over the items that are open, with at most so many states at a time.

    Gives the best choice, and a lower bound: its cost, unless states had to be left out.
    """
    above, size, lines = t.above, t.size, np.arange(len(t.cost))
    centre = np.argmin(np.where(t.open_, above, np.inf), axis=1)
    count = t.open_.sum(axis=1)
    spread = np.where(t.open_, above, -np.inf).max(axis=1)
    order = [int(i) for i in np.argsort(-spread, kind="stable") if count[i] > 1]
    fixed = lines[count == 1]
    least = np.where(t.open_, size, np.iinfo(np.int64).max).min(axis=1)
    ahead_centre, ahead_least = (
        np.concatenate([np.cumsum(a[order][::-1])[::-1], [0]]) for a in (size[lines, centre], least)
    )
    used = np.array([int(size[fixed, centre[fixed]].sum())])
    over = np.array([math.fsum(above[fixed, centre[fixed]])])
    trail: list[tuple[Array, Array]] = []
    beaten, dropped = known, np.inf
    winner: tuple[int, int] | None = None
    for depth, i in enumerate(order):
        items = np.flatnonzero(t.open_[i])
        new_used = (used[:, None] + size[i, items]).ravel()
        new_over = (over[:, None] + above[i, items]).ravel()
        at = np.flatnonzero((new_used + ahead_least[depth + 1] <= room) & (dual + new_over < beaten))
        if not len(at):
            break
        real = new_over[at] - t.multiplier * new_used[at]  # the cost, but for a constant
        ranked = np.lexsort((at, real, new_used[at]))
        at, real = at[ranked], real[ranked]
        at = at[np.concatenate([[True], real[1:] < np.minimum.accumulate(real)[:-1]])]
        if len(at) > most:
            near = np.argsort(new_over[at], kind="stable")
            dropped = min(dropped, dual + float(new_over[at[near[most]]]))
            at = at[np.sort(near[:most])]
        used, over = new_used[at], new_over[at]
        trail.append((at // len(items), items[at % len(items)]))
        total = used + ahead_centre[depth + 1]
        ends = dual + over + t.multiplier * (room - total)  # the cost of going on with the least of every class
        ends[total > room] = np.inf
        first = int(np.argmin(ends))
        if ends[first] < beaten - 1e-12 * abs(beaten):
            beaten, winner = float(ends[first]), (depth, first)
    if winner is None:
        return best, min(known, dropped)
    found, state = centre.copy(), winner[1]
    for depth in range(winner[0], -1, -1):
        parents, chosen = trail[depth]
        found[order[depth]] = chosen[state]
        state = int(parents[state])
    return found, min(beaten, dropped)
