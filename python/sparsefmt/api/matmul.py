"""The product as a function, and what it is going to do."""

from typing import Any

import numpy as np

from sparsefmt.base.coerce import as_array, is_plain
from sparsefmt.base.dtypes import Array, Dtype
from sparsefmt.base.errors import DtypeError, FormatError
from sparsefmt.kernels.settings import cpu_features
from sparsefmt.product import multiply, packed
from sparsefmt.product.dtypes import result_dtypes
from sparsefmt.product.plan import estimates
from sparsefmt.tensor.base import Packed
from sparsefmt.tensor.layout import along_last, is_moved
from sparsefmt.tensor.sparse import SparseTensor
from sparsefmt.tensor.transposed import Transposed


def matmul(a: object, b: object, *, out: Array | None = None, bias: object = None, compute: str | None = None) -> Array:
    """`a @ b` where one of the two is a packed tensor (or the transpose of one), with a bias and into an array.

    Args:
        a: a packed tensor and b an array, or the other way round; shapes as for `a @ b`: a tensor of shape
            (rows, cols) takes b of shape (cols,), (cols, k) or (..., cols, k).
        b: see a. Arrays of any numeric dtype and strides; float32 that starts at a multiple of 64 bytes and has no
            gaps is used in place, others are copied.
        out: an array of the shape and dtype of the result to fill; C-contiguous float32 is filled in place. It may
            not share memory with the tensor.
        bias: added to the result in its dtype: one number for each row of a tensor on the left, (rows,), or for each
            column of one on the right, (cols,).
        compute: "int8" quantises the array row by row of its transpose (each column of b to 8 bits, symmetric, by
            its largest magnitude) and multiplies integers; for a tensor on the left in nm, bitmask or dense with
            symmetric int8 or int4 codes. The result is off by at most half a step of x times the sum of magnitudes
            of the row: max|x| / 254 * sum|w|.

    Returns:
        `out`, or a new array of the dtype that `SparseTensor.__matmul__` tells.

    Raises:
        FormatError: shapes do not fit, or `out` does not hold the result.
        DtypeError: dtypes do not fit.
        TypeError: not just one of the two is packed.

    >>> import sparsefmt as sf
    >>> t = sf.encode(np.array([[0., 2., 0., 3.]]), "nm2:4")
    >>> sf.matmul(t, np.array([1., 1., 1., 2.]), bias=[10.])
    array([18.])
    """
    if isinstance(a, Packed) == isinstance(b, Packed):
        both = "both are" if isinstance(a, Packed) else "none is"
        msg = f"matmul wants one packed tensor and one array; {both} packed ({type(a).__name__}, {type(b).__name__})"
        raise TypeError(msg)
    if compute not in (None, "int8"):
        msg = f'compute = {compute!r} is unknown; allowed None and "int8"'
        raise FormatError(msg)
    made = _product(a, b, out if bias is None else None, compute)
    if bias is not None:
        _add(made, bias, a)
    if out is None:
        return made
    if made is not out:
        fault = _fault(out, made.shape, made.dtype, a if isinstance(a, Packed) else b)
        if fault is not None:
            raise fault
        np.copyto(out, made)
    return out


def _product(a: Any, b: Any, out: Array | None, compute: str | None) -> Array:  # noqa: ANN401
    """The product; `out` itself if it was filled in place."""
    if compute == "int8":
        return _quantised(a, b)
    if isinstance(out, np.ndarray) and isinstance(b, np.ndarray) and 1 <= b.ndim <= 2:
        fits = isinstance(a, SparseTensor) and a.device == "cpu" and a.ndim == 2 and not is_moved(a)
        if fits and b.shape[0] == a.shape[1] and is_plain(out) and not np.may_share_memory(out, b):
            plan = multiply.planned(a.structure, a.values, b)
            if plan is not None and _fault(out, (a.shape[0], *b.shape[1:]), plan.dtypes[0], a) is None:
                return multiply.matmul(a.structure, a.values, b, out, plan)
    made: Array = a @ b
    return made


def _fault(out: object, shape: tuple[int, ...], dtype: Dtype, t: Any) -> Exception | None:  # noqa: ANN401
    """What is wrong with `out` for a result of that shape and dtype, if something is."""
    if not isinstance(out, np.ndarray) or out.shape != shape:
        got = out.shape if isinstance(out, np.ndarray) else type(out).__name__
        return FormatError(f"out: want an array of shape {shape}, got {got}")
    if out.dtype != dtype:
        return DtypeError(f"out: want {dtype}, got {out.dtype}")
    if not out.flags.writeable:
        return FormatError("out: the array is read-only")
    held = t.T if isinstance(t, Transposed) else t
    arrays = (getattr(part, name) for part in (held.structure, held.values) for name in part.array_names)
    if any(isinstance(array, np.ndarray) and np.may_share_memory(out, array) for array in arrays):
        return FormatError("out: the array shares memory with the tensor")
    return None


