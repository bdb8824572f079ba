"""Products on a GPU: the checks, the choice of an engine, and the way round its refusals."""

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparsefmt.base.coerce import is_device_array
from sparsefmt.base.dtypes import Dtype, dtype_named, dtype_of, native
from sparsefmt.base.errors import BackendError, DtypeError, FormatError
from sparsefmt.base.weak import WeakIdentityDict
from sparsefmt.cuda import blas, engines, fast
from sparsefmt.cuda.decode import Decode
from sparsefmt.cuda.device import DeviceArray, assign, carrier, contiguous, cupy, on
from sparsefmt.cuda.sparse24 import CuSparseLt
from sparsefmt.product.dtypes import result_dtypes
from sparsefmt.tensor.layout import along_last
from sparsefmt.tensor.sparse import SparseTensor


@dataclass(slots=True)
class Choice:
    """The engine for one kind of product with one tensor."""

    dtype: Dtype
    engine: engines.Engine  # and no tensor: choices are kept by tensor, and would keep it alive


_choices: WeakIdentityDict[SparseTensor, dict[Any, Any]] = WeakIdentityDict()
_lock = threading.Lock()


def as_matrix(t: SparseTensor) -> SparseTensor:
    """`t` with its leading axes flattened; the same object every time, so that what engines keep is found again."""
    if len(t.shape) == 2:
        return t
    with _lock:
        held = _choices.setdefault(t, {})
        if "matrix" not in held:
            held["matrix"] = SparseTensor.from_checked(t.structure, t.values, t.structure.shape)
        made: SparseTensor = held["matrix"]
        return made


def operands(t: SparseTensor, x: object) -> DeviceArray:
    """`x` as a CuPy array on the device of `t`.

    Raises:
        BackendError: one of them is on the CPU, or on another device.
    """
    if t.device == "cpu":
        other = "the array on a GPU" if is_device_array(x) else "so is the array"
        msg = f'the tensor is on the CPU and {other}; move it first: t.to("cuda")'
        raise BackendError(msg)
    if not is_device_array(x):
        msg = f"the tensor is on {t.device} and the array on the CPU; move it first: cupy.asarray(x), or t.to('cpu')"
        raise BackendError(msg)
    a = as_cupy(x)
    if f"cuda:{a.device.id}" != t.device:
        msg = f"the tensor is on {t.device}, the array on cuda:{a.device.id}; move one of them"
        raise BackendError(msg)
    return a


def as_cupy(x: Any) -> DeviceArray:  # noqa: ANN401
    """An array of any library that lies on a GPU as CuPy's, without a copy."""
    xp = cupy()
    if isinstance(x, xp.ndarray):
        return x
    return xp.from_dlpack(x) if hasattr(x, "__dlpack__") else xp.asarray(x)


def columns(x: DeviceArray) -> DeviceArray:
    """`x` (cols,), (cols, k) or (..., cols, k) as a matrix (cols, k) that is C- or F-contiguous."""
    if x.ndim == 1:
        return x.reshape(-1, 1)
    if x.ndim > 2:
        rows = contiguous(swapped(x))
        return rows.reshape(-1, x.shape[-2]).T
    return x if x.flags.c_contiguous or x.flags.f_contiguous else contiguous(x)


def by_rows(x: DeviceArray) -> bool:
    """Whether the product is to be C-contiguous: as x is."""
    return bool(x.flags.c_contiguous)


def choose(t: SparseTensor, x: DeviceArray, dtype: Dtype | None, engine: str | None) -> Choice:
    """The engine for `t @ x`, kept per tensor, shape, dtypes and order."""
    held = _choices.get(t)
    key = (x.shape, x.dtype, by_rows(x), dtype, engine)
    if held is not None and key in held:
        found: Choice = held[key]
        return found
    matrix = as_matrix(t)
    result = result_dtypes(t.dtype, x.dtype, matrix.structure.shape[1])[0] if dtype is None else dtype
    if engine is not None:
        made = engines.forced(engine, matrix, x, result)
    else:
        made = engines.verdicts(matrix, x, result)[0].engine
    with _lock:
        choice = _choices.setdefault(t, {})[key] = Choice(result, made)
    return choice


