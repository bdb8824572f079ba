"""What a product costs where the CPU multiplies tiles of bfloat16 (AMX).

Both figures were measured on one thread of a Xeon (family 6, model 167). Intel's manual (Optimization Reference
Manual, chapter on AMX) has a product of tiles, 16 x 16 x 32 multiplications, every 16 cycles: 1e-12 s at 2 GHz.
"""

from sparsefmt.arrays import Dtype
from sparsefmt.codecs.base import Codec
from sparsefmt.kernels.settings import instruction_set
from sparsefmt.structures.base import Structure

FEWEST = 17  # columns of x
_PRODUCT = 1.25e-12  # seconds of a multiplication in a tile
_DECODE = 0.31e-9  # seconds in which an element of w becomes part of a tile


def takes(s: Structure, k: int) -> bool:
    """Whether tiles multiply the matrix by `k` columns: as `rust/core/src/product/tiles` decides."""
    fits = instruction_set() == "amx" and s.kind in ("nm", "bitmask", "dense") and k >= FEWEST
    return fits and s.shape[0] >= 16 and 4 * s.slots >= s.shape[0] * s.shape[1]


def products(values: Codec, x: Dtype) -> int:
    """How many products of tiles make a product with `x`: numbers are sums of up to three parts.

    >>> import numpy as np
    >>> import sparsefmt as sf
    >>> from sparsefmt.arrays import DTYPES
    >>> half = sf.encode(np.ones((1, 1), np.float16), "dense").values
    >>> products(half, DTYPES["float32"]), products(half, DTYPES["bfloat16"])
    (5, 2)
    """
    left, right = _parts(values.dtype if values.kind == "raw" else None), _parts(x)
    return sum(p + q <= 2 for p in range(left) for q in range(right))


def _parts(dtype: Dtype | None) -> int:
    if dtype is None or dtype.itemsize > 2:
        return 3
    return 1 if dtype.itemsize == 1 or dtype.name == "bfloat16" else 2


def seconds(s: Structure, values: Codec, x: Dtype, k: int) -> float:
    """What one thread takes, but for reading `w`."""
    columns = -(-k // 16) * 16
    return s.shape[0] * s.shape[1] * (_DECODE * -(-k // 256) + _PRODUCT * columns * products(values, x))
