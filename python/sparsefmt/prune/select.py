"""Which values to keep: N of every M, the largest of a tensor or of each row, the heaviest blocks."""

from collections.abc import Callable
from fractions import Fraction
from typing import Literal

import numpy as np

from sparsefmt.base.alloc import empty
from sparsefmt.base.coerce import as_array, whole
from sparsefmt.base.dtypes import Array, items
from sparsefmt.base.errors import FormatError
from sparsefmt.base.matrix import Matrix
from sparsefmt.kernels import nm as kernels
from sparsefmt.prune.blocks import areas, block_keys
from sparsefmt.prune.largest import keep_largest, largest, modulus, row_wise
from sparsefmt.structures.nm import check_nm, prune_block, ranges
from sparsefmt.tensor.axes import back, checked_axis, turned
from sparsefmt.tensor.cpu import score_matrix


def nm(w: object, n: int = 2, m: int = 4, score: object = None, *, axis: int = -1) -> Array:
    """Keeps the `n` highest-scoring values in every run of `m` columns and zeroes the rest.

    Larger magnitude first, equal magnitude: lower column; NaN ranks as infinity, int8 -128 as 128, complex by
    modulus.

    Args:
        w: array-like (..., cols), any number of columns; a short last group is completed by virtual zeros. Not
            modified.
        n: how many to keep, 1..m.
        m: the length of a run, up to 32.
        score: the shape of w or (rows, cols), real, larger is kept; default the magnitude of w.
        axis: the one that runs of `m` lie along; default the last. Of a convolution (out, in, height, width), 1 groups
            input channels.

    Returns:
        A new array of the shape and dtype of w; what is kept is kept bit for bit, the rest is +0.

    Raises:
        FormatError: n, m or the shape of score; a NaN in score.
        DtypeError: w is neither numeric nor complex.

    Source: Mishra et al. 2021, arXiv:2104.08378, section 2.

    >>> nm(np.array([[4., 1., -3., 2.]]))
    array([[ 4.,  0., -3.,  0.]])
    """
    n, m = check_nm(n, m)
    if axis != -1:
        shape, ranks = as_array(w).shape, None if score is None else as_array(score, "score")
        if ranks is not None and ranks.shape == shape:
            ranks = turned(ranks, checked_axis(axis, ranks.ndim))
        return _along(w, axis, lambda a: nm(a, n, m, ranks))
    matrix = Matrix(as_array(w))
    scores = score_matrix(score, matrix.array.shape)
    out = empty(matrix.array.shape, matrix.dtype, "the pruned array")
    kept = items(out.reshape(matrix.shape))
    for low, high, block_ in matrix.row_blocks():
        if scores is None and matrix.dtype.kind != "c":
            kernels.nm_prune(block_, matrix.dtype.name, n, m, kept[low:high])
            continue
        for start, end in ranges(low, high, matrix.shape[1]):
            part = block_[start - low : end - low]
            chosen = modulus(part.view(matrix.dtype)) if scores is None else scores[start:end]
            kept[start:end] = prune_block(part, chosen, n, m, start)
    return out


def _along(w: object, axis: int, prune: Callable[[Array], Array]) -> Array:
    """Prunes the array with `axis` as its last, and puts it back."""
    a = as_array(w)
    at = checked_axis(axis, a.ndim)
    return np.ascontiguousarray(back(prune(turned(a, at)), at))


def kept_count(density: object, size: int) -> int:
    """`floor(density * size)`, exactly: the density as a fraction with a denominator of at most 10**9.

    Raises:
        FormatError: the density is no number in 0..1.

    >>> kept_count(0.29, 100)
    29
    """
    try:
        share: Fraction = Fraction(float(density) if isinstance(density, np.floating) else density)  # type: ignore[call-overload]
    except (TypeError, ValueError, OverflowError):
        share = Fraction(-1)
    if isinstance(density, bool | str) or not 0 <= share <= 1:
        msg = f"density = {density!r}; want a number in 0..1"
        raise FormatError(msg)
    share = share.limit_denominator(10**9)
    return share.numerator * size // share.denominator


