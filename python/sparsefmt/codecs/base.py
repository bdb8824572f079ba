"""What every codec offers."""

from abc import abstractmethod
from typing import Any, ClassVar, Protocol, Self

from sparsefmt.arrays import Array, Dtype
from sparsefmt.part import Part


class Layout(Protocol):
    """What a codec needs of the structure that its slots belong to."""

    def decode(self, slots: Array, low: int, high: int, out: Array) -> None:
        """Fills the contiguous `out` with the items of rows `low..high`."""


class Codec(Part):
    """How the values of slots are stored.

    Structures move items by width, and an item whose bits are all zero is an empty slot to them. `lift` gives the
    slots in that form, `lower` takes them back; a codec whose code for zero is another one shifts it there.
    """

    __slots__ = ()

    example: ClassVar[str]
    """A codec text."""

    dtype: Dtype
    """The dtype of the decoded values."""

    @classmethod
    @abstractmethod
    def from_parts(cls, arrays: dict[str, Array], params: dict[str, Any], dtype: Dtype) -> Self:
        """Builds and checks a codec from what `arrays`, `params` and `dtype` of an equal one gave."""

    @property
    @abstractmethod
    def text(self) -> str:
        """The canonical codec text; empty for the default."""

    @property
    @abstractmethod
    def slot_shape(self) -> tuple[int, ...]:
        """The shape of the array of slots."""

    @property
    @abstractmethod
    def itemsize(self) -> int:
        """Bytes per slot as `lift` gives them."""

    @abstractmethod
    def lift(self) -> Array:
        """The slots as unsigned integers, zero where they decode to +0."""

    @abstractmethod
    def lower(self, slots: Array) -> Self:
        """The same codec with other slots, given as `lift` gives them."""

    @abstractmethod
    def decode(self, structure: Layout) -> Array:
        """The values of all slots in `dtype`, in the layout of `slot_shape`. `structure` is that of the tensor."""

    @abstractmethod
    def decode_rows(self, structure: Layout, low: int, high: int, out: Array) -> None:
        """Fills the contiguous `out` (high - low, cols) of `dtype` with rows `low..high` of the matrix.

        `low` is a multiple of `structure.row_step`.
        """
