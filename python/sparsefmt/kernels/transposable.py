"""Definition of the kernel for masks that are N:M along rows and along columns.

A transport problem for every block: n units leave every row, n arrive in every column, at most one on each cell. It
starts greedily and is bettered by cycles: row i hands a column over to row p, p one to q, ..., the last one to i, which
leaves the counts of all rows and columns as they are. Where no cycle of rows gains, no mask keeps more, and the lengths
of the shortest paths between rows, the potentials, prove it.

Source: Ahuja, Magnanti and Orlin 1993, Network Flows, sections 9.6 (cycles) and 9.3 (potentials).
"""

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.kernels.registry import kernel

_PART = 1 << 9  # blocks worked on at a time
_LEAST = 1e-12  # of the largest score: what gains less is no gain


@kernel
def transposable_blocks(score: Array, n: int, m: int, keep: Array, potential: Array) -> None:
    """The masks with n in every row and column of each block that keep most.

    Args:
        score: (blocks, m, m) float64, >= 0, at most 1e300.
        n: 1..m.
        m: up to 32.
        keep: (blocks, m, m) uint8, 1 is kept.
        potential: (blocks, m) float64 u. No mask keeps more than `n * sum(u)` plus, of each column of `score - u`, the
            n largest; but for rounding, the masks here keep that.
    """
    if n == m:
        keep[...], potential[...] = 1, 0
        return
    for start in range(0, len(score), _PART):
        part = slice(start, start + _PART)
        s = score[part]
        kept = _greedy(s, n)
        _fill(kept, s, n)
        potential[part] = _cancel(kept, s)
        keep[part] = kept


def _greedy(s: Array, n: int) -> Array:
    """The largest first, equal ones by position, where row and column have room."""
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


def _cancel(keep: Array, s: Array) -> Array:
    """Hands columns over along cycles until none gains, in place; gives the potentials."""
    count, m = len(s), s.shape[-1]
    least = _LEAST * s.max(axis=(1, 2))
    potential = np.zeros((count, m))
    open_ = np.arange(count)
    for _ in range(4 * m * m):
        if not len(open_):
            break
        loss = _losses(keep[open_], s[open_])
        length, parent, cyclic = _paths(loss, least[open_])
        potential[open_] = 0 - length
        block, to = np.nonzero(cyclic)
        giver, at = parent[block, to], open_[block]
        gives = np.where(keep[at, giver], s[at, giver], np.inf) - np.where(keep[at, to], -np.inf, s[at, to])
        col = gives.argmin(axis=1)
        keep[at, giver, col] = False
        keep[at, to, col] = True
        open_ = open_[cyclic.any(axis=1)]
    return potential


def _losses(keep: Array, s: Array) -> Array:
    """[block, i, p]: the least that is lost where row i hands one of its columns over to row p."""
    own, other = np.where(keep, s, np.inf), np.where(keep, -np.inf, s)
    loss = np.full(s.shape, np.inf)
    for j in range(s.shape[-1]):
        np.minimum(loss, own[:, :, None, j] - other[:, None, :, j], out=loss)
    return loss


def _paths(loss: Array, least: Array) -> tuple[Array, Array, Array]:
    """The shortest ways to every row, the rows before, and which rows lie on a cycle, where there is one (of gain)."""
    count, m, _ = loss.shape
    length, parent = np.zeros((count, m)), np.full((count, m), m)
    cyclic = np.zeros((count, m), bool)
    going = np.arange(count)
    for _ in range(4 * m):
        if not len(going):
            break
        ways = length[going][:, :, None] + loss[going]
        before = ways.argmin(axis=1)
        best = np.take_along_axis(ways, before[:, None], axis=1)[:, 0]
        nearer = best < length[going] - least[going, None]
        length[going] = np.where(nearer, best, length[going])
        parent[going] = np.where(nearer, before, parent[going])
        back = np.concatenate([parent[going], np.full((len(going), 1), m)], axis=1)
        at, found = back[:, :m], np.zeros((len(going), m), bool)
        for _ in range(m):
            found |= at == np.arange(m)
            at = np.take_along_axis(back, at, axis=1)
        cyclic[going] = found
        going = going[nearer.any(axis=1) & ~found.any(axis=1)]
    return length, parent, cyclic
