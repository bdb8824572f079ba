"""What is packed and no array: the base of tensors, and the light view of a transpose."""

from collections.abc import Callable
from typing import Any, NoReturn, Protocol

import numpy as np

from sparsefmt import arrays, multiply
from sparsefmt.arrays import Array, Dtype
from sparsefmt.codecs.base import Codec
from sparsefmt.errors import FormatError
from sparsefmt.structures.base import Structure

EXPORTS: dict[str, Callable[..., Any]] = {}
"""Functions that higher layers lend to the methods of tensors, by name."""


class Packed:
    """Something packed: NumPy leaves its operators to it and does not mistake it for an array."""

    __slots__ = ()
    __array_ufunc__ = None
    __array_priority__ = 20.0

    def __bool__(self) -> NoReturn:
        msg = "the truth of a tensor is undefined; compare t.nnz or use sparsefmt.equal"
        raise TypeError(msg)

    def __array__(self, *args: object, **kwargs: object) -> NoReturn:
        msg = "a packed tensor is not an array; use .toarray() to make a dense one"
        raise TypeError(msg)


def operand(x: object) -> Array:
    """The other factor of a product as an array.

    Raises:
        TypeError: it is a packed tensor.
    """
    if isinstance(x, Packed):
        msg = "the product of two packed tensors is not supported; unpack one: t.to_dense()"
        raise TypeError(msg)
    return arrays.as_array(x, "x")


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

    def __repr__(self) -> str:
        return f"<transpose, shape {self.shape}, of {self._t!r}>"

    def to_dense(self, out: Array | None = None, *, max_bytes: int | None = None) -> Array:
        """Decodes into a new C-contiguous array, or into `out`; see `SparseTensor.to_dense`."""
        if self._t.device != "cpu":
            made: Array = EXPORTS["device.transposed"](self._t, out, max_bytes)
            return made
        if out is None:
            out = arrays.empty(self.shape, self.dtype, f"the dense array of shape {self.shape}", max_bytes)
        elif not isinstance(out, np.ndarray) or out.shape != self.shape:
            got = out.shape if isinstance(out, np.ndarray) else type(out).__name__
            msg = f"out: want an array of shape {self.shape}, got {got}"
            raise FormatError(msg)
        self._t.to_dense(out.T)
        return out

    def to_scipy(self, *, copy: bool | None = None) -> Any:  # noqa: ANN401
        """The transpose of `sparsefmt.to_scipy(t)`; rank 2 only."""
        if self.ndim != 2:
            msg = f"to_scipy of a transpose wants rank 2, got {self.ndim}"
            raise FormatError(msg)
        return EXPORTS["to_scipy"](self._t, copy=copy).T

    def __matmul__(self, x: object) -> Array:
        """`t.T @ x`; rank 2 only."""
        if self._t.device != "cpu" or arrays.is_device_array(x):
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
        if self._t.device != "cpu" or arrays.is_device_array(x):
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
