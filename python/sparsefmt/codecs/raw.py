"""Values as they are."""

from dataclasses import InitVar, dataclass
from typing import Any, ClassVar, Self

from sparsefmt.arrays import Array, Dtype, as_array, items, native, plain
from sparsefmt.codecs.base import Codec, Layout
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

    @property
    def text(self) -> str:
        """Empty: raw is the default."""
        return ""

    @property
    def slot_shape(self) -> tuple[int, ...]:
        """The shape of `data`."""
        return tuple(self.data.shape)

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

    def decode(self, structure: Layout) -> Array:
        """The values."""
        return self.data

    def decode_rows(self, structure: Layout, low: int, high: int, out: Array) -> None:
        """Fills `out` with rows `low..high`."""
        structure.decode(items(self.data), low, high, items(out))
