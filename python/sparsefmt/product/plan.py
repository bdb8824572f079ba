"""Which way to a product is the fastest for the matrix at hand.

Four ways lead to `w @ x`: a kernel that multiplies straight from the packed arrays; the same after a conversion to
rows (coo, csc, gap); blocks of decoded rows and BLAS; slot by slot. The extension plans the kernel (`kernels.plan`); an
estimate of each, from its counts of bytes and operations, decides.
"""

from dataclasses import dataclass, replace

import numpy as np

from sparsefmt.base.dtypes import DTYPES, Dtype
from sparsefmt.base.weak import WeakIdentityDict
from sparsefmt.codecs.base import Codec
from sparsefmt.kernels.plan import Planned, product_plan
from sparsefmt.kernels.settings import get_num_threads, instruction_set
from sparsefmt.product import cost
from sparsefmt.product.decoded import BUDGET, by_slots
from sparsefmt.product.dtypes import result_dtypes
from sparsefmt.structures.base import Structure
from sparsefmt.structures.bsr import Bsr
from sparsefmt.structures.coo import Coo
from sparsefmt.structures.csr import Csc
from sparsefmt.structures.gap import Gap
from sparsefmt.structures.nm import Nm
from sparsefmt.structures.nm_packed import PackedNm

_KNOWN = 64  # products of a matrix whose plans are kept
_FLOAT32, _BFLOAT16 = DTYPES["float32"], DTYPES["bfloat16"]

_HOW = {
    "gemv": "row by row, values decoded in registers",
    "spmm_narrow": "values spread once over a register of columns",
    "amx_gemm": "tiles of bfloat16, {products} products of parts",
    "panel": "64 columns of w at a time, panels of 128 columns of x",
    "integers": "codes as they are stored, columns of x in 8 bits",
    "nm24_bf16": "two values of bfloat16 at once, 64 columns of x at a time",
    "csr_gemv": "row by row, items of x gathered",
    "csr_panel": "64 columns of w at a time, panels of 128 columns of x",
    "csr_spmm": "a row of x per stored value, up to 32 columns packed",
    "csr_rows": "a row of x per stored value, 64 columns at a time",
    "bsr_rows": "blocks, sums of up to 16 rows in registers",
    "bsr_spmm": "blocks, up to 64 columns of x packed",
}
"""What each way of the extension does."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A way to a product, and what it is estimated to cost."""

    way: str
    nbytes: int
    """Bytes that are moved: of the matrix, as often as it is read; for kernels also of x and the result."""
    flops: int
    seconds: float
    kernel: str | None = None
    """The way of the extension, where a kernel takes the packed arrays."""
    room: int = 0
    """Bytes of working space of the kernel for each thread."""
    bf16: bool = False
    """Whether 2:4 of bfloat16 meets bfloat16, which goes to the kernel as it is."""
    dtypes: tuple[Dtype, Dtype] = (_FLOAT32, _FLOAT32)
    """The dtype of the result, and of the sums."""
    whole: bool = False
    """Whether the decoded matrix is small, or stored as it is, and NumPy multiplies it in floats."""


_plans: WeakIdentityDict[Structure, dict[object, list[Plan]]] = WeakIdentityDict()


def plans(s: Structure, values: Codec, k: int, x: Dtype, calls: int = 1) -> list[Plan]:
    """What `estimates` returns, found out once: that takes longer than some products."""
    key = (values.kind, values.dtype, values.anywhere, k, x, calls, get_num_threads())
    known = _plans.get(s)
    if known is None or len(known) > _KNOWN:
        known = _plans[s] = {}
    found = known.get(key)
    if found is None:
        found = known[key] = estimates(s, values, k, x, calls)
    return found


def estimates(s: Structure, values: Codec, k: int, x: Dtype, calls: int = 1) -> list[Plan]:
    """The ways that are open for `k` columns of dtype `x`, the best one first; a kernel takes them in `calls` calls."""
    result, compute = result_dtypes(values.dtype, x, s.shape[1])
    found = [_by_slots(s, values, k) if by_slots(s, compute.itemsize) else _by_blas(s, values, k, result, compute)]
    if compute == np.float32 and (packed := _by_kernel(s, values, k, x, calls)) is not None:
        found.append(packed)
    return [replace(plan, dtypes=(result, compute)) for plan in sorted(found, key=lambda plan: plan.seconds)]


def _by_slots(s: Structure, values: Codec, k: int) -> Plan:
    seconds = cost.START_SLOTS + 10e-9 * s.slots * max(k, 1)
    return Plan("slot by slot", s.nbytes + values.nbytes, 2 * s.slots * k, seconds)


