"""Products with a matrix of a structure and a codec, on the way that the plan found best."""

import math

import numpy as np

from sparsefmt.base.alloc import empty
from sparsefmt.base.dtypes import Array
from sparsefmt.base.limits import check_size
from sparsefmt.codecs.base import Codec
from sparsefmt.codecs.raw import Raw
from sparsefmt.encoding.routes import restructure
from sparsefmt.product import decoded
from sparsefmt.product.dtypes import result_dtypes, rounded
from sparsefmt.product.packed import packed
from sparsefmt.product.plan import is_plain, plans
from sparsefmt.structures.base import Structure
from sparsefmt.structures.csr import Csc, Csr


def matmul(s: Structure, values: Codec, x: Array, out: Array | None = None) -> Array:
    """`w @ x` for x of shape (..., cols, k) or (cols,); into `out`, a plain array of the result, if it is given.

    NaN and infinities in x pass through nonzero elements of w only. Sums in float32 are off by at most
    (terms + 2) * 3 eps * sum of absolute products; from integer codes with 16-bit dtypes, also by the rounding of
    each value that `to_dense` does and this does not.
    """
    k = 1 if x.ndim == 1 else x.shape[-1]
    made = None
    if x.size:
        columns = k if x.ndim <= 2 else min(k * math.prod(x.shape[:-2]), 1 << 20)
        plan = plans(s, values, columns, x.dtype)[0]
        if plan.packed:
            made = packed(s, values, x, out)
        elif plan.whole:
            made = _whole(s, values, x, out)
    if made is None:
        made = decoded.matmul(*by_rows(s, values), x)
    if out is None or made is out:
        return made
    np.copyto(out, made)
    return out


def rmatmul(s: Structure, values: Codec, x: Array) -> Array:
    """`x @ w` for x of shape (..., rows) or (rows,): csc is csr of the transpose; else by decoded rows."""
    if isinstance(s, Csc) and values.anywhere and x.size:
        flipped = Csr(s.indptr, s.indices, (s.shape[1], s.shape[0]), check=False)
        right = x if x.ndim == 1 else x.reshape(-1, x.shape[-1]).T
        made = matmul(flipped, values, right)
        return made if x.ndim == 1 else np.ascontiguousarray(made.T).reshape(*x.shape[:-1], s.shape[1])
    return decoded.rmatmul(s, values, x)


def _whole(s: Structure, values: Codec, x: Array, out: Array | None) -> Array | None:
    """By NumPy from the whole matrix in floats; None where x is not finite."""
    result, compute = result_dtypes(values.dtype, x.dtype)
    right = x.astype(compute, copy=False)
    flat = right.reshape(-1)
    if not math.isfinite(flat.dot(flat)):  # or the sum of squares overflows
        return None
    check_size(compute.itemsize * s.shape[0] * (right.size // right.shape[-2 if right.ndim > 1 else 0]), "the product")
    if isinstance(values, Raw) and is_plain(s, values, compute):
        w = values.data
    else:
        w = empty(s.shape, values.dtype, "the dense matrix")
        values.decode_rows(s, 0, s.shape[0], w)
        w = w.astype(compute, copy=False)
    if right.ndim <= 2:  # `dot` raises no warnings, and starts sooner
        return rounded(w.dot(right, out if out is not None and out.dtype == compute else None), result)
    with np.errstate(all="ignore"):
        return rounded(np.matmul(w, right), result)


def by_rows(s: Structure, values: Codec) -> tuple[Structure, Codec]:
    """As csr if it is csc, so that blocks of rows are decoded without going over all slots again and again."""
    if not isinstance(s, Csc) or not values.anywhere or s.shape[0] > 8 * s.slots + 1024:
        return s, values
    target, slots = restructure(s, values.lift(s), Csr, {})
    return target, values.lower(target, slots)
