"""The engine on sparse tensor cores: nm2:4 weights as operand A of cuSPARSELt."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from sparsefmt.base.dtypes import Dtype
from sparsefmt.base.errors import BackendError
from sparsefmt.codecs.affine import Int8
from sparsefmt.codecs.raw import Raw
from sparsefmt.codecs.scales import ROW, TENSOR
from sparsefmt.cuda import blas, codecs, lt, structures
from sparsefmt.cuda.codecs import Carried
from sparsefmt.cuda.decode import Rows
from sparsefmt.cuda.device import DeviceArray, assign, empty, zeros
from sparsefmt.cuda.machine import capability, machine
from sparsefmt.cuda.prepared import prepared
from sparsefmt.structures.nm import Nm
from sparsefmt.tensor.sparse import SparseTensor

STEPS = {1: (32, 16), 2: (16, 8)}  # by item size: rows and columns of the weights, and tokens, are multiples of these
LEAST_SM, FP8_SM = 80, 89
_HALVES = ("float16", "bfloat16")
_NARROW = ("float8_e4m3fn", "float8_e5m2")


class Operand(NamedTuple):
    """The weights as the library multiplies them."""

    dtype: str
    weights: DeviceArray  # private form
    scale: DeviceArray | None  # float32 per row, padded
    shape: tuple[int, int]  # padded


def rounded_up(n: int, step: int) -> int:
    """The multiple of `step` that holds n."""
    return -(-n // step) * step


def operand_dtype(t: SparseTensor, x_dtype: Dtype, result: Dtype) -> tuple[str | None, str]:
    """The dtype of both operands, and why not where there is none."""
    scaled = isinstance(t.values, Int8) and t.values.zero_point is None and t.values.group in (ROW, TENSOR)
    if scaled and x_dtype == np.int8:
        ok = result.name in _HALVES
        return ("int8" if ok else None), f"int8 codes with scales give float16 or bfloat16, not {result}: pass dtype="
    if t.dtype == np.int8 and x_dtype == np.int8 and isinstance(t.values, Raw):
        ok = result.name in ("int32", *_HALVES)
        return ("int8" if ok else None), f"int8 gives int32, float16 or bfloat16, not {result}"
    if t.dtype.name in _NARROW and x_dtype == t.dtype:
        ok = result.name in ("float32", *_HALVES) and isinstance(t.values, Raw)
        return (t.dtype.name if ok else None), f"float8 gives float16, bfloat16 or float32, not {result}"
    if t.dtype.name in _HALVES and x_dtype == t.dtype:
        return (t.dtype.name if result == t.dtype else None), f"{t.dtype} gives {t.dtype}, not {result}"
    return None, f"it multiplies two float16, bfloat16 or int8, not {t.dtype} and {x_dtype}"


class CuSparseLt:
    """cuSPARSELt; the weights are compressed once per tensor, device and library."""

    name = "cusparselt"

    def refuses(
        self, t: SparseTensor, x: DeviceArray, dtype: Dtype, x_dtype: Dtype | None = None, order: str | None = None
    ) -> str | None:
        """Takes nm2:4 with products of two equal 8- or 16-bit types. `x_dtype`: what x means, if it is a carrier."""
        s = t.structure
        if not isinstance(s, Nm) or (s.n, s.m) != (2, 4):
            return f"it takes nm2:4, not {s.text}"
        kind, reason = operand_dtype(t, x_dtype or x.dtype, dtype)
        if kind is None:
            return reason
        if 0 in s.shape or not x.shape[1]:
            return "there is nothing to multiply"
        if max(*s.shape, x.shape[1]) > np.iinfo(np.int32).max - 64:
            return f"a side of {max(*s.shape, x.shape[1])} cannot be padded within 32 bits"
        least = FP8_SM if kind in _NARROW else LEAST_SM
        if capability() < least:
            return f"sm_{capability()} has no sparse tensor cores for {kind}; want sm_{least} or newer"
        return lt.available()

    def estimate(self, t: SparseTensor, x: DeviceArray, dtype: Dtype) -> float:
        """The compressed matrix is read once, and multiplied faster than a dense one."""
        here, (rows, cols), k = machine(), t.structure.shape, x.shape[1]
        size = x.dtype.itemsize
        moved = rows * cols * (size / 2 + 1 / 8) + x.nbytes + rows * k * dtype.itemsize
        peak = here.dense16 * here.sparse * (2 / size)
        return float(moved / (0.6 * here.bandwidth) + 2 * rows * cols * max(k, 64) / peak + 4 * here.launch)

    def multiply(
        self,
        t: SparseTensor,
        x: DeviceArray,
        out: DeviceArray,
        bias: DeviceArray | None,
        *,
        activation: str | None = None,
        x_dtype: Dtype | None = None,
        search: bool = False,
    ) -> DeviceArray:
        """See `Engine.multiply`; sums are taken in float32 or int32."""
        kind, reason = operand_dtype(t, x_dtype or x.dtype, out.dtype)
        if kind is None:
            raise BackendError(reason)
        where = (self.name, lt.loaded().version, capability(), kind)
        a: Operand = prepared(t, where, lambda: self._operand(t, kind))
        (m, k), (rows, count) = a.shape, out.shape
        n = rounded_up(count, STEPS[x.dtype.itemsize][1])
        b_rows = x.flags.c_contiguous and not x.flags.f_contiguous and x.dtype.itemsize > 1
        b = aligned(blas.fitted(x, (k, n), "C" if b_rows else "F"))
        d_rows = bool(out.flags.c_contiguous)
        whole = out.shape == (m, n) and out.data.ptr % lt.OPERAND_ALIGN == 0
        d = out if whole else blas.empty_like((m, n), out.dtype, "C" if d_rows else "F")
        fused = bias is not None and kind in _HALVES and rows == m
        act = activation if activation == "relu" and (bias is None or fused) else None
        address = bias.data.ptr if bias is not None and fused else 0
        key = lt.Key(kind, out.dtype.name, m, n, k, b_rows, d_rows, act, a.scale is not None, address)
        lt.plan(key, bias if fused else None).run(a.weights, b, d, a.scale, search=search)
        if search:
            lt.plan(key, bias if fused else None).remember()
        if not whole:
            assign(out, d[:rows, :count])
        if activation != act or (bias is not None and not fused):
            blas.epilogue(out, None if fused else bias, None if act else activation)
        return out

    def bind(self, t: SparseTensor, x: DeviceArray, dtype: Dtype) -> Callable[[DeviceArray, DeviceArray], bool] | None:
        """`multiply` without bias, bound to this thread, device, shape and order, with next to no work per call.

        None where something must be padded or copied. The function returns False where it cannot serve any more: the
        plan was dropped, or an address is none that the library takes. It does not keep `t` alive.
        """
        kind, _ = operand_dtype(t, x.dtype, dtype)
        by_rows, by_columns = bool(x.flags.c_contiguous), bool(x.flags.f_contiguous)
        b_rows = by_rows and not by_columns and x.dtype.itemsize > 1
        if kind is None or not (b_rows or by_columns):
            return None
        where = (self.name, lt.loaded().version, capability(), kind)
        a: Operand = prepared(t, where, lambda: self._operand(t, kind))
        n = x.shape[1]
        if (t.structure.shape[0], *x.shape) != (*a.shape, n) or n % STEPS[x.dtype.itemsize][1]:
            return None
        key = lt.Key(kind, dtype.name, a.shape[0], n, a.shape[1], b_rows, by_rows, None, a.scale is not None, 0)
        plan = lt.plan(key, None)

        def run(right: DeviceArray, out: DeviceArray) -> bool:
            if plan.closed or right.data.ptr % lt.OPERAND_ALIGN or out.data.ptr % lt.OPERAND_ALIGN:
                return False
            plan.run(a.weights, right, out, a.scale)
            return True

        return run

    @staticmethod
    def _operand(t: SparseTensor, kind: str) -> Operand:
        """Decodes, pads and compresses the weights."""
        rows, cols = t.structure.shape
        scaled = kind == "int8" and isinstance(t.values, Int8)
        dtype = np.dtype(np.int8) if kind == "int8" else carried_dtype(t)
        step = STEPS[dtype.itemsize][0]
        m, k = rounded_up(rows, step), rounded_up(cols, step)
        dense = empty((rows, cols), dtype, "the decoded weights")
        if scaled:
            codes = codecs.lift(t.structure, t.values)
            structures.decode(t.structure, codes.view(np.int8), 0, rows, dense)
        else:
            Rows(t).fill(0, rows, dense)
        weights = lt.compress(blas.fitted(dense, (m, k), "C"), kind)
        scale = None
        if scaled:
            assert isinstance(t.values, Int8)
            scale = zeros(m, np.float32)
            scale[:rows] = t.values.scale.reshape(-1).astype(np.float32)
        return Operand(kind, weights, scale, (m, k))


def carried_dtype(t: SparseTensor) -> Dtype:
    """The dtype of the decoded weights in CuPy."""
    return np.dtype(np.uint8) if isinstance(t.values, Carried) else t.dtype


def aligned(a: DeviceArray) -> DeviceArray:
    """`a`, or a copy whose address is a multiple of 16, as the library wants."""
    if a.data.ptr % lt.OPERAND_ALIGN == 0:
        return a
    made = blas.empty_like(a.shape, a.dtype, "F" if a.flags.f_contiguous else "C")
    assign(made, a)
    return made
