"""Products: which way is the fastest for the matrix at hand, and that way.

Four ways lead to `w @ x`: a kernel that multiplies straight from the packed arrays; the same after a conversion to
rows (coo, csc); blocks of decoded rows and BLAS; slot by slot. An estimate of each, from counts of bytes and
multiplications, decides. Its constants were measured on one thread of an AMD EPYC (Zen 5), those of blocks and tiles on
a Xeon (family 6, model 167); what they must get right is which of two estimates is smaller, not the time itself
(benches/python/crossover.py).
"""

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sparsefmt import ops, tiles
from sparsefmt.arrays import COMPLEX, DTYPES, Array, Dtype, check_size, empty, items, zeros
from sparsefmt.codecs.affine import Affine
from sparsefmt.codecs.base import Codec, Held
from sparsefmt.codecs.raw import Raw
from sparsefmt.convert import restructure
from sparsefmt.kernels import product as kernels
from sparsefmt.kernels.fused import FUSED_BITS
from sparsefmt.kernels.registry import NATIVE
from sparsefmt.kernels.settings import instruction_set, num_threads
from sparsefmt.structures.base import Structure
from sparsefmt.structures.bitmask import Bitmask
from sparsefmt.structures.bsr import Bsr
from sparsefmt.structures.coo import Coo
from sparsefmt.structures.csr import Csc, Csr
from sparsefmt.structures.dense import Dense
from sparsefmt.structures.nm import Nm

_WIDE = tuple(DTYPES[name] for name in ("float64", "int32", "int64", "uint32", "uint64", *COMPLEX))
_WIDEST = 1 << 18  # columns that kernels for bits take
_STREAM = 1 / 16e9  # seconds a byte takes one thread, read once
_FLOP = 1 / 119e9  # seconds a multiplication takes BLAS on one thread
_PACK = 0.24e-9  # seconds BLAS takes for an element however few columns there are
_DECODE = 0.3e-9  # seconds an element takes to be decoded; where it is a code, twice as long
_CAST = 3.5e-9  # seconds NumPy takes to make float32 of another number
_TURN = 5e-9  # seconds a slot takes from csc to csr
_BLOCK = 4e-9  # seconds a block of bsr takes the kernel besides its items
_BLOCK_DECODED = 35e-9  # the same where it is decoded
_PER_ITEM = 0.15e-9  # seconds an item of a block takes with one column; with more, for each register of 16 of them:
_PER_REGISTER = 0.23e-9
_PER_CODE_OF_BLOCKS = 1.2e-9  # seconds a code takes to become an item
_START = 5e-6  # seconds that a call costs whatever its size
_START_PACKED = 12e-6  # the same of a kernel
_START_SLOTS = 60e-6  # the same slot by slot
_START_ROUTE = {"coo": 15e-6, "csc": 45e-6}  # the same of bringing slots into rows
_PER_SLOT = {8: 0.3e-9, 16: 0.4e-9, 32: 0.6e-9, 64: 0.9e-9, 128: 1.7e-9}  # seconds of a value with so many columns
_PER_INDEX = {8: 0.5e-9, 16: 0.7e-9, 32: 1.2e-9, 64: 2.2e-9, 128: 4.4e-9}  # the same where few columns have one
_PER_CODE = 0.8e-9  # seconds a code takes to become a value; less where values are few enough for a cache, or in order
_KNOWN = 64  # products of a matrix whose plans are kept
_SLOWER = {"amx": 1.0, "avx512": 1.0, "avx2": 2.4, "scalar": 8.0, "numpy": 1e9}  # kernels of other instruction sets


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
    key = (values.kind, values.dtype, values.anywhere, k, x, num_threads())
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
    compute = ops.result_dtypes(values.dtype, x)[1]
    threads, slower = num_threads(), _SLOWER[instruction_set()]
    rows, cols = s.shape
    stored = s.nbytes + values.nbytes
    if ops.by_slots(s, compute.itemsize):
        seconds = _START_SLOTS + 10e-9 * s.slots * max(k, 1)
        found = [Plan("slot by slot", stored, 2 * s.slots * k, seconds)]
    else:
        size = rows * cols
        whole = _is_plain(s, values, compute) or size * max(values.dtype.itemsize, compute.itemsize) <= ops.BUDGET
        whole &= size > 0 and compute.kind == "f" and ops.result_dtypes(values.dtype, x)[0].kind == "f"
        decode = 0.0 if _is_plain(s, values, compute) else _DECODE * size * (1 + (values.kind != "raw"))
        if isinstance(s, Bsr):
            decode += _BLOCK_DECODED * len(s.indices)
        decode = decode / threads + (0.0 if values.dtype == compute else _CAST * size)
        if isinstance(s, Csc) and not whole:
            decode += _TURN * s.slots
        blas = max(size * (_PACK + k * _FLOP), size * compute.itemsize * _STREAM / 1.2) / threads
        name = "NumPy on the stored array" if not decode else "blocks of decoded rows and BLAS"
        found = [Plan(name, stored, 2 * size * k, _START + decode + blas, whole=whole)]
    if compute == np.float32 and _is_taken(s, values):
        read = stored * _STREAM / threads
        seconds = read + _work(s, values, k) * slower / threads
        route = _START_ROUTE.get(s.kind, 0.0)
        if isinstance(s, Csc):
            route += _TURN * s.slots
        name = _kernel_name(s, k)
        if _in_pairs(s, values, x, k) and pairs_are_fast():
            name, seconds = "packed nm kernel: two values of bfloat16 at once, 64 columns of x at a time", 0.5 * seconds
        if tiles.takes(s, k):
            name = f"packed {s.kind} kernel: tiles of bfloat16, {tiles.products(values, x)} products of parts"
            seconds = read + tiles.seconds(s, values, x, k) / threads
        found.append(Plan(name, stored, 2 * s.slots * k, _START_PACKED + seconds + route, packed=True))
    return sorted(found, key=lambda plan: plan.seconds)


