"""ELLPACK: a structure of another hand, in one file, that brings nothing but itself."""

from dataclasses import InitVar, dataclass
from typing import ClassVar, Self

import numpy as np

from sparsefmt.base.alloc import empty, zeros
from sparsefmt.base.coerce import plain
from sparsefmt.base.dtypes import Array, index_dtype
from sparsefmt.base.errors import FormatError
from sparsefmt.base.matrix import Matrix
from sparsefmt.structures.base import Params, Structure, Window
from sparsefmt.structures.csr import Csr


@dataclass(frozen=True, slots=True, eq=False)
class Ell(Structure):
    """As many slots in every row as the fullest row has values.

    `indices` (rows, width) int32 or int64: the column of each slot, ascending; -1 behind the last, where slots hold +0.
    """

    kind: ClassVar[str] = "ell"
    pattern: ClassVar[str] = "ell"
    template: ClassVar[str] = "ell"
    example: ClassVar[str] = "ell"
    array_names: ClassVar[tuple[str, ...]] = ("indices",)

    indices: Array
    shape: tuple[int, int]
    check: InitVar[bool] = True

    def __post_init__(self, check: bool) -> None:
        if check:
            self._check_shape()
            a = self.indices
            if a.ndim != 2 or a.shape[0] != self.shape[0] or a.dtype not in (np.int32, np.int64):
                msg = f"indices: want int32 or int64 of {self.shape[0]} rows, got {a.dtype} of shape {a.shape}"
                raise FormatError(msg)
            used = a >= 0
            rises = (a[:, 1:] > a[:, :-1]) | (a[:, 1:] == -1)
            if (a < -1).any() or (a >= self.shape[1]).any() or not rises.all() or (used[:, 1:] > used[:, :-1]).any():
                msg = f"indices: want ascending columns in 0..{self.shape[1]}, then -1"
                raise FormatError(msg)
            object.__setattr__(self, "indices", plain(a, a.dtype))
        self.freeze()

    @property
    def text(self) -> str:
        """The canonical format text."""
        return "ell"

    @property
    def slots(self) -> int:
        """How many values are stored, filling included."""
        return int(self.indices.size)

    def slot_shape(self, bits: int) -> tuple[int, ...]:
        """(rows, width)."""
        return self.indices.shape

    @property
    def fills_with_zero(self) -> bool:  # type: ignore[override]
        """In rows with fewer values than the fullest one."""
        return True

    def window(self, low: int, high: int) -> Window:
        """Rows `low..high`."""
        return Window(Ell(self.indices[low:high], (high - low, self.shape[1]), check=False), low, high, low, 0)

    def coords(self) -> tuple[Array, Array]:
        """Row and column of every slot; filling counts as column 0."""
        row = np.broadcast_to(np.arange(self.shape[0])[:, None], self.indices.shape)
        return row, np.maximum(self.indices, 0)

    def check_slots(self, slots: Array) -> None:
        """Checks that filling is zero."""
        if np.ascontiguousarray(slots[self.indices < 0]).view(np.uint8).any():
            msg = "a slot behind the last value of a row is not zero"
            raise FormatError(msg)

    @classmethod
    def encode(cls, w: Matrix, zero: int, params: Params) -> tuple[Self, Array]:
        """Lists the nonzero items of every row."""
        rows, flat = Csr.encode(w, zero, {})
        counts = np.diff(rows.indptr)
        width = int(counts.max(initial=0))
        indices = empty((w.shape[0], width), index_dtype(*w.shape, w.shape[0] * width), "indices")
        slots = zeros((w.shape[0], width), flat.dtype, "values")
        used = np.arange(width) < counts[:, None]
        indices[...] = -1
        indices[used], slots[used] = rows.indices, flat
        return cls(indices, w.shape, check=False), slots

    def decode(self, slots: Array, low: int, high: int, out: Array) -> None:
        """Zeroes `out` and puts the slots of rows `low..high` in their places."""
        out[...] = np.zeros((), out.dtype)
        row, at = np.nonzero(self.indices[low:high] >= 0)
        out[row, self.indices[low:high][row, at]] = slots[low:high][row, at]
