"""Masks that are N:M along rows and along columns, so that the transpose is as sparse as the matrix."""

import functools
import itertools
from typing import Literal, NamedTuple

import numpy as np

from sparsefmt.base.coerce import as_array
from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import DtypeError, FormatError
from sparsefmt.kernels.blas import each
from sparsefmt.prune.flow import best_mask
from sparsefmt.structures.nm import check_nm, score_keys

TAU, ROUNDS = 200.0, 300
_PART = 1 << 9  # blocks worked on at a time
_SETTLED = 1e-4


class Transposed(NamedTuple):
    """A mask, and what is known of how good it is."""

    mask: Array
    """(rows, cols) bool."""
    value: float
    """The sum of the scores that it keeps."""
    bound: float
    """No such mask keeps more; from the exact methods alone, else infinity."""


def transposable(
    w: object,
    n: int = 2,
    m: int = 4,
    *,
    score: object = None,
    method: Literal["auto", "entropic", "exact"] = "auto",
    certificate: bool = False,
) -> "Array | Transposed":
    """The N:M mask along both axes that keeps most: at most n of every m in every row and column of every m x m block.

    For m = 4 every mask is tried (90 of them for 2:4), so the result is the optimum. For larger m: a transport
    problem with
    entropy, solved by Dykstra's alternating projections, rounded greedily, then bettered by exchanges. "exact": a
    min-cost flow
    for every block, with a dual certificate, far slower.

    Args:
        w: (rows, cols) real; a ragged edge is completed by virtual zeros.
        n: how many are kept in every row and column of a block, 1..m.
        m: the side of a block, up to 32.
        score: (rows, cols) >= 0, larger is kept; default the square of `w`.
        method: "auto": by table for m = 4, else "entropic".
        certificate: whether the value and its bound are given too.

    Returns:
        (rows, cols) bool, True is kept; with `certificate` a `Transposed`.

    Raises:
        FormatError: n, m, the method or the score; NaN.
        DtypeError: w is complex.

    Source: Hubara et al. 2021, arXiv:2102.08124 (the problem, min-cost flow); Meng et al. 2025, TSENOR,
        arXiv:2505.23949 (entropy).

    >>> transposable(np.array([[9., 8, 1, 1], [8, 7, 1, 1], [1, 1, 5, 1], [1, 1, 1, 5]])).astype(int).tolist()
    [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]]
    """
    n, m = check_nm(n, m)
    a = as_array(w)
    if a.dtype.kind == "c":
        msg = f"w: {a.dtype} has no order; give score=abs(w)"
        raise DtypeError(msg)
    s = np.square(a.astype(np.float64)) if score is None else np.asarray(score, np.float64)
    if s.ndim != 2 or s.shape != a.shape or (s < 0).any() or np.isinf(s).any():
        msg = f"score: want finite numbers >= 0 of shape {a.shape} (rows, cols), got shape {s.shape}"
        raise FormatError(msg)
    score_keys(s, 0)
    if method not in ("auto", "entropic", "exact"):
        msg = f"method = {method!r}; have auto, entropic, exact"
        raise FormatError(msg)
    if method == "exact" and m != 4:
        found = _exact(s, n, m)
        return found if certificate else found.mask
    mask = blocks_mask(s, n, m, table=method != "entropic")
    if not certificate:
        return mask
    value = float(s[mask].sum())
    return Transposed(mask, value, value if m == 4 and method != "entropic" else np.inf)