def _is_plain(s: Structure, values: Codec, compute: Dtype) -> bool:
    return s.kind == "dense" and values.kind == "raw" and values.dtype == compute


def _is_taken(s: Structure, values: Codec) -> bool:
    """Whether a kernel takes the matrix."""
    if not NATIVE or 0 in s.shape or values.dtype in _WIDE or values.product_slots(s) is None:
        return False
    if isinstance(s, Coo):  # its rows become offsets
        return s.shape[0] <= 8 * s.slots + 1024
    if isinstance(s, Csc):
        return s.shape[0] <= 8 * s.slots + 1024 and values.anywhere
    return isinstance(s, Csr | Bsr) or s.shape[1] <= _WIDEST


def _work(s: Structure, values: Codec, k: int) -> float:
    """Seconds that multiplying takes one thread with AVX-512."""
    size = s.shape[0] * s.shape[1]
    if isinstance(s, Bsr):
        item = _PER_ITEM if k == 1 else _PER_REGISTER * -(-k // 16)
        if values.kind != "raw":
            item += _PER_CODE_OF_BLOCKS
        return _BLOCK * len(s.indices) * -(-k // 64) + item * s.slots
    if k == 1:
        fast = isinstance(s, Nm) and (s.n, s.m) == (2, 4)
        masked = (0.05e-9 if fast else 0.09e-9) * size
        return masked if s.kind in ("nm", "bitmask", "dense") else 0.25e-9 * s.slots
    half_full = s.kind in ("nm", "bitmask", "dense") or (k > 8 and 6 * s.slots > size)
    per = _PER_SLOT if half_full else _PER_INDEX
    if values.kind == "raw":
        code = 0.0
    elif isinstance(s, Dense):
        code = 0.25 * _PER_CODE
    else:
        code = _PER_CODE * (0.4 if k <= 8 else 1.0)
    return s.slots * (code + sum(per[width] for _, width in _panels(k)))


def _panels(k: int) -> Iterator[tuple[int, int]]:
    """The first column and the width of every panel of columns."""
    for first in range(0, k, 128):
        yield first, next(width for width in _PER_SLOT if width >= min(k - first, 128))


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


def _run(s: Structure, held: Held, x: Array, out: Array) -> int:
    match s:
        case Nm():
            return kernels.nm_matmul(s.codes, s.n, s.m, *held, x, out)
        case Bitmask():
            return kernels.bits_matmul(s.bits, s.row_offsets, *held, x, out)
        case Dense():
            return kernels.dense_matmul(*held, x, out)
        case Bsr():
            return kernels.bsr_matmul(s.indptr, s.indices, s.block, *held, x, out)
        case Csr():
            return kernels.csr_matmul(s.indptr, s.indices, *held, x, out)
    return 1


def _by_rows(s: Structure, values: Codec) -> tuple[Structure, Codec]:
    """As csr if it is csc, so that blocks of rows are decoded without going over all slots again and again."""
    if not isinstance(s, Csc) or not values.anywhere or s.shape[0] > 8 * s.slots + 1024:
        return s, values
    target, slots = restructure(s, values.lift(s), Csr, {})
    return target, values.lower(target, slots)


def _held(s: Structure, values: Codec) -> tuple[Structure, Held] | None:
    """The structure and slots that a kernel takes, converted if need be."""
    if isinstance(s, Coo | Csc):
        target, slots = restructure(s, values.lift(s), Csr, {})
        s, values = target, values.lower(target, slots)
    held = values.product_slots(s)
    return None if held is None else (s, held)


def matmul(s: Structure, values: Codec, x: Array, out: Array | None = None) -> Array:
    """`w @ x` for x of shape (..., cols, k) or (cols,); into `out`, a plain array of the result, if it is given.

    NaN and infinities in x pass through nonzero elements of w only. Sums in float32 are off by at most
    (terms + 2) * 3 eps * sum of absolute products; from integer codes with 16-bit dtypes, also by the rounding of
    each value that `to_dense` does and this does not.
    """
    k = 1 if x.ndim == 1 else x.shape[-1]
    made = None
    if x.size:
        columns = k if x.ndim <= 2 else min(k * math.prod(x.shape[:-2]), 1 << 20)
        plan = plans(s, values, columns, x.dtype)[0]
        if plan.packed:
            made = _packed(s, values, x, out)
        elif plan.whole:
            made = _whole(s, values, x, out)
    if made is None:
        made = ops.matmul(*_by_rows(s, values), x)
    if out is None or made is out:
        return made
    np.copyto(out, made)
    return out


def _whole(s: Structure, values: Codec, x: Array, out: Array | None) -> Array | None:
    """By NumPy from the whole matrix in floats; None where x is not finite."""
    result, compute = ops.result_dtypes(values.dtype, x.dtype)
    right = x.astype(compute, copy=False)
    flat = right.reshape(-1)
    if not math.isfinite(flat.dot(flat)):  # or the sum of squares overflows
        return None
    check_size(compute.itemsize * s.shape[0] * (right.size // right.shape[-2 if right.ndim > 1 else 0]), "the product")
    if isinstance(values, Raw) and _is_plain(s, values, compute):
        w = values.data
    else:
        w = np.empty(s.shape, values.dtype)
        values.decode_rows(s, 0, s.shape[0], w)
        w = w.astype(compute, copy=False)
    if right.ndim <= 2:  # `dot` raises no warnings, and starts sooner
        return _rounded(w.dot(right, out if out is not None and out.dtype == compute else None), result)
    with np.errstate(all="ignore"):
        return _rounded(np.matmul(w, right), result)


def _rounded(sums: Array, result: Dtype) -> Array:
    """In the dtype of the result, in which large sums may be infinite."""
    if sums.dtype == result:
        return sums
    with np.errstate(all="ignore"):
        return sums.astype(result)


def _packed(s: Structure, values: Codec, x: Array, out: Array | None) -> Array | None:
    """By a kernel; None where x is not finite, or the values are such that no kernel takes them."""
    ready = _held(s, values)
    if ready is None:
        return None
    result = ops.result_dtypes(values.dtype, x.dtype)[0]
    right = x[:, None] if x.ndim == 1 else x
    lead, (cols, k) = right.shape[:-2], right.shape[-2:]
    shape = (*lead, s.shape[0], k)
    check_size(math.prod(shape) * 4, "the product")
    sums = out if out is not None and out.dtype == np.float32 else empty(shape, np.float32, "the product")
    sums = sums.reshape(shape)
    pairs = _in_pairs(s, values, right.dtype, k)
    if not lead and pairs and isinstance(s, Nm) and isinstance(values, Raw):
        found = kernels.pairs_matmul(s.codes, items(values.data), items(np.ascontiguousarray(right)), sums)
        if found == 1:
            return None
        if found == 2 and _run(*ready, _plain(right), sums):
            return None
    elif not lead:
        if _run(*ready, _plain(right), sums):
            return None
    else:
        for places in _together(lead, k):
            part = right.reshape(-1, cols, k)[places]
            wide = _plain(part.transpose(1, 0, 2).reshape(cols, -1))
            made = sums.reshape(-1, *shape[-2:])[places]
            room = made[0] if len(part) == 1 else empty((shape[-2], wide.shape[1]), np.float32, "a part of the product")
            if _run(*ready, wide, room):
                return None
            if len(part) > 1:
                made[...] = room.reshape(shape[-2], len(part), k).transpose(1, 0, 2)
    sums = _rounded(sums, result)
    return sums[..., 0] if x.ndim == 1 else sums


def _in_pairs(s: Structure, values: Codec, x: Dtype, k: int) -> bool:
    """Whether bfloat16 meets bfloat16 in 2:4, with columns enough to pack pairs of rows."""
    if not isinstance(s, Nm) or not isinstance(values, Raw) or k < 16:  # first: names of dtypes take microseconds
        return False
    return (s.n, s.m) == (2, 4) and values.dtype.name == x.name == "bfloat16"


@functools.cache
def pairs_are_fast() -> bool:
    """Whether this CPU multiplies pairs of bfloat16."""
    none = np.empty((0, 0), np.uint16)
    return NATIVE and kernels.pairs_matmul(none.astype(np.uint8), none, none, np.empty((0, 0), np.float32)) == 0


def _plain(x: Array) -> Array:
    """As contiguous float32."""
    if x.dtype == np.float32 and x.flags.c_contiguous and x.flags.aligned:
        return x
    made = empty(x.shape, np.float32, "the right factor in float32")
    np.copyto(made, x, casting="unsafe")
    return made


def _together(lead: tuple[int, ...], k: int) -> Iterator[slice]:
    """Leading places that are multiplied in one call: as many as give 64 columns."""
    count = math.prod(lead)
    per = max(64 // max(k, 1), 1)
    for first in range(0, count, per):
        yield slice(first, min(first + per, count))


def takes_integers(s: Structure, values: Codec) -> bool:
    """Whether `in_integers` takes the matrix."""
    group = getattr(values, "group", 1)
    fits = isinstance(values, Affine) and values.zero_point is None and (group <= 0 or group % 64 == 0)
    fits = fits and values.slot_bits in FUSED_BITS and values.product_slots(s) is not None
    return fits and s.kind in ("nm", "bitmask", "dense") and s.shape[1] <= _WIDEST


def in_integers(s: Structure, values: Codec, x: Array) -> Array | None:
    """`w @ x` for x (cols, k) with every column of x rounded to 8 bits; None where x is not finite."""
    result = ops.result_dtypes(values.dtype, x.dtype)[0]
    out = zeros((s.shape[0], x.shape[1]), np.float32, "the product")
    held = values.product_slots(s)
    if held is not None and out.size:
        slots, (_, bits, group), scale, point = held
        if _run(s, (slots, ("integers", bits, group), scale, point), np.ascontiguousarray(x, np.float32), out):
            return None
    return out.astype(result, copy=False)


def rmatmul(s: Structure, values: Codec, x: Array) -> Array:
    """`x @ w` for x of shape (..., rows) or (rows,): csc is csr of the transpose; else by decoded rows."""
    if isinstance(s, Csc) and values.anywhere and x.size:
        flipped = Csr(s.indptr, s.indices, (s.shape[1], s.shape[0]), check=False)
        right = x if x.ndim == 1 else x.reshape(-1, x.shape[-1]).T
        made = matmul(flipped, values, right)
        return made if x.ndim == 1 else np.ascontiguousarray(made.T).reshape(*x.shape[:-1], s.shape[1])
    return ops.rmatmul(s, values, x)
