"""Choosing a pattern for every layer within a budget, with a proof."""

import math
import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from sparsefmt.base.coerce import is_number, whole
from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import FormatError
from sparsefmt.plan.knapsack import solve
from sparsefmt.plan.plan import Plan
from sparsefmt.plan.tables import Table, lined_up

_MOST = 1e280  # costs; beyond, their products with sizes would not be finite


class InfeasibleError(FormatError):
    """No choice meets the budget; `nearest` is the least that one can have."""

    def __init__(self, message: str, nearest: int) -> None:
        super().__init__(message)
        self.nearest = nearest


def allocate(
    costs: Table,
    sizes: Table,
    budget: float | None = None,
    *,
    density: float | None = None,
    total: int | None = None,
    fixed: Mapping[Any, Hashable] | None = None,
    minimum: Mapping[Any, int] | None = None,
    maximum: Mapping[Any, int] | None = None,
    allowed: Iterable[Hashable] | Mapping[Any, Iterable[Hashable]] | None = None,
    groups: Iterable[Sequence[Any]] = (),
    inside: Mapping[Any, str] | Plan | None = None,
    made: str = "measured",
) -> Plan:
    """The choice of one pattern per layer that costs least within a budget: a multiple-choice knapsack, solved exactly.

    Costs are taken to add up over layers; the proof is about the table, not about the model.

    Args:
        costs: costs[layer][pattern], floats; mappings, or sequences as long as those of `sizes`. None, NaN or a
            missing pattern is a gap: it is not chosen. Costs need not fall as sizes grow: a pattern that is larger and
            no better is never chosen.
        sizes: sizes[layer][pattern], whole numbers >= 0: bytes, kept weights or operations.
        budget: the most that the sizes may sum to.
        density: instead of a budget: the share of `total`.
        total: what a density is of; default: the sum of the largest sizes.
        fixed: layer -> pattern.
        minimum: layer -> the least size.
        maximum: layer -> the largest size.
        allowed: the patterns that may be chosen (what hardware takes), or layer -> patterns.
        groups: layers that get the same pattern, such as query, key and value.
        inside: layer -> N:M, or another plan: chosen is N':M with N' <= N, so that masks can be nested.
        made: how the costs were made, kept in the plan.

    Returns:
        `Plan`: `choice` by layer (a list where tables are sequences), `cost`, `size`, `bound` (no choice costs less),
        `gap` (cost - bound, relative; 0: it is the optimum).

    Raises:
        InfeasibleError: the budget cannot be met; it names the nearest one that can.
        FormatError: tables of different layers, sizes that are no whole numbers, constraints on what is not there.

    Source: Kellerer, Pferschy and Pisinger 2004, Knapsack Problems, chapter 11.

    >>> plan = allocate({"q": {"2:4": 3.0, "4:4": 0.0}, "up": {"2:4": 1.0, "4:4": 0.0}},
    ...                 {"q": {"2:4": 2, "4:4": 4}, "up": {"2:4": 2, "4:4": 4}}, 6)
    >>> plan.choice, plan.cost, plan.size, plan.gap
    ({'q': '4:4', 'up': '2:4'}, 1.0, 6, 0.0)
    """
    layers, patterns, cost, size = _tables(costs, sizes)
    if size.max(axis=1).astype(np.float64).sum() >= 2**62:
        msg = "sizes: the largest sum to 2**62 or more; count in a larger unit"
        raise FormatError(msg)
    rule = _Rules(layers, fixed, minimum, maximum, allowed, inside)
    for i, layer in enumerate(layers):
        for j, pattern in enumerate(patterns[i]):
            if not rule.takes(layer, pattern, int(size[i, j])):
                cost[i, j] = np.inf
    limit = _budget(budget, density, total, size, costs)
    joined, cost, size = _joined(layers, patterns, cost, size, groups)
    empty = np.flatnonzero(~np.isfinite(cost).any(axis=1))
    if len(empty):
        names = [layers[i] for i in joined[int(empty[0])][0]]
        msg = f"layer {names[0]!r} has no pattern left" + (f", which {names} share" if len(names) > 1 else "")
        raise FormatError(msg)
    there = np.isfinite(cost)
    least = int(np.where(there, size, np.iinfo(np.int64).max).min(axis=1).sum())
    if least > limit:
        share = f" ({least / (total or _largest(size)):.2%} of the largest)" if density is not None else ""
        msg = f"a budget of {limit} cannot be met; the nearest that can is {least}{share}"
        raise InfeasibleError(msg, least)
    found = solve(cost, size, limit)
    chosen: list[Any] = [None] * len(layers)
    for k, (members, options) in enumerate(joined):
        for i in members:
            chosen[i] = options[int(found.choice[k])]
    lines = np.arange(len(cost))
    total_cost = math.fsum(cost[lines, found.choice])
    bound = min(found.bound, total_cost)
    named = isinstance(costs, Mapping)
    return Plan(
        choice=dict(zip(layers, chosen, strict=True)) if named else chosen,
        cost=total_cost,
        size=int(size[lines, found.choice].sum()),
        budget=limit,
        bound=bound,
        gap=0.0 if bound == total_cost else (total_cost - bound) / abs(bound or total_cost),
        dual_bound=found.dual_bound,
        multiplier=found.multiplier,
        made=made,
        costs=costs,
        sizes=sizes,
    )


