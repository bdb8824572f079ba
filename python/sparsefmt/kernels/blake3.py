"""Definition of BLAKE3 of bytes, whole chunks side by side.

Source: BLAKE3 specification (github.com/BLAKE3-team/BLAKE3-specs), sections 2.2 to 2.5; hash mode, 32 bytes of output.
"""

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import FormatError
from sparsefmt.kernels.registry import kernel

_IV = np.array(
    [0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19], np.uint32
)
_ORDER = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8]
_MIXES = [(0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15), (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13)]
_MIXES.append((3, 4, 9, 14))
_START, _END, _PARENT, _ROOT = 1, 2, 4, 8
_BLOCK, _CHUNK, _DIGEST = 64, 1024, 32
_MANY = 1 << 12  # chunks that are worked on together


def _turned(a: Array, bits: int) -> Array:
    return np.asarray(a >> np.uint32(bits) | a << np.uint32(32 - bits))


def _compressed(chain: Array, words: Array, counter: Array, length: int, flags: int) -> Array:
    """The chaining values (8, n) after the blocks `words` (16, n)."""
    n = chain.shape[1]
    v = np.empty((16, n), np.uint32)
    v[:8], v[8:12] = chain, _IV[:4, None]
    v[12], v[13] = counter & np.uint64(0xFFFFFFFF), counter >> np.uint64(32)
    v[14], v[15] = length, flags
    m = words
    for _ in range(7):
        for i, (a, b, c, d) in enumerate(_MIXES):
            v[a] += v[b] + m[2 * i]
            v[d] = _turned(v[d] ^ v[a], 16)
            v[c] += v[d]
            v[b] = _turned(v[b] ^ v[c], 12)
            v[a] += v[b] + m[2 * i + 1]
            v[d] = _turned(v[d] ^ v[a], 8)
            v[c] += v[d]
            v[b] = _turned(v[b] ^ v[c], 7)
        m = m[_ORDER]
    return np.asarray(v[:8] ^ v[8:])


def _words(data: bytes) -> Array:
    """Blocks as columns of 16 words; the last is completed by zeros."""
    whole = data.ljust(-(-max(len(data), 1) // _BLOCK) * _BLOCK, b"\0")
    return np.frombuffer(whole, "<u4").reshape(-1, 16).T


def _chunks(data: Array, first: int) -> Array:
    """The chaining values (8, n) of whole chunks."""
    words = np.frombuffer(data.tobytes(), "<u4").reshape(-1, 16, 16)
    chain = np.repeat(_IV[:, None], len(words), axis=1)
    counter = np.arange(first, first + len(words), dtype=np.uint64)
    for block in range(16):
        flags = (_START if block == 0 else 0) | (_END if block == 15 else 0)
        chain = _compressed(chain, words[:, block].T, counter, _BLOCK, flags)
    return chain


def _last(data: bytes, counter: int, root: bool) -> Array:
    """The chaining value (8, 1) of the last chunk, which may be short."""
    words, chain = _words(data), _IV[:, None]
    count = words.shape[1]
    for block in range(count):
        flags = (_START if block == 0 else 0) | (_END | (_ROOT if root else 0) if block == count - 1 else 0)
        length = min(_BLOCK, len(data) - block * _BLOCK)
        chain = _compressed(chain, words[:, block : block + 1], np.array([counter], np.uint64), length, flags)
    return chain


def blake3(data: Array) -> str:
    """The BLAKE3 of flat uint8 `data`, 64 hexadecimal digits.

    >>> blake3(np.frombuffer(b"abc", np.uint8))[:16]
    '6437b3ac38465133'
    """
    out = np.empty(_DIGEST, np.uint8)
    blake3_hash(data, out)
    return out.tobytes().hex()


@kernel
def blake3_hash(data: Array, out: Array) -> None:
    """Writes the BLAKE3 of flat uint8 `data` to `out` (32,) uint8.

    Raises:
        FormatError: `out` has another length.
    """
    if len(out) != _DIGEST:
        msg = f"out has {len(out)} bytes, want {_DIGEST}"
        raise FormatError(msg)
    count = -(-max(len(data), 1) // _CHUNK)
    found = [_chunks(data[i * _CHUNK : min(i + _MANY, count - 1) * _CHUNK], i) for i in range(0, count - 1, _MANY)]
    level = np.concatenate([*found, _last(data[(count - 1) * _CHUNK :].tobytes(), count - 1, count == 1)], axis=1)
    while level.shape[1] > 1:
        pairs = level.shape[1] // 2
        words = np.concatenate([level[:, : 2 * pairs : 2], level[:, 1 : 2 * pairs : 2]])
        flags = _PARENT | (_ROOT if level.shape[1] == 2 else 0)
        made = _compressed(np.repeat(_IV[:, None], pairs, axis=1), words, np.zeros(pairs, np.uint64), _BLOCK, flags)
        level = np.concatenate([made, level[:, 2 * pairs :]], axis=1)
    out[:] = np.ascontiguousarray(level[:, 0]).astype("<u4").view(np.uint8)