def _by_blas(s: Structure, values: Codec, k: int, result: Dtype, compute: Dtype) -> Plan:
    """By decoded rows, or by the stored array itself."""
    size, threads, plain = s.shape[0] * s.shape[1], get_num_threads(), is_plain(s, values, compute)
    whole = plain or size * max(values.dtype.itemsize, compute.itemsize) <= BUDGET
    whole &= size > 0 and compute.kind == "f" and result.kind == "f"
    decode = 0.0 if plain else cost.DECODE * size * (1 + (values.kind != "raw"))
    if isinstance(s, Bsr):
        decode += cost.BLOCK_DECODED * len(s.indices)
    decode = decode / threads + (0.0 if values.dtype == compute else cost.CAST * size)
    if isinstance(s, Csc) and not whole:
        decode += cost.TURN[s.kind] * s.slots
    blas = max(size * (cost.PACK + k * cost.FLOP), size * compute.itemsize * cost.STREAM / 1.2) / threads
    name = "NumPy on the stored array" if not decode else "blocks of decoded rows and BLAS"
    return Plan(name, s.nbytes + values.nbytes, 2 * size * k, cost.START + decode + blas, whole=whole)


def _by_kernel(s: Structure, values: Codec, k: int, x: Dtype, calls: int) -> Plan | None:
    """By the way that the extension plans, after a conversion to csr if need be."""
    if 0 in s.shape or not _becomes_rows(s, values) or values.product_slots(s) is None:
        return None
    planned = kernel_plan(s, values, -(-k // calls), x if calls == 1 else _FLOAT32)
    if planned is None:
        return None
    way, nbytes, operations, room, products = planned
    threads, slower = get_num_threads(), cost.SLOWER[instruction_set()]
    read = (s.nbytes + values.nbytes) * cost.STREAM / threads
    work = cost.work(way, s, values, k, operations * calls) * (1.0 if way == "amx_gemm" else slower) / threads
    route = cost.START_ROUTE.get(s.kind, 0.0) + cost.TURN.get(s.kind, 0.0) * s.slots
    before = {
        "coo": "rows counted, then ",
        "csc": "converted to csr, then ",
        "gap": "gaps summed up to columns, then ",
        "nm_radix": "words unpacked to codes, then ",
        "nm_rans": "the stream unpacked to codes, then ",
    }.get(s.kind, "")
    text = f"{before}packed {_kernel_kind(s)} kernel {way}: {_HOW[way].format(products=products)}"
    both = calls == 1 and isinstance(s, Nm) and (s.n, s.m) == (2, 4) and values.kind == "raw" and x == _BFLOAT16
    return Plan(
        way=text,
        nbytes=nbytes * calls,
        flops=operations * calls,
        seconds=cost.START_PACKED + read + work + route,
        kernel=way,
        room=room,
        bf16=both and values.dtype == _BFLOAT16 and way in ("nm24_bf16", "amx_gemm"),
    )


def kernel_plan(s: Structure, values: Codec, k: int, x: Dtype, *, integers: bool = False) -> Planned | None:
    """What the extension plans for `k` columns of dtype `x`; None where no kernel takes the matrix."""
    kind, pair = _kernel_kind(s), (0, 0)
    if isinstance(s, Nm | PackedNm):
        pair = s.n, s.m
    elif isinstance(s, Bsr):
        pair = s.block
    elif kind not in ("bitmask", "dense", "csr"):
        return None
    scale = values.arrays().get("scale")
    name, bits = "integers" if integers else values.dtype.name, 0 if values.kind == "raw" else values.slot_bits
    how, size = (name, bits, int(scale is not None)), 0 if scale is None else scale.dtype.itemsize
    return product_plan((kind, *pair), s.shape, s.slots, how, size, k, x.name, s.nbytes + values.nbytes)


def _kernel_kind(s: Structure) -> str:
    if isinstance(s, PackedNm):
        return Nm.kind
    return "csr" if isinstance(s, Coo | Csc | Gap) else s.kind


def _becomes_rows(s: Structure, values: Codec) -> bool:
    """Whether it has rows, or can be brought into rows for less than the product takes."""
    if not isinstance(s, Coo | Csc):
        return True
    return s.shape[0] <= 8 * s.slots + 1024 and (isinstance(s, Coo) or values.anywhere)


def is_plain(s: Structure, values: Codec, compute: Dtype) -> bool:
    """Whether NumPy can multiply the stored array itself."""
    return s.kind == "dense" and values.kind == "raw" and values.dtype == compute
