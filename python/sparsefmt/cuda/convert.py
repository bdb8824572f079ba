"""Conversions on the device among nm, bitmask, csr and coo, by way of csr, as on the CPU."""

from typing import Any

import numpy as np

from sparsefmt.base.errors import BackendError
from sparsefmt.cuda import launch
from sparsefmt.cuda.device import DeviceArray, cupy, empty, zeros
from sparsefmt.cuda.structures import Refused, accumulated, bit_columns, expanded, nm_macros, nm_shape
from sparsefmt.encoding.routes import own_params
from sparsefmt.structures.base import Params, Structure
from sparsefmt.structures.bitmask import Bitmask, row_bytes
from sparsefmt.structures.coo import Coo
from sparsefmt.structures.csr import Csr
from sparsefmt.structures.nm import Nm

KINDS = (Nm, Bitmask, Csr, Coo)


def same(s: Structure, target: type[Structure], params: Params) -> bool:
    """Whether `s` is of that kind and these parameters already."""
    return type(s) is target and own_params(s) == params


def restructure(
    s: Structure, slots: DeviceArray, target: type[Structure], params: Params
) -> tuple[Structure, DeviceArray]:
    """Converts a structure and the body of its lifted slots.

    Raises:
        BackendError: one of the two kinds is not known here.
        Refused: the target cannot hold the pattern.
    """
    for kind in (type(s), target):
        if kind not in KINDS:
            msg = (
                f"converting {s.kind} to {target.kind} runs on the CPU; the GPU knows nm, bitmask, csr and coo: "
                't.to("cpu").convert(fmt).to("cuda")'
            )
            raise BackendError(msg)
    middle, slots = _to_csr(s, slots)
    if target is Csr:
        return middle, slots
    if target is Coo:
        return Coo(expanded(middle.indptr, slots.size), middle.indices, s.shape, check=False), slots
    if target is Bitmask:
        return _to_bitmask(middle, params), slots
    return _to_nm(middle, slots, params)


def _to_csr(s: Any, slots: DeviceArray) -> tuple[Csr, DeviceArray]:  # noqa: ANN401
    """Any of the kinds as csr."""
    if isinstance(s, Csr):
        return s, slots
    if isinstance(s, Bitmask):
        return Csr(s.row_offsets, bit_columns(s, slots.size), s.shape, check=False), slots
    if isinstance(s, Coo):
        xp = cupy()
        indptr = xp.searchsorted(s.row, xp.arange(s.shape[0] + 1).astype(s.row.dtype)).astype(s.row.dtype)
        return Csr(indptr, s.col, s.shape, check=False), slots
    return _nm_to_csr(s, slots)


def _nm_to_csr(s: Nm, slots: DeviceArray) -> tuple[Csr, DeviceArray]:
    """Lists the nonzero slots."""
    (rows, cols), macros = s.shape, {**nm_macros(s), **launch.item(slots.dtype)}
    source = (s.codes, s.codes.shape[1], slots, slots.shape[1], rows, cols)
    counted = zeros(rows + 1, np.int64, "indptr")
    if s.slots:
        launch.run("nm", "nm_row_counts", macros, 32 * rows, *source, counted[1:])
    indptr, total = accumulated(counted, rows, cols)
    indices, kept = empty(total, indptr.dtype, "indices"), empty(total, slots.dtype, "values")
    if total:
        macros |= launch.wide(indptr)
        launch.run("nm", "nm_to_csr", macros, 32 * rows, *source, indptr, indices, kept, total)
    return Csr(indptr, indices, s.shape, check=False), kept


def _to_bitmask(s: Csr, params: Params) -> Bitmask:
    rows, cols = s.shape
    bits = empty((rows, row_bytes(cols, params["align"])), np.uint8, "bits")
    args = (s.indptr, s.indices, s.indices.size, rows, cols, bits, bits.shape[1])
    threads = rows * -(-bits.shape[1] // 4)
    launch.run("rows", "csr_to_bits", {"ITEM": 1, **launch.wide(s.indptr)}, threads, *args)
    return Bitmask(bits, s.indptr, s.shape, params["align"], check=False)


def _to_nm(s: Csr, slots: DeviceArray, params: Params) -> tuple[Nm, DeviceArray]:
    """Packs the nonzero slots.

    Raises:
        Refused: a group has too many.
    """
    made, codes, packed = nm_shape(s.shape, params, slots.dtype, raw=False)
    over = launch.counter()
    macros = {**nm_macros(made), **launch.item(slots.dtype), **launch.wide(s.indptr)}
    args = (s.indptr, s.indices, slots, slots.size, *s.shape, codes, codes.shape[1], packed, packed.shape[1], over)
    launch.run("nm", "csr_to_nm", macros, s.shape[0] * -(-made.groups // 8), *args)
    if int(over[0]):
        raise Refused
    return made, packed
