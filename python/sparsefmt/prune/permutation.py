"""Dealing columns to groups so that N:M loses less."""

from typing import NamedTuple

import numpy as np

from sparsefmt.base.coerce import as_array, whole
from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import FormatError
from sparsefmt.prune.fit import scaled
from sparsefmt.structures.nm import check_nm
from sparsefmt.tensor.axes import checked_axis, matrix_of, turned

TRIES = 15_000


class Permuted(NamedTuple):
    """A permutation of columns and what it wins."""

    order: Array
    """(cols,) int64: column i of the permuted matrix is column order[i] of w. `w[:, order]`, or with an axis
    `numpy.take(w, order, axis)`, is to be pruned."""
    kept: float
    """The share of the squared magnitude that N:M keeps after it."""
    before: float
    """The same without it."""
    free: float
    """The same for any positions at this density: no permutation keeps more."""


def permute(w: object, n: int = 2, m: int = 4, *, tries: int = TRIES, seed: int = 0, axis: int = -1) -> Permuted:
    """Columns in an order in which N:M loses little: dealt by norm, then bettered by exchanges.

    Every try takes two groups at random and makes the best exchange of one column of each, if it gains. Only the
    columns of a layer whose inputs are the outputs of a linear layer before it (with what acts on each alone between
    them) may be permuted freely: `fold` permutes the rows of that one. Elsewhere the order must be stored and applied
    to the inputs.

    Args:
        w: (rows, cols) real; cols a multiple of m. Of more axes, all but `axis` are rows.
        n: how many are kept.
        m: of how many.
        tries: exchanges that are tried.
        seed: of the pairs of groups; the same seed gives the same order, everywhere.
        axis: the one that columns lie along, as for `nm` and `encode`; default the last.

    Returns:
        `Permuted`.

    Raises:
        FormatError: no matrix, no such axis, columns that fill no groups, NaN or infinity.

    Source: Pool and Yu 2021, Channel permutations for N:M sparsity, NeurIPS 34.

    >>> w = np.array([[4.0, 3.0, 0.1, 0.2]])
    >>> p = permute(w, 1, 2)
    >>> np.sort(p.order).tolist(), p.kept > p.before
    ([0, 1, 2, 3], True)
    """
    n, m = check_nm(n, m)
    tries, seed = whole(tries, "tries", 0, 2**31 - 1), whole(seed, "seed", 0, 2**64 - 1)
    a = as_array(w)
    if a.ndim > 1:
        at = checked_axis(axis, a.ndim)
        a = turned(a, at).reshape(-1, a.shape[at]) if a.size else np.zeros(matrix_of(a.shape, at), a.dtype)
    if a.ndim != 2 or a.shape[1] % m or not a.shape[1] or a.dtype.kind == "c" or not np.isfinite(a).all():
        msg = f"w: want a finite real matrix whose columns fill groups of {m}, got {a.dtype} of shape {a.shape}"
        raise FormatError(msg)
    squares = np.ascontiguousarray(np.square(scaled(a)[0]).T)
    total = float(squares.sum(dtype=np.float64)) or 1.0
    cols, groups = a.shape[1], a.shape[1] // m
    before = _kept(squares.reshape(groups, m, -1), n).sum() / total
    order = _dealt(squares, groups, m)
    if _kept(squares[order].reshape(groups, m, -1), n).sum() / total < before:
        order = np.arange(cols)
    places = order.reshape(groups, m)
    value = _kept(squares[places], n)
    draws = np.random.Generator(np.random.Philox(seed)).integers(0, max(groups * (groups - 1), 1), tries)
    for draw in draws if groups > 1 and n < m else ():
        g, h = divmod(int(draw), groups - 1)
        h += h >= g
        gain, i, j = _best_exchange(squares[places[g]], squares[places[h]], n, value[g] + value[h])
        if gain > 1e-9 * total:
            places[g, i], places[h, j] = places[h, j], places[g, i]
            value[[g, h]] = _kept(squares[places[[g, h]]], n)
    flat = np.sort(squares.reshape(-1))
    free = float(flat[len(flat) - len(flat) * n // m :].sum(dtype=np.float64)) / total
    return Permuted(places.reshape(-1).astype(np.int64), float(value.sum()) / total, float(before), free)


def _kept(blocks: Array, n: int) -> Array:
    """(groups, m, rows) squares -> (groups,): what the n largest of every group sum to."""
    m = blocks.shape[1]
    return np.asarray(np.partition(blocks, m - n, axis=1)[:, m - n :].sum(axis=(1, 2), dtype=np.float64))


def _dealt(squares: Array, groups: int, m: int) -> Array:
    """Columns by norm, dealt to groups to and fro, so that each gets large and small ones."""
    rank = np.argsort(-squares.sum(axis=1, dtype=np.float64), kind="stable").reshape(m, groups)
    rank[1::2] = rank[1::2, ::-1]
    return np.ascontiguousarray(rank.T).reshape(-1)


def _best_exchange(a: Array, b: Array, n: int, now: float) -> tuple[float, int, int]:
    """The gain of the best exchange of a column of (m, rows) a and one of b, and which."""
    m = len(a)
    mine, other = _rest(a, n), _rest(b, n)
    best, at = 0.0, (0, 0)
    value = _with(mine, b, n)[:, :] + _with(other, a, n).T
    flat = int(np.argmax(value))
    gain = float(value.flat[flat]) - now
    if gain > best:
        best, at = gain, divmod(flat, m)
    return best, at[0], at[1]


def _rest(a: Array, n: int) -> tuple[Array, Array]:
    """For every column of (m, rows) a: what the n - 1 largest of the others sum to, and the n-th of them."""
    m, rows = a.shape
    ordered = np.sort(a, axis=0)[::-1]
    head = ordered[: n - 1].sum(axis=0) if n > 1 else np.zeros(rows, a.dtype)
    nth = ordered[n - 1]
    after = ordered[n] if n < m else np.zeros(rows, a.dtype)
    among = a >= nth  # ties: taking one away leaves an equal one, so either reading gives the same sums
    total = np.where(among, head + nth - a, head)
    return total, np.where(among, after, nth)


def _with(rest: tuple[Array, Array], b: Array, n: int) -> Array:
    """[i, j]: what the n largest sum to when column i is replaced by column j of b."""
    total, nth = rest
    return np.asarray(total.sum(axis=1)[:, None] + np.maximum(nth[:, None], b[None]).sum(axis=2))


def fold(order: object, before: object, bias: object = None) -> tuple[Array, Array | None]:
    """The rows of the layer before, and its bias, in an order of columns, so that the next layer sees them permuted.

    Raises:
        FormatError: the order is no permutation of the rows, or the bias is of another layer.

    >>> fold([1, 0], np.array([[1.0], [2.0]]), np.array([3.0, 4.0]))[1]
    array([4., 3.])
    """
    at, w = np.asarray(order), as_array(before, "before")
    if at.ndim != 1 or at.dtype.kind not in "iu" or not np.array_equal(np.sort(at), np.arange(len(w))):
        msg = f"order: want a permutation of the {len(w)} rows of the layer before"
        raise FormatError(msg)
    if bias is not None and np.asarray(bias).shape != (len(w),):
        msg = f"bias: want shape ({len(w)},), got {np.asarray(bias).shape}"
        raise FormatError(msg)
    return w[at], None if bias is None else np.asarray(bias)[at]
