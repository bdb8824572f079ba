"""Values that are costly to make, kept from the first pass over a tensor for those that follow."""

from dataclasses import dataclass, field

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.delta.spool import Spool
from sparsefmt.merge.stack import Reader

MOST = 1 << 30
"""Bytes that are kept at most of one tensor; what is larger is made again. Little of it is in memory, see `Spool`."""


@dataclass(slots=True)
class Kept:
    """Float32 values of a tensor of `size` elements, as far as they came in order."""

    size: int
    upto: int = 0
    room: Array = field(default_factory=lambda: np.zeros(0, np.float32))

    def put(self, lo: int, hi: int, values: Array) -> None:
        """Keeps elements lo to hi, if they are the next ones and there is room."""
        if lo != self.upto or 4 * self.size > MOST or values.dtype != np.float32:
            return
        if not len(self.room):
            self.room = Spool().room(4 * self.size).view(np.float32)
        self.room[lo:hi] = values
        self.upto = hi

    def get(self, lo: int, hi: int) -> Array | None:
        """Elements lo to hi, if they are here."""
        return self.room[lo:hi] if hi <= self.upto else None


@dataclass(frozen=True, slots=True)
class Remembered:
    """A reader of float32 values that keeps what it read."""

    reader: Reader
    kept: Kept
    dtype: str = "float32"

    def read(self, lo: int, hi: int) -> Array:
        """Elements lo to hi."""
        found = self.kept.get(lo, hi)
        if found is None:
            found = self.reader.read(lo, hi)
            self.kept.put(lo, hi, found)
        return found