def _largest(size: Array) -> int:
    return int(size.max(axis=1).sum())


def _budget(budget: float | None, density: float | None, total: int | None, size: Array, costs: Table) -> int:
    if (budget is None) is (density is None):
        msg = "want a budget or a density, one of them"
        raise FormatError(msg)
    if density is not None:
        from sparsefmt.prune.select import kept_count  # the share as the fraction that it was written as

        return kept_count(density, _largest(size) if total is None else whole(total, "total", 0, 2**62))
    value: Any = budget
    if not is_number(value) or not value >= 0:
        msg = f"budget = {value!r}; want a number >= 0"
        raise FormatError(msg)
    return int(min(value, 2**62))


def _tables(costs: Table, sizes: Table) -> tuple[list[Any], list[Sequence[Any]], Array, Array]:
    layers, patterns, figures = lined_up(costs, "costs")
    other, names, weights = lined_up(sizes, "sizes")
    if set(layers) != set(other):
        odd = sorted(map(str, set(layers) ^ set(other)))
        msg = f"costs and sizes are of different layers: {', '.join(odd[:3])}"
        raise FormatError(msg)
    at = {layer: i for i, layer in enumerate(other)}
    width = max(map(len, patterns))
    cost, size = np.full((len(layers), width), np.inf), np.zeros((len(layers), width), np.int64)
    for i, layer in enumerate(layers):
        k = at[layer]
        known = dict(zip(names[k], weights[k], strict=True))
        if isinstance(patterns[i], range) and isinstance(names[k], range) and len(patterns[i]) != len(names[k]):
            got = f"layer {layer!r} has {len(patterns[i])} costs and {len(names[k])} sizes"
            msg = f"{got}; want lists of one length, with None where a pattern has no cost"
            raise FormatError(msg)
        for j, (pattern, figure) in enumerate(zip(patterns[i], figures[i], strict=True)):
            if figure is None:
                continue
            if not is_number(figure) or not _is_in_range(figure):
                msg = f"costs: layer {layer!r}, pattern {pattern!r} is {figure!r}; want a number of at most {_MOST:g}"
                raise FormatError(msg)
            if not math.isfinite(figure):
                continue
            if pattern not in known:
                continue
            cost[i, j], size[i, j] = float(figure), _whole(known[pattern], layer, pattern)
    return layers, patterns, cost, size


def _is_in_range(figure: Any) -> bool:  # noqa: ANN401
    """Whether sums and products of costs stay finite; NaN and infinity are gaps."""
    try:
        value = float(figure)  # a float32 of NumPy takes the limit for one of its own, which is infinite
    except OverflowError:
        return False
    return not (value == -math.inf or _MOST < abs(value) < math.inf)


def _whole(value: Any, layer: object, pattern: object) -> int:  # noqa: ANN401
    try:
        size = int(value)
    except (TypeError, ValueError, OverflowError):
        size = -1
    if isinstance(value, bool) or size != value or size < 0 or size >= 2**53:
        msg = f"sizes: layer {layer!r}, pattern {pattern!r} is {value!r}; want a whole number >= 0"
        raise FormatError(msg)
    return size


