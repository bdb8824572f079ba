"""Definitions of the kernels for N:M whose codes are a stream of an asymmetric numeral system (rANS).

A group is a chain of decisions: its positions in ascending order, each kept or not, until n are kept or m - n are not;
the rest follows. What went before is the *context* of a decision: its position and either how many were kept, or which
(`chain`). A context has a frequency of "kept" in 1/65536, stored in a byte (`frequency`), in a table per class of
columns of groups.

Rows stand in blocks of `height`, each a stream of its own: four states of 64 bits, then words of 32 bits, all little
endian. Row i of a block belongs to state i mod 4. Decisions are decoded in this order: four rows at a time; in them
column by column; in these, the first decision of each of the four groups, then the second, and so on, groups whose
chain has ended left out. In every state x, `x mod 65536` is below the frequency where the position is kept, the
decision has the share f from `start` on, and x becomes `f * (x div 65536) + x mod 65536 - start`; below 2^31 it takes
the next word behind its lowest bit. A block begins with the states that its last decision leaves at 2^31.
"""

import functools
from collections.abc import Iterator
from math import comb

import numpy as np

from sparsefmt.base.dtypes import Array
from sparsefmt.base.errors import FormatError
from sparsefmt.kernels.nm import pack_codes, unpack_codes, unrank, width
from sparsefmt.kernels.registry import kernel

ONE = 1 << 16  # of a frequency
LANES = 4  # states of a block
LEAST = 1 << 31  # of a state between decisions
RAREST = 104  # the largest number of a frequency: one half
MOST_MASKS = 256  # of patterns whose contexts may say which positions were kept
_BLOCK_GROUPS = 1 << 16

Chain = tuple[tuple[tuple[int, int], tuple[int, int]], ...]


