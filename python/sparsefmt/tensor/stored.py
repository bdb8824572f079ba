"""What is stored of a packed tensor, without what can be computed with it: its parts, sizes, format and place."""

import math
from dataclasses import dataclass
from typing import Self, TypeVar

import numpy as np

from sparsefmt.base.coerce import checked_shape, is_device_array
from sparsefmt.base.dtypes import Dtype
from sparsefmt.base.errors import CodecError, FormatError
from sparsefmt.codecs.base import Codec
from sparsefmt.encoding.format_text import parse, parse_codec
from sparsefmt.structures.base import Structure
from sparsefmt.tensor.axes import checked_axis, matrix_of
from sparsefmt.tensor.backend import Backend, backends
from sparsefmt.tensor.base import Packed
from sparsefmt.tensor.storage import Storage, storage


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True, repr=False)
class Stored(Packed):
    """The parts of a `SparseTensor`: all that the modules behind its methods know of it."""

    structure: Structure
    values: Codec
    shape: tuple[int, ...]
    axis: int = -1

    def __post_init__(self) -> None:
        parts: tuple[tuple[object, type], ...] = ((self.structure, Structure), (self.values, Codec))
        for part, kind in parts:
            if not isinstance(part, kind):
                msg = f"want a {kind.__name__.lower()}, got {type(part).__name__}"
                raise FormatError(msg)
        shape = checked_shape(self.shape)
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "axis", checked_axis(self.axis, len(shape)))
        if matrix_of(shape, self.axis) != self.structure.shape:
            along = f" along axis {self.axis}" if self.axis != len(shape) - 1 else ""
            msg = f"shape {shape}{along} does not fit the matrix of shape {self.structure.shape}"
            raise FormatError(msg)
        self.values.fits(self.structure)
        self.structure.check_slots(self.values.lift(self.structure) if self.structure.reads_slots else None)

    @classmethod
    def from_checked(cls, structure: Structure, values: Codec, shape: tuple[int, ...], axis: int = -1) -> Self:
        """Builds one from parts that were made here and need no check."""
        t, put = object.__new__(cls), object.__setattr__
        put(t, "structure", structure)
        put(t, "values", values)
        put(t, "shape", shape)
        put(t, "axis", axis % len(shape))
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
        """The dtype of the array that `to_dense` gives."""
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

    def storage(self) -> Storage:
        """Where the bytes go: values, metadata, scales, codebook, padding; and how near the metadata is to the bound.

        >>> import sparsefmt as sf
        >>> s = sf.encode(np.ones((1, 8)), "nm4:4").storage()
        >>> s.values, s.metadata, s.total
        (64, 0, 64)
        """
        return storage(self.structure, self.values, self.shape)

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
        return backends["cuda" if self._on_gpu or (x is not None and is_device_array(x)) else "cpu"]

    def convert(self, fmt: str) -> Self:
        """The same tensor in another format, exactly; arrays that do not change are shared.

        Args:
            fmt: a format text. Without a codec the values stay as they are stored.

        Raises:
            PatternError: the values do not have the pattern of the target.
            CodecError: the target names another codec.
            SizeError: the target would be larger than allowed.

        >>> import sparsefmt as sf
        >>> sf.encode(np.eye(4), "csr").convert("nm1:4").format
        'nm1:4'
        """
        target = parse(fmt)
        own = self.values.text or "raw"
        if target.codec is not None and (target.codec, target.options) != parse_codec(own):
            msg = (
                f"convert keeps the codec, {own!r}, but {fmt!r} names another one; "
                "use sf.quantize, sf.cluster or sf.dequantize"
            )
            raise CodecError(msg)
        target.structure.check_dtype(self.dtype)
        return self.backend().convert(self, fmt, target)

    def to(self, device: str) -> Self:
        """The tensor on a device: "cpu", "cuda" (the current one), "cuda:1"; itself if it is there.

        Packed bytes move, through page-locked memory where they are many, in the order of the current stream. On a
        GPU the arrays of the parts are CuPy's; pickling and saving go by the CPU.

        Raises:
            BackendError: the device is unknown, CuPy or the driver is missing, or the memory does not hold it.
        """
        if device == "cpu" and not self._on_gpu:
            return self
        moved: Self = backends["cuda"].move(self, device)
        return moved

    def replaced(
        self,
        structure: Structure | None = None,
        values: Codec | None = None,
        shape: tuple[int, ...] | None = None,
        axis: int | None = None,
    ) -> Self:
        """The same with other parts, which fit together and are not checked; another shape lies along its last axis."""
        parts = (self.structure if structure is None else structure, self.values if values is None else values)
        kept = self.axis if shape is None else -1
        return self.from_checked(*parts, self.shape if shape is None else shape, kept if axis is None else axis)


T = TypeVar("T", bound=Stored)
