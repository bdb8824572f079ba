"""Values as they are."""

from collections.abc import Mapping
from dataclasses import InitVar, dataclass
from typing import Any, ClassVar, Self

import numpy as np

from sparsefmt.base.coerce import as_array, plain
from sparsefmt.base.dtypes import Array, Dtype, items, native
from sparsefmt.base.errors import FormatError
from sparsefmt.base.part import Form
from sparsefmt.codecs.base import Codec, Held, Layout, Options

_NONE = np.empty((0, 0), np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class Raw(Codec):
    """The values themselves, one item of any supported dtype per slot, bit for bit."""

    kind: ClassVar[str] = "raw"
    pattern: ClassVar[str] = "raw"
    template: ClassVar[str] = "raw"
    array_names: ClassVar[tuple[str, ...]] = ("data",)

    data: Array
    check: InitVar[bool] = True

    def __post_init__(self, check: bool) -> None:
        if check:
            a = as_array(self.data)
            object.__setattr__(self, "data", plain(a, native(a.dtype)))
        self.freeze()

    @classmethod
    def from_parts(cls, arrays: dict[str, Array], params: dict[str, Any], dtype: Dtype) -> Self:
        """Builds it and checks the dtype."""
        made = cls(**arrays, **params)  # type: ignore[arg-type]
        if made.dtype != dtype:
            msg = f"data is {made.dtype}, want {dtype}"
            raise FormatError(msg)
        return made

    @property
    def dtype(self) -> Dtype:  # type: ignore[override]
        """The dtype of the values."""
        dtype: Dtype = self.data.dtype
        return dtype

    @classmethod
    def text_of(cls, params: Mapping[str, Any], forms: Mapping[str, Form]) -> str:
        """Empty: raw is the default."""
        return ""

    @classmethod
    def encode(cls, structure: Layout, values: Array, options: Options) -> Self:
        """Keeps the values, without a copy."""
        return cls(values, check=False)

    @property
    def slot_bits(self) -> int:
        """Bits per value."""
        return 8 * self.data.itemsize

    @property
    def lifted_bits(self) -> int:
        """Bits per value."""
        return 8 * self.data.itemsize

    def fits(self, structure: Layout) -> None:
        """Checks the shape, and that the structure holds the dtype.

        Raises:
            FormatError: another shape.
            DtypeError: complex values in nm.
        """
        want = structure.slot_shape(self.lifted_bits)
        if self.data.shape != want:
            msg = f"values have shape {self.data.shape}, want {want} for {structure.kind}"
            raise FormatError(msg)
        structure.check_dtype(self.dtype)

    def lift(self, structure: Layout) -> Array:
        """The bits of the values."""
        return items(self.data)

    def lower(self, structure: Layout, slots: Array) -> "Raw":
        """The values with these bits."""
        return Raw(slots.view(self.data.dtype), check=False)

    def product_slots(self, structure: Layout) -> Held | None:
        """The values: float32 as they are, others as items of 1 or 2 bytes."""
        if self.dtype == np.float32:
            return self.data, ("float32", 0, 0), _NONE.view(np.float32), _NONE
        if self.data.itemsize > 2:
            return None
        name = "uint8" if self.dtype.kind == "b" else self.dtype.name
        return items(self.data), (name, 0, 0), _NONE.view(np.float32), _NONE

    def decode(self, structure: Layout) -> Array:
        """The values."""
        return self.data

    def decode_rows(self, structure: Layout, low: int, high: int, out: Array) -> None:
        """Fills `out` with rows `low..high`."""
        structure.decode(items(self.data), low, high, items(out))

    def equals_rows(self, structure: Layout, low: int, high: int, want: Array) -> bool:
        """Whether rows `low..high` have the bits of the contiguous `want`, of the same dtype."""
        return structure.equals(items(self.data), low, high, items(want))