def block_height(groups: int) -> int:
    """Rows of a block: as few multiples of four as have 65,536 groups."""
    return -(-_BLOCK_GROUPS // (LANES * max(groups, 1))) * LANES


def frequency(number: int) -> int:
    """Of "kept", in 1/65536, from its byte: 3 bits of mantissa; with the top bit that of "dropped"."""
    rare = number & 127
    found = rare if rare < 8 else (8 + rare % 8) << (rare // 8 - 1)
    return ONE - found if number & 128 else found


def short_contexts(n: int, m: int) -> int:
    """How many contexts there are that tell the position and how many were kept."""
    return n * (m - n)


def long_contexts(n: int, m: int) -> int:
    """How many contexts there are that tell the position and which were kept."""
    return comb(m, n) - 1


@functools.cache
def chain(n: int, m: int, contexts: int) -> Chain:
    """What follows each context when its position is dropped, and when it is kept: the next one, and part of the code.

    Contexts are in ascending order of the position, then of what was kept, as a number or as a mask (bit i = position
    i); `len` of the chain is the end. The code of a group is the sum of the parts on its way.

    Raises:
        FormatError: there are not so many contexts.
    """
    masks = contexts != short_contexts(n, m)
    if masks and (contexts != long_contexts(n, m) or comb(m, n) > MOST_MASKS):
        msg = f"tables: {contexts} contexts, nm{n}:{m} has {short_contexts(n, m)}"
        raise FormatError(msg)
    found: dict[tuple[int, int], int] = {}
    layer = {0} if 0 < n < m else set()
    for at in range(m):
        found.update({(at, before): len(found) + i for i, before in enumerate(sorted(layer))})
        both = [after for before in layer for after in _after(before, at, masks)]
        layer = {b for b in both if _kept(b, masks) < n and at + 1 - _kept(b, masks) < m - n}
    steps = []
    for at, before in found:
        step = []
        for bit, after in enumerate(_after(before, at, masks)):
            kept = _kept(after, masks)
            part = comb(at, kept) if bit else 0
            if at + 1 - kept == m - n:  # all others are kept
                part += sum(comb(at + 1 + i, kept + 1 + i) for i in range(n - kept))
            step.append((found.get((at + 1, after), len(found)), part))
        steps.append((step[0], step[1]))
    return tuple(steps)


def _after(before: int, at: int, masks: bool) -> tuple[int, int]:
    return before, before | 1 << at if masks else before + 1


def _kept(before: int, masks: bool) -> int:
    return before.bit_count() if masks else before


def _model(classes: Array, tables: Array, groups: int) -> tuple[Array, Array]:
    """Which table every column of groups has, and the frequencies of all tables; behind them 0, that of the end.

    Raises:
        FormatError: no table for a column, or a byte that is no frequency.
    """
    at = classes.astype(np.int64) if len(classes) else np.arange(groups)
    if len(at) != groups or int(at.max(initial=-1)) >= len(tables):
        msg = f"classes: {len(at)} for {groups} columns of groups, tables {len(tables)}"
        raise FormatError(msg)
    if tables.size and int((tables & 127).max()) > RAREST:
        msg = f"tables: want numbers of up to {RAREST}"
        raise FormatError(msg)
    kept = np.zeros((tables.shape[0], tables.shape[1] + 1), np.int64)
    kept[:, :-1] = np.array([frequency(number) for number in range(256)])[tables]
    return at, kept


def _ranks(codes: Array, n: int, m: int, groups: int) -> Array:
    """The codes of every group of every row.

    Raises:
        FormatError: a code that names no mask.
    """
    ranks = unpack_codes(codes, width(n, m), groups)
    if ranks.size and int(ranks.max()) >= comb(m, n):
        row, group = np.argwhere(ranks >= comb(m, n))[0]
        msg = f"codes: row {row}, group {group} holds {ranks[row, group]}, allowed 0..{comb(m, n) - 1}"
        raise FormatError(msg)
    return ranks


def _ways(ranks: Array, n: int, m: int, steps: Chain) -> tuple[Array, Array]:
    """The contexts and decisions of groups, (rows, groups, most decisions) each; behind the last stands the end."""
    follows = np.array([[dropped[0], kept[0]] for dropped, kept in steps] + [[len(steps)] * 2])
    keep = unrank(ranks, n, m)[..., : m - 1 if steps else 0]
    contexts = np.empty(keep.shape, np.int64)
    at = np.zeros(ranks.shape, np.int64)
    for i in range(keep.shape[-1]):
        contexts[..., i] = at
        at = follows[at, keep[..., i].astype(np.int64)]
    return contexts, keep & (contexts < len(steps))


@kernel
def nm_rans_count(codes: Array, n: int, m: int, groups: int, counts: Array) -> None:
    """Counts decisions: adds to `counts[column, context, kept]`, uint64.

    There is one column for every column of groups, or one for all.

    Raises:
        FormatError: a code that names no mask.
    """
    columns, contexts = counts.shape[:2]
    ranks, steps = _ranks(codes, n, m, groups), chain(n, m, contexts)
    column = np.arange(groups)[:, None] if columns == groups else np.zeros((groups, 1), np.int64)
    height = block_height(groups)
    for first in range(0, len(ranks) if counts.size else 0, height):
        at, kept = _ways(ranks[first : first + height], n, m, steps)
        places = 2 * (column * contexts + at) + kept
        found = np.bincount(places[at < contexts], minlength=counts.size)
        counts += found.astype(np.uint64).reshape(counts.shape)


@kernel
def nm_rans_pack(
    codes: Array, n: int, m: int, groups: int, height: int, classes: Array, tables: Array, lengths: Array, out: Array
) -> int:
    """Writes the streams of all blocks one behind the other to the front of `out` if there is room.

    `codes` (rows, row bytes) uint8 as in `nm`; `tables` (classes, contexts) uint8; `classes` (groups,) uint8, or empty
    where every column has its own table; `lengths` int64 gets the bytes of each block. Returns the bytes of all.

    Raises:
        FormatError: a code that names no mask, or a decision whose frequency is zero.
    """
    steps, ranks = chain(n, m, tables.shape[1]), _ranks(codes, n, m, groups)
    column, frequencies = _model(classes, tables, groups)
    streams = []
    for first in range(0, len(ranks), height):
        at, bits = _ways(ranks[first : first + height], n, m, steps)
        kept = frequencies[column[:, None], at]
        starts, shares = np.where(bits, 0, kept), np.where(bits, kept, ONE - kept)
        if not shares.all():
            row, group, step = np.argwhere(shares == 0)[0]
            msg = f"tables: column {group}, context {at[row, group, step]} excludes what row {first + row} holds"
            raise FormatError(msg)
        streams.append(_coded(at < len(steps), starts, shares))
    lengths[...] = [len(stream) for stream in streams]
    total = sum(map(len, streams))
    if total <= len(out):
        out[:total] = np.frombuffer(b"".join(streams), np.uint8)
    return total


def _coded(held: Array, starts: Array, shares: Array) -> bytes:
    """The stream of a block from its decisions (rows, groups, most decisions), as far as they are held."""
    states, places, words = [], [], []
    for lane in range(LANES):
        own = held[lane::LANES]
        # Places in the order of decoding: in which words are read, whatever state they are for.
        order = (np.flatnonzero(own) * LANES + lane).tolist()
        x = LEAST
        for place, start, share in zip(
            reversed(order),
            reversed(starts[lane::LANES][own].tolist()),
            reversed(shares[lane::LANES][own].tolist()),
            strict=True,
        ):
            if x >= share << 47:
                places.append(place)
                words.append(x & 0xFFFFFFFF)
                x >>= 32
            x += x // share * (ONE - share) + start
        states.append(x)
    return np.array(states, "<u8").tobytes() + np.array(words, "<u4")[np.argsort(places)].tobytes()


Entries = list[tuple[int, int, int, int, int, int]]


def _entries(steps: Chain, classes: Array, tables: Array, groups: int) -> list[Entries]:
    """For every column and context: the frequencies of kept and dropped, then for both what follows, and the part."""
    column, frequencies = _model(classes, tables, groups)
    made: list[Entries] = [
        [(f, ONE - f, *kept, *dropped) for f, (dropped, kept) in zip(row, steps, strict=False)]
        for row in frequencies.tolist()
    ]
    return [made[i] for i in column.tolist()]


def _decoded(stream: bytes, rows: int, end: int, columns: list[Entries]) -> list[list[int]] | None:
    """The codes of a block, or None where it is damaged; `end` is the context in which nothing is left to decide."""
    states = [int.from_bytes(stream[8 * i : 8 * i + 8], "little") for i in range(LANES)]
    if len(stream) < 8 * LANES or len(stream) % 4 or not all(LEAST <= x < 1 << 63 for x in states):
        return None
    codes: list[list[int]] = [[] for _ in range(rows)]
    words, next_word = np.frombuffer(stream, "<u4", offset=8 * LANES).tolist(), 0
    for first in range(0, rows, LANES):
        held = codes[first : first + LANES]
        for entries in columns:
            at, sums = [0] * len(held), [0] * len(held)
            active = list(range(len(held))) if end else []
            while active:
                for lane in active:
                    f, other, next_kept, part_kept, next_dropped, part_dropped = entries[at[lane]]
                    x = states[lane]
                    low = x & 0xFFFF
                    if low < f:
                        x = f * (x >> 16) + low
                        at[lane] = next_kept
                        sums[lane] += part_kept
                    else:
                        x = other * (x >> 16) + low - f
                        at[lane] = next_dropped
                        sums[lane] += part_dropped
                    if x < LEAST:
                        if next_word == len(words):
                            return None
                        x, next_word = x << 32 | words[next_word], next_word + 1
                    states[lane] = x
                active = [lane for lane in active if at[lane] < end]
            for row, code in zip(held, sums, strict=True):
                row.append(code)
    return codes if next_word == len(words) and states == [LEAST] * LANES else None


def _blocks(stream: Array, offsets: Array, rows: int, height: int) -> Iterator[tuple[int, int, int, bytes]]:
    """Number, first row, rows and bytes of every block.

    Raises:
        FormatError: the offsets are not those of so many blocks in so many bytes.
    """
    ends = offsets.tolist()
    want = -(-rows // height)
    if len(ends) != want + 1 or ends[0] < 0 or ends[-1] > len(stream) or sorted(ends) != ends:
        msg = f"offsets: want {want + 1} that never fall, in {len(stream)} bytes"
        raise FormatError(msg)
    data = stream.tobytes()
    for block in range(want):
        first = block * height
        yield block, first, min(height, rows - first), data[ends[block] : ends[block + 1]]


@kernel
def nm_rans_unpack(
    stream: Array, offsets: Array, n: int, m: int, groups: int, height: int, classes: Array, tables: Array, codes: Array
) -> int:
    """The inverse of `nm_rans_pack`: the codes of `len(codes)` rows.

    The blocks are `stream[offsets[b]:offsets[b + 1]]`, `offsets` int64. Returns 0, or 1 + the number of the first
    damaged block; then `codes` are unspecified.

    Raises:
        FormatError: offsets, classes or tables that cannot be.
    """
    steps = chain(n, m, tables.shape[1])
    columns = _entries(steps, classes, tables, groups)
    for block, first, rows, data in _blocks(stream, offsets, len(codes), height):
        found = _decoded(data, rows, len(steps), columns)
        if found is None:
            return block + 1
        ranks = np.array(found, np.int64).reshape(rows, groups)
        pack_codes(ranks, width(n, m), codes[first : first + rows])
    return 0


@kernel
def nm_rans_check(
    stream: Array,
    offsets: Array,
    rows: int,
    n: int,
    m: int,
    groups: int,
    height: int,
    classes: Array,
    tables: Array,
) -> int:
    """What `nm_rans_unpack` returns for `rows` rows: 0, or 1 + the number of the first damaged block.

    Raises:
        FormatError: offsets, classes or tables that cannot be.
    """
    steps = chain(n, m, tables.shape[1])
    columns = _entries(steps, classes, tables, groups)
    for block, _, held, data in _blocks(stream, offsets, rows, height):
        if _decoded(data, held, len(steps), columns) is None:
            return block + 1
    return 0
