"""Where arrays lie, and what every such place can do with tensors.

There are two: the CPU (`tensor/cpu.py`) and NVIDIA GPUs (`cuda/tensors.py`). Methods of tensors ask the backend of
their arrays; neither knows the other.
"""

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

from sparsefmt.base.dtypes import Array
from sparsefmt.base.loading import load
from sparsefmt.encoding.format_text import Format

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)


class Backend(Protocol[T]):
    """Packs, unpacks, converts, moves and multiplies tensors of class T whose arrays lie in one place."""

    def encode(self, w: object, fmt: str, *, prune: bool, score: object, zero: str, codebook: object) -> T:
        """See `sparsefmt.encode`; the tensor lies where `w` does."""

    def move(self, t: T, device: str) -> T:
        """The tensor on another device; see `SparseTensor.to`."""

    def convert(self, t: T, fmt: str, target: Format) -> T:
        """See `SparseTensor.convert`, which has checked that the codec stays."""

    def nnz(self, t: T) -> int:
        """How many elements are not zero by value."""

    def to_dense(self, t: T, out: Array | None, max_bytes: int | None) -> Array:
        """See `SparseTensor.to_dense`."""

    def transposed(self, t: T, out: Array | None, max_bytes: int | None) -> Array:
        """The dense transpose, C-contiguous, or in `out`."""

    def matmul(self, t: T, x: object) -> Array:
        """`t @ x`."""

    def rmatmul(self, t: T, x: object) -> Array:
        """`x @ t`."""

    def transposed_matmul(self, t: T, x: object) -> Array:
        """`t.T @ x`; t of rank 2."""

    def matmul_transposed(self, t: T, x: object) -> Array:
        """`x @ t.T`; t of rank 2."""


class ToScipy(Protocol[T_contra]):
    """What interop/ lends to the method of the same name, for it stands above tensors."""

    def __call__(self, t: T_contra, *, copy: bool | None = None) -> Any:  # noqa: ANN401
        """See `sparsefmt.to_scipy`."""


class Lent(dict[str, T]):
    """What modules above put in here when they are loaded; each is loaded when its entry is asked for first.

    Args:
        homes: the module that brings each entry.
    """

    def __init__(self, homes: Mapping[str, str]) -> None:
        super().__init__()
        self._homes = homes

    def __missing__(self, key: str) -> T:
        """Loads the module, which makes the entry."""
        load(self._homes[key])
        return self[key]


backends: dict[str, Backend[Any]] = Lent({"cpu": "sparsefmt.tensor.cpu", "cuda": "sparsefmt.cuda.tensors"})
lent: dict[str, ToScipy[Any]] = Lent({"to_scipy": "sparsefmt.interop.scipy"})
