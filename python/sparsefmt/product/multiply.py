"""Products with a matrix of a structure and a codec, on the way that the plan found best."""

import math

import numpy as np

from sparsefmt.base.alloc import cast
from sparsefmt.base.dtypes import Array, Dtype
from sparsefmt.base.limits import check_size
from sparsefmt.codecs.affine import Affine
from sparsefmt.codecs.base import Codec
from sparsefmt.codecs.raw import Raw
from sparsefmt.encoding.routes import restructure
from sparsefmt.kernels.affine_rows import FUSED_BITS
from sparsefmt.kernels.registry import NATIVE
from sparsefmt.product import decoded
from sparsefmt.product.dtypes import rounded
from sparsefmt.product.packed import batch_of, packed
from sparsefmt.product.plan import Plan, is_plain, kernel_plan, plans
from sparsefmt.structures.base import Structure
from sparsefmt.structures.csr import Csc, Csr


def planned(s: Structure, values: Codec, x: Array) -> Plan | None:
    """The best way to `w @ x`, with the dtypes of the result and of the sums; None for an x without items."""
    if not x.size:
        return None
    columns, calls = columns_of(x.shape)
    return plans(s, values, columns, x.dtype, calls)[0]


def matmul(s: Structure, values: Codec, x: Array, out: Array | None = None, plan: Plan | None = None) -> Array:
    """`w @ x` for x of shape (..., cols, k) or (cols,); into `out`, a plain array of the result, if it is given.

    `plan`: what `planned` returned, where it was asked before.

    NaN and infinities in x pass through nonzero elements of w only. Sums in float32 are off by at most
    (terms + 2) * 3 eps * sum of absolute products; from integer codes with 16-bit dtypes, also by the rounding of
    each value that `to_dense` does and this does not.
    """
    made = None
    plan = plan or planned(s, values, x)
    if plan is not None:
        if plan.kernel is not None:
            made = packed(s, values, x, out, plan.dtypes[0], bf16=plan.bf16)
        elif plan.whole:
            made = _whole(s, values, x, out, *plan.dtypes)
    if made is None:
        made = decoded.matmul(*by_rows(s, values), x)
    if out is None or made is out:
        return made
    np.copyto(out, made)
    return out


def columns_of(shape: tuple[int, ...]) -> tuple[int, int]:
    """How many columns x of that shape has, batches included, and in how many calls a kernel multiplies them."""
    if len(shape) <= 2:
        return (1 if len(shape) == 1 else shape[1]), 1
    count, k = math.prod(shape[:-2]), shape[-1]
    return k * count, max(-(-count // batch_of(k)), 1)


def rmatmul(s: Structure, values: Codec, x: Array) -> Array:
    """`x @ w` for x of shape (..., rows) or (rows,): csc is csr of the transpose; else by decoded rows."""
    if isinstance(s, Csc) and values.anywhere and x.size:
        flipped = Csr(s.indptr, s.indices, (s.shape[1], s.shape[0]), check=False)
        right = x if x.ndim == 1 else x.reshape(-1, x.shape[-1]).T
        made = matmul(flipped, values, right)
        return made if x.ndim == 1 else np.ascontiguousarray(made.T).reshape(*x.shape[:-1], s.shape[1])
    return decoded.rmatmul(s, values, x)


def _whole(s: Structure, values: Codec, x: Array, out: Array | None, result: Dtype, compute: Dtype) -> Array | None:
    """By NumPy from the whole matrix in floats; None where x is not finite."""
    right = cast(x, compute, "the right factor")
    flat = right.reshape(-1)
    if not math.isfinite(flat.dot(flat)):  # or the sum of squares overflows
        return None
    check_size(compute.itemsize * s.shape[0] * (right.size // right.shape[-2 if right.ndim > 1 else 0]), "the product")
    if isinstance(values, Raw) and is_plain(s, values, compute):
        w = values.data
    else:
        check_size(s.shape[0] * s.shape[1] * values.dtype.itemsize, "the dense matrix")
        w = np.empty(s.shape, values.dtype)  # small, and on its way to BLAS, which needs no alignment
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


def takes_integers(s: Structure, values: Codec) -> bool:
    """Whether `in_integers` takes the matrix."""
    group = getattr(values, "group", 1)
    fits = isinstance(values, Affine) and values.zero_point is None and (group <= 0 or group % 64 == 0)
    fits = fits and values.slot_bits in FUSED_BITS and (not s.slots or values.product_slots(s) is not None)
    if not NATIVE:  # the definitions take what the kernels take
        return fits and s.kind in ("nm", "nm_radix", "nm_rans", "bitmask", "dense")
    return fits and kernel_plan(s, values, 1, values.dtype, integers=True) is not None
