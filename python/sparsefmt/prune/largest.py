"""The largest of many values, exactly, by counting: piece by piece, in memory that does not grow with the array."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.base.matrix import Matrix
from sparsefmt.kernels import nm as kernels
from sparsefmt.structures.nm import score_keys

_PIECE = 1 << 17  # items that are looked at together
_STEP = 16  # bits that are counted in a pass

Keys = Callable[[Array], Array]


def modulus(w: Array) -> Array:
    """The modulus, NaN as infinity."""
    with np.errstate(all="ignore"):
        return np.nan_to_num(np.abs(w), nan=np.inf, posinf=np.inf)


def magnitude_keys(part: Array, matrix: Matrix) -> Array:
    """Unsigned integers that rank like the magnitude of the items of a part of the matrix."""
    if matrix.dtype.kind == "c":
        return score_keys(modulus(part.view(matrix.dtype)), 0)
    return kernels.magnitude_keys(part, matrix.dtype.name)


def pieces(matrix: Matrix, out: Array) -> Iterator[tuple[Array, Array]]:
    """Flat parts of the items in row-major order, each with the same part of `out`, a C-contiguous array of items."""
    flat, cols = out.reshape(-1), matrix.shape[1]
    for low, high, block in matrix.row_blocks():
        source, target = block.reshape(-1), flat[low * cols : high * cols]
        for start in range(0, len(source), _PIECE):
            yield source[start : start + _PIECE], target[start : start + _PIECE]


def edge(parts: Callable[[], Iterable[Array]], keys: Keys, count: int, bits: int) -> tuple[int, int]:
    """The `count`-th largest key of all parts, and how many keys equal to it are among the `count` largest."""
    prefix, missing, shift = 0, count, bits
    while shift:
        step = min(_STEP, shift)
        shift -= step
        found = np.zeros(1 << step, np.int64)
        for part in parts():
            some = keys(part).reshape(-1)
            if shift + step < bits:
                some = some[(some >> some.dtype.type(shift + step)) == some.dtype.type(prefix)]
            digits = (some >> some.dtype.type(shift)) & some.dtype.type((1 << step) - 1)
            found += np.bincount(digits.astype(np.intp), minlength=1 << step)
        above = np.cumsum(found[::-1])  # keys with this digit, counted from the largest, or a larger one
        at = int(np.searchsorted(above, missing))
        missing -= int(above[at - 1]) if at else 0
        prefix = prefix << step | (len(found) - 1 - at)
    return prefix, missing


def keep_largest(matrix: Matrix, out: Array, count: int) -> None:
    """Copies the `count` items of largest magnitude to `out`, equal ones: lower index; zeroes the rest."""
    size = matrix.shape[0] * matrix.shape[1]
    if count == 0:
        out[...] = 0
        return
    if count == size:
        for part, target in pieces(matrix, out):
            target[...] = part
        return

    def keys(part: Array) -> Array:
        return magnitude_keys(part, matrix)

    bits = 64 if matrix.dtype.kind == "c" else 8 * matrix.dtype.itemsize
    least, missing = edge(lambda: (part for part, _ in pieces(matrix, out)), keys, count, bits)
    for part, target in pieces(matrix, out):
        ranks = keys(part)
        limit = ranks.dtype.type(least)
        kept = ranks > limit
        equal = np.flatnonzero(ranks == limit)[:missing]
        kept[equal] = True
        missing -= len(equal)
        target[...] = np.where(kept, part, np.zeros(1, part.dtype))


def row_wise(matrix: Matrix, out: Array, count: int) -> None:
    """The same for each row."""
    cols = matrix.shape[1]
    per = _PIECE // max(cols, 1)
    for low, high, block in matrix.row_blocks():
        if not per:
            for row in range(low, high):
                one = Matrix(block[row - low : row - low + 1].view(matrix.dtype))
                keep_largest(one, out[row : row + 1], count)
            continue
        for start in range(low, high, per):
            some = block[start - low : min(start + per, high) - low]
            chosen = largest(magnitude_keys(some, matrix), count)
            out[start : start + len(some)] = np.where(chosen, some, np.zeros(1, some.dtype))


def largest(keys: Array, count: int) -> Array:
    """(rows, cols) unsigned keys -> bool: the `count` largest of each row, equal ones: lower index."""
    cols = keys.shape[1]
    if count == 0 or count == cols:
        return np.full(keys.shape, count != 0)
    least = np.partition(keys, cols - count, axis=1)[:, cols - count, None]
    above, equal = keys > least, keys == least
    missing = count - above.sum(axis=1, keepdims=True)
    return np.asarray(above | (equal & (np.cumsum(equal, axis=1) <= missing)))
