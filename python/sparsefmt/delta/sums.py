"""Checksums of tensors that threads can share: of the rows of all pieces, then of these checksums.

The rows are those in which steps are laid out, see `grid`. Beside them stand the marks: checksums of nothing but
the items that differ, before and after, which an apply in place can check without reading the rest.
"""

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.delta.grid import grid, part_dtype, spans
from sparsefmt.kernels.checksum import as_bytes, checksum, xxh3_rows

MARK = 16
"""Hexadecimal digits of a mark."""


def total_of(rows: list[Array]) -> str:
    """The checksum of the checksums (rows, 2), each as its 16 bytes, high word first."""
    words = np.concatenate(rows) if rows else np.zeros((0, 2), np.uint64)
    return checksum(words.astype(">u8"))


def mark_of(words: list[Array]) -> str:
    """The low word of the checksum of low words, big-endian."""
    found = np.concatenate(words) if words else np.zeros(0, np.uint64)
    return checksum(found.astype(">u8"))[MARK:]


def rows_of(data: Array, itemsize: int) -> Array:
    """The checksums (rows, 2) of the rows of one piece."""
    rows, cols = grid(len(data) // itemsize)
    sums = np.empty((rows, 2), np.uint64)
    if rows:
        xxh3_rows(data, cols * itemsize, sums)
    return sums


def digest(a: Array) -> str:
    """The checksum of a tensor, 32 hexadecimal digits."""
    itemsize, data = part_dtype(a.dtype).itemsize, as_bytes(a)
    cuts = spans(len(data) // itemsize, itemsize)
    return total_of([rows_of(data[start * itemsize : stop * itemsize], itemsize) for start, stop in cuts])


class Sums:
    """The checksums of both versions of a tensor, piece by piece."""

    __slots__ = ("_after", "_before", "_marks")

    def __init__(self) -> None:
        self._before: list[Array] = []
        self._after: list[Array] = []
        self._marks: list[Array] = []

    def add(self, sums: Array) -> None:
        """Adds the sums (rows, ROW_SUMS) of a piece with steps."""
        self._before.append(sums[:, :2])
        self._after.append(sums[:, 2:4])
        self._marks.append(sums[:, 4:])

    def same(self, sums: Array) -> None:
        """Adds the checksums (rows, 2) of a piece without steps."""
        self._before.append(sums)
        self._after.append(sums)

    @property
    def whole(self) -> tuple[str, str]:
        """The checksums of the old and of the new version."""
        return total_of(self._before), total_of(self._after)

    @property
    def marks(self) -> tuple[str, str]:
        """The marks of the old and of the new version."""
        return mark_of([m[:, 0] for m in self._marks]), mark_of([m[:, 1] for m in self._marks])
