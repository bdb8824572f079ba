"""The engine of our own kernels: nm2:4 on sparse tensor cores; csr and bitmask for up to 32 columns."""

from typing import Any

import numpy as np

from sparsefmt.base.dtypes import Dtype
from sparsefmt.codecs.affine import Affine
from sparsefmt.codecs.codebook import Codebook
from sparsefmt.codecs.raw import Raw
from sparsefmt.cuda.device import DeviceArray
from sparsefmt.cuda.own import layout, rows
from sparsefmt.cuda.own.launches import KINDS, counters, launch, staged
from sparsefmt.cuda.own.plan import GEMV_COLUMNS, Form, Plan, gpu, plan, seconds
from sparsefmt.cuda.prepared import prepared
from sparsefmt.kernels.affine_rows import FUSED_BITS, SINGLES
from sparsefmt.structures.bitmask import Bitmask
from sparsefmt.structures.csr import Csr
from sparsefmt.structures.nm import Nm
from sparsefmt.tensor.sparse import SparseTensor

ROWS_COLUMNS = 32
_LIMIT = 2**31 - 2**16
_GROUPED = 2**20  # columns up to which `scale_group` divides exactly


def laid_out(t: SparseTensor) -> layout.Bricks:
    """The device layout of a tensor, made once."""
    made: layout.Bricks = prepared(t, "own bricks", lambda: layout.prepare(t))
    return made


def form_of(t: SparseTensor) -> Form:
    """What decides about a launch, without laying out anything."""
    kind = layout.kind_of(t)
    assert kind is not None
    shape, v = t.structure.shape, t.values
    if not isinstance(v, Affine) or (v.zero_point is None and v.scale.shape[1] <= 1):
        return Form(*kind, shape)
    whole = not 0 < v.group < shape[1]
    sub = 1 if whole or v.group % layout.BRICK == 0 else 2
    return Form(*kind, shape, v.scale.dtype == np.float32, True, v.zero_point is not None, sub)


class Own:
    """Our own kernels; see `Engine` of sparsefmt.cuda.engines."""

    name = "own"

    def refuses(self, t: SparseTensor, x: DeviceArray, dtype: Dtype) -> str | None:
        """Why not; None if it can."""
        s, v = t.structure, t.values
        if not isinstance(s, Nm | Csr | Bitmask):
            return f"own kernels read nm2:4, csr and bitmask, not {s.text}"
        if 0 in s.shape or not x.shape[1]:
            return "the product is empty"
        if max(*s.shape, x.shape[1]) > _LIMIT:
            return "the shape is beyond 31 bits"
        why = _refuses_nm(s, t, x) if isinstance(s, Nm) else _refuses_rows(t, x)
        if why is not None:
            return why
        whole = isinstance(v, Raw) and v.dtype == np.int8
        if (dtype.name == "int32") != whole or dtype.name not in KINDS:
            return f"own kernels give {'int32' if whole else 'float16, bfloat16 or float32'} here, not {dtype}"
        if gpu().capability < 80:
            return f"sparse tensor cores begin with sm_80; this is sm_{gpu().capability}"
        return None

    def estimate(self, t: SparseTensor, x: DeviceArray, dtype: Dtype) -> float:
        """Seconds, by the bytes that move; a guess that no measurement stands behind yet."""
        made = seconds(t.nbytes, *t.structure.shape, x.shape[1], gpu())
        return made if isinstance(t.structure, Nm) else 2 * made  # decoding slot by slot

    def describe(self, t: SparseTensor, x: DeviceArray) -> str:
        """The kernel and its tile, for `sparsefmt.cuda.explain`."""
        if not isinstance(t.structure, Nm):
            return rows.describe(t, x.shape[1])
        return plan(form_of(t), x.shape[1], x.dtype.name == "bfloat16", gpu()).text

    def multiply(self, t: SparseTensor, x: DeviceArray, out: DeviceArray, bias: DeviceArray | None) -> DeviceArray:
        """Fills `out` with t @ x + bias[:, None], on the current stream."""
        right, ldx = staged(x)
        added = _optional(bias)
        if not isinstance(t.structure, Nm):
            rows.multiply(t, right, ldx, x.shape[1], out, added)
            return out
        multiply_bricks(
            laid_out(t), plan(form_of(t), x.shape[1], x.dtype.name == "bfloat16", gpu()), right, ldx, out, added
        )
        return out

    def multiply_gemv(self, t: SparseTensor, x: DeviceArray, out: DeviceArray, bias: DeviceArray | None) -> DeviceArray:
        """The same without tensor cores, for nm2:4 and up to 4 columns, where a measurement prefers that."""
        right, ldx = staged(x)
        assert x.shape[1] <= GEMV_COLUMNS
        made = plan(form_of(t), x.shape[1], x.dtype.name == "bfloat16", gpu(), gemv=True)
        multiply_bricks(laid_out(t), made, right, ldx, out, _optional(bias))
        return out


