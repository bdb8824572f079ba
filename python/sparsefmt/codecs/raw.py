"""Values as they are."""

from dataclasses import InitVar, dataclass
from typing import Any, ClassVar, Self

import numpy as np

from sparsefmt.arrays import Array, Dtype, items, native
from sparsefmt.codecs.base import Codec
from sparsefmt.errors import FormatError


@dataclass(frozen=True, slots=True, eq=False)
class Raw(Codec):
    """The values themselves, one item of any supported dtype per slot, bit for bit."""

    kind: ClassVar[str] = "raw"
    example: ClassVar[str] = "raw"
    array_names: ClassVar[tuple[str, ...]] = ("data",)

    data: Array
    check: InitVar[bool] = True

    def __post_init__(self, check: bool) -> None:
        if check:
            if not isinstance(self.data, np.ndarray):
                msg = f"data: want an array, got {type(self.data).__name__}"
                raise FormatError(msg)
            object.__setattr__(self, "data", np.require(self.data, native(self.data.dtype), "CA"))
        self.freeze()

    @classmethod
    def from_parts(cls, arrays: dict[str, Array], params: dict[str, Any], dtype: Dtype) -> Self:
        """Builds it and checks the dtype."""
        made = cls(**arrays, **params)
        if made.dtype != dtype:
            msg = f"data is {made.dtype}, want {dtype}"
            raise FormatError(msg)
        return made

    @property
    def dtype(self) -> Dtype:  # type: ignore[override]
        """The dtype of the values."""
        return self.data.dtype

    @property
    def text(self) -> str:
        """Empty: raw is the default."""
        return ""

    @property
    def slot_shape(self) -> tuple[int, ...]:
        """The shape of `data`."""
        return self.data.shape

    @property
    def itemsize(self) -> int:
        """Bytes per value."""
        return self.data.itemsize

    def lift(self) -> Array:
        """The bits of the values."""
        return items(self.data)

    def lower(self, slots: Array) -> "Raw":
        """The values with these bits."""
        return Raw(slots.view(self.data.dtype), check=False)

    def decode(self, structure: Any) -> Array:
        """The values."""
        return self.data

    def decode_rows(self, structure: Any, low: int, high: int, out: Array) -> None:
        """Fills `out` with rows `low..high`."""
        structure.decode(items(self.data), low, high, items(out))
