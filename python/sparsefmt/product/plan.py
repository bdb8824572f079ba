"""Which way to a product is the fastest for the matrix at hand.

Four ways lead to `w @ x`: a kernel that multiplies straight from the packed arrays; the same after a conversion to
rows (coo, csc); blocks of decoded rows and BLAS; slot by slot. An estimate of each, from counts of bytes and
multiplications, decides.
"""

from dataclasses import dataclass

import numpy as np

from sparsefmt.base.dtypes import COMPLEX, DTYPES, Dtype
from sparsefmt.codecs.base import Codec
from sparsefmt.kernels import product as kernels
from sparsefmt.kernels.registry import NATIVE
from sparsefmt.kernels.settings import get_num_threads, instruction_set
from sparsefmt.product import cost
from sparsefmt.product.decoded import BUDGET, by_slots
from sparsefmt.product.dtypes import result_dtypes
from sparsefmt.product.packed import WIDEST, in_pairs, pairs_are_fast
from sparsefmt.structures.base import Structure
from sparsefmt.structures.bitmask import Bitmask
from sparsefmt.structures.bsr import Bsr
from sparsefmt.structures.coo import Coo
from sparsefmt.structures.csr import Csc, Csr
from sparsefmt.structures.dense import Dense
from sparsefmt.structures.nm import Nm

_KNOWN = 64  # products of a matrix whose plans are kept
WIDE = tuple(DTYPES[name] for name in ("float64", "int32", "int64", "uint32", "uint64", *COMPLEX))


@dataclass(frozen=True)
class Plan:
    """A way to a product, and what it is estimated to cost."""

    way: str
    nbytes: int
    flops: int
    seconds: float
    packed: bool = False
    """Whether a kernel takes the packed arrays."""
    whole: bool = False
    """Whether the decoded matrix is small, or stored as it is, and NumPy multiplies it in floats."""


def plans(s: Structure, values: Codec, k: int, x: Dtype) -> list[Plan]:
    """What `estimates` gives, found out once: that takes longer than some products."""
    key = (values.kind, values.dtype, values.anywhere, k, x, get_num_threads())
    known: dict[object, list[Plan]] | None = getattr(s, "_plans", None)
    if known is None or len(known) > _KNOWN:
        known = {}
        object.__setattr__(s, "_plans", known)
    found = known.get(key)
    if found is None:
        found = known[key] = estimates(s, values, k, x)
    return found


def estimates(s: Structure, values: Codec, k: int, x: Dtype) -> list[Plan]:
    """The ways that are open for `k` columns of dtype `x`, the best one first."""
    compute = result_dtypes(values.dtype, x)[1]
    threads, slower = get_num_threads(), cost.SLOWER[instruction_set()]
    rows, cols = s.shape
    stored = s.nbytes + values.nbytes
    if by_slots(s, compute.itemsize):
        seconds = cost.START_SLOTS + 10e-9 * s.slots * max(k, 1)
        found = [Plan("slot by slot", stored, 2 * s.slots * k, seconds)]
    else:
        size = rows * cols
        whole = is_plain(s, values, compute) or size * max(values.dtype.itemsize, compute.itemsize) <= BUDGET
        whole &= size > 0 and compute.kind == "f" and result_dtypes(values.dtype, x)[0].kind == "f"
        decode = 0.0 if is_plain(s, values, compute) else cost.DECODE * size * (1 + (values.kind != "raw"))
        if isinstance(s, Bsr):
            decode += cost.BLOCK_DECODED * len(s.indices)
        decode = decode / threads + (0.0 if values.dtype == compute else cost.CAST * size)
        if isinstance(s, Csc) and not whole:
            decode += cost.TURN * s.slots
        blas = max(size * (cost.PACK + k * cost.FLOP), size * compute.itemsize * cost.STREAM / 1.2) / threads
        name = "NumPy on the stored array" if not decode else "blocks of decoded rows and BLAS"
        found = [Plan(name, stored, 2 * size * k, cost.START + decode + blas, whole=whole)]
    if compute == np.float32 and _is_taken(s, values):
        read = stored * cost.STREAM / threads
        seconds = read + cost.kernel_work(s, values, k) * slower / threads
        route = cost.START_ROUTE.get(s.kind, 0.0)
        if isinstance(s, Csc):
            route += cost.TURN * s.slots
        name = _kernel_name(s, k)
        if in_pairs(s, values, x, k) and pairs_are_fast():
            name, seconds = "packed nm kernel: two values of bfloat16 at once, 64 columns of x at a time", 0.5 * seconds
        if cost.tiles_take(s, k):
            name = f"packed {s.kind} kernel: tiles of bfloat16, {cost.tile_products(values, x)} products of parts"
            seconds = read + cost.tile_seconds(s, values, x, k) / threads
        found.append(Plan(name, stored, 2 * s.slots * k, cost.START_PACKED + seconds + route, packed=True))
    return sorted(found, key=lambda plan: plan.seconds)


def is_plain(s: Structure, values: Codec, compute: Dtype) -> bool:
    """Whether NumPy can multiply the stored array itself."""
    return s.kind == "dense" and values.kind == "raw" and values.dtype == compute


def _is_taken(s: Structure, values: Codec) -> bool:
    """Whether a kernel takes the matrix."""
    if not NATIVE or 0 in s.shape or values.dtype in WIDE or values.product_slots(s) is None:
        return False
    if isinstance(s, Coo):  # its rows become offsets
        return s.shape[0] <= 8 * s.slots + 1024
    if isinstance(s, Csc):
        return s.shape[0] <= 8 * s.slots + 1024 and values.anywhere
    return isinstance(s, Csr | Bsr) or (isinstance(s, Nm | Bitmask | Dense) and s.shape[1] <= WIDEST)


def _kernel_name(s: Structure, k: int) -> str:
    kind = {"coo": "csr", "csc": "csr"}.get(s.kind, s.kind)
    how = {
        "csr": "a step per stored value",
        "bsr": "blocks, sums of up to 16 rows in registers",
    }.get(kind, f"{kernels.DEPTH} columns of w at a time, a step per stored value")
    if k == 1:
        how = "row by row, values decoded in registers"
    else:
        how += f", {min(k, 128)} columns of x at a time"
    before = {"coo": "rows counted, then ", "csc": "converted to csr, then "}.get(s.kind, "")
    return f"{before}packed {kind} kernel: {how}"
