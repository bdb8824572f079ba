"""Conversion: a small graph of direct edges between structures, and the cheapest route through it (Dijkstra)."""

import heapq

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import FormatError
from sparsefmt.structures.base import Params, Structure
from sparsefmt.structures.default_edges import edge_between
from sparsefmt.structures.registry import STRUCTURES


def plan(source: Structure, target: type[Structure], params: Params, itemsize: int) -> tuple[list[str], int]:
    """The kinds on the cheapest way, first and last included, and about how many bytes it moves.

    Only the source where nothing needs to be done. Only structures that keep every slot and are about as large as
    both ends are passed through: never dense.

    Raises:
        FormatError: no edges lead there.
    """
    if type(source) is target and own_params(source) == params:
        return [source.kind], 0
    known = _known(source, target)
    queue: list[tuple[float, list[str]]] = [(0.0, [source.kind])]
    done: set[str] = set()
    while queue:
        cost, path = heapq.heappop(queue)
        here = known[path[-1]]
        if len(path) > 1:  # the source may be entered again: the target may be of its kind with other parameters
            if here is target:
                return path, int(cost)
            if here.kind in done or not here.keeps_slots:
                continue
            done.add(here.kind)
        for kind, other in known.items():
            e = edge_between(here, other)
            if e is not None:
                heapq.heappush(queue, (cost + e.nbytes(source, itemsize), [*path, kind]))
    msg = f"there is no way from {source.kind} to {target.kind}: no edges lead there through structures that keep slots"
    raise FormatError(msg)


def _known(source: Structure, target: type[Structure]) -> dict[str, type[Structure]]:
    """All structures by kind; source and target need not be registered."""
    return {**STRUCTURES, source.kind: type(source), target.kind: target}


def route(source: Structure, target: type[Structure], params: Params, itemsize: int) -> list[str]:
    """The kinds on the cheapest way; see `plan`."""
    return plan(source, target, params, itemsize)[0]


def own_params(s: Structure) -> Params:
    """The parameters of a structure in the form that `Structure.parse` returns."""
    return {k: tuple(v) if isinstance(v, list) else v for k, v in s.params().items()}


def restructure(s: Structure, slots: Array, target: type[Structure], params: Params) -> tuple[Structure, Array]:
    """Converts along the cheapest route.

    Raises:
        PatternError: the target cannot hold the pattern.
        SizeError: the target would be larger than allowed.
        FormatError: no edges lead there.
    """
    return along(route(s, target, params, slots.itemsize), s, slots, target, params)


def along(
    way: list[str], s: Structure, slots: Array, target: type[Structure], params: Params
) -> tuple[Structure, Array]:
    """Converts along a way that `route` found; `params` are those of the target."""
    known = _known(s, target)
    for at, kind in enumerate(way[1:], 2):
        found = edge_between(type(s), known[kind])
        assert found is not None  # `route` went by it
        s, slots = found.run(s, slots, params if at == len(way) else {"align": 1})
    return s, slots
