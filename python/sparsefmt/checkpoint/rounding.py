"""How far a coded value may be from the original that it is the rounding of."""

from dataclasses import dataclass

import ml_dtypes
import numpy as np

from sparsefmt.base.dtypes import Array, Dtype
from sparsefmt.codecs.base import Codec
from sparsefmt.tensor.sparse import SparseTensor

_SLACK = 1 + 2**-16  # of quotients of up to 255 in float32


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
        zeros: whether zeros of the original are coded like other values; else they stay what they are.
    """

    scale: Array | None
    book: Array | None
    group: int
    dtype: Dtype
    reach: float = 0.5
    zeros: bool = True

    @classmethod
    def of(cls, t: SparseTensor, *, plain: bool) -> "Rounding | None":
        """The rounding of a tensor with scales or a codebook; None for values as they are, or another codec.

        Args:
            t: the tensor.
            plain: whether the original is, so that most structures do not store its zeros.
        """
        values: Codec = t.values
        arrays, params = values.arrays(), values.params()
        if "scale" in arrays:
            group = params.get("group")
            scale = arrays["scale"]
            rounded = 2.0 ** (values.slot_bits - (11 if scale.dtype == np.float16 else 24))
            reach = 0.5 + rounded if "zero_point" in arrays else 0.5
            return cls(scale, None, group if isinstance(group, int) else 0, t.dtype, reach)
        if "codebook" in arrays:
            return cls(None, arrays["codebook"], 0, t.dtype, zeros=not plain or t.structure.kind in ("dense", "bsr"))
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
            each = scale[rows, groups].astype(np.float64)
            return np.asarray(distance <= each * self.reach * _SLACK + self.spacing(decoded, each))
        book = np.asarray(self.book).astype(np.float64)
        best = np.full(distance.shape, np.inf)
        for k in range(book.shape[-1]):
            entry = book[k] if book.ndim == 1 else book[row, k]
            np.minimum(best, np.abs(original - entry), out=best)
        rounded = distance <= best * _SLACK
        return np.asarray(rounded if self.zeros else rounded & (original != 0))

    def spacing(self, decoded: Array, scale: Array) -> Array:
        """Half a step of the dtype at the decoded values, which multiples of the scale were rounded to."""
        if self.dtype.kind in "iu":
            return np.where(scale == np.rint(scale), 0.0, 0.5)
        info = ml_dtypes.finfo(self.dtype)  # type: ignore[no-untyped-call]
        step = np.where(decoded == 0, 0, np.exp2(np.frexp(decoded)[1] - 1.0) * float(info.eps))
        return np.asarray(np.maximum(step, float(info.smallest_subnormal)) / 2)
