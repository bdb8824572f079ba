"""Products of csr and bitmask with few columns: `rows_multiply`."""

from typing import Any

import numpy as np

from sparsefmt.codecs.affine import Affine
from sparsefmt.codecs.codebook import Codebook
from sparsefmt.codecs.scales import TENSOR
from sparsefmt.cuda.device import DeviceArray
from sparsefmt.cuda.own.launches import KINDS, launch
from sparsefmt.cuda.own.plan import gpu
from sparsefmt.structures.bitmask import Bitmask
from sparsefmt.structures.csr import Csr
from sparsefmt.tensor.sparse import SparseTensor

ROWS, DEPTH, THREADS, BLOCKS = 16, 256, 128, 4
_CODECS = {"raw": 0, "int8": 1, "int4": 2, "kmeans": 3}


def tiles_of_columns(columns: int) -> int:
    """Tiles of 8 columns that a block multiplies."""
    return next(n for n in (1, 2, 4) if columns <= 8 * n)


def shared_bytes(nt: int) -> int:
    """Shared memory of a block: two tiles of W, three of x, and sums."""
    stride = 2 * DEPTH + 16
    return 2 * ROWS * stride + 3 * 8 * nt * stride + 4 * 4 * ROWS * 8 * nt


def grid_of(t: SparseTensor) -> int:
    """Blocks."""
    return int(min(-(-t.structure.shape[0] // ROWS), BLOCKS * gpu().processors))


def defines_of(t: SparseTensor, nt: int, bf16: bool) -> dict[str, str | int]:
    """The macros of the source."""
    v, s = t.values, t.structure
    offsets = s.row_offsets if isinstance(s, Bitmask) else s.indptr  # type: ignore[attr-defined]
    return {
        "BITMASK": int(isinstance(s, Bitmask)),
        "LONG": int(offsets.dtype.itemsize == 8),
        "CODEC": _CODECS[v.kind],
        "BITS": v.bits if isinstance(v, Codebook) else 4,
        "ASYM": int(isinstance(v, Affine) and v.zero_point is not None),
        "BF16": int(bf16),
        "NT": nt,
    }


def describe(t: SparseTensor, columns: int) -> str:
    """For people."""
    nt = tiles_of_columns(columns)
    return (
        f"rows_multiply ({t.structure.kind} decoded in shared memory): tile {ROWS}x{8 * nt}, {DEPTH} columns of W at a "
        f"time, {THREADS} threads, {grid_of(t)} blocks, {shared_bytes(nt)} bytes shared"
    )


def multiply(
    t: SparseTensor, x: DeviceArray, ldx: int, columns: int, out: DeviceArray, bias: tuple[Any, np.int32]
) -> None:
    """Starts `rows_multiply`."""
    s, v, null, nt = t.structure, t.values, np.int64(0), tiles_of_columns(columns)
    assert isinstance(s, Bitmask | Csr)
    mask = isinstance(s, Bitmask)
    arrays = v.arrays()
    scale, point, book = (arrays.get(name) for name in ("scale", "zero_point", "codebook"))
    group = max(v.group, 0) or s.shape[1] if isinstance(v, Affine) else 1
    step = scale.shape[1] if isinstance(v, Affine) and v.group != TENSOR and scale is not None else 0
    size = out.dtype.itemsize
    args = [
        s.bits if isinstance(s, Bitmask) else null,
        np.int32(s.bits.shape[1] if isinstance(s, Bitmask) else 0),
        s.row_offsets if isinstance(s, Bitmask) else s.indptr,
        null if mask else s.indices,  # type: ignore[union-attr]
        arrays["data" if "data" in arrays else "codes"],
        np.int64(s.slots),
        null if scale is None else scale,
        np.int32(0 if scale is None else KINDS[scale.dtype.name]),
        np.int32(step),
        np.int32(group),
        null if point is None else point,
        null if book is None else book,
        np.int32(0 if book is None else book.shape[-1]),
        np.int32(0 if book is None or book.ndim == 1 else book.shape[-1]),
        x,
        np.int32(ldx),
        out,
        np.int64(out.strides[0] // size),
        np.int64(out.strides[1] // size),
        np.int32(KINDS[out.dtype.name]),
        *bias,
        *(np.int32(n) for n in (*s.shape, columns)),
    ]
    defines = defines_of(t, nt, x.dtype.name == "bfloat16")
    key = tuple(defines.values())
    launch(x, "own/rows.cu", "rows_multiply", key, lambda: defines, grid_of(t), THREADS, shared_bytes(nt), args)
