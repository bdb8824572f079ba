"""Definitions of the kernels for N:M.

The code of a group is the rank of its mask among all masks with n bits, in ascending integer order (bit i =
position i), i.e. the sum of C(p_i, i + 1) over its ascending positions p_i. Codes are `width(n, m)` bits wide, LSB
first, rows start on a byte and end in zeros. A group with fewer than n nonzeros also gets the lowest free positions
among its last n; their slots hold zero. `w` may be a block of rows, with the same rows of `codes` and `slots`.

`slots` is (rows, at least groups * n): the slots of a group side by side, columns ascending, then zeros.
"""

from math import comb

import numpy as np

from sparsefmt.base.dtypes import INFINITIES, Array
from sparsefmt.base.errors import FormatError
from sparsefmt.kernels.items import every_bit, nonzero
from sparsefmt.kernels.registry import kernel

CODE, PADDING, BEYOND = 1, 2, 3
Report = tuple[int, int, int, int]


def width(n: int, m: int) -> int:
    """Bits per code: ceil(log2 C(m, n))."""
    return (comb(m, n) - 1).bit_length()


def binomials(m: int) -> Array:
    """The table [p, k] = C(p, k) for p in 0..m, k in 0..m+1."""
    return np.array([[comb(p, k) for k in range(m + 2)] for p in range(m + 1)], np.int64)


