"""The light view of a transpose."""

import math
from typing import Any, Protocol

import numpy as np

from sparsefmt.base.alloc import empty
from sparsefmt.base.coerce import is_device_array
from sparsefmt.base.dtypes import Array, Dtype
from sparsefmt.base.errors import FormatError
from sparsefmt.codecs.base import Codec
from sparsefmt.product import multiply
from sparsefmt.structures.base import Structure
from sparsefmt.tensor.backend import EXPORTS
from sparsefmt.tensor.base import Packed, operand


class Source(Protocol):
    """The tensor behind a transpose."""

    @property
    def structure(self) -> Structure:
        """Where the values are."""

    @property
    def values(self) -> Codec:
        """How they are stored."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the tensor."""

    @property
    def dtype(self) -> Dtype:
        """The dtype of the elements."""

    @property
    def device(self) -> str:
        """Where the arrays are."""

    @property
    def format(self) -> str:
        """The canonical format text."""

    @property
    def slots(self) -> int:
        """Number of stored values."""

    @property
    def nnz(self) -> int:
        """Number of elements that are not zero."""

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""

    def to_dense(self, out: Array | None = None, *, max_bytes: int | None = None) -> Array:
        """Decodes."""


class Transposed(Packed):
    """A light view of the transpose: rank 2 multiplies and decodes, higher ranks (axes reversed) decode."""

    __slots__ = ("_t",)

    def __init__(self, t: Source) -> None:
        self._t = t

    @property
    def shape(self) -> tuple[int, ...]:
        """The reversed shape."""
        return self._t.shape[::-1]

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self._t.shape)

    @property
    def dtype(self) -> Dtype:
        """The dtype of the elements."""
        return self._t.dtype

    @property
    def T(self) -> Any:  # noqa: ANN401
        """The tensor itself."""
        return self._t

    size = property(lambda t: math.prod(t.shape), doc="Number of elements.")
    device = property(lambda t: t._t.device, doc="Where the arrays are.")
    format = property(lambda t: t._t.format, doc="The format text of the tensor behind the view.")
    slots = property(lambda t: t._t.slots, doc="Number of stored values.")
    nnz = property(lambda t: t._t.nnz, doc="Number of elements that are not zero.")
    nbytes = property(lambda t: t._t.nbytes, doc="Bytes of all arrays of the tensor behind the view.")

    @property
    def density(self) -> float:
        """`nnz / size`; 0.0 for an empty tensor."""
        return float(self.nnz / self.size) if self.size else 0.0

    @property
    def bits_per_weight(self) -> float:
        """Stored bits per element; 0.0 for an empty tensor."""
        return float(8 * self.nbytes / self.size) if self.size else 0.0

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"<transpose, shape {self.shape}, of {self._t!r}>"

    def to_dense(self, out: Array | None = None, *, max_bytes: int | None = None) -> Array:
        """Decodes into a new C-contiguous array, or into `out`; see `SparseTensor.to_dense`."""
        if self._t.device != "cpu":
            made: Array = EXPORTS["device.transposed"](self._t, out, max_bytes)
            return made
        if out is None:
            out = empty(self.shape, self.dtype, f"the dense array of shape {self.shape}", max_bytes)
        elif not isinstance(out, np.ndarray) or out.shape != self.shape:
            got = out.shape if isinstance(out, np.ndarray) else type(out).__name__
            msg = f"out: want an array of shape {self.shape}, got {got}"
            raise FormatError(msg)
        self._t.to_dense(out.T)
        return out

    toarray = todense = to_dense

    def to_scipy(self, *, copy: bool | None = None) -> Any:  # noqa: ANN401
        """The transpose of `sparsefmt.to_scipy(t)`; rank 2 only."""
        if self.ndim != 2:
            msg = f"to_scipy of a transpose wants rank 2, got {self.ndim}"
            raise FormatError(msg)
        return EXPORTS["to_scipy"](self._t, copy=copy).T

    def __matmul__(self, x: object) -> Array:
        """`t.T @ x`; rank 2 only."""
        if self._t.device != "cpu" or is_device_array(x):
            turned: Array = EXPORTS["device.transposed_matmul"](self._t, x)
            return turned
        x = operand(x)
        self._check_rank()
        if x.shape[-2 if x.ndim > 1 else 0] != self.shape[-1]:
            msg = f"t.T @ x: shapes {self.shape} and {x.shape} do not fit"
            raise FormatError(msg)
        if x.ndim == 1:
            return multiply.rmatmul(self._t.structure, self._t.values, x)
        return np.swapaxes(multiply.rmatmul(self._t.structure, self._t.values, np.swapaxes(x, -1, -2)), -1, -2)

    def __rmatmul__(self, x: object) -> Array:
        """`x @ t.T`; rank 2 only."""
        if self._t.device != "cpu" or is_device_array(x):
            turned: Array = EXPORTS["device.matmul_transposed"](self._t, x)
            return turned
        x = operand(x)
        self._check_rank()
        if x.shape[-1] != self.shape[0]:
            msg = f"x @ t.T: shapes {x.shape} and {self.shape} do not fit"
            raise FormatError(msg)
        if x.ndim == 1:
            return multiply.matmul(self._t.structure, self._t.values, x)
        return np.swapaxes(multiply.matmul(self._t.structure, self._t.values, np.swapaxes(x, -1, -2)), -1, -2)

    def _check_rank(self) -> None:
        if self.ndim != 2:
            msg = f"the product with a transpose wants rank 2, got {self.ndim}"
            raise FormatError(msg)
