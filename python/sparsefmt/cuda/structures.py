"""Structures on the device: encoding, decoding, coordinates; the bytes are those of the CPU."""

import numpy as np

from sparsefmt.base.dtypes import FLOATS, INFINITIES, Dtype, index_dtype, zero_mask
from sparsefmt.base.errors import BackendError
from sparsefmt.cuda import launch
from sparsefmt.cuda.device import DeviceArray, assign, clear, cupy, empty, zeros
from sparsefmt.kernels.nm import width
from sparsefmt.structures.base import Params, Structure
from sparsefmt.structures.bitmask import Bitmask, row_bytes
from sparsefmt.structures.bsr import Bsr
from sparsefmt.structures.coo import Coo
from sparsefmt.structures.csr import Csc, Csr
from sparsefmt.structures.dense import Dense
from sparsefmt.structures.nm import Nm

KINDS = ("nm", "bitmask", "csr")
CHUNK = 256  # columns that a warp of the kernels for nm2:4 takes


class Refused(Exception):
    """The device found something that cannot be packed; the CPU finds out what, and says it."""


def nm_macros(s: Nm) -> dict[str, str | int]:
    """The macros of N:M."""
    return {"N": s.n, "M": s.m, "BITS": s.bits}


def nm_shape(shape: tuple[int, int], params: Params, dtype: Dtype, *, raw: bool) -> tuple[Nm, DeviceArray, DeviceArray]:
    """Codes and slots to be filled; without `raw` the rows of slots have no padding."""
    n, m, align = params["n"], params["m"], params["align"]
    groups = -(-shape[1] // m)
    make = zeros if align > 1 else empty
    codes = make((shape[0], -(-groups * width(n, m) // (8 * align)) * align), np.uint8, "codes")
    made = Nm(codes, n, m, shape, align, check=False)
    count = made.slot_shape(8 * dtype.itemsize)[1] if raw else groups * n
    return made, codes, make((shape[0], count), dtype, "values")


def _in_chunks(s: Nm, itemsize: int, slots: DeviceArray, dense: DeviceArray) -> int:
    """How many chunks of 256 columns the fast kernels take; 0 where they cannot."""
    rows, cols = s.shape
    plain = (s.n, s.m, itemsize) == (2, 4, 2) and cols % CHUNK == 0 and rows > 0 and cols > 0
    if not plain or s.codes.shape[1] != cols * 3 // 32 or slots.shape[1] != cols // 2:
        return 0
    held: tuple[DeviceArray, ...] = (s.codes, slots, dense)
    aligned = all(a.data.ptr % 16 == 0 for a in held)
    return rows * cols // CHUNK if aligned else 0


def nm_encode(
    w: DeviceArray, zero: int, params: Params, dtype: Dtype, *, raw: bool, keys: DeviceArray | None, prune: bool
) -> tuple[Nm, DeviceArray]:
    """Packs `w` (rows, cols), C-contiguous; see `Nm.encode` and `Nm.encode_pruned`.

    Raises:
        Refused: a group has more than N nonzeros.
    """
    made, codes, slots = nm_shape(w.shape, params, w.dtype, raw=raw)
    over, chunks = launch.counter(), 0 if prune else _in_chunks(made, w.itemsize, slots, w)
    if chunks:
        launch.run("nm24", "nm24_encode", {}, 32 * chunks, w, chunks, zero, codes, slots, over)
    else:
        how = 2 if keys is not None else int(prune)
        order = {"ORDER": 2 if dtype.name in FLOATS else int(dtype.kind == "i")} if how == 1 else {}
        if order.get("ORDER") == 2:
            order["INFINITY_BITS"] = INFINITIES[dtype.name]
        macros = {**nm_macros(made), **launch.item(w.dtype), **order}
        threads = w.shape[0] * -(-made.groups // 8)
        args = (*w.shape, zero, how, codes, codes.shape[1], slots, slots.shape[1], over)
        launch.run("nm", "nm_encode", macros, threads, w, keys, *args)
    if not prune and int(over[0]):
        raise Refused
    return made, slots


def bitmask_encode(w: DeviceArray, zero: int, params: Params) -> tuple[Bitmask, DeviceArray]:
    """Packs `w` (rows, cols); see `Bitmask.encode`."""
    rows, cols = w.shape
    bits = empty((rows, row_bytes(cols, params["align"])), np.uint8, "bits")
    counted, items = zeros(rows + 1, np.int64, "row_offsets"), launch.item(w.dtype)
    if cols:
        launch.run("rows", "dense_to_bits", items, 32 * rows, w, rows, cols, zero, bits, bits.shape[1], counted[1:])
    offsets, total = accumulated(counted, rows, cols)
    slots = empty(total, w.dtype, "values")
    macros = {**items, **launch.wide(offsets)}
    if total:
        args = (bits, bits.shape[1], rows, cols, offsets, slots, total)
        launch.run("rows", "bits_gather", macros, 32 * rows, w, *args)
    return Bitmask(bits, offsets, (rows, cols), params["align"], check=False), slots


def csr_encode(w: DeviceArray, zero: int) -> tuple[Csr, DeviceArray]:
    """Packs `w` (rows, cols); see `Csr.encode`."""
    rows, cols = w.shape
    counted, items = zeros(rows + 1, np.int64, "indptr"), launch.item(w.dtype)
    if cols:
        launch.run("rows", "dense_row_counts", items, 32 * rows, w, rows, cols, zero, counted[1:])
    indptr, total = accumulated(counted, rows, cols)
    indices, slots = empty(total, indptr.dtype, "indices"), empty(total, w.dtype, "values")
    macros = {**items, **launch.wide(indptr)}
    if total:
        launch.run("rows", "dense_to_csr", macros, 32 * rows, w, rows, cols, zero, indptr, indices, slots, total)
    return Csr(indptr, indices, (rows, cols), check=False), slots


def accumulated(counted: DeviceArray, *bounds: int) -> tuple[DeviceArray, int]:
    """Turns [0, counts...] into offsets of the canonical dtype; returns them and their total."""
    offsets = cupy().cumsum(counted)
    total = int(offsets[-1])
    return offsets.astype(index_dtype(*bounds, total), copy=False), total


def expanded(offsets: DeviceArray, slots: int) -> DeviceArray:
    """The line of every slot."""
    line = empty(slots, offsets.dtype, "lines of slots")
    lines = len(offsets) - 1
    if slots:
        macros = {"ITEM": 1, **launch.wide(offsets)}
        launch.run("rows", "expand_indptr", macros, 32 * lines, offsets, lines, line, slots)
    return line


def bit_columns(s: Bitmask, slots: int) -> DeviceArray:
    """The column of every slot of a bitmask."""
    rows, cols = s.shape
    indices = empty(slots, s.row_offsets.dtype, "columns of slots")
    if slots:
        macros = {"ITEM": 1, **launch.wide(indices)}
        args = (s.bits, s.bits.shape[1], rows, cols, s.row_offsets, indices, slots)
        launch.run("rows", "bits_to_indices", macros, 32 * rows, *args)
    return indices


def coords(s: Structure, slots: int) -> tuple[DeviceArray, DeviceArray]:
    """Row and column (int64) of every slot of coo, csc or bsr.

    Raises:
        BackendError: the structure is another one.
    """
    if isinstance(s, Coo):
        return s.row.astype(np.int64, copy=False), s.col.astype(np.int64, copy=False)
    if isinstance(s, Csc):
        return s.indices.astype(np.int64, copy=False), expanded(s.indptr, slots).astype(np.int64, copy=False)
    if not isinstance(s, Bsr):
        msg = f"{s.kind} has no list of coordinates on the device"
        raise BackendError(msg)
    r, c = s.block
    blocks = len(s.indices)
    line = expanded(s.indptr, blocks).astype(np.int64, copy=False)
    row, col = (empty(blocks * r * c, np.int64, "coordinates of slots") for _ in range(2))
    args = (line, s.indices.astype(np.int64, copy=False), blocks, r, c, row, col)
    launch.run("rows", "block_coords", {"ITEM": 1}, blocks * r * c, *args)
    return row, col


def decode(s: Structure, slots: DeviceArray, low: int, high: int, out: DeviceArray) -> None:
    """Fills `out` (high - low, cols), C-contiguous, with rows `low..high`.

    `slots` are those of these rows for nm and dense, and all for others.
    """
    (_, cols), rows = s.shape, high - low
    macros: dict[str, str | int] = launch.item(out.dtype)
    if out.size == 0:
        return
    if isinstance(s, Nm):
        _nm_decode(s, slots, low, high, out)
    elif isinstance(s, Dense):
        assign(out, slots)
    elif isinstance(s, Bitmask):
        bits, offsets = s.bits[low:high], s.row_offsets[low : high + 1]
        args = (bits, bits.shape[1], offsets, slots, slots.size, rows, cols, out)
        launch.run("rows", "bits_to_dense", {**macros, **launch.wide(offsets)}, 32 * rows, *args)
    elif isinstance(s, Csr):
        clear(out)
        indptr = s.indptr[low : high + 1]
        found = (indptr, s.indices, slots, slots.size, rows, cols, out)
        launch.run("rows", "csr_to_dense", {**macros, **launch.wide(indptr)}, 32 * rows, *found)
    else:
        clear(out)
        row, col = coords(s, slots.size)
        launch.run("rows", "scatter", macros, slots.size, row, col, slots, slots.size, low, rows, cols, out)


def _nm_decode(s: Nm, slots: DeviceArray, low: int, high: int, out: DeviceArray) -> None:
    part = Nm(s.codes[low:high], s.n, s.m, (high - low, s.shape[1]), s.align, check=False)
    chunks = _in_chunks(part, out.itemsize, slots, out)
    if chunks:
        launch.run("nm24", "nm24_decode", {}, 32 * chunks, part.codes, slots, chunks, out)
        return
    macros = {**nm_macros(s), **launch.item(out.dtype)}
    args = (part.codes, s.codes.shape[1], slots, slots.shape[1], *part.shape, out)
    launch.run("nm", "nm_decode", macros, part.shape[0] * -(-s.groups // 8), *args)


def score_keys(score: DeviceArray) -> DeviceArray:
    """uint64 keys that rank like `score` (rows, cols); see `structures.nm.score_keys`.

    Raises:
        Refused: a NaN.
    """
    xp = cupy()
    if score.dtype.kind in "bu":
        return score.astype(np.uint64)
    if score.dtype.kind == "i":
        return (score.astype(np.int64) ^ np.int64(np.iinfo(np.int64).min)).view(np.uint64)
    real = score.astype(np.float64) + 0.0
    if bool(xp.isnan(real).any()):
        raise Refused
    bits = xp.ascontiguousarray(real).view(np.int64)
    return (bits ^ ((bits >> 63) | np.int64(np.iinfo(np.int64).min))).view(np.uint64)


def check_kind(target: type[Structure], what: str) -> None:
    """Raises BackendError where the device does not `what` the structure."""
    if target.kind not in KINDS:
        msg = (
            f"{what} {target.kind} runs on the CPU; the GPU does {', '.join(KINDS)}: "
            'pack there and move the tensor with t.to("cuda")'
        )
        raise BackendError(msg)


def encode(
    w: DeviceArray,
    dtype: Dtype,
    zero: str,
    target: type[Structure],
    params: Params,
    *,
    raw: bool,
    keys: DeviceArray | None,
    prune: bool,
) -> tuple[Structure, DeviceArray]:
    """Packs `w` (rows, cols), C-contiguous; `raw`: slots get the padding of rows that the raw codec stores."""
    mask = zero_mask(dtype, zero)
    if target is Nm:
        return nm_encode(w, mask, params, dtype, raw=raw, keys=keys, prune=prune)
    if target is Bitmask:
        return bitmask_encode(w, mask, params)
    return csr_encode(w, mask)
