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
        reach: scales that a value may be from its code: a half; more where zero points, which are rounded, and the
            rounding of the scale cut the ends of the range.
    """

    scale: Array | None
    book: Array | None
    group: int
    dtype: Dtype
    reach: float = 0.5

    @classmethod
    def of(cls, t: SparseTensor) -> "Rounding | None":
        """The rounding of a tensor with scales or a codebook; None for values as they are, or another codec."""
        values: Codec = t.values
        arrays, params = values.arrays(), values.params()
        if "scale" in arrays:
            group = params.get("group")
            scale = arrays["scale"]
            rounded = 2.0 ** (values.slot_bits - (11 if scale.dtype == np.float16 else 24))
            reach = 0.5 + rounded if "zero_point" in arrays else 0.5
            return cls(scale, None, group if isinstance(group, int) else 0, t.dtype, reach)
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
            most = scale[rows, groups].astype(np.float64) * self.reach
            return np.asarray(distance <= most * _SLACK + self.spacing(original))
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
