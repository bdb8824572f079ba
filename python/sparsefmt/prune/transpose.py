"""Masks that are N:M along rows and along columns, so that the transpose is as sparse as the matrix."""

from typing import NamedTuple

import numpy as np

from sparsefmt.base.coerce import as_array
from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import DtypeError, FormatError
from sparsefmt.kernels.transposable import transposable_blocks
from sparsefmt.structures.nm import check_nm, score_keys
from sparsefmt.tensor.axes import back, checked_axis, matrix_of, moved, turned

_HIGH, _LOWER = 1e290, 2.0**-64  # scores beyond the one are multiplied by the other, so that their sums are finite
_AT_ONCE = 1 << 18  # scores; a tenth of a second of one thread


class Transposed(NamedTuple):
    """A mask, and what is known of how good it is."""

    mask: Array
    """bool, of the shape of the weights."""
    value: float
    """The sum of the scores that it keeps."""
    bound: float
    """No such mask keeps more."""


def transposable(
    w: object, n: int = 2, m: int = 4, *, score: object = None, certificate: bool = False, axis: int = -1
) -> "Array | Transposed":
    """The N:M mask along both axes that keeps most: n of every m in every row and column of every m x m block.

    Exactly n, virtual zeros included: of 2:4 the best of 90 masks. One that keeps fewer can hold more, where what would
    fill it up is kept already (about one random block in 17); neither it nor the bound is about those.
    The optimum, but for rounding: a transport problem for every block, bettered by cycles of exchanges until none
    gains. The potentials of the rows are then the solution of the dual problem, whose value is the bound.

    Args:
        w: (rows, cols) real; a ragged edge is completed by virtual zeros. Of more axes, all but `axis` are rows.
        n: how many are kept in every row and column of a block, 1..m.
        m: the side of a block, up to 32.
        score: >= 0, of the shape of `w`, larger is kept; default the square of `w`.
        certificate: whether the value and its bound are given too.
        axis: the one that columns lie along, as for `nm` and `encode`; default the last.

    Returns:
        bool of the shape of `w`, True is kept; with `certificate` a `Transposed`.

    Raises:
        FormatError: n, m, the axis or the score; NaN; fewer than two axes.
        DtypeError: w is complex.

    Source: Hubara et al. 2021, arXiv:2102.08124 (the problem); Ahuja, Magnanti and Orlin 1993, Network Flows,
        sections 9.3 and 9.6.

    >>> transposable(np.array([[9., 8, 1, 1], [8, 7, 1, 1], [1, 1, 5, 1], [1, 1, 1, 5]])).astype(int).tolist()
    [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]]
    """
    n, m = check_nm(n, m)
    a = as_array(w)
    if a.dtype.kind == "c":
        msg = f"w: {a.dtype} has no order; give score=abs(w)"
        raise DtypeError(msg)
    if a.ndim < 2:
        msg = f"w: want (rows, cols), or more axes, got shape {a.shape}"
        raise FormatError(msg)
    s = _scores(a, score)
    at = checked_axis(axis, s.ndim)
    lines = moved(s.shape, at)
    s = turned(s, at).reshape(-1, lines[-1]) if s.size else np.zeros(matrix_of(s.shape, at))
    score_keys(s, 0)
    blocks, keep, potential = _solved(s, n, m)
    mask = _joined(keep, s.shape)
    whole = np.ascontiguousarray(back(mask.reshape(lines), at))
    if not certificate:
        return whole
    value = float(s[mask].sum())
    most = np.sort(blocks - potential[:, :, None], axis=1)[:, m - n :].sum(axis=(1, 2))
    bound = float((n * potential.sum(axis=1) + most).sum()) / (_LOWER if s.max(initial=0) > _HIGH else 1)
    return Transposed(whole, value, max(value, bound))


def _scores(a: Array, score: object) -> Array:
    """What is kept the most of; of NaN others say it."""
    with np.errstate(over="ignore", invalid="ignore"):  # said here
        s = np.square(a.astype(np.float64)) if score is None else np.asarray(score, np.float64)
    if s.shape != a.shape:
        msg = f"score: want shape {a.shape}, got {s.shape}"
        raise FormatError(msg)
    if (odd := (s < 0) | np.isinf(s)).any():
        at = np.unravel_index(int(np.argmax(odd)), s.shape)
        where = ", ".join(map(str, at))
        got = (
            f"w[{where}] = {a[at]}, whose square is infinite; give score=" if score is None else f"{s[at]} at [{where}]"
        )
        msg = f"score: want finite numbers >= 0, got {got}"
        raise FormatError(msg)
    return s


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


def _solved(s: Array, n: int, m: int) -> tuple[Array, Array, Array]:
    """Scores, masks and potentials, block by block."""
    wide = np.ascontiguousarray(s, np.float64)
    blocks = _cut(wide * _LOWER if wide.max(initial=0) > _HIGH else wide, m)
    keep, potential = np.empty(blocks.shape, np.uint8), np.empty(blocks.shape[:2])
    step = max(_AT_ONCE // m**2, 1)
    for at in range(0, len(blocks), step):  # so that signals are answered in between
        some = slice(at, at + step)
        transposable_blocks(blocks[some], n, m, keep[some], potential[some])
    return blocks, keep.view(bool), potential


def blocks_mask(s: Array, n: int, m: int) -> Array:
    """The mask for scores (rows, cols)."""
    return _joined(_solved(s, n, m)[1], s.shape)
