"""The multiple-choice knapsack: one item of every class, the least cost within a budget, exactly.

The linear relaxation gives a multiplier, a lower bound, and a first choice. What cannot be in a better choice is
struck out by
its reduced cost. The rest is a dynamic programme over the sizes that occur, in units of their greatest common
divisor, with
states that cannot beat the best known choice left out, so it is a branch and bound where sizes are many.

Source: Pisinger 1995, A minimal algorithm for the multiple-choice knapsack problem, EJOR 83(2); Sinha and Zoltners
1979.
"""

import itertools
import math
from dataclasses import dataclass

import numpy as np

from sparsefmt.base.dtypes import Array

STATES = (1 << 9, 1 << 17)  # a first pass for a good choice, a second for the proof


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
    bound = dual
    for most in STATES:
        known = math.fsum(cost[lines, best])
        slack = 1e-12 * max(abs(known), abs(dual), 1e-300)
        open_ = above < known - dual - slack
        if known - dual <= slack or not open_.any(axis=1).all() or not (open_.sum(axis=1) > 1).any():
            bound = known
            break
        best, bound = _searched(_Table(cost, size, above, open_, multiplier), room, best, known, dual, most)
        if bound >= math.fsum(cost[lines, best]) - slack:
            break
    return Solution(best, max(min(bound, math.fsum(cost[lines, best])), dual), dual, multiplier / unit)


def _relaxed(cost: Array, size: Array, room: int) -> tuple[float, Array]:
    """The multiplier of the linear relaxation, and the largest choice on the hulls that fits."""
    choice = np.empty(len(cost), np.int64)
    steps = []
    for i in range(len(cost)):
        hull = _hull(cost[i], size[i])
        choice[i] = hull[0]
        steps += [((cost[i, b] - cost[i, a]) / (size[i, b] - size[i, a]), i, b) for a, b in itertools.pairwise(hull)]
    steps.sort(key=lambda s: s[0])
    used = int(size[np.arange(len(cost)), choice].sum())
    for slope, i, to in steps:
        grown = used + int(size[i, to] - size[i, choice[i]])
        if grown > room:
            return -slope, choice
        choice[i], used = to, grown
    return 0.0, choice


def _hull(cost: Array, size: Array) -> list[int]:
    """The items on the lower convex hull of size and cost, sizes rising and costs falling."""
    order = np.lexsort((np.arange(len(cost)), cost, size))
    hull: list[int] = []
    for j in order:
        if not np.isfinite(cost[j]) or (hull and cost[j] >= cost[hull[-1]]):
            continue
        while len(hull) > 1 and (cost[hull[-1]] - cost[hull[-2]]) * (size[j] - size[hull[-1]]) >= (
            cost[j] - cost[hull[-1]]
        ) * (size[hull[-1]] - size[hull[-2]]):
            hull.pop()
        hull.append(int(j))
    return hull


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
