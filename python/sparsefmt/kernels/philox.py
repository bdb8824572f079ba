"""Definitions of the kernels for random choices from counters: Philox4x32 with 10 rounds.

Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", section 4.3. The element `i` of a stream gets
lane `i % 4` of the block whose counter is (i // 4, stream), both as two 32-bit words, low word first; the key is the
seed, low word first. What an element gets thus depends on its place alone.
"""

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.kernels.registry import kernel

ROUNDS = 10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


def blocks(counters: tuple[Array, Array, Array, Array], key: tuple[int, int]) -> tuple[Array, Array, Array, Array]:
    """The four words of every counter; all of them uint64 arrays that hold 32 bits."""
    a, b, c, d = counters
    k0, k1 = key
    for _ in range(ROUNDS):
        left = a * np.uint64(MULTIPLIERS[0])
        right = c * np.uint64(MULTIPLIERS[1])
        a, b, c, d = (
            (right >> _HALF) ^ b ^ np.uint64(k0),
            right & _LOW,
            (left >> _HALF) ^ d ^ np.uint64(k1),
            left & _LOW,
        )
        k0, k1 = (k0 + WEYL[0]) & 0xFFFFFFFF, (k1 + WEYL[1]) & 0xFFFFFFFF
    return a, b, c, d


@kernel
def philox_words(seed: int, stream: int, start: int, out: Array) -> None:
    """Writes the words of the elements `start`, `start + 1`, ... to `out`, uint32; seed and stream are 64 bits each."""
    first = start // 4
    count = -(-(start + len(out)) // 4) - first
    at = np.arange(first, first + count, dtype=np.uint64)
    high = np.full(count, stream >> 32, np.uint64)
    words = blocks(
        (at & _LOW, at >> _HALF, np.full(count, stream & 0xFFFFFFFF, np.uint64), high),
        (seed & 0xFFFFFFFF, seed >> 32),
    )
    out[...] = np.stack(words, axis=1).reshape(-1)[start - 4 * first :][: len(out)]
