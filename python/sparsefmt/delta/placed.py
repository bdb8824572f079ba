"""What a task puts where: items at the places that gaps name, and what the base has there."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.delta import pieces
from sparsefmt.delta.change import Change, named
from sparsefmt.delta.grid import is_float, part_dtype, spans
from sparsefmt.kernels.checksum import as_bytes
from sparsefmt.kernels.delta import add_steps
from sparsefmt.structures.gap import Gap


@dataclass(frozen=True, slots=True)
class Placed:
    """New and old items of the piece `start..start + count` of a tensor, unsigned, at the places of `gap`."""

    start: int
    count: int
    gap: Gap
    new: Array
    old: Array

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        gap = self.gap
        return sum(a.nbytes for a in (gap.gaps, gap.byte_offsets, gap.row_offsets, self.new, self.old))

    def put(self, items: Array, values: Array) -> None:
        """Copies `items`, the new or the old ones, into the flat bytes of the tensor."""
        width = items.itemsize
        pieces.put(self.gap, items, values[self.start * width : (self.start + self.count) * width])


def of_change(change: Change, base: Array) -> Iterator[Placed]:
    """The items that a change moves; `base` is the tensor."""
    width, floats, values = change.itemsize, is_float(named(change.dtype)), as_bytes(base)
    for p in change.pieces:
        gap, steps = pieces.as_gaps(p.steps)
        old = pieces.taken(gap, values[p.start * width : (p.start + p.count) * width], width)
        new = old.copy()
        add_steps(steps, floats, new)
        yield Placed(p.start, p.count, gap, new, old)


def of_places(where: Array, values: Array, base: Array) -> Iterator[Placed]:
    """Values of real numbers at flat places of a tensor, ascending."""
    width, data = part_dtype(base.dtype).itemsize, as_bytes(base)
    items = values.view(f"u{width}")
    for start, stop in spans(base.size, width):
        lo, hi = (int(n) for n in np.searchsorted(where, [start, stop]))
        if lo < hi:
            gap = pieces.gap_at(where[lo:hi] - start, stop - start)
            old = pieces.taken(gap, data[start * width : stop * width], width)
            yield Placed(start, stop - start, gap, items[lo:hi].copy(), old)


def put(parts: Sequence[Placed], into: Array, *, back: bool) -> None:
    """Puts the new items, or the old ones back, into a contiguous tensor."""
    values = as_bytes(into)
    for part in parts:
        part.put(part.old if back else part.new, values)
