"""What is stored of a packed tensor: its parts and their sizes, without what can be done with them."""

import math
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import numpy as np

from sparsefmt.base.coerce import checked_shape, is_device_array, matrix_shape
from sparsefmt.base.dtypes import Dtype
from sparsefmt.base.errors import FormatError
from sparsefmt.codecs.base import Codec
from sparsefmt.structures.base import Structure
from sparsefmt.tensor.backend import Backend
from sparsefmt.tensor.base import Packed


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True, repr=False)
class Stored(Packed):
    """The parts of a `SparseTensor`: what the functions behind its methods know of it."""

    structure: Structure
    values: Codec
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        parts: tuple[tuple[object, type], ...] = ((self.structure, Structure), (self.values, Codec))
        for part, kind in parts:
            if not isinstance(part, kind):
                msg = f"want a {kind.__name__.lower()}, got {type(part).__name__}"
                raise FormatError(msg)
        shape = checked_shape(self.shape)
        object.__setattr__(self, "shape", shape)
        if matrix_shape(shape) != self.structure.shape:
            msg = f"shape {shape} does not fit the matrix of shape {self.structure.shape}"
            raise FormatError(msg)
        self.values.fits(self.structure)
        self.structure.check_slots(self.values.lift(self.structure))

    @classmethod
    def from_checked(cls, structure: Structure, values: Codec, shape: tuple[int, ...]) -> Self:
        """Builds one from parts that were made here and need no check."""
        t = object.__new__(cls)
        for name, value in (("structure", structure), ("values", values), ("shape", shape)):
            object.__setattr__(t, name, value)
        return t

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements, stored or not."""
        return math.prod(self.shape)

    @property
    def dtype(self) -> Dtype:
        """The dtype of the array that `to_dense` returns."""
        return self.values.dtype

    @property
    def format(self) -> str:
        """The canonical format text; `encode(w, t.format)` gives the same format."""
        return "/".join(filter(None, (self.structure.text, self.values.text)))

    @property
    def slots(self) -> int:
        """Number of stored values, explicit zeros and filling included (SciPy's `nnz`)."""
        return self.structure.slots

    @property
    def nnz(self) -> int:
        """Number of elements that are not zero by value (-0.0 is zero)."""
        return self.backend().nnz(self)

    @property
    def density(self) -> float:
        """`nnz / size`; 0.0 for an empty tensor."""
        return self.nnz / self.size if self.size else 0.0

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays, padding included."""
        return self.structure.nbytes + self.values.nbytes

    @property
    def bits_per_weight(self) -> float:
        """Stored bits per element of the dense tensor; 0.0 for an empty tensor."""
        return 8 * self.nbytes / self.size if self.size else 0.0

    @property
    def device(self) -> str:
        """Where the arrays are: "cpu", "cuda:0", ..."""
        first = next(iter(self.values.arrays().values()))
        return "cpu" if isinstance(first, np.ndarray) else f"cuda:{first.device.id}"

    @property
    def _on_gpu(self) -> bool:
        return not isinstance(getattr(self.values, self.values.array_names[0]), np.ndarray)

    def backend(self, x: object = None) -> Backend[Self]:
        """What packs and unpacks it where its arrays are, or what multiplies it by `x`."""
        return backends["cuda" if self._on_gpu or is_device_array(x) else "cpu"]

    def replaced(
        self, structure: Structure | None = None, values: Codec | None = None, shape: tuple[int, ...] | None = None
    ) -> Self:
        """The same with other parts, which fit together and are not checked."""
        parts = (self.structure if structure is None else structure, self.values if values is None else values)
        return self.from_checked(*parts, self.shape if shape is None else shape)


T = TypeVar("T", bound=Stored)

backends: dict[str, Backend[Any]] = {}  # by the first part of a device
