"""Definitions of the kernels for deltas: steps between two arrays, in the order of their values.

The key of a float's bits u is u with the sign bit set where it was clear, and all bits turned where it was set: keys
ascend as the values do, -0.0 comes just before +0.0, and every pattern, NaN payloads included, has its own key
(`floats` = 1). The key of an integer is itself (`floats` = 0). A step is key(new) - key(old) modulo 2**width.

All arrays of values and steps are flat and unsigned. Rows cut them every `cols` items; the last may be short.
"""

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import FormatError
from sparsefmt.kernels.checksum import as_bytes, xxh3_128
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
    """Writes the step of every item; gives the number of those that are not 0."""
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
    sums: Array,
    gaps: Array,
    steps: Array,
) -> tuple[int, int]:
    """Writes the steps that are not 0, the gaps between them, if there is room for all, and the offsets of rows.

    Reads both inputs once. Gives how many bytes of gaps and how many steps there are; without room for them, `gaps`
    and `steps` hold anything. `old` and `new` are bytes, of items as wide as those of `steps`. `sums` (rows, ROW_SUMS)
    uint64 get of each row the XXH3-128 of its old and of its new bytes, high word first, and the low words of those of
    the items that differ, before and after.
    """
    width = steps.itemsize
    same_length(old, new)
    rows = len(row_offsets) - 1
    if cols < 1 or len(byte_offsets) != rows + 1 or -(-len(old) // (cols * width)) != rows or len(old) % width:
        msg = f"{len(old)} bytes in rows of {cols} items do not fit {rows} rows"
        raise FormatError(msg)
    before, after = old.view(steps.dtype), new.view(steps.dtype)
    found = keys(after, floats) - keys(before, floats)
    places = np.flatnonzero(found)
    row_offsets[...] = np.searchsorted(places, np.arange(rows + 1, dtype=np.int64) * cols)
    indptr, indices, ends = row_offsets.astype(np.int64), places % cols, np.zeros(rows + 1, np.int64)
    csr_gap_counts(indptr, indices, ends[1:])
    byte_offsets[...] = np.cumsum(ends, out=ends)
    total, count = int(ends[-1]), len(places)
    if total <= len(gaps) and count <= len(steps):
        csr_to_gaps(indptr, indices, ends, gaps)
        steps[:count] = found[places]
    summed(rows_of(sums, rows), (before, after), cols, indptr, places)
    return total, count


ROW_SUMS = 6
"""Words of the sums of a row."""


def rows_of(sums: Array, rows: int) -> Array:
    """The sums as (rows, ROW_SUMS)."""
    if sums.size != rows * ROW_SUMS:
        msg = f"{sums.size} words of sums for {rows} rows, want {ROW_SUMS} for each"
        raise FormatError(msg)
    return sums.reshape(rows, ROW_SUMS)


def summed(sums: Array, versions: tuple[Array, Array], cols: int, indptr: Array, places: Array, whole: int = 1) -> None:
    """Writes the sums of all rows, see `delta_gaps`."""
    for k, items in enumerate(versions):
        chosen = items[places]
        for row in range(len(sums)):
            sums[row, 2 * k : 2 * k + 2] = xxh3_128(as_bytes(items[row * cols : (row + 1) * cols])) if whole else (0, 0)
            sums[row, 4 + k] = xxh3_128(as_bytes(chosen[indptr[row] : indptr[row + 1]]))[1]


@kernel
def add_steps(steps: Array, floats: int, values: Array) -> None:
    """Moves every item of `values` by its step, in place."""
    same_length(steps, values)
    values[...] = bits_of(keys(values, floats) + steps, floats)


NOTHING, MOVED, ALL = range(3)
"""What `add_gaps` takes checksums of."""


@kernel
def add_gaps(
    base: Array,
    gaps: Array,
    byte_offsets: Array,
    row_offsets: Array,
    steps: Array,
    floats: int,
    cols: int,
    wanted: int,
    sums: Array,
    values: Array,
) -> None:
    """Moves the items of `values` that the gaps name by their steps, in place; the others are not touched.

    `values` are bytes, of items as wide as those of `steps`. First they become `base`, unless that is empty. `sums` are
    those of `delta_gaps`, as far as they are `wanted`: NOTHING: not written; MOVED: the last two of each row, the
    others are 0; ALL.

    Raises:
        FormatError: the arrays contradict each other, or a place lies beyond the last item; then items may have moved.
    """
    rows = len(row_offsets) - 1
    into = rows_of(sums, rows)
    if len(base):
        same_length(base, values)
        values[...] = base
    found = columns_of(gaps, byte_offsets, row_offsets)
    same_length(found, steps)
    place = np.repeat(np.arange(rows, dtype=np.int64) * cols, np.diff(row_offsets)) + found
    items = values.view(steps.dtype)
    if (found >= cols).any() or (place >= len(items)).any():
        msg = f"a gap leads beyond the last of {len(items)} items in rows of {cols}"
        raise FormatError(msg)
    before = items.copy()
    items[place] = bits_of(keys(items[place], floats) + steps, floats)
    if wanted != NOTHING:
        summed(into, (before, items), cols, row_offsets, place, int(wanted == ALL))


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
