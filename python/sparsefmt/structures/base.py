"""What every structure offers."""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from sparsefmt.base.alloc import ALIGNMENT, empty
from sparsefmt.base.coerce import checked_shape, plain
from sparsefmt.base.dtypes import Array, Dtype, index_dtype
from sparsefmt.base.errors import FormatError
from sparsefmt.base.matrix import Matrix, blocks
from sparsefmt.base.packed_rows import PackedRows
from sparsefmt.base.part import Part
from sparsefmt.kernels.items import same_bytes

Params = dict[str, Any]

_INDEX_DTYPES = (np.dtype(np.int32), np.dtype(np.int64))


class Structure(Part):
    """Where the stored values of a matrix are. Arrays are read-only; the meaning is checked at construction.

    `slots` in arguments are the stored items in the layout of `slot_shape`, as unsigned integers moved by width
    (complex128 for 16 bytes).
    """

    __slots__ = ("__weakref__",)  # plans of products are kept by structure, and die with it

    pattern: ClassVar[str]
    """The format text as a regular expression with named groups."""

    template: ClassVar[str]
    """The format text as `sparsefmt.formats` shows it."""

    example: ClassVar[str]
    """A format text."""

    row_step: int = 1
    """Blocks of rows must start at multiples of this."""

    axis: ClassVar[int] = 0
    """What windows are cut along, and `lines` counts: 0 for rows, 1 for columns, where rows stand nowhere together."""

    keeps_slots: ClassVar[bool] = False
    """Whether any set of elements can be its slots, zeros too, and nothing else is: conversions may pass through it."""

    by_rows: ClassVar[bool] = False
    """Whether a matrix is its ranges of rows put together: arrays one behind the other but for the next two kinds."""

    offset_arrays: ClassVar[tuple[str, ...]] = ()
    """Of `by_rows`: arrays of rows + 1 offsets that count on from range to range."""

    number_arrays: ClassVar[tuple[str, ...]] = ()
    """Of `by_rows`: arrays that hold numbers of rows."""

    has_mask: ClassVar[bool] = False
    """Whether it takes a bit for every element, stored or not."""

    fixed_size: ClassVar[bool] = False
    """Whether the sizes of all arrays follow from the shape alone."""

    fills_with_zero: bool = False
    """Whether there may be slots of no element, which hold +0: a codec for it must have a code for zero."""

    prunes: ClassVar[bool] = False
    """Whether `sparsefmt.encode` can choose what it keeps: it has a fixed number of slots, wherever the values are."""

    inner: "ClassVar[type[Structure] | None]" = None
    """A structure with the same slots in the same order, which is packed first; `wrapped` makes it of that one."""

    shape: tuple[int, int]
    """(rows, cols) of the matrix."""

    @classmethod
    def examples(cls) -> tuple[str, ...]:
        """Format texts that show what it can do; tests of all structures run over them."""
        return (cls.example,)

    @classmethod
    def check_dtype(cls, dtype: Dtype) -> None:
        """Raises DtypeError for items that it does not hold."""

    def packed_rows(self) -> PackedRows | None:
        """How the slots of rows stand, if kernels for whole rows know it; else None."""
        return None

    @classmethod
    def parse(cls, groups: dict[str, str]) -> Params:
        """The parameters of `encode` from the named groups of `pattern`.

        Raises:
            FormatError: they make no sense.
        """
        return {}

    @classmethod
    def inner_params(cls, params: Params) -> Params:
        """The parameters of `inner`, where there is one."""
        return params

    @classmethod
    def wrapped(cls, s: "Structure") -> "Structure":
        """This structure made of `inner`, where there is one; slots stay as they are."""
        return s

    @classmethod
    def from_parts(cls, arrays: dict[str, Array], params: Params, shape: tuple[int, int]) -> Self:
        """Builds and checks a structure from what `arrays`, `params` and `shape` of an equal one gave.

        Raises:
            FormatError: the arrays contradict each other.
        """
        return cls(**arrays, **params, shape=shape)  # type: ignore[call-arg]

    @property
    def text(self) -> str:
        """The canonical format text."""
        return self.text_of(self.params(), {})

    @property
    @abstractmethod
    def slots(self) -> int:
        """How many values are stored."""

    @abstractmethod
    def slot_shape(self, bits: int) -> tuple[int, ...]:
        """The shape of the array of slots; `bits` per slot matter only where rows are aligned."""

    @property
    def metadata_bits(self) -> int:
        """Bits of all arrays without padding."""
        return 8 * self.nbytes

    @property
    def padded(self) -> bool:
        """Whether the rows of slots are padded."""
        return False

    def body(self, slots: Array) -> Array:
        """`slots` without the padding of rows."""
        return slots

    def slot_group(self, group: int) -> int | None:
        """Columns of `body` that `group` columns of the matrix own, where that is the same number everywhere."""
        return None

    def slot_offsets(self, group: int) -> Array | None:
        """Where the slots of every `group` columns of every row begin, and their number, (rows * groups + 1,) int64.

        None where such slots do not stand together, or `slot_group` says all of it.
        """
        return None

    @property
    def lines(self) -> int:
        """How many lines there are to cut windows along: rows, or columns for csc."""
        return self.shape[0]

    @abstractmethod
    def window(self, low: int, high: int) -> "Window":
        """Lines `low..high`; `low` is a multiple of `row_step`."""

    @abstractmethod
    def coords(self) -> tuple[Array, Array]:
        """Row and column of every slot of `body`, in its shape; those outside the shape moved to its nearest edge."""

    def windows(self, slots: int = 1 << 16) -> Iterator["Window"]:
        """Cuts it along `lines` into windows of about that many slots."""
        if not self.slots:  # lines without slots may be too many to walk along
            return
        per = self.slots // max(self.lines, 1) + 1
        for low, high in blocks(self.lines, per, self.row_step, slots):
            yield self.window(low, high)

    def _check_shape(self) -> None:
        object.__setattr__(self, "shape", checked_shape(self.shape, (2, 2)))

    @property
    def reads_slots(self) -> bool:
        """Whether some slots must be zero whatever the matrix is, so that `check_slots` looks at them."""
        return type(self).check_slots is not Structure.check_slots

    def check_slots(self, slots: Array | None) -> None:
        """Checks what waits for the slots; they may be left out where `reads_slots` is False.

        Raises:
            FormatError: an item that must be zero (outside the shape, or padding) is not.
        """

    @classmethod
    @abstractmethod
    def encode(cls, w: Matrix, zero: int, params: Params) -> tuple[Self, Array]:
        """Stores the items of `w` that are nonzero under the mask `zero`; returns the structure and the slots.

        Raises:
            PatternError: `w` does not have the pattern.
        """

    @abstractmethod
    def decode(self, slots: Array, low: int, high: int, out: Array) -> None:
        """Fills the contiguous `out` (high - low, cols) with rows `low..high`; `low` is a multiple of `row_step`."""

    def equals(self, slots: Array, low: int, high: int, want: Array) -> bool:
        """Whether rows `low..high` have the bits of the contiguous `want` (high - low, cols); `low` as in `decode`."""
        out = empty(want.shape, want.dtype, "rows of a tensor")
        self.decode(slots, low, high, out)
        return same_bytes(out, want)


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a structure: `slots[start:stop]` along the first axis are its slots."""

    part: Structure
    start: int
    stop: int
    row: int  # of the whole matrix where it starts
    col: int


def check_indices(names: tuple[str, ...], *found: Array) -> None:
    """Checks that all are 1-d integer arrays.

    Raises:
        FormatError: one is not.
    """
    for name, a in zip(names, found, strict=True):
        if not isinstance(a, np.ndarray) or a.ndim != 1 or a.dtype.kind not in "iu":
            got = f"{a.dtype} of shape {a.shape}" if isinstance(a, np.ndarray) else type(a).__name__
            msg = f"{name}: want a 1-d integer array, got {got}"
            raise FormatError(msg)


def as_index_pair(first: Array, second: Array, names: tuple[str, str], *bounds: int) -> tuple[Array, Array]:
    """Checks that both are 1-d integer arrays and returns them in one dtype, int32 or int64.

    int64 stays int64; mixed widths and other integers become what `index_dtype` says for `bounds`.
    """
    check_indices(names, first, second)
    dtype = first.dtype
    if dtype != second.dtype or dtype not in _INDEX_DTYPES:
        dtype = index_dtype(*bounds)
        for name, a in zip(names, (first, second), strict=True):
            if len(a) and (int(a.max()) > np.iinfo(dtype).max or int(a.min()) < np.iinfo(dtype).min):
                msg = f"{name} holds {int(a.max())}, out of range for shape and slots {bounds}"
                raise FormatError(msg)
    return plain(first, dtype), plain(second, dtype)


def alignment(align: object) -> int:
    """The row alignment in bytes: 1 or 64.

    Raises:
        FormatError: it is neither.
    """
    if type(align) is not int or align not in (1, ALIGNMENT):
        msg = f"@{align}: rows are aligned to {ALIGNMENT} bytes or not at all"
        raise FormatError(msg)
    return align


def as_bytes(name: str, a: Array, shape: tuple[int, int]) -> Array:
    """Checks that `a` is uint8 of that shape.

    Raises:
        FormatError: it is not.
    """
    if not isinstance(a, np.ndarray) or a.dtype != np.uint8 or a.shape != shape:
        got = f"{a.dtype} of shape {a.shape}" if isinstance(a, np.ndarray) else type(a).__name__
        msg = f"{name}: want uint8 of shape {shape}, got {got}"
        raise FormatError(msg)
    return plain(a, np.uint8)