def matmul(
    t: SparseTensor,
    x: object,
    *,
    out: DeviceArray | None = None,
    bias: DeviceArray | None = None,
    activation: str | None = None,
    dtype: str | Dtype | None = None,
    x_dtype: str | None = None,
    engine: str | None = None,
) -> DeviceArray:
    """`activation(t @ x + bias)` on the GPU, on the current stream.

    Args:
        t: a tensor on a GPU, (..., cols).
        x: CuPy array (or another that speaks DLPack) on the same GPU: (cols,), (cols, k), or (..., cols, k) for t of
            rank 2. C order, or F order (the transpose of tokens x features), which is the faster one.
        out: CuPy array for the result, of its shape and dtype.
        bias: (rows,) CuPy array of the dtype of the result; t of rank 2.
        activation: "relu" or "gelu" (the tanh form), after the bias; for float results.
        dtype: of the result; default as `t @ x` on the CPU. int8 codes with one scale per row or tensor times int8 x
            give "float16" or "bfloat16" on sparse tensor cores.
        x_dtype: "float8_e4m3fn" or "float8_e5m2" where the bytes of x (uint8) mean that; the result is float32 by
            default. On sparse tensor cores with float8 tensors (sm_89 and newer), else x is widened first.
        engine: "cusparselt", "own", "cusparse" or "decode"; default: the one that is estimated to be fastest. If that
            one fails, the next is taken.

    Returns:
        CuPy array, C- or F-contiguous as x.

    Raises:
        BackendError: something is on the CPU or on another GPU; `engine` is unknown or refuses; memory runs out.
        FormatError: shapes do not fit.
        DtypeError: a dtype that has no product, or `out` or `bias` of another one.
    """
    t = along_last(t)
    plain = out is None and bias is None and activation is None and dtype is None and x_dtype is None and engine is None
    if plain and (done := fast.ready(t, x)) is not None:
        return done
    a = operands(t, x)
    if a.ndim == 0 or a.shape[-2 if a.ndim > 1 else 0] != t.shape[-1] or (a.ndim > 2 and len(t.shape) > 2):
        msg = f"t @ x: shapes {t.shape} and {a.shape} do not fit"
        raise FormatError(msg)
    native(a.dtype)
    wanted = None if dtype is None else dtype_of(dtype)
    if x_dtype is not None:
        with on(a):
            return _matmul_float8(t, a, dtype_named(x_dtype), out, bias, activation, wanted, engine)
    if int(cupy().cuda.Device().id) == a.device.id:
        return _matmul(t, a, out, bias, activation, wanted, engine)
    with on(a):
        return _matmul(t, a, out, bias, activation, wanted, engine)


def _matmul_float8(
    t: SparseTensor,
    a: DeviceArray,
    x_dtype: Dtype,
    out: DeviceArray | None,
    bias: DeviceArray | None,
    activation: str | None,
    dtype: Dtype | None,
    engine: str | None,
) -> DeviceArray:
    """The product with float8 in bytes: as it is on sparse tensor cores, else widened to float32."""
    if carrier(x_dtype) == x_dtype or a.dtype != np.uint8:
        msg = f"x_dtype = {x_dtype}; want a float8 that the bytes of x mean, and x of uint8, not {a.dtype}"
        raise DtypeError(msg)
    result = np.dtype(np.float32) if dtype is None else dtype
    lt, matrix, x = CuSparseLt(), as_matrix(t), columns(a)
    refusal = lt.refuses(matrix, x, result, x_dtype)
    if refusal is not None and engine == lt.name:
        msg = f"engine {engine!r} cannot multiply this: {refusal}"
        raise BackendError(msg)
    if refusal is not None or engine not in (None, lt.name):
        wide = blas.widened(x, x_dtype, np.dtype(np.float32))
        flat = wide if a.ndim > 1 else wide.reshape(-1)
        shaped = flat if a.ndim < 3 else swapped(flat.T.reshape(*a.shape[:-2], a.shape[-1], a.shape[-2]))
        return matmul(t, shaped, out=out, bias=bias, activation=activation, dtype=result, engine=engine)
    _check_epilogue(t, result, matrix.structure.shape[0], bias, activation)
    made = blas.empty_like((matrix.structure.shape[0], x.shape[1]), result, "C" if by_rows(x) else "F")
    shaped = _shaped(t, a, lt.multiply(matrix, x, made, bias, activation=activation, x_dtype=x_dtype))
    return shaped if out is None else _written(shaped, out)


def _written(shaped: DeviceArray, out: DeviceArray) -> DeviceArray:
    """`out`, holding the result."""
    if out.shape != shaped.shape:
        msg = f"out: want an array of shape {shaped.shape}, got {out.shape}"
        raise FormatError(msg)
    if out.dtype != shaped.dtype:
        msg = f"out: want {shaped.dtype}, got {out.dtype}"
        raise DtypeError(msg)
    assign(out, shaped)
    return out


def _matmul(
    t: SparseTensor,
    a: DeviceArray,
    out: DeviceArray | None,
    bias: DeviceArray | None,
    activation: str | None,
    dtype: Dtype | None,
    engine: str | None,
) -> DeviceArray:
    x = columns(a)
    choice = choose(t, x, dtype, engine)
    rows, k = t.structure.shape[0], x.shape[1]
    _check_epilogue(t, choice.dtype, rows, bias, activation)
    order = "C" if by_rows(x) else "F"
    direct = out is not None and a.ndim == 2 and len(t.shape) == 2 and _fits(out, (rows, k), choice.dtype)
    made = out if direct else blas.empty_like((rows, k), choice.dtype, order)
    if rows and k:
        made = _run(t, choice, x, made, bias, activation, engine)
        if x is a and len(t.shape) == 2 and dtype is None and engine is None:
            fast.bind(t, x, choice.dtype, choice.engine)
    if direct:
        return out
    shaped = _shaped(t, a, made)
    return shaped if out is None else _written(shaped, out)