def magnitude(w: object, density: float, scope: Literal["tensor", "row"] = "tensor", *, axis: int = -1) -> Array:
    """Keeps the largest values and zeroes the rest.

    The count is exact: `floor(density * size)`, with the density as the fraction that it was written as (0.29 of 100
    keeps 29). Equal magnitude: lower index; NaN ranks as infinity; complex by modulus.

    Args:
        w: array-like (..., cols). Not modified.
        density: the share to keep, 0..1.
        scope: "tensor": of the whole; "row": of each row (leading axes counted as rows).
        axis: the one that rows lie along, as for `nm`.

    Returns:
        A new array of the shape and dtype of w; what is kept is kept bit for bit, the rest is +0.

    Raises:
        FormatError: the density or the scope.
        DtypeError: w is neither numeric nor complex.

    >>> magnitude(np.array([1., -4., 3., 2.]), 0.5)
    array([ 0., -4.,  3.,  0.])
    """
    if scope not in ("tensor", "row"):
        msg = f'scope = {scope!r}; want "tensor" or "row"'
        raise FormatError(msg)
    if axis != -1:
        return _along(w, axis, lambda a: magnitude(a, density, scope))
    matrix = Matrix(as_array(w))
    rows, cols = matrix.shape
    out = empty(matrix.array.shape, matrix.dtype, "the pruned array")
    kept = items(out.reshape(matrix.shape))
    if scope == "row":
        row_wise(matrix, kept, kept_count(density, cols))
    else:
        keep_largest(matrix, kept, kept_count(density, rows * cols))
    return out


def block(w: object, block: tuple[int, int] = (16, 16), density: float = 0.25, *, axis: int = -1) -> Array:
    """Keeps the heaviest blocks whole and zeroes the rest.

    The weight of a block is the sum of its squared magnitudes, in float64 of any exponent, so that none is too large
    or too small; NaN weighs infinity. Blocks at the ragged edge are completed by zeros. Equal weight: the first in
    row-major order.

    Args:
        w: array-like (..., cols); leading axes are counted as rows. Not modified.
        block: rows and columns of a block.
        density: the share of blocks to keep, 0..1; `floor(density * blocks)` are kept.
        axis: the one that columns of blocks lie along, as for `nm`.

    Returns:
        A new array of the shape and dtype of w; what is kept is kept bit for bit, the rest is +0.

    Raises:
        FormatError: the block or the density.
        DtypeError: w is neither numeric nor complex.

    >>> block(np.array([[1., 0., 3., 3.], [0., 1., 3., 3.]]), (2, 2), 0.5)
    array([[0., 0., 3., 3.],
           [0., 0., 3., 3.]])
    """
    if axis != -1:
        sizes = block
        return _along(w, axis, lambda a: _blocks(a, sizes, density))
    return _blocks(w, block, density)


def _blocks(w: object, block: tuple[int, int], density: float) -> Array:
    try:
        r, c = (whole(size, "block", 1, 2**31 - 1) for size in block)
    except (TypeError, ValueError):
        msg = f"block = {block!r}; want (rows, columns), each 1 or more"
        raise FormatError(msg) from None
    matrix = Matrix(as_array(w))
    r, c = min(r, max(matrix.shape[0], 1)), min(c, max(matrix.shape[1], 1))
    keys = block_keys(matrix, r, c)
    count = kept_count(density, keys.size)
    keep = largest(keys.view(np.uint64).reshape(1, -1), count).reshape(keys.shape)
    out = empty(matrix.array.shape, matrix.dtype, "the pruned array")
    kept = items(out.reshape(matrix.shape))
    for low, high, part in matrix.row_blocks(r):
        for rows, cols in areas(low, high, matrix.shape[1], r, c):
            some = part[rows.start - low : rows.stop - low, cols]
            chosen = keep[rows.start // r : -(-rows.stop // r), cols.start // c : -(-cols.stop // c)]
            chosen = np.repeat(np.repeat(chosen, r, axis=0)[: some.shape[0]], c, axis=1)[:, : some.shape[1]]
            kept[rows, cols] = np.where(chosen, some, np.zeros(1, matrix.item_dtype))
    return out
