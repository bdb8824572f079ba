"""The best mask with n in every row and column, as a min-cost flow, with a dual certificate."""

import numpy as np

from sparsefmt.base.dtypes import Array


def best_mask(score: Array, n: int) -> tuple[Array, float]:
    """The mask of an m x m block that keeps most, and a bound on what any keeps.

    n units flow from a source to every row, at most one on each cell, and n from every column to a sink, each along the
    shortest path that is left. The distances at the end are the dual solution, whose value is the bound.

    Args:
        score: (m, m) finite.
        n: 1..m.

    Source: Ahuja, Magnanti and Orlin 1993, Network Flows, sections 9.7 and 9.3.

    >>> best_mask(np.array([[3.0, 1.0], [1.0, 2.0]]), 1)[1]
    5.0
    """
    m = len(score)
    keep = np.zeros((m, m), bool)
    row_room, col_room = np.full(m, n), np.full(m, n)
    for _ in range(n * m):
        to_col, _, back_col, back_row = _distances(score, keep, np.where(row_room > 0, 0.0, np.inf))
        col = int(np.argmin(np.where(col_room > 0, to_col, np.inf)))
        col_room[col] -= 1
        while True:
            row = int(back_col[col])
            keep[row, col] = True
            if back_row[row] < 0:
                row_room[row] -= 1
                break
            col = int(back_row[row])
            keep[row, col] = False
    to_col, to_row, _, _ = _distances(score, keep, np.zeros(m))
    rest = np.maximum(score - to_row[:, None] + to_col, 0).sum()
    return keep, float(n * (to_row.sum() - to_col.sum()) + rest)


def _distances(score: Array, keep: Array, to_row: Array) -> tuple[Array, Array, Array, Array]:
    """Lengths of the shortest paths to columns and rows, and the steps before: Bellman and Ford.

    A free cell leads from its row to its column, at -score; a kept one back, at its score.
    """
    m = len(score)
    to_col = np.full(m, np.inf)
    back_col, back_row = np.full(m, -1), np.full(m, -1)
    every = np.arange(m)
    least = 1e-13 * np.abs(score).max()
    for _ in range(2 * m):
        out = np.where(keep, np.inf, to_row[:, None] - score)
        row = out.argmin(axis=0)
        nearer = out[row, every] < to_col - least
        to_col, back_col = np.where(nearer, out[row, every], to_col), np.where(nearer, row, back_col)
        home = np.where(keep, to_col + score, np.inf)
        col = home.argmin(axis=1)
        closer = home[every, col] < to_row - least
        to_row, back_row = np.where(closer, home[every, col], to_row), np.where(closer, col, back_row)
        if not closer.any():
            break
    return to_col, to_row, back_col, back_row
