"""The contract written a second time, slowly and without the package: what every result must be, bit for bit."""

import re
from fractions import Fraction
from itertools import combinations
from math import comb, log2, prod
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def same(got: Array, want: Array) -> None:
    """Asserts that two arrays have one dtype, one shape and the same bits."""
    assert got.dtype == want.dtype
    assert got.shape == want.shape
    if got.tobytes() != want.tobytes():
        a, b = unsigned(got).reshape(-1), unsigned(want).reshape(-1)
        at = int(np.flatnonzero(a != b)[0]) // (len(a) // got.size)
        msg = f"element {np.unravel_index(at, got.shape)}: got {got.reshape(-1)[at]!r}, want {want.reshape(-1)[at]!r}"
        raise AssertionError(msg)


def unsigned(a: Array) -> Array:
    """The bits of every item, as unsigned integers; a 16-byte item gives two."""
    a = np.ascontiguousarray(a)
    return a.view(f"u{min(a.dtype.itemsize, 8)}")


def is_zero(w: Array, zero: str) -> Array:
    """Where the zero rule sees a zero."""
    if zero == "value":
        with np.errstate(invalid="ignore"):  # signalling NaN
            return np.asarray(w == 0)
    halves = unsigned(w).reshape(*w.shape, max(w.dtype.itemsize // 8, 1)) == 0
    return np.asarray(halves.all(axis=-1))


def matrix(w: Array) -> Array:
    """Leading axes flattened to rows."""
    return w.reshape(prod(w.shape[:-1]), w.shape[-1])


def block_of(fmt: str) -> tuple[int, int] | None:
    """R and C of a bsr text."""
    found = re.fullmatch(r"bsr(\d+)x(\d+)", fmt)
    return (int(found[1]), int(found[2])) if found else None


def nm_of(fmt: str) -> tuple[int, int] | None:
    """N and M of an nm text."""
    found = re.fullmatch(r"(?:nm)?(\d+):(\d+)(@64|@radix|@rans)?", fmt)
    return (int(found[1]), int(found[2])) if found else None


def dropped(w: Array, fmt: str, zero: str) -> Array:
    """Where (rows, cols) `encode` stores nothing of its own, so that +0 is decoded."""
    z = is_zero(matrix(w), zero)
    if fmt == "dense":
        return np.zeros(z.shape, bool)
    if block := block_of(fmt):
        (rows, cols), (r, c) = z.shape, block
        for top in range(0, rows, r):
            for left in range(0, cols, c):
                z[top : top + r, left : left + c] = z[top : top + r, left : left + c].all()
    return z


def decoded(w: Array, fmt: str, zero: str) -> Array:
    """What `encode(w, fmt, zero=zero).to_dense()` must be."""
    out = np.array(matrix(w), order="C")
    out[dropped(w, fmt, zero)] = 0
    return out.reshape(w.shape)


def pack_lsb(numbers: list[int], bits: int) -> bytes:
    """Numbers of `bits` bits as a stream, LSB first, padded with zeros to a byte."""
    stream = sum(n << (bits * i) for i, n in enumerate(numbers))
    return stream.to_bytes(-(-len(numbers) * bits // 8), "little")


def padded(row: bytes, align: int) -> bytes:
    """A row completed by zero bytes to a multiple of `align`."""
    return row + bytes(-len(row) % align)


def filled(kept: list[int], n: int, m: int) -> list[int]:
    """The positions of a group: those kept, then the lowest free ones among its last n."""
    free = [p for p in range(m - n, m) if p not in kept]
    return sorted([*kept, *free[: n - len(kept)]])


def rank(positions: list[int]) -> int:
    """The rank of the mask among all masks with as many bits, in ascending integer order."""
    return sum(comb(p, i + 1) for i, p in enumerate(positions))


def ascending_masks(n: int, m: int) -> list[tuple[int, ...]]:
    """The positions of all masks with n of m bits, by ascending integer value of the mask."""
    return sorted(combinations(range(m), n), key=lambda kept: sum(1 << p for p in kept))


def parts(w: Array, fmt: str, zero: str) -> dict[str, Array]:
    """The arrays of `encode(w, fmt, zero=zero)` by name, indices in int32, straight from the contract."""
    a, z = matrix(w), is_zero(matrix(w), zero)
    rows, cols = a.shape
    row, col = (i.astype(np.int32) for i in np.nonzero(~z))
    if fmt == "dense":
        return {"data": a}
    if fmt == "coo":
        return {"row": row, "col": col, "data": a[row, col]}
    if fmt == "csr":
        return {"indptr": offsets((~z).sum(axis=1)), "indices": col, "data": a[row, col]}
    if fmt == "csc":
        col, row = (i.astype(np.int32) for i in np.nonzero(~z.T))
        return {"indptr": offsets((~z).sum(axis=0)), "indices": row, "data": a[row, col]}
    if fmt == "gap":
        lines = [gap_bytes(np.flatnonzero(~line).tolist()) for line in z]
        gaps = np.frombuffer(b"".join(lines), np.uint8)
        ends = offsets(np.array([len(line) for line in lines], np.int64))
        return {"gaps": gaps, "byte_offsets": ends, "row_offsets": offsets((~z).sum(axis=1)), "data": a[row, col]}
    if fmt.startswith("bitmask"):
        align = 64 if fmt.endswith("@64") else 1
        lines = [padded(pack_lsb([int(bit) for bit in line], 1), align) for line in ~z]
        bits = np.frombuffer(b"".join(lines), np.uint8).reshape(rows, -(-cols // (8 * align)) * align)
        return {"bits": bits, "row_offsets": offsets((~z).sum(axis=1)), "data": a[row, col]}
    if block := block_of(fmt):
        return bsr_parts(a, z, block)
    nm = nm_of(fmt)
    assert nm
    if fmt.endswith("@radix"):
        found = nm_parts(a, z, *nm, 1)
        return {"words": radix_words(found["codes"], -(-cols // nm[1]), *nm), "data": found["data"]}
    return nm_parts(a, z, *nm, 64 if fmt.endswith("@64") else 1)


def radix_words(codes: Array, groups: int, n: int, m: int) -> Array:
    """The words of rows of codes: as many groups to a word as take the fewest bits each, in up to 64 or 128 bits."""
    count, bits = comb(m, n), (comb(m, n) - 1).bit_length()

    def needed(held: int) -> int:
        return int(count**held - 1).bit_length()

    def best(most: int) -> int:
        fitting = [held for held in range(1, most + 1) if needed(held) <= most] if count > 1 else [1]
        return min(fitting, key=lambda held: (Fraction(needed(held), held), held))

    per = best(64) if needed(best(64)) <= 1.01 * best(64) * log2(count) else best(128)
    lines = []
    for row in codes:
        stream, word, at = int.from_bytes(row.tobytes(), "little"), 0, 0
        ranks = [stream >> (bits * g) & ((1 << bits) - 1) for g in range(groups)]
        for first in range(0, groups, per):
            held = ranks[first : first + per]
            word |= sum(rank * count**i for i, rank in enumerate(held)) << at
            at += needed(len(held))
        lines.append(word.to_bytes(-(-at // 8), "little"))
    width = len(lines[0]) if lines else -(-(groups // per * needed(per) + needed(groups % per)) // 8)
    return np.frombuffer(b"".join(lines), np.uint8).reshape(len(codes), width)


def gap_bytes(cols: list[int]) -> bytes:
    """The distance of each column from the one before, minus one: 255 for every 255 in it, then the rest."""
    out, before = bytearray(), -1
    for col in cols:
        more, rest = divmod(col - before - 1, 255)
        out += b"\xff" * more + bytes([rest])
        before = col
    return bytes(out)


def offsets(counts: Array) -> Array:
    """Sums of all counts before."""
    return np.concatenate(([0], np.cumsum(counts))).astype(np.int32)


def bsr_parts(a: Array, z: Array, block: tuple[int, int]) -> dict[str, Array]:
    """The arrays of bsr."""
    (rows, cols), (r, c) = a.shape, block
    indptr, indices, data = [0], [], []
    for top in range(0, rows, r):
        for left in range(0, cols, c):
            if not z[top : top + r, left : left + c].all():
                whole = np.zeros(block, a.dtype)
                part = a[top : top + r, left : left + c]
                whole[: part.shape[0], : part.shape[1]] = part
                indices.append(left // c)
                data.append(whole)
        indptr.append(len(indices))
    stacked = np.array(data, a.dtype).reshape(len(data), r, c)
    return {"indptr": np.array(indptr, np.int32), "indices": np.array(indices, np.int32), "data": stacked}


def nm_parts(a: Array, z: Array, n: int, m: int, align: int) -> dict[str, Array]:
    """The arrays of N:M."""
    rows, cols = a.shape
    groups = -(-cols // m)
    bits = (comb(m, n) - 1).bit_length()
    per_row = -(-groups * n * a.dtype.itemsize // align) * align // a.dtype.itemsize
    codes, data = [], np.zeros((rows, per_row), a.dtype)
    for r in range(rows):
        ranks = []
        for g in range(groups):
            kept = [p for p in range(m) if g * m + p < cols and not z[r, g * m + p]]
            positions = filled(kept, n, m)
            ranks.append(rank(positions))
            for i, p in enumerate(positions):
                if p in kept:
                    data[r, g * n + i] = a[r, g * m + p]
        codes.append(padded(pack_lsb(ranks, bits), align))
    row_bytes = -(-groups * bits // (8 * align)) * align
    return {"codes": np.frombuffer(b"".join(codes), np.uint8).reshape(rows, row_bytes), "data": data}


def magnitude(x: Any) -> float:  # noqa: ANN401
    """What pruning compares: NaN as infinity, int8 -128 as 128, complex by modulus."""
    value = abs(complex(x)) if np.iscomplexobj(x) else abs(int(x)) if x.dtype.kind in "iub" else abs(float(x))
    return float("inf") if value != value else value


def pruned(w: Array, n: int, m: int, score: Array | None = None) -> Array:
    """`prune.nm`: the n largest of every m columns, equal ones: lower index; the rest +0."""
    a = matrix(w)
    out = np.zeros(a.shape, a.dtype)
    for r in range(a.shape[0]):
        for left in range(0, a.shape[1], m):
            cols = range(left, min(left + m, a.shape[1]))
            key = {c: magnitude(a[r, c]) if score is None else matrix(score)[r, c].item() for c in cols}
            for c in sorted(cols, key=lambda c, key=key: (-key[c], c))[:n]:
                out[r, c] = a[r, c]
    return out.reshape(w.shape)
