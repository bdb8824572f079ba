"""Integer codes with scales."""

import dataclasses
import re
from dataclasses import InitVar, dataclass
from typing import Any, ClassVar, Self

import numpy as np

from sparsefmt.arrays import COMPLEX, DTYPES, INTEGERS, Array, Dtype, as_array, blocks, empty, items, plain, zeros
from sparsefmt.codecs import streams
from sparsefmt.codecs.base import Codec, Layout, Options
from sparsefmt.codecs.scales import extremes, grid_shape, make_scales, slot_grid
from sparsefmt.errors import CodecError, FormatError
from sparsefmt.kernels.affine import affine_dequantize, affine_quantize, compute_dtype

_ROWS_BYTES = 1 << 18  # codes decoded at a time, so that they stay in the cache


@dataclass(frozen=True, slots=True, eq=False)
class Affine(Codec):
    """value = (code - zero point) * scale, rounded once to `dtype`.

    `scale` (rows, groups) float16 or float32 lies on the dense matrix: `scale[row, column // K]`; `:row` (rows, 1);
    `:tensor` (1, 1). `zero_point` uint8 of the same shape, for asymmetric codes, else empty. int8 codes have the
    shape of the slots, int8 (asymmetric: uint8); int4 codes are one stream of nibbles, low nibble first, two's
    complement (asymmetric: unsigned).
    """

    array_names: ClassVar[tuple[str, ...]] = ("codes", "scale", "zero_point")
    bits: ClassVar[int]

    codes: Array
    scale: Array
    zero_point: Array
    group: int  # columns per scale; 0: the row; -1: the tensor
    dtype: Dtype
    check_: InitVar[bool] = True
