"""The engine that is always right: decode a block of rows, multiply by cuBLAS; any structure, any codec."""

import math

from sparsefmt.base.dtypes import COMPLEX, FLOATS, Dtype
from sparsefmt.cuda import blas, codecs, launch, structures
from sparsefmt.cuda.device import DeviceArray, carrier, clear, contiguous, empty
from sparsefmt.cuda.machine import machine
from sparsefmt.product.dtypes import result_dtypes
from sparsefmt.structures.dense import Dense
from sparsefmt.structures.nm import Nm
from sparsefmt.tensor.sparse import SparseTensor

_GEMM = ("float16", "bfloat16", "float32", "float64")
TILE_BYTES = 512 << 20  # of decoded rows at a time


class Rows:
    """Decodes rows of a tensor, any range at a time."""

    def __init__(self, t: SparseTensor) -> None:
        self._t = t
        self._by_rows = isinstance(t.structure, Nm | Dense)
        self._slots = None if self._by_rows else codecs.decode(t.structure, t.values, 0, t.structure.shape[0])

    def fill(self, low: int, high: int, out: DeviceArray) -> None:
        """Fills `out` (high - low, cols), C-contiguous, in the carrier of the dtype."""
        s, codec = self._t.structure, self._t.values
        slots = codecs.decode(s, codec, low, high) if self._slots is None else self._slots
        structures.decode(s, slots, low, high, out)


