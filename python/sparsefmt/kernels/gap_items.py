"""Definitions of the kernels for items at the places that gaps name, see `gap`: taken out of bytes, and put in."""

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import FormatError
from sparsefmt.kernels.gap import columns_of
from sparsefmt.kernels.registry import kernel


def places(gaps: Array, byte_offsets: Array, row_offsets: Array, cols: int, items: Array, values: Array) -> Array:
    """The flat place of every slot among the items of `values`.

    Raises:
        FormatError: there are not as many as `items`, or one lies beyond the last.
    """
    found = columns_of(gaps, byte_offsets, row_offsets)
    rows = len(row_offsets) - 1
    place = np.repeat(np.arange(rows, dtype=np.int64) * cols, np.diff(row_offsets)) + found
    if len(place) != len(items) or (found >= cols).any() or (place >= len(values) // items.itemsize).any():
        msg = f"{len(place)} gaps for {len(items)} items lead beyond {len(values)} bytes in rows of {cols} items"
        raise FormatError(msg)
    return place


@kernel
def gaps_take(gaps: Array, byte_offsets: Array, row_offsets: Array, cols: int, values: Array, items: Array) -> None:
    """Copies the items of `values`, flat bytes in rows of `cols` items as wide as those of `items`, that gaps name.

    Raises:
        FormatError: the arrays contradict each other, or a place lies beyond the last item.
    """
    items[...] = values.view(items.dtype)[places(gaps, byte_offsets, row_offsets, cols, items, values)]


@kernel
def gaps_put(gaps: Array, byte_offsets: Array, row_offsets: Array, cols: int, items: Array, values: Array) -> None:
    """Copies `items` to their places in `values`, see `gaps_take`.

    Raises:
        FormatError: as `gaps_take`; then some items may have been copied.
    """
    values.view(items.dtype)[places(gaps, byte_offsets, row_offsets, cols, items, values)] = items
