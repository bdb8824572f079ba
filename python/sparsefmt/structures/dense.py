"""Every element is stored."""

from dataclasses import InitVar, dataclass
from typing import ClassVar, Self

import numpy as np

from sparsefmt.base.alloc import counted, empty, spread
from sparsefmt.base.dtypes import Array
from sparsefmt.base.matrix import Matrix
from sparsefmt.base.packed_rows import NmRows
from sparsefmt.structures.base import Params, Structure, Window


@dataclass(frozen=True, slots=True, eq=False)
class Dense(Structure):
    """All elements, row-major; slots are (rows, cols)."""

    kind: ClassVar[str] = "dense"
    pattern: ClassVar[str] = "dense"
    template: ClassVar[str] = "dense"
    example: ClassVar[str] = "dense"
    by_rows: ClassVar[bool] = True
    fixed_size: ClassVar[bool] = True

    shape: tuple[int, int]
    check: InitVar[bool] = True

    def __post_init__(self, check: bool) -> None:
        if check:
            self._check_shape()

    @property
    def slots(self) -> int:
        """How many values are stored."""
        return self.shape[0] * self.shape[1]

    def slot_shape(self, bits: int) -> tuple[int, ...]:
        """(rows, cols)."""
        return self.shape

    def packed_rows(self) -> NmRows:
        """Runs of one column with one slot."""
        return NmRows(np.empty((self.shape[0], 0), np.uint8), 1, 1)

    def slot_group(self, group: int) -> int | None:
        """The same."""
        return group

    def window(self, low: int, high: int) -> Window:
        """Rows `low..high`."""
        return Window(Dense((high - low, self.shape[1])), low, high, low, 0)

    def coords(self) -> tuple[Array, Array]:
        """Row and column of every element."""
        rows, cols = self.shape
        if not self.slots:  # there may be very many lines without slots
            return (empty(self.shape, np.int64, "rows of slots"),) * 2
        row, col = counted(rows, what="rows")[:, None], counted(cols, what="columns")
        return spread(row, self.shape, "rows of slots"), spread(col, self.shape, "columns of slots")

    @classmethod
    def encode(cls, w: Matrix, zero: int, params: Params) -> tuple[Self, Array]:
        """Copies `w`."""
        slots = empty(w.shape, w.item_dtype, "dense values")
        for low, high, block in w.row_blocks():
            slots[low:high] = block
        return cls(w.shape), slots

    def decode(self, slots: Array, low: int, high: int, out: Array) -> None:
        """Copies rows `low..high`."""
        out[...] = slots[low:high]