def tile_rows(rows: int, row_bytes: int) -> int:
    """How many rows are decoded at a time."""
    return max(min(rows, TILE_BYTES // max(row_bytes, 1)), 1)


def fp_bytes(t: SparseTensor) -> int:
    """Bytes of the decoded matrix."""
    return math.prod(t.structure.shape) * t.dtype.itemsize


class Decode:
    """Decode, then cuBLAS, tile by tile."""

    name = "decode"

    def refuses(self, t: SparseTensor, x: DeviceArray, dtype: Dtype) -> str | None:
        """Nothing is refused."""
        return None

    def estimate(self, t: SparseTensor, x: DeviceArray, dtype: Dtype) -> float:
        """The decoded matrix is written and read once."""
        here, (rows, cols), k = machine(), t.structure.shape, x.shape[1]
        moved = t.nbytes + 2 * fp_bytes(t) + x.nbytes + rows * k * dtype.itemsize
        wide = 2 if t.dtype == x.dtype and t.dtype.itemsize == 2 else 16
        return float(moved / here.bandwidth + 2 * rows * cols * k / (here.dense16 * 2 / wide) + 8 * here.launch)

    def multiply(self, t: SparseTensor, x: DeviceArray, out: DeviceArray, bias: DeviceArray | None) -> DeviceArray:
        """NaN and infinities of x pass through nonzero elements only."""
        (rows, cols), k = t.structure.shape, x.shape[1]
        if not rows or not k:
            return out
        if not cols:
            clear(out)
        else:
            self._multiply(t, x, out)
        blas.epilogue(out, bias, None)
        return out

    def _multiply(self, t: SparseTensor, x: DeviceArray, out: DeviceArray) -> None:
        rows, cols = t.structure.shape
        source, result = Rows(t), out.dtype
        step = tile_rows(rows, cols * t.dtype.itemsize)
        tile = empty((step, cols), carrier(t.dtype), "a tile of decoded rows")
        native = blas.by_gemm(t.dtype, x.dtype, result) and (t.dtype.name != "int8" or blas.quads(tile, x, out))
        compute = t.dtype if native else summed_in(t.dtype, x.dtype, result)
        if compute.name not in _GEMM and not native:
            self._by_cupy(t, source, tile, x, out, compute)
            return
        right = x if native else blas.widened(x, x.dtype, compute)
        sums = out if native or result == compute else blas.empty_like(out.shape, compute, _order(out))
        odd = Odd(right) if right.dtype.name in FLOATS else None
        for low in range(0, rows, step):
            part = tile[: min(step, rows - low)]
            source.fill(low, low + len(part), part)
            w = part if native else blas.widened(part, t.dtype, compute)
            blas.gemm(w, right if odd is None else odd.finite, sums, low)
            if odd is not None:
                odd.add(w, sums[low : low + len(part)])
        if sums is not out:
            blas.narrowed(sums, out)

    def _by_cupy(
        self, t: SparseTensor, source: Rows, tile: DeviceArray, x: DeviceArray, out: DeviceArray, compute: Dtype
    ) -> None:
        """Integers that cuBLAS has no product for, and complex numbers."""
        rows, step = t.structure.shape[0], len(tile)
        right = blas.widened(x, x.dtype, compute)
        for low in range(0, rows, step):
            part = tile[: min(step, rows - low)]
            source.fill(low, low + len(part), part)
            out[low : low + len(part)] = (blas.widened(part, t.dtype, compute) @ right).astype(out.dtype, copy=False)

    def from_left(self, t: SparseTensor, left: DeviceArray, result: Dtype) -> DeviceArray:
        """`left @ t` (tokens, cols) for left (tokens, rows), C-contiguous."""
        (rows, cols), tokens = t.structure.shape, len(left)
        out = blas.empty_like((tokens, cols), result, "C")
        if not rows:
            clear(out)
        if not out.size or not rows:
            return out
        step = tile_rows(rows, cols * t.dtype.itemsize)
        native = step == rows and t.dtype.name != "int8" and blas.by_gemm(left.dtype, t.dtype, result)
        compute = t.dtype if native else summed_in(t.dtype, left.dtype, result)
        source, tile = Rows(t), empty((step, cols), carrier(t.dtype), "a tile of decoded rows")
        sums: DeviceArray = None
        for low in range(0, rows, step):
            part = tile[: min(step, rows - low)]
            source.fill(low, low + len(part), part)
            w = part if native else blas.widened(part, t.dtype, compute)
            x = contiguous(left[:, low : low + len(part)])
            x = x if native else blas.widened(x, x.dtype, compute)
            if compute.name not in _GEMM:
                made = x @ w
            else:
                made = blas.empty_like((tokens, cols), compute, "C")
                odd = Odd(x)
                blas.gemm(odd.finite, w, made)
                odd.add_left(w, made)
            sums = made if sums is None else sums + made
        if sums.dtype == result:
            return sums
        blas.narrowed(sums, out)
        return out


def summed_in(a: Dtype, b: Dtype, result: Dtype) -> Dtype:
    """The dtype of the sums: float32 or float64 for floats, the dtype of the result for integers and complex."""
    if a.name in COMPLEX or b.name in COMPLEX:
        return result
    if a.name in FLOATS or b.name in FLOATS:
        return result_dtypes(a, b)[1]
    return result


def _order(a: DeviceArray) -> str:
    return "C" if a.flags.c_contiguous else "F"


class Odd:
    """The right factor apart: its finite values with zeros in the place of others, and those others."""

    def __init__(self, x: DeviceArray) -> None:
        self._x, self._macros = x, {"DTYPE": launch.DTYPE_IDS[x.dtype.name]}
        self.finite = blas.empty_like(x.shape, x.dtype, _order(x))
        self._found = launch.counter()
        launch.run("values", "split_finite", self._macros, x.size, x, x.size, self.finite, self._found)

    def add(self, w: DeviceArray, out: DeviceArray) -> None:
        """Adds what the others give with the nonzero elements of w (rows, inner) to out, `w @ x`."""
        x_steps, out_steps = _steps(self._x), _steps(out)
        self._add(w, (w.shape[1], 1), (*w.shape, self._x.shape[1]), x_steps, out, out_steps)

    def add_left(self, w: DeviceArray, out: DeviceArray) -> None:
        """Adds what the others give with the nonzero elements of w (inner, cols) to out, `x @ w`."""
        x_steps, out_steps = _steps(self._x)[::-1], _steps(out)[::-1]
        self._add(w, (1, w.shape[1]), (w.shape[1], w.shape[0], len(self._x)), x_steps, out, out_steps)

    def _add(
        self, w: DeviceArray, w_steps: tuple[int, int], sizes: tuple[int, ...], x_steps: list[int], out: DeviceArray,
        out_steps: list[int],
    ) -> None:  # fmt: skip
        args = (w, *w_steps, *sizes, self._x, *x_steps, self._found, out, *out_steps)
        launch.run("values", "add_odd", self._macros, sizes[0] * sizes[2], *args)


def _steps(a: DeviceArray) -> list[int]:
    """The strides in items."""
    return [step // a.dtype.itemsize for step in a.strides]
