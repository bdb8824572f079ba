"""What is known of a tensor before it is read."""

from dataclasses import dataclass
from math import prod
from typing import TypeAlias

from sparsefmt.base.dtypes import COMPLEX, FLOATS, Array
from sparsefmt.tensor.sparse import SparseTensor

PLAIN = "plain"
Value: TypeAlias = Array | SparseTensor


@dataclass(frozen=True, slots=True)
class Entry:
    """A tensor as the header of its file describes it.

    Args:
        shape: of the dense tensor.
        dtype: of its elements, as NumPy and ml_dtypes call it; F4 and F6 as the container does.
        nbytes: bytes of all its arrays in the file.
        format: "plain", or the canonical format text of a packed tensor ("nm2:4", "csr/int4:g128"); of codes in another
            project's form the kinds of structure and codec ("dense/int4"), and reading decides.
        shard: the name of its file.
        lone: the file is made for one tensor, whose name is that of the file (.npy, .mtx, SciPy's .npz).
    """

    shape: tuple[int, ...]
    dtype: str
    nbytes: int
    format: str = PLAIN
    shard: str = ""
    lone: bool = False

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def is_packed(self) -> bool:
        """Whether it is a SparseTensor when it is read."""
        return self.format != PLAIN

    @property
    def is_inexact(self) -> bool:
        """Floating or complex, of a dtype that can be packed."""
        return self.dtype in FLOATS + COMPLEX