def _cut(s: Array, m: int) -> Array:
    """(rows, cols) -> (blocks, m, m), completed by zeros."""
    rows, cols = s.shape
    down, across = -(-rows // m), -(-cols // m)
    full = np.zeros((down * m, across * m), s.dtype)
    full[:rows, :cols] = s
    return np.ascontiguousarray(full.reshape(down, m, across, m).transpose(0, 2, 1, 3)).reshape(-1, m, m)


def _joined(blocks: Array, shape: tuple[int, ...]) -> Array:
    m = blocks.shape[-1]
    down, across = -(-shape[0] // m), -(-shape[1] // m)
    full = blocks.reshape(down, across, m, m).transpose(0, 2, 1, 3).reshape(down * m, across * m)
    return np.ascontiguousarray(full[: shape[0], : shape[1]])


def blocks_mask(s: Array, n: int, m: int, *, table: bool = True) -> Array:
    """The mask for scores (rows, cols): by table for m = 4, else by entropy."""
    if not s.size:
        return np.zeros(s.shape, bool)
    blocks = _cut(np.ascontiguousarray(s, np.float64), m)
    keep = np.empty(blocks.shape, bool)

    def some(i: int) -> None:
        part = slice(i * _PART, (i + 1) * _PART)
        keep[part] = _by_table(blocks[part], n) if m == 4 and table else _by_entropy(blocks[part], n)

    each(some, -(-len(blocks) // _PART))
    return _joined(keep, s.shape)


@functools.cache
def _masks_of_four(n: int) -> Array:
    """(masks, 4, 4) bool: all with n in every row and column, in ascending order."""
    rows = [r for r in itertools.product((0, 1), repeat=4) if sum(r) == n]
    found = [p for p in itertools.product(rows, repeat=4) if all(sum(c) == n for c in zip(*p, strict=True))]
    return np.array(found, bool)


def _by_table(s: Array, n: int) -> Array:
    masks = _masks_of_four(n)
    flat = masks.reshape(len(masks), 16).astype(np.float64)
    return np.asarray(masks[np.argmax(np.einsum("bk,mk->bm", s.reshape(-1, 16), flat), axis=1)])


def _by_entropy(s: Array, n: int) -> Array:
    m = s.shape[-1]
    if n == m:
        return np.ones(s.shape, bool)
    peak = s.max(axis=(1, 2), keepdims=True)
    shares = np.exp(TAU * (s / np.where(peak > 0, peak, 1) - 1))
    dual = np.ones_like(shares)
    for step in range(ROUNDS):
        shares *= n / shares.sum(axis=2, keepdims=True)
        off = shares.sum(axis=1, keepdims=True)
        shares *= n / off
        grown = shares * dual
        shares = np.minimum(grown, 1)
        dual = grown / shares
        if step % 20 == 19 and np.abs(off - n).max() < _SETTLED * n:
            break
    keep = _greedy(shares, n)
    _fill(keep, s, n)
    _exchange(keep, s)
    return keep


def _greedy(s: Array, n: int) -> Array:
    """The largest first, where row and column have room."""
    count, m = len(s), s.shape[-1]
    order = np.argsort(-s.reshape(count, -1), axis=1, kind="stable")
    keep = np.zeros(s.shape, bool)
    rows, cols = np.zeros((count, m), np.int8), np.zeros((count, m), np.int8)
    every = np.arange(count)
    for k in range(m * m):
        row, col = np.divmod(order[:, k], m)
        room = (rows[every, row] < n) & (cols[every, col] < n)
        keep[every, row, col] = room
        rows[every, row] += room
        cols[every, col] += room
    return keep


def _fill(keep: Array, s: Array, n: int) -> None:
    """Fills short rows and columns, each by the best single exchange, in place."""
    for b in np.flatnonzero((keep.sum(axis=2) < n).any(axis=1)):
        mask, score = keep[b], s[b]
        while (short := np.flatnonzero(mask.sum(axis=1) < n)).size:
            i, j = int(short[0]), int(np.flatnonzero(mask.sum(axis=0) < n)[0])
            if not mask[i, j]:
                mask[i, j] = True
                continue
            gain = score[i][None, :] + score[:, j][:, None] - score
            gain[~mask] = -np.inf
            gain[:, mask[i]] = -np.inf
            gain[mask[:, j]] = -np.inf
            p, q = np.unravel_index(int(np.argmax(gain)), gain.shape)
            mask[p, q] = False
            mask[i, q] = mask[p, j] = True


def _exchange(keep: Array, s: Array, rounds: int = 8) -> None:
    """Swaps kept corners of a rectangle for the others where that gains most, a swap per block and round, in place."""
    m = s.shape[-1]
    for _ in range(rounds):
        best = np.zeros(len(s))
        where = np.zeros((len(s), 4), np.int64)
        for i in range(m):
            for p in range(i + 1, m):
                # In rows i and p: columns kept in i alone give, columns kept in p alone take.
                alone, other = keep[:, i] & ~keep[:, p], keep[:, p] & ~keep[:, i]
                gain = s[:, p] - s[:, i]
                give = np.where(alone, gain, -np.inf)
                take = np.where(other, -gain, -np.inf)
                j, q = give.argmax(axis=1), take.argmax(axis=1)
                every = np.arange(len(s))
                both = give[every, j] + take[every, q]
                more = both > best
                best = np.where(more, both, best)
                where[more] = np.stack([np.full(len(s), i), j, np.full(len(s), p), q], axis=1)[more]
        at = np.flatnonzero(best > 1e-12 * s.max(axis=(1, 2)))
        if not len(at):
            return
        i, j, p, q = where[at].T
        keep[at, i, j] = keep[at, p, q] = False
        keep[at, p, j] = keep[at, i, q] = True


def _exact(s: Array, n: int, m: int) -> Transposed:
    blocks = _cut(s, m)
    keep, value, bound = np.empty(blocks.shape, bool), 0.0, 0.0
    for b, block in enumerate(blocks):
        keep[b], most = best_mask(block, n)
        value += float(block[keep[b]].sum())
        bound += most
    return Transposed(_joined(keep, s.shape), value, bound)
