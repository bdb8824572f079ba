"""What ways to a product cost, in seconds.

The constants were measured on one thread of an AMD EPYC (Zen 5), those of blocks and tiles on a Xeon (family 6, model
167); what they must get right is which of two estimates is smaller, not the time itself
(benches/python/crossover.py). Intel's manual (Optimization Reference Manual, chapter on AMX) has a product of tiles,
16 x 16 x 32 multiplications, every 16 cycles: 1e-12 s at 2 GHz.
"""

from collections.abc import Iterator

from sparsefmt.codecs.base import Codec
from sparsefmt.structures.base import Structure
from sparsefmt.structures.bsr import Bsr
from sparsefmt.structures.dense import Dense
from sparsefmt.structures.nm import Nm

STREAM = 1 / 16e9  # seconds a byte takes one thread, read once
FLOP = 1 / 119e9  # seconds a multiplication takes BLAS on one thread
PACK = 0.24e-9  # seconds BLAS takes for an element however few columns there are
DECODE = 0.3e-9  # seconds an element takes to be decoded; where it is a code, twice as long
CAST = 3.5e-9  # seconds NumPy takes to make float32 of another number
TURN = {"csc": 5e-9, "gap": 1e-9}  # seconds a slot takes to csr
_BLOCK = 4e-9  # seconds a block of bsr takes the kernel besides its items
BLOCK_DECODED = 35e-9  # the same where it is decoded
_PER_ITEM = 0.15e-9  # seconds an item of a block takes with one column; with more, for each register of 16 of them:
_PER_REGISTER = 0.23e-9
_PER_CODE_OF_BLOCKS = 1.2e-9  # seconds a code takes to become an item
START = 5e-6  # seconds that a call costs whatever its size
START_PACKED = 12e-6  # the same of a kernel
START_SLOTS = 60e-6  # the same slot by slot
START_ROUTE = {"coo": 15e-6, "csc": 45e-6, "gap": 15e-6}  # the same of bringing slots into rows
_PER_SLOT = {8: 0.3e-9, 16: 0.4e-9, 32: 0.6e-9, 64: 0.9e-9, 128: 1.7e-9}  # seconds of a value with so many columns
_PER_INDEX = {8: 0.5e-9, 16: 0.7e-9, 32: 1.2e-9, 64: 2.2e-9, 128: 4.4e-9}  # the same where few columns have one
_PER_CODE = 0.8e-9  # seconds a code takes to become a value; less where values are few enough for a cache, or in order
# Kernels of other instruction sets; those of NEON by the width of its registers, not by a measurement.
SLOWER = {"amx": 1.0, "avx512": 1.0, "avx2": 2.4, "neon": 4.8, "scalar": 8.0, "numpy": 1e9}
_TILE_PRODUCT = 1.25e-12  # seconds of a multiplication in a tile
_TILE_DECODE = 0.31e-9  # seconds in which an element of w becomes part of a tile


def work(way: str, s: Structure, values: Codec, k: int, operations: int) -> float:
    """Seconds that one thread takes for a way of the extension, with AVX-512, but for reading `w`."""
    rows, cols = s.shape
    if way == "amx_gemm":
        return rows * cols * _TILE_DECODE * -(-k // 256) + _TILE_PRODUCT * operations / 2
    if isinstance(s, Bsr):
        item = _PER_ITEM if k == 1 else _PER_REGISTER * -(-k // 16)
        if values.kind != "raw":
            item += _PER_CODE_OF_BLOCKS
        return _BLOCK * len(s.indices) * -(-k // 64) + item * s.slots
    if way == "gemv":
        fast = isinstance(s, Nm) and (s.n, s.m) == (2, 4)
        return (0.05e-9 if fast else 0.09e-9) * rows * cols
    if way == "csr_gemv":
        return 0.25e-9 * s.slots
    by_index = s.kind in ("csr", "coo", "csc", "gap") and way != "csr_panel"
    per = _PER_INDEX if by_index else _PER_SLOT
    if values.kind == "raw":
        code = 0.0
    elif isinstance(s, Dense):
        code = 0.25 * _PER_CODE
    else:
        code = _PER_CODE * (0.4 if k <= 8 else 1.0)
    seconds = s.slots * (code + sum(per[width] for _, width in _panels(k)))
    return 0.5 * seconds if way == "nm24_bf16" else seconds


def _panels(k: int) -> Iterator[tuple[int, int]]:
    """The first column and the width of every panel of columns."""
    for first in range(0, k, 128):
        yield first, next(width for width in _PER_SLOT if width >= min(k - first, 128))