def _add(made: Array, bias: object, a: object) -> None:
    """Adds a number to each row, or to each column, in place."""
    addend = as_array(bias, "bias")
    left = isinstance(a, Packed)
    shape: Any = a.shape[:-1] if isinstance(a, SparseTensor | Transposed) else made.shape[-1:]
    if addend.shape != shape:
        what = "row of the tensor" if left else "column of the result"
        msg = f"bias: want one number for each {what}, shape {shape}, got {addend.shape}"
        raise FormatError(msg)
    if made.dtype.kind in "iu" and addend.dtype.kind not in "biu":
        msg = f"bias: {addend.dtype} cannot be added to a result of {made.dtype}"
        raise DtypeError(msg)
    if left and made.ndim > addend.ndim:
        addend = addend[..., None]
    with np.errstate(all="ignore"):
        made += addend.astype(made.dtype)


def _quantised(a: object, b: object) -> Array:
    """`a @ b` with the columns of b rounded to 8 bits."""
    if (
        not isinstance(a, SparseTensor)
        or a.ndim != 2
        or is_moved(a)
        or not multiply.takes_integers(a.structure, a.values)
    ):
        what = a.format if isinstance(a, SparseTensor) else type(a).__name__
        msg = (
            'compute="int8" wants a matrix of nm, bitmask or dense with symmetric int8 or int4 codes, a scale per '
            f"row, tensor or per multiple of 64 columns, on the left; got {what}"
        )
        raise FormatError(msg)
    x = as_array(b, "x")
    if x.ndim > 2 or x.shape[0] != a.shape[1]:
        msg = f'matmul(compute="int8"): shapes {a.shape} and {x.shape} do not fit'
        raise FormatError(msg)
    result, compute = result_dtypes(a.dtype, x.dtype)
    if compute != np.float32:
        msg = f'compute="int8" sums in float32, but {a.dtype} with {x.dtype} gives float64'
        raise DtypeError(msg)
    made = packed.in_integers(a.structure, a.values, x[:, None] if x.ndim == 1 else x, result)
    if made is None:
        msg = 'compute="int8" wants finite numbers; x holds NaN or an infinity'
        raise FormatError(msg)
    return made[:, 0] if x.ndim == 1 else made


def explain_matmul(t: SparseTensor, x: object) -> str:
    """Tells how `t @ x` is going to be computed, and what it is estimated to cost.

    Args:
        t: a packed matrix on the CPU.
        x: an array, of which only shape and dtype are looked at.

    Returns:
        A few lines: shapes and dtypes; the way chosen, by its name in the extension where a kernel takes the packed
        arrays; the bytes that it moves and the floating-point operations, beside those of the dense product, and the
        time; working space; the way that was not chosen.

    Raises:
        FormatError: the shapes do not fit.

    >>> import sparsefmt as sf
    >>> t = sf.encode(np.eye(256, dtype=np.float32), "csr")
    >>> print(sf.explain_matmul(t, np.ones(256, np.float32)).splitlines()[0])
    csr of float32, shape (256, 256), @ (256,) float32 -> float32
    """
    array, t = as_array(x, "x"), along_last(t)
    if array.shape[-2 if array.ndim > 1 else 0] != t.shape[-1]:
        msg = f"t @ x: shapes {t.shape} and {array.shape} do not fit"
        raise FormatError(msg)
    columns, calls = multiply.columns_of(array.shape)
    best, *others = estimates(t.structure, t.values, columns, array.dtype, calls)
    rows, cols = t.structure.shape
    lines = [
        f"{t.format} of {t.dtype}, shape {t.shape}, @ {array.shape} {array.dtype} -> {best.dtypes[0]}",
        f"  {best.way} ({_machine()})",
        f"  moves {best.nbytes:,} bytes, where float32 has {rows * cols * 4:,}; {best.flops:,} flops of "
        f"{2 * rows * cols * columns:,}, about {_time(best.seconds)}",
    ]
    if best.kernel is not None:
        lines.append(f"  working space: {best.room:,} bytes")
    lines += [f"  not: {plan.way}, about {_time(plan.seconds)}" for plan in others]
    return "\n".join(lines)


def _machine() -> str:
    features = cpu_features()
    return f"{features['isa']}, {features['threads']} threads"


def _time(seconds: float) -> str:
    return f"{seconds * 1e3:.2f} ms" if seconds < 1 else f"{seconds:.2f} s"