class _Rules:
    """Which patterns a layer may have."""

    def __init__(
        self,
        layers: list[Any],
        fixed: Mapping[Any, Hashable] | None,
        minimum: Mapping[Any, int] | None,
        maximum: Mapping[Any, int] | None,
        allowed: Iterable[Hashable] | Mapping[Any, Iterable[Hashable]] | None,
        inside: Mapping[Any, str] | Plan | None,
    ) -> None:
        self.fixed, self.minimum, self.maximum = fixed or {}, minimum or {}, maximum or {}
        self.by_layer = {k: _set(v) for k, v in allowed.items()} if isinstance(allowed, Mapping) else {}
        self.everywhere = None if allowed is None or isinstance(allowed, Mapping) else _set(allowed)
        outer: Any = inside.choice if isinstance(inside, Plan) else inside or {}
        self.inside: dict[Any, Any] = dict(enumerate(outer)) if isinstance(outer, list) else outer
        named = {"fixed": fixed, "minimum": minimum, "maximum": maximum, "inside": self.inside}
        for what, given in named.items():
            if given is not None and not isinstance(given, Mapping):
                msg = f"{what}: want a mapping from layers, got {type(given).__name__}"
                raise FormatError(msg)
        for limit in (*self.minimum.values(), *self.maximum.values()):
            if not is_number(limit):
                msg = f"minimum, maximum: want sizes by layer, got {limit!r}"
                raise FormatError(msg)
        bound = {**self.fixed, **self.minimum, **self.maximum, **self.by_layer, **self.inside}
        odd = next((k for k in bound if k not in set(layers)), None)
        if odd is not None:
            msg = f"a constraint is on layer {odd!r}, which the table has not"
            raise FormatError(msg)

    def takes(self, layer: Any, pattern: Any, size: int) -> bool:  # noqa: ANN401
        if layer in self.fixed and pattern != self.fixed[layer]:
            return False
        if not self.minimum.get(layer, 0) <= size <= self.maximum.get(layer, size):
            return False
        if self.everywhere is not None and pattern not in self.everywhere:
            return False
        if layer in self.by_layer and pattern not in self.by_layer[layer]:
            return False
        return layer not in self.inside or nests(pattern, self.inside[layer])


def _set(patterns: Iterable[Hashable]) -> set[Hashable]:
    if isinstance(patterns, str):
        msg = f"allowed: want a list of patterns, got {patterns!r}"
        raise FormatError(msg)
    return set(patterns)


def nests(inner: object, outer: object) -> bool:
    """Whether a mask of N':M can lie inside every mask of N:M: the same M, N' <= N.

    >>> nests("nm1:4", "nm2:4"), nests("2:8", "2:4")
    (True, False)
    """
    found = [re.fullmatch(r"(?:nm)?(\d+):(\d+)", str(p).partition("/")[0], re.ASCII) for p in (inner, outer)]
    if found[0] is None or found[1] is None:
        return inner == outer
    return found[0][2] == found[1][2] and int(found[0][1]) <= int(found[1][1])


def _joined(
    layers: list[Any], patterns: list[Sequence[Any]], cost: Array, size: Array, groups: Iterable[Sequence[Any]]
) -> tuple[list[tuple[list[int], Sequence[Any]]], Array, Array]:
    """Layers that share a pattern as one: costs and sizes add up, and a pattern that one of them lacks is lost."""
    at, seen = {layer: i for i, layer in enumerate(layers)}, set[Any]()
    parts: list[tuple[list[int], Sequence[Any]]] = []
    for group in groups:
        if isinstance(group, str) or not group:
            msg = f"groups: want lists of layers, got {group!r}"
            raise FormatError(msg)
        for name in group:
            if name not in at or name in seen:
                msg = f"groups: {name!r} is in no table, or there twice"
                raise FormatError(msg)
            seen.add(name)
        members = [at[name] for name in group]
        parts.append((members, [p for p in patterns[members[0]] if all(p in patterns[i] for i in members)]))
    parts += [([i], patterns[i]) for i, layer in enumerate(layers) if layer not in seen]
    if not seen:
        return parts, cost, size
    width = max(max(len(names) for _, names in parts), 1)
    new_cost, new_size = np.full((len(parts), width), np.inf), np.zeros((len(parts), width), np.int64)
    for k, (members, names) in enumerate(parts):
        for j, name in enumerate(names):
            columns = [patterns[i].index(name) for i in members]
            new_cost[k, j] = math.fsum(cost[i, c] for i, c in zip(members, columns, strict=True))
            new_size[k, j] = sum(int(size[i, c]) for i, c in zip(members, columns, strict=True))
    return parts, new_cost, new_size
