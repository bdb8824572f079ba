"""Definitions of the kernels for deltas: steps between two arrays, in the order of their values.

The key of a float's bits u is u with the sign bit set where it was clear, and all bits turned where it was set: keys
ascend as the values do, -0.0 comes just before +0.0, and every pattern, NaN payloads included, has its own key
(`floats` = 1). The key of an integer is itself (`floats` = 0). A step is key(new) - key(old) modulo 2**width.

All arrays of values and steps are flat and unsigned. Rows cut them every `cols` items; the last may be short.
"""

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import FormatError
from sparsefmt.kernels.gap import columns_of, csr_gap_counts, csr_to_gaps
from sparsefmt.kernels.items import every_bit
from sparsefmt.kernels.registry import kernel


def keys(bits: Array, floats: int) -> Array:
    """The key of every item."""
    if not floats:
        return bits
    top = bits.dtype.type(1 << (8 * bits.itemsize - 1))
    return np.where(bits & top, ~bits, bits ^ top)


def bits_of(key: Array, floats: int) -> Array:
    """The inverse of `keys`."""
    if not floats:
        return key
    top = key.dtype.type(1 << (8 * key.itemsize - 1))
    return np.where(key & top, key ^ top, ~key)


def same_length(*found: Array) -> None:
    """Raises FormatError where the arrays do not have one length."""
    if len({len(a) for a in found}) > 1:
        msg = f"arrays hold {', '.join(str(len(a)) for a in found)} items, want one length"
        raise FormatError(msg)


@kernel
def delta_steps(old: Array, new: Array, floats: int, steps: Array) -> int:
    """Writes the step of every item; returns the number of those that are not 0."""
    same_length(old, new, steps)
    steps[...] = keys(new, floats) - keys(old, floats)
    return int(np.count_nonzero(steps))


@kernel
def delta_gaps(
    old: Array,
    new: Array,
    floats: int,
    cols: int,
    byte_offsets: Array,
    row_offsets: Array,
    gaps: Array,
    steps: Array,
) -> tuple[int, int]:
    """Writes the steps that are not 0, and the gaps between them, if there is room for all, and the offsets of rows.

    Reads both inputs once. Returns how many bytes of gaps and how many steps there are; without room for them, `gaps`
    and `steps` hold anything.
    """
    same_length(old, new)
    rows = len(row_offsets) - 1
    if cols < 1 or len(byte_offsets) != rows + 1 or -(-len(old) // cols) != rows:
        msg = f"{len(old)} items in rows of {cols} do not fit {rows} rows"
        raise FormatError(msg)
    found = keys(new, floats) - keys(old, floats)
    places = np.flatnonzero(found)
    row_offsets[...] = np.searchsorted(places, np.arange(rows + 1, dtype=np.int64) * cols)
    indptr, indices, ends = row_offsets.astype(np.int64), places % cols, np.zeros(rows + 1, np.int64)
    csr_gap_counts(indptr, indices, ends[1:])
    byte_offsets[...] = np.cumsum(ends, out=ends)
    total, count = int(ends[-1]), len(places)
    if total <= len(gaps) and count <= len(steps):
        csr_to_gaps(indptr, indices, ends, gaps)
        steps[:count] = found[places]
    return total, count


@kernel
def add_steps(steps: Array, floats: int, values: Array) -> None:
    """Moves every item of `values` by its step, in place."""
    same_length(steps, values)
    values[...] = bits_of(keys(values, floats) + steps, floats)


@kernel
def add_gaps(
    gaps: Array, byte_offsets: Array, row_offsets: Array, steps: Array, floats: int, cols: int, values: Array
) -> None:
    """Moves the items of `values` that the gaps name by their steps, in place; the others are not touched.

    Raises:
        FormatError: the arrays contradict each other, or a place lies beyond the last item; then items may have moved.
    """
    rows = len(row_offsets) - 1
    found = columns_of(gaps, byte_offsets, row_offsets)
    same_length(found, steps)
    place = np.repeat(np.arange(rows, dtype=np.int64) * cols, np.diff(row_offsets)) + found
    if (found >= cols).any() or (place >= len(values)).any():
        msg = f"a gap leads beyond the last of {len(values)} items in rows of {cols}"
        raise FormatError(msg)
    values[place] = bits_of(keys(values[place], floats) + steps, floats)


def negated(steps: Array) -> Array:
    """The steps of the way back."""
    return np.asarray(0 - steps, steps.dtype) if len(steps) else steps


def largest_step(steps: Array) -> int:
    """The largest magnitude of unsigned `steps` read as signed; 0 where there are none."""
    signed = steps.view(f"i{steps.itemsize}")
    return max(int(signed.max()), -int(signed.min())) if len(steps) else 0


def width_mask(steps: Array) -> int:
    """All bits of a step."""
    return every_bit(steps)