def grouped(a: Array, m: int) -> Array:
    """(rows, cols) -> (rows, groups, m), completed by zeros."""
    rows, cols = a.shape
    groups = -(-cols // m)
    full = np.zeros((rows, groups * m), a.dtype)
    full[:, :cols] = a
    return full.reshape(rows, groups, m)


def ungrouped(a: Array) -> Array:
    """(rows, groups, m) -> (rows, groups * m)."""
    rows, groups, m = a.shape
    return a.reshape(rows, groups * m)


def rank(keep: Array) -> Array:
    """(..., m) bool with n True each -> int64 rank."""
    m = keep.shape[-1]
    table = binomials(m)
    count = np.cumsum(keep, axis=-1)
    return np.asarray(np.where(keep, table[np.arange(m), count], 0).sum(axis=-1))


def unrank(codes: Array, n: int, m: int) -> Array:
    """(...) ranks below C(m, n) -> (..., m) bool."""
    table = binomials(m)
    keep = np.zeros((*codes.shape, m), bool)
    rest, left = codes.astype(np.int64), np.full(codes.shape, n)
    for p in reversed(range(m)):
        step = table[p, left]
        keep[..., p] = (left > 0) & (rest >= step)
        rest -= np.where(keep[..., p], step, 0)
        left -= keep[..., p]
    return keep


def pack_codes(ranks: Array, bits: int, codes: Array) -> None:
    """(rows, groups) ranks -> `codes` (rows, bytes) uint8, `bits` bits each, LSB first, padded with zeros."""
    stream = (ranks[..., None] >> np.arange(bits)) & 1
    packed = np.packbits(ungrouped(stream).astype(np.uint8), axis=1, bitorder="little")
    codes[...] = 0
    codes[:, : packed.shape[1]] = packed


def unpack_codes(codes: Array, bits: int, groups: int) -> Array:
    """(rows, bytes) -> (rows, groups) int64 ranks."""
    stream = np.unpackbits(codes, axis=1, bitorder="little")[:, : groups * bits].astype(np.int64)
    return np.asarray((stream.reshape(len(codes), groups, bits) << np.arange(bits)).sum(axis=-1))


def write(w: Array, keep: Array, n: int, codes: Array, slots: Array) -> None:
    """Writes the canonical codes and slots of the items of grouped `w` chosen by `keep` (at most n per group)."""
    rows, groups, m = keep.shape
    free = ~keep[..., m - n :]
    missing = n - keep.sum(axis=-1, keepdims=True)
    full = keep.copy()
    full[..., m - n :] |= free & (np.cumsum(free, axis=-1) <= missing)
    pack_codes(rank(full), width(n, m), codes)
    kept = np.where(keep, w, np.zeros(1, w.dtype))
    slots[...] = 0
    slots[:, : groups * n] = kept[full].reshape(rows, groups * n)


@kernel
def nm_encode(w: Array, zero: int, n: int, m: int, codes: Array, slots: Array) -> Report:
    """Packs the nonzero items of `w` (rows, cols).

    Returns (0, 0, 0, 0), or (number of groups with more than n nonzeros, row and group and nonzeros of the first one);
    `codes` and `slots` are unspecified then.
    """
    keep = nonzero(grouped(w, m), zero)
    count = keep.sum(axis=-1)
    over = count > n
    if over.any():
        row, group = np.unravel_index(int(np.argmax(over)), over.shape)
        return int(over.sum()), int(row), int(group), int(count[row, group])
    write(grouped(w, m), keep, n, codes, slots)
    return 0, 0, 0, 0


def magnitude_keys(w: Array, order: str) -> Array:
    """Unsigned integers that rank like the magnitude of the items of `w`, read as the dtype named `order`.

    Floats: the bits without the sign, NaN as infinity (float8_e4m3fn, which has no infinity: NaN above all).
    Signed integers: the absolute value as unsigned, so int8 -128 ranks as 128.
    """
    if order in INFINITIES:
        unsigned = w.dtype.type
        return np.asarray(np.minimum(w & unsigned(every_bit(w) >> 1), unsigned(INFINITIES[order])))
    if order.startswith("int"):
        return np.asarray(np.abs(w.view(order)).view(w.dtype))
    return w


def top_n(keys: Array, n: int, m: int) -> Array:
    """(rows, cols) unsigned keys -> (rows, groups, m) bool: the n largest of each group, equal ones: lower index.

    Virtual columns behind the last one have key 0 and the highest index, so they are chosen last.
    """
    groups = grouped(keys, m)
    best = np.argsort(~groups, axis=-1, kind="stable")[..., :n]
    keep = np.zeros(groups.shape, bool)
    np.put_along_axis(keep, best, True, axis=-1)
    return keep


@kernel
def nm_select(keys: Array, n: int, m: int, keep: Array) -> None:
    """Writes 1 into `keep` (rows, cols) uint8 where the uint64 key is among the n largest of its group, else 0."""
    keep[...] = ungrouped(top_n(keys, n, m))[:, : keys.shape[1]]


@kernel
def nm_prune(w: Array, order: str, n: int, m: int, out: Array) -> None:
    """Copies `w` to `out`, with zero where the magnitude is not among the n largest of its group."""
    keep = ungrouped(top_n(magnitude_keys(w, order), n, m))[:, : w.shape[1]]
    out[...] = np.where(keep, w, np.zeros(1, w.dtype))


@kernel
def nm_prune_encode(w: Array, zero: int, order: str, n: int, m: int, codes: Array, slots: Array) -> None:
    """`nm_prune`, then `nm_encode`, in one pass."""
    groups = grouped(w, m)
    keep = top_n(magnitude_keys(w, order), n, m) & nonzero(groups, zero)
    write(groups, keep, n, codes, slots)


def raw_slots(w: Array, zero: int, prune: bool, order: str, n: int, m: int, codes: Array) -> Array | None:
    """The slots of `nm_encode`, or with `prune` of `nm_prune_encode`; None where a group has too many nonzeros."""
    slots = np.zeros((len(w), -(-w.shape[1] // m) * n), w.dtype)
    if prune:
        nm_prune_encode(w, zero, order, n, m, codes, slots)
    elif nm_encode(w, zero, n, m, codes, slots)[0]:
        return None
    return slots


def decoded_positions(codes: Array, n: int, m: int, groups: int) -> Array:
    """(rows, groups * n) int64: the column of every slot. FormatError at a code that is out of range."""
    ranks = unpack_codes(codes, width(n, m), groups)
    bad = ranks >= comb(m, n)
    if bad.any():
        row, group = np.unravel_index(int(np.argmax(bad)), bad.shape)
        msg = f"codes: row {row}, group {group} holds {int(ranks[row, group])}, allowed 0..{comb(m, n) - 1}"
        raise FormatError(msg)
    keep = ungrouped(unrank(ranks, n, m))
    return np.nonzero(keep)[1].reshape(len(codes), groups * n)


@kernel
def nm_decode(codes: Array, slots: Array, n: int, m: int, out: Array) -> None:
    """Zeroes `out` (rows, cols) and puts every slot in its place; slots beyond the last column are ignored."""
    rows, cols = out.shape
    groups = -(-cols // m)
    col = decoded_positions(codes, n, m, groups)
    full = np.zeros((rows, groups * m), out.dtype)
    full[np.arange(rows)[:, None], col] = slots[:, : groups * n]
    out[...] = full[:, :cols]


@kernel
def nm_check(codes: Array, slots: Array, n: int, m: int, cols: int) -> tuple[int, int, int, int]:
    """Finds what is wrong with the codes and slots of N:M.

    Returns (0, 0, 0, 0), or what is wrong first: (CODE, row, group, code): not below C(m, n); (PADDING, row, 0, 0):
    a bit behind the last code, or an item behind the last slot, is not zero; (BEYOND, row, slot, 0): a slot beyond
    the last column is not zero. CODE is looked for in all rows first, then PADDING, then BEYOND. Slots without columns
    are not looked at.
    """
    rows, groups = len(codes), -(-cols // m)
    bits = width(n, m)
    ranks = unpack_codes(codes, bits, groups)
    bad = ranks >= comb(m, n)
    if bad.any():
        row, group = np.unravel_index(int(np.argmax(bad)), bad.shape)
        return CODE, int(row), int(group), int(ranks[row, group])
    stream = np.unpackbits(codes, axis=1, bitorder="little")[:, groups * bits :]
    every = every_bit(slots)
    dirty = stream.any(axis=1) | nonzero(slots[:, groups * n :], every).any(axis=1)
    if dirty.any():
        return PADDING, int(np.argmax(dirty)), 0, 0
    if not slots.shape[1]:
        return 0, 0, 0, 0
    col = decoded_positions(codes, n, m, groups)
    beyond = (col >= cols) & nonzero(slots[:, : groups * n], every)
    if beyond.any():
        row, slot = np.unravel_index(int(np.argmax(beyond)), (rows, groups * n))
        return BEYOND, int(row), int(slot), 0
    return 0, 0, 0, 0


def stored(codes: Array, slots: Array, n: int, m: int, cols: int) -> tuple[Array, Array]:
    """The column of every slot, and whether it is nonzero (by bits) and inside the shape."""
    groups = -(-cols // m)
    col = decoded_positions(codes, n, m, groups)
    return col, nonzero(slots[:, : groups * n], every_bit(slots)) & (col < cols)


@kernel
def nm_row_counts(codes: Array, slots: Array, n: int, m: int, cols: int, counts: Array) -> None:
    """Counts the slots of every row that are nonzero (by bits) and inside the shape."""
    counts[...] = stored(codes, slots, n, m, cols)[1].sum(axis=1)


@kernel
def nm_to_csr(
    codes: Array, slots: Array, n: int, m: int, cols: int, indptr: Array, indices: Array, out_slots: Array
) -> None:
    """Writes the column and item of every slot that `nm_row_counts` counts, row by row, where `indptr` says."""
    col, keep = stored(codes, slots, n, m, cols)
    if not np.array_equal(keep.sum(axis=1), np.diff(indptr)):
        msg = "the array changed while it was read; do not write to it during a call"
        raise FormatError(msg)
    place = slice(int(indptr[0]), int(indptr[-1]))
    indices[place] = col[keep]
    out_slots[place] = slots[:, : col.shape[1]][keep]


@kernel
def csr_to_nm(
    indptr: Array, indices: Array, slots: Array, n: int, m: int, cols: int, codes: Array, out_slots: Array
) -> Report:
    """Packs the nonzero (by bits) slots of csr; returns what `nm_encode` does."""
    rows = len(indptr) - 1
    w = np.zeros((rows, cols), slots.dtype)
    place = slice(int(indptr[0]), int(indptr[-1]))
    w[np.repeat(np.arange(rows), np.diff(indptr)), indices[place]] = slots[place]
    return nm_encode(w, every_bit(slots), n, m, codes, out_slots)


@kernel
def nm_update(
    w: Array, keep: Array, zero: int, n: int, m: int, row: Array, group: Array, codes: Array, slots: Array
) -> Report:
    """Packs the groups `row[i], group[i]` of `w` (rows, cols) as `nm_encode` does, and leaves all others.

    Args:
        w: unsigned items.
        keep: (rows, cols) uint8, 0 is dropped; or (0, 0): all are kept.
        zero: the bits that make an item nonzero.
        n: slots of a group.
        m: columns of a group.
        row: (changed,) int64 within the rows.
        group: (changed,) int64 within the groups of a row; a pair twice is written twice.
        codes: as of `nm_encode`.
        slots: as of `nm_encode`.

    Gives (0, 0, 0, 0); or, with nothing written, (how many groups have more than n, row and group and nonzeros of the
    first).
    """
    column = (group * m)[:, None] + np.arange(m)
    inside = column < w.shape[1]
    column = np.minimum(column, w.shape[1] - 1)
    part = np.where(inside, w[row[:, None], column], np.zeros(1, w.dtype))
    kept = nonzero(part, zero)
    if keep.size:
        kept &= keep[row[:, None], column] != 0
    count = kept.sum(axis=1)
    over = count > n
    if over.any():
        i = int(np.argmax(over))
        return int(over.sum()), int(row[i]), int(group[i]), int(count[i])
    full = kept.copy()
    free = ~kept[:, m - n :]
    full[:, m - n :] |= free & (np.cumsum(free, axis=1) <= n - kept.sum(axis=1, keepdims=True))
    slots[row[:, None], (group * n)[:, None] + np.arange(n)] = np.where(kept, part, np.zeros(1, w.dtype))[full].reshape(
        len(row), n
    )
    ranks = rank(full)
    for bit in range(width(n, m)):
        place = group * width(n, m) + bit
        byte, shift = place >> 3, (place & 7).astype(np.uint8)
        np.bitwise_and.at(codes, (row, byte), ~(np.uint8(1) << shift))
        np.bitwise_or.at(codes, (row, byte), ((ranks >> bit) & 1).astype(np.uint8) << shift)
    return 0, 0, 0, 0


_MASKS = (0b0011, 0b0101, 0b0110, 0b1001, 0b1010, 0b1100)  # by code of 2:4


@kernel
def nm24_from_mask(bits: Array, cols: int, codes: Array) -> int:
    """Writes the codes of 2:4 of `bits` (rows, ceil(cols / 8)) uint8, low bit first; `cols` come in fours.

    Returns 0, or 1 where four columns have not two bits, or a bit is set beyond the last column; the codes are
    unspecified then.
    """
    table = np.full(16, 255, np.uint8)
    table[list(_MASKS)] = np.arange(6)
    halves = np.stack([bits & 15, bits >> 4], axis=-1).reshape(len(bits), 2 * bits.shape[1])
    ranks = table[halves[:, : cols // 4]]
    if (ranks == 255).any() or halves[:, cols // 4 :].any():
        return 1
    each = (ranks[:, :, None] >> np.arange(3, dtype=np.uint8)) & np.uint8(1)
    codes[...] = np.packbits(each.reshape(len(bits), -1), axis=1, bitorder="little")
    return 0
