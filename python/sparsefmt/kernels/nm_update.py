"""The definition of the kernel that writes some groups of N:M anew."""

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.kernels.items import nonzero
from sparsefmt.kernels.nm import rank, width
from sparsefmt.kernels.registry import kernel

Report = tuple[int, int, int, int]


@kernel
def nm_update(
    w: Array, keep: Array, zero: int, n: int, m: int, row: Array, group: Array, codes: Array, slots: Array
) -> Report:
    """Packs the groups `row[i], group[i]` of `w` (rows, cols) as `nm_encode` does, and leaves all others.

    Args:
        w: unsigned items.
        keep: (rows, cols) uint8, 0 is dropped; or (0, 0): all are kept.
        zero: the bits that make an item nonzero.
        n: slots of a group.
        m: columns of a group.
        row: (changed,) int64 within the rows.
        group: (changed,) int64 within the groups of a row; a pair twice is written twice.
        codes: as of `nm_encode`.
        slots: as of `nm_encode`.

    Returns (0, 0, 0, 0); or, with nothing written, (how many groups have more than n, row and group and nonzeros of the
    first).
    """
    column = (group * m)[:, None] + np.arange(m)
    inside = column < w.shape[1]
    column = np.minimum(column, w.shape[1] - 1)
    part = np.where(inside, w[row[:, None], column], np.zeros(1, w.dtype))
    kept = nonzero(part, zero)
    if keep.size:
        kept &= keep[row[:, None], column] != 0
    count = kept.sum(axis=1)
    over = count > n
    if over.any():
        i = int(np.argmax(over))
        return int(over.sum()), int(row[i]), int(group[i]), int(count[i])
    full = kept.copy()
    free = ~kept[:, m - n :]
    full[:, m - n :] |= free & (np.cumsum(free, axis=1) <= n - kept.sum(axis=1, keepdims=True))
    slots[row[:, None], (group * n)[:, None] + np.arange(n)] = np.where(kept, part, np.zeros(1, w.dtype))[full].reshape(
        len(row), n
    )
    ranks = rank(full)
    for bit in range(width(n, m)):
        place = group * width(n, m) + bit
        byte, shift = place >> 3, (place & 7).astype(np.uint8)
        np.bitwise_and.at(codes, (row, byte), ~(np.uint8(1) << shift))
        np.bitwise_or.at(codes, (row, byte), ((ranks >> bit) & 1).astype(np.uint8) << shift)
    return 0, 0, 0, 0
