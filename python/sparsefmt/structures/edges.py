"""Direct conversions between structures; each stands beside the class that brings it.

An edge takes `(structure, slots, params of the target)` and returns `(structure, slots)`. Slots are items that move by
width, all zero bits where a slot decodes to +0 (see `Codec.lift`). Among structures that keep every slot all are kept;
coming from others, and going to them, zero slots are left out.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sparsefmt.base.dtypes import Array
from sparsefmt.structures.base import Structure

Convert = Callable[..., tuple[Structure, Array]]


@dataclass(frozen=True, slots=True)
class Edge:
    """A direct conversion, and about how many bytes it moves beyond the values."""

    run: Convert
    cost: float  # per slot
    dense: float = 0.0  # per element of the matrix
    lines: tuple[float, float] = (0.0, 0.0)  # per row, per column

    def nbytes(self, s: Structure, itemsize: int) -> float:
        """About how many bytes it moves for a structure with as many slots as `s`."""
        (rows, cols), (per_row, per_col) = s.shape, self.lines
        moved = (self.cost + itemsize) * s.slots
        return moved + self.dense * rows * cols + per_row * rows + per_col * cols


EDGES: dict[tuple[str, str], Edge] = {}
"""By the kinds of source and target."""


def edge(
    source: type[Structure],
    target: type[Structure],
    *,
    cost: float,
    dense: float = 0.0,
    lines: tuple[float, float] = (0.0, 0.0),
) -> Callable[[Convert], Convert]:
    """Registers a direct conversion."""

    def register(run: Convert) -> Convert:
        EDGES[source.kind, target.kind] = Edge(run, cost, dense, lines)
        return run

    return register
