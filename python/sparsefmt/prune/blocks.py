"""How heavy blocks are: sums of squares that neither overflow nor vanish."""

import functools
from collections.abc import Iterator

import numpy as np

from sparsefmt.base.alloc import zeros
from sparsefmt.base.dtypes import Array
from sparsefmt.base.matrix import Matrix

_ZERO, _INFINITE = -(1 << 20), 1 << 20  # exponents of blocks that hold only zeros, or what is not finite
_PART = 1 << 20  # items that are looked at together, where a block has no more


def areas(low: int, high: int, cols: int, r: int, c: int) -> Iterator[tuple[slice, slice]]:
    """Cuts rows `low..high` of all columns along the borders of blocks."""
    width = max(_PART // (r * c), 1) * c
    height = max(_PART // (r * min(width, max(cols, 1))), 1) * r
    for row in range(low, high, height):
        for col in range(0, cols, width):
            yield slice(row, min(row + height, high)), slice(col, min(col + width, cols))


def block_keys(matrix: Matrix, r: int, c: int) -> Array:
    """(block rows, block columns) int64 keys that rank like the sums of squared magnitudes of blocks of r x c.

    The sum of a block is taken in float64 of its items over a power of two near the largest of them. NaN counts as
    infinity; blocks at the ragged edge are completed by zeros.
    """
    shape = -(-matrix.shape[0] // r), -(-matrix.shape[1] // c)
    exponents, mantissas = zeros(shape, np.int32, "weights of blocks"), zeros(shape, np.float64, "weights of blocks")
    for low, high, part in matrix.row_blocks(r):
        values = part.view(matrix.dtype)
        for rows, cols in areas(low, high, matrix.shape[1], r, c):
            found = _weights(values[rows.start - low : rows.stop - low, cols], r, c)
            at = slice(rows.start // r, -(-rows.stop // r)), slice(cols.start // c, -(-cols.stop // c))
            exponents[at], mantissas[at] = found
    return _ranked(exponents, mantissas)


def _parts(w: Array, r: int) -> Iterator[Array]:
    """(block rows, rows, cols) float64: magnitudes of rows of every block, one part after the other."""
    rows, cols = w.shape
    pieces = (w.real, w.imag) if w.dtype.kind == "c" else (w,)
    step = r if rows > r else max(min(rows, _PART // cols), 1)  # several block rows, or a part of one
    for piece in pieces:
        for low in range(0, r if rows > r else rows, step):
            some = piece if rows > r else piece[low : low + step]
            made = np.zeros((-(-len(some) // step) * step, cols))
            with np.errstate(all="ignore"):
                np.abs(some.astype(np.float64), out=made[: len(some)])
            yield made.reshape(-1, step, cols)


def _weights(w: Array, r: int, c: int) -> tuple[Array, Array]:
    """Exponents and mantissas, in [0.5, 1), of the sums of squares of the blocks of `w`."""
    starts = np.arange(0, w.shape[1], c)
    with np.errstate(all="ignore"):
        tops = functools.reduce(np.maximum, (part.max(axis=1) for part in _parts(w, r)))
        peaks = np.maximum.reduceat(tops, starts, axis=1)
        finite = np.isfinite(peaks)
        near = np.where(finite, np.frexp(peaks)[1], 0)
        each = np.repeat(near, c, axis=1)[:, None, : w.shape[1]]
        squares = sum((np.square(np.ldexp(part, -each)).sum(axis=1) for part in _parts(w, r)), np.zeros(tops.shape))
        mantissa, exponent = np.frexp(np.add.reduceat(squares, starts, axis=1))
    exponent = np.where(peaks == 0, _ZERO, exponent + 2 * near)
    return np.where(finite, exponent, _INFINITE), np.where(finite, mantissa, 0.5)


def _ranked(exponents: Array, mantissas: Array) -> Array:
    """The place of every pair in ascending order; equal pairs share one."""
    e, m = exponents.reshape(-1), mantissas.reshape(-1)
    order = np.lexsort((m, e))
    fresh = np.zeros(len(order), np.int64)
    fresh[1:] = (e[order][1:] != e[order][:-1]) | (m[order][1:] != m[order][:-1])
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.cumsum(fresh)
    return ranks.reshape(exponents.shape)
