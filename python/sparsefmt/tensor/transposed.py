"""The light view of a transpose."""

import math
from typing import Any, NoReturn

from sparsefmt.base.dtypes import Array, Dtype
from sparsefmt.base.errors import FormatError
from sparsefmt.tensor.backend import lent
from sparsefmt.tensor.base import Packed, refused
from sparsefmt.tensor.storage import Storage
from sparsefmt.tensor.stored import Stored


class Transposed(Packed):
    """A light view of the transpose: rank 2 multiplies and decodes, higher ranks (axes reversed) decode."""

    __slots__ = ("_t",)

    def __init__(self, t: Stored) -> None:
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
    structure = property(lambda t: t._t.structure, doc="Where the values of the tensor behind the view are.")
    values = property(lambda t: t._t.values, doc="How the values of the tensor behind the view are stored.")

    @property
    def density(self) -> float:
        """`nnz / size`; 0.0 for an empty tensor."""
        return float(self.nnz / self.size) if self.size else 0.0

    @property
    def bits_per_weight(self) -> float:
        """Stored bits per element; 0.0 for an empty tensor."""
        return float(8 * self.nbytes / self.size) if self.size else 0.0

    def storage(self) -> Storage:
        """Where the bytes of the tensor behind the view go; see `SparseTensor.storage`."""
        return self._t.storage()

    def __getitem__(self, key: Any) -> NoReturn:  # noqa: ANN401
        """Refused: its rows are columns of the tensor, which are not packed apart."""
        msg = "taking rows or columns of the view of a transpose"
        raise refused(msg, "use t.T.to_scipy()[...], or t.T.to_dense()[...]")

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"<transpose, shape {self.shape}, of {self._t!r}>"

    def to_dense(self, out: Array | None = None, *, max_bytes: int | None = None) -> Array:
        """Decodes into a new C-contiguous array, or into `out`; see `SparseTensor.to_dense`."""
        return self._t.backend().transposed(self._t, out, max_bytes)

    toarray = todense = to_dense

    def to_scipy(self, *, copy: bool | None = None) -> Any:  # noqa: ANN401
        """The transpose of `sparsefmt.to_scipy(t)`; rank 2 only."""
        if self.ndim != 2:
            msg = f"to_scipy of a transpose wants rank 2, got {self.ndim}"
            raise FormatError(msg)
        return lent["to_scipy"](self._t, copy=copy).T

    def __matmul__(self, x: object) -> Array:
        """`t.T @ x`; rank 2 only."""
        return self._t.backend(x).transposed_matmul(self._t, x)

    def __rmatmul__(self, x: object) -> Array:
        """`x @ t.T`; rank 2 only."""
        return self._t.backend(x).matmul_transposed(self._t, x)