def _fits(out: DeviceArray, shape: tuple[int, int], dtype: Dtype) -> bool:
    """Whether an engine can write to it."""
    return bool(out.shape == shape and out.dtype == dtype and (out.flags.c_contiguous or out.flags.f_contiguous))


def _check_epilogue(t: SparseTensor, dtype: Dtype, rows: int, bias: DeviceArray | None, activation: str | None) -> None:
    if bias is not None and (bias.shape != (rows,) or bias.dtype != dtype or len(t.shape) != 2):
        msg = f"bias: want {dtype} of shape {(rows,)}, got {bias.dtype} of shape {bias.shape}"
        raise FormatError(msg)
    if activation is not None and activation not in blas.ACTIVATIONS:
        msg = f"activation {activation!r} is unknown; have {', '.join(blas.ACTIVATIONS)}"
        raise FormatError(msg)
    if activation is not None and dtype.kind in "biuc":
        msg = f"activation {activation!r} is for real floats, not {dtype}"
        raise DtypeError(msg)


def _run(
    t: SparseTensor,
    choice: Choice,
    x: DeviceArray,
    out: DeviceArray,
    bias: DeviceArray | None,
    activation: str | None,
    engine: str | None,
) -> DeviceArray:
    """Multiplies; where a chosen engine fails, the next one takes its place, now and later."""
    matrix = as_matrix(t)
    while True:
        try:
            if isinstance(choice.engine, CuSparseLt):
                return choice.engine.multiply(matrix, x, out, bias, activation=activation)
            made = choice.engine.multiply(matrix, x, out, bias)
            blas.epilogue(made, None, activation)
            return made
        except BackendError as e:
            left = [v.engine for v in engines.verdicts(matrix, x, choice.dtype) if v.refusal is None]
            names = [v.name for v in left]
            if engine is not None or choice.engine.name not in names or choice.engine.name == names[-1]:
                raise
            failures.setdefault(t, {})[choice.engine.name] = str(e)
            choice.engine = left[names.index(choice.engine.name) + 1]


failures: WeakIdentityDict[SparseTensor, dict[str, str]] = WeakIdentityDict()
"""Why an engine that was chosen for a tensor failed, for `explain`."""


def _shaped(t: SparseTensor, a: DeviceArray, made: DeviceArray) -> DeviceArray:
    """The result (rows, k) in the shape that `t @ a` has."""
    if a.ndim == 1:
        return made.reshape(t.shape[:-1])
    if a.ndim > 2:  # made is F-contiguous: tokens x rows in memory
        stacked = made.T.reshape(*a.shape[:-2], a.shape[-1], made.shape[0])
        turned = swapped(stacked)
        return turned[..., 0, :] if len(t.shape) == 1 else turned
    return made if len(t.shape) == 2 else made.reshape(*t.shape[:-1], a.shape[1])


def rmatmul(t: SparseTensor, x: object) -> DeviceArray:
    """`x @ t` for x (..., rows); decodes, because 2:4 runs along the other axis."""
    a = operands(t, x)
    if len(t.shape) > 2 or a.ndim == 0 or a.shape[-1] != t.shape[0]:
        msg = f"x @ t: shapes {a.shape} and {t.shape} do not fit"
        raise FormatError(msg)
    native(a.dtype)
    with on(a):
        if len(t.shape) == 1:
            flat = contiguous(a).reshape(-1, a.shape[-1]).T
            return matmul(t, flat).reshape(a.shape[:-1])
        result = result_dtypes(t.dtype, a.dtype, t.shape[0])[0]
        left = contiguous(a).reshape(-1, a.shape[-1])
        made = Decode().from_left(as_matrix(t), left, result)
        return made.reshape(*a.shape[:-1], t.shape[1])


def transposed_matmul(t: SparseTensor, x: object) -> DeviceArray:
    """`t.T @ x` for x (rows,) or (..., rows, k); t of rank 2."""
    a = operands(t, x)
    if len(t.shape) != 2 or a.ndim == 0 or a.shape[-2 if a.ndim > 1 else 0] != t.shape[0]:
        msg = f"t.T @ x: shapes {t.shape[::-1]} and {a.shape} do not fit"
        raise FormatError(msg)
    return rmatmul(t, a) if a.ndim == 1 else swapped(rmatmul(t, swapped(a)))


def matmul_transposed(t: SparseTensor, x: object) -> DeviceArray:
    """`x @ t.T` for x (cols,) or (..., tokens, cols), the product of a linear layer; t of rank 2."""
    a = operands(t, x)
    if len(t.shape) != 2 or a.ndim == 0 or a.shape[-1] != t.shape[1]:
        msg = f"x @ t.T: shapes {a.shape} and {t.shape[::-1]} do not fit"
        raise FormatError(msg)
    return matmul(t, a) if a.ndim == 1 else swapped(matmul(t, swapped(a)))


def swapped(a: DeviceArray) -> DeviceArray:
    """The last two axes exchanged, a view."""
    return a.transpose(*range(a.ndim - 2), a.ndim - 1, a.ndim - 2)
