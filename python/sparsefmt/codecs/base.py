"""What every codec offers."""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar, Protocol, Self

from sparsefmt.base.dtypes import Array, Dtype
from sparsefmt.base.packed_rows import PackedRows
from sparsefmt.base.part import Part

Options = dict[str, Any]
Held = tuple[Array, tuple[str, int, int], Array, Array]
"""Slots, how they are coded, scales, zero points; see `sparsefmt.kernels.product`."""


class Window(Protocol):
    """A part of a structure: `slots[start:stop]` along the first axis are its slots."""

    @property
    def part(self) -> "Layout":
        """The part."""

    @property
    def start(self) -> int:
        """Its first slot."""

    @property
    def stop(self) -> int:
        """One behind its last slot."""

    @property
    def row(self) -> int:
        """The row of the whole matrix where it starts."""

    @property
    def col(self) -> int:
        """The column of the whole matrix where it starts."""


class Layout(Protocol):
    """What a codec needs of the structure that its slots belong to; see `Structure`."""

    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def shape(self) -> tuple[int, int]: ...  # noqa: D102
    @property
    def axis(self) -> int: ...  # noqa: D102
    @property
    def fills_with_zero(self) -> bool: ...  # noqa: D102
    def packed_rows(self) -> PackedRows | None: ...  # noqa: D102
    def check_dtype(self, dtype: Dtype) -> None: ...  # noqa: D102
    @property
    def slots(self) -> int: ...  # noqa: D102
    @property
    def lines(self) -> int: ...  # noqa: D102
    @property
    def row_step(self) -> int: ...  # noqa: D102
    @property
    def padded(self) -> bool: ...  # noqa: D102
    def slot_shape(self, bits: int) -> tuple[int, ...]: ...  # noqa: D102
    def body(self, slots: Array) -> Array: ...  # noqa: D102
    def slot_group(self, group: int) -> int | None: ...  # noqa: D102
    def slot_offsets(self, group: int) -> Array | None: ...  # noqa: D102
    def window(self, low: int, high: int) -> Window: ...  # noqa: D102
    def windows(self, slots: int = ...) -> Iterator[Window]: ...  # noqa: D102
    def coords(self) -> tuple[Array, Array]: ...  # noqa: D102
    def decode(self, slots: Array, low: int, high: int, out: Array) -> None: ...  # noqa: D102
    def equals(self, slots: Array, low: int, high: int, want: Array) -> bool: ...  # noqa: D102


class Codec(Part):
    """How the values of slots are stored.

    Structures move items by width, and an item whose bits are all zero is an empty slot to them. `lift` returns the
    slots in that form, `lower` takes them back; a codec whose code for zero is another one shifts it there.
    """

    __slots__ = ()

    pattern: ClassVar[str]
    """The codec text as a regular expression with named groups."""

    template: ClassVar[str]
    """The codec text as `sparsefmt.formats` shows it."""

    dtype: Dtype
    """The dtype of the decoded values."""

    @classmethod
    def parse(cls, groups: dict[str, str]) -> Options:
        """The options of `encode` from the named groups of `pattern`.

        Raises:
            CodecError: they make no sense.
        """
        return {}

    @classmethod
    def examples(cls) -> tuple[str, ...]:
        """Codec texts that show what it can do; tests of all codecs run over them."""
        return (cls.kind,)

    @classmethod
    @abstractmethod
    def from_parts(cls, arrays: dict[str, Array], params: dict[str, Any], dtype: Dtype) -> Self:
        """Builds and checks a codec from what `arrays`, `params` and `dtype` of an equal one gave."""

    @classmethod
    @abstractmethod
    def encode(cls, structure: Layout, values: Array, options: Options) -> Self:
        """Stores the values of the slots of `structure`, given in the layout of its `slot_shape`.

        Raises:
            CodecError: the codec cannot hold them.
        """

    @property
    def text(self) -> str:
        """The canonical codec text; empty for the default."""
        return self.text_of(self.params(), self.forms())

    @property
    def anywhere(self) -> bool:
        """Whether a code means the same value wherever its slot is, so that a transpose can keep the codes."""
        return True

    @property
    @abstractmethod
    def slot_bits(self) -> int:
        """Bits per slot as it is stored."""

    @property
    @abstractmethod
    def lifted_bits(self) -> int:
        """Bits per slot as `lift` returns them."""

    @abstractmethod
    def fits(self, structure: Layout) -> None:
        """Checks that the arrays fit the structure.

        Raises:
            FormatError: they do not.
        """

    @abstractmethod
    def lift(self, structure: Layout) -> Array:
        """The slots as unsigned integers, zero where they decode to +0; in the layout of `slot_shape(lifted_bits)`."""

    @abstractmethod
    def lower(self, structure: Layout, slots: Array) -> Self:
        """The same codec for another structure with other slots, given as `lift` returns them.

        Raises:
            CodecError: the structure needs a zero that the codec has not.
        """

    def product_slots(self, structure: Layout) -> "Held | None":
        """The slots as the kernels of `sparsefmt.kernels.product` take them; None where they do not."""
        return None

    @abstractmethod
    def decode(self, structure: Layout) -> Array:
        """The values of all slots in `dtype`, in the layout of `slot_shape`. `structure` is that of the tensor."""

    @abstractmethod
    def decode_rows(self, structure: Layout, low: int, high: int, out: Array) -> None:
        """Fills the contiguous `out` (high - low, cols) of `dtype` with rows `low..high` of the matrix.

        `low` is a multiple of `structure.row_step`.
        """
