"""How far a coded value may be from the original that it is the rounding of."""

from dataclasses import dataclass

import ml_dtypes
import numpy as np

from sparsefmt.base.dtypes import Array, Dtype
from sparsefmt.codecs.base import Codec
from sparsefmt.tensor.sparse import SparseTensor

_SLACK = 1 + 2**-20  # of sums and products in float64


@dataclass(frozen=True)
class Rounding:
    """The values of a codec, on the grid of the dense matrix.

    Args:
        scale: (rows, groups), (rows, 1) or (1, 1); None for a codebook.
        book: (K,) or (rows, K), ascending; None for scales.
        group: columns per scale; 0: all.
        dtype: of the decoded values.
    """

    scale: Array | None
    book: Array | None
    group: int
    dtype: Dtype

    @classmethod
    def of(cls, t: SparseTensor) -> "Rounding | None":
        """The rounding of a tensor with scales or a codebook; None for values as they are, or another codec."""
        values: Codec = t.values
        arrays, params = values.arrays(), values.params()
        if "scale" in arrays:
            group = params.get("group")
            return cls(arrays["scale"], None, group if isinstance(group, int) else 0, t.dtype)
        if "codebook" in arrays:
            return cls(None, arrays["codebook"], 0, t.dtype)
        return None

    def within(self, original: Array, decoded: Array, row: Array, col: Array) -> Array:
        """Whether each decoded value is the rounding of its original.

        Args:
            original: any shape, float64.
            decoded: the same.
            row: of every item, or what broadcasts to it.
            col: the same.
        """
        distance = np.abs(original - decoded)
        if self.scale is not None:
            scale = self.scale
            rows = row if len(scale) > 1 else np.zeros_like(row)
            groups = col // self.group if self.group else np.zeros_like(col)
            half = scale[rows, groups].astype(np.float64) / 2
            return np.asarray(distance <= half * _SLACK + self.spacing(original))
        book = np.asarray(self.book).astype(np.float64)
        best = np.full(distance.shape, np.inf)
        for k in range(book.shape[-1]):
            entry = book[k] if book.ndim == 1 else book[row, k]
            np.minimum(best, np.abs(original - entry), out=best)
        return np.asarray(distance <= best * _SLACK)

    def spacing(self, decoded: Array) -> Array | float:
        """Half a step of the dtype at the decoded values."""
        if self.dtype.kind in "iu":
            return 0.5
        info = ml_dtypes.finfo(self.dtype)  # type: ignore[no-untyped-call]
        return np.abs(decoded) * float(info.eps) / 2 + float(info.smallest_subnormal)
