"""What ways to a product cost, in seconds.

The constants were measured on one thread of an AMD EPYC (Zen 5), those of blocks and tiles on a Xeon (family 6, model
167); what they must get right is which of two estimates is smaller, not the time itself
(benches/python/crossover.py). Intel's manual (Optimization Reference Manual, chapter on AMX) has a product of tiles,
16 x 16 x 32 multiplications, every 16 cycles: 1e-12 s at 2 GHz.
"""

from collections.abc import Iterator

from sparsefmt.base.dtypes import Dtype
from sparsefmt.codecs.base import Codec
from sparsefmt.kernels.settings import instruction_set
from sparsefmt.structures.base import Structure
from sparsefmt.structures.bsr import Bsr
from sparsefmt.structures.dense import Dense
from sparsefmt.structures.nm import Nm

STREAM = 1 / 16e9  # seconds a byte takes one thread, read once
FLOP = 1 / 119e9  # seconds a multiplication takes BLAS on one thread
PACK = 0.24e-9  # seconds BLAS takes for an element however few columns there are
DECODE = 0.3e-9  # seconds an element takes to be decoded; where it is a code, twice as long
CAST = 3.5e-9  # seconds NumPy takes to make float32 of another number
TURN = 5e-9  # seconds a slot takes from csc to csr
_BLOCK = 4e-9  # seconds a block of bsr takes the kernel besides its items
BLOCK_DECODED = 35e-9  # the same where it is decoded
_PER_ITEM = 0.15e-9  # seconds an item of a block takes with one column; with more, for each register of 16 of them:
_PER_REGISTER = 0.23e-9
_PER_CODE_OF_BLOCKS = 1.2e-9  # seconds a code takes to become an item
START = 5e-6  # seconds that a call costs whatever its size
START_PACKED = 12e-6  # the same of a kernel
START_SLOTS = 60e-6  # the same slot by slot
START_ROUTE = {"coo": 15e-6, "csc": 45e-6}  # the same of bringing slots into rows
_PER_SLOT = {8: 0.3e-9, 16: 0.4e-9, 32: 0.6e-9, 64: 0.9e-9, 128: 1.7e-9}  # seconds of a value with so many columns
_PER_INDEX = {8: 0.5e-9, 16: 0.7e-9, 32: 1.2e-9, 64: 2.2e-9, 128: 4.4e-9}  # the same where few columns have one
_PER_CODE = 0.8e-9  # seconds a code takes to become a value; less where values are few enough for a cache, or in order
SLOWER = {"amx": 1.0, "avx512": 1.0, "avx2": 2.4, "scalar": 8.0, "numpy": 1e9}  # kernels of other instruction sets
FEWEST = 17  # columns of x that tiles take
_TILE_PRODUCT = 1.25e-12  # seconds of a multiplication in a tile
_TILE_DECODE = 0.31e-9  # seconds in which an element of w becomes part of a tile


def kernel_work(s: Structure, values: Codec, k: int) -> float:
    """Seconds that multiplying takes one thread with AVX-512."""
    size = s.shape[0] * s.shape[1]
    if isinstance(s, Bsr):
        item = _PER_ITEM if k == 1 else _PER_REGISTER * -(-k // 16)
        if values.kind != "raw":
            item += _PER_CODE_OF_BLOCKS
        return _BLOCK * len(s.indices) * -(-k // 64) + item * s.slots
    if k == 1:
        fast = isinstance(s, Nm) and (s.n, s.m) == (2, 4)
        masked = (0.05e-9 if fast else 0.09e-9) * size
        return masked if s.kind in ("nm", "bitmask", "dense") else 0.25e-9 * s.slots
    half_full = s.kind in ("nm", "bitmask", "dense") or (k > 8 and 6 * s.slots > size)
    per = _PER_SLOT if half_full else _PER_INDEX
    if values.kind == "raw":
        code = 0.0
    elif isinstance(s, Dense):
        code = 0.25 * _PER_CODE
    else:
        code = _PER_CODE * (0.4 if k <= 8 else 1.0)
    return s.slots * (code + sum(per[width] for _, width in _panels(k)))


def _panels(k: int) -> Iterator[tuple[int, int]]:
    """The first column and the width of every panel of columns."""
    for first in range(0, k, 128):
        yield first, next(width for width in _PER_SLOT if width >= min(k - first, 128))


def tiles_take(s: Structure, k: int) -> bool:
    """Whether tiles multiply the matrix by `k` columns: as `rust/core/src/product/tiles` decides."""
    fits = instruction_set() == "amx" and s.kind in ("nm", "bitmask", "dense") and k >= FEWEST
    return fits and s.shape[0] >= 16 and 4 * s.slots >= s.shape[0] * s.shape[1]


def tile_products(values: Codec, x: Dtype) -> int:
    """How many products of tiles make a product with `x`: numbers are sums of up to three parts.

    >>> import numpy as np
    >>> import sparsefmt as sf
    >>> from sparsefmt.base.dtypes import DTYPES
    >>> half = sf.encode(np.ones((1, 1), np.float16), "dense").values
    >>> tile_products(half, DTYPES["float32"]), tile_products(half, DTYPES["bfloat16"])
    (5, 2)
    """
    left, right = _parts(values.dtype if values.kind == "raw" else None), _parts(x)
    return sum(p + q <= 2 for p in range(left) for q in range(right))


def _parts(dtype: Dtype | None) -> int:
    if dtype is None or dtype.itemsize > 2:
        return 3
    return 1 if dtype.itemsize == 1 or dtype.name == "bfloat16" else 2


def tile_seconds(s: Structure, values: Codec, x: Dtype, k: int) -> float:
    """What one thread takes, but for reading `w`."""
    columns = -(-k // 16) * 16
    return s.shape[0] * s.shape[1] * (_TILE_DECODE * -(-k // 256) + _TILE_PRODUCT * columns * tile_products(values, x))