def _optional(bias: DeviceArray | None) -> tuple[Any, np.int32]:
    """A bias, or a null pointer, and its kind."""
    if bias is None:
        return np.int64(0), np.int32(0)
    kind = np.int32(KINDS[bias.dtype.name])
    if not bias.flags.c_contiguous:
        bias = layout.module_of(bias).ascontiguousarray(bias.view(f"u{bias.itemsize}"))  # CuPy may not move bfloat16
    return bias, kind


def _refuses_nm(s: Nm, t: SparseTensor, x: DeviceArray) -> str | None:
    if (s.n, s.m) != (2, 4):
        return f"sparse tensor cores take nm2:4, not {s.text}"
    kind, v = layout.kind_of(t), t.values
    if kind is None:
        return f"no kernel for {v.text or 'raw'} of {t.dtype}"
    if kind[0] == "raw8":
        return None if x.dtype == np.int8 else f"int8 values take int8 activations, not {x.dtype}"
    if x.dtype.name not in ("float16", "bfloat16"):
        return f"activations are {x.dtype}; want float16 or bfloat16"
    if isinstance(v, Affine):
        if not 0 < v.group < s.shape[1]:
            return None
        if v.group % layout.STEP:
            return f"groups of {v.group} columns; want a multiple of {layout.STEP}"
        return f"scales per group for {s.shape[1]} columns; up to {_GROUPED}" if s.shape[1] > _GROUPED else None
    return None if t.dtype == x.dtype else f"values of {t.dtype} take activations of {t.dtype}, not {x.dtype}"


def _refuses_rows(t: SparseTensor, x: DeviceArray) -> str | None:
    v = t.values
    if x.dtype.name not in ("float16", "bfloat16"):
        return f"activations are {x.dtype}; want float16 or bfloat16"
    if x.shape[1] > ROWS_COLUMNS:
        return f"{x.shape[1]} columns; csr and bitmask are for up to {ROWS_COLUMNS}"
    if not isinstance(v, Raw | Affine | Codebook):
        return f"no kernel for {v.text}"
    if isinstance(v, Affine) and (v.bits not in FUSED_BITS or v.dtype.name not in SINGLES):
        return f"no kernel for {v.text} of {v.dtype}"
    if not isinstance(v, Affine) and t.dtype != x.dtype:
        return f"values of {t.dtype} take activations of {t.dtype}, not {x.dtype}"
    return None


def multiply_bricks(
    b: layout.Bricks, p: Plan, x: DeviceArray, ldx: int, out: DeviceArray, bias: tuple[Any, np.int32]
) -> None:
    """Starts `nm24_multiply`."""
    xp, null, tile = layout.module_of(x), np.int64(0), p.tile
    sums = np.int32 if p.form.codec == "raw8" else np.float32
    partial = xp.empty(2 * p.grid * tile.rows * tile.columns, sums)
    size = out.dtype.itemsize
    args = [
        b.bricks,
        null if b.scale is None else b.scale,
        null if b.point is None else b.point,
        null if b.codebook is None else b.codebook,
        np.int32(0 if b.codebook is None else b.codebook.size),
        x,
        np.int32(ldx),
        out,
        np.int64(out.strides[0] // size),
        np.int64(out.strides[1] // size),
        np.int32(KINDS[out.dtype.name]),
        *bias,
        null if b.row_scale is None else b.row_scale,
        np.int32(0 if b.row_scale is None else KINDS[b.row_scale.dtype.name]),
        np.int32(0 if b.row_scale is None or b.row_scale.size == 1 else 1),
        partial,
        counters(x, p.tiles),
        *(np.int32(n) for n in (*b.shape, p.columns, 0 if b.scale is None else b.scale.shape[1])),
        np.uint32(-(-(1 << 31) // b.group) if b.group else 0),
    ]
    key = (p.form, tile, p.stages, p.gemv, p.bf16)
    launch(x, "own/nm24.cu", "nm24_multiply", key, lambda: p.defines, p.grid, tile.threads, p.shared, args)
