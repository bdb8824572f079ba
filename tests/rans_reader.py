"""Reads the streams of nm_rans as docs/format.md has them, one decision at a time, without the package."""

from collections.abc import Callable, Iterator
from math import comb
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def rans_masks(arrays: dict[str, Array], n: int, m: int, rows: int, groups: int) -> list[list[int]]:
    """The masks of all groups of all rows."""
    tables, classes = arrays["tables"].tolist(), arrays["classes"].tolist()
    state = contexts(n, m, len(arrays["tables"][0]) if len(tables) else n * (m - n))
    height = next(h for h in range(4, 1 << 20, 4) if h * groups >= 65536) if groups else 65536
    offsets = arrays["block_offsets"].tolist()
    assert offsets[0] == 0
    assert offsets[-1] == len(arrays["stream"])
    found = []
    for block, low in enumerate(range(0, rows, height)):
        stream = arrays["stream"].tobytes()[offsets[block] : offsets[block + 1]]
        held = min(height, rows - low)
        frequencies = [[frequency(b) for b in tables[classes[g] if classes else g]] for g in range(groups)]
        found += masks_of(stream, n, m, held, groups, frequencies, state)
    assert len(offsets) == -(-rows // height) + 1
    return found


def contexts(n: int, m: int, count: int) -> Callable[[int, int], int]:
    """The number of a context from the position and the mask of what was kept before it."""
    by_number = count == n * (m - n)
    assert by_number or count == comb(m, n) - 1 <= 255
    open_ones = set()
    for mask in range(1 << m if not by_number else 0):
        for at in range(m):
            kept = mask.bit_count()
            if mask < 1 << at and kept < n and at - kept < m - n:
                open_ones.add((at, mask))
    if by_number:
        open_ones = {(at, kept) for at in range(m) for kept in range(at + 1) if kept < n and at - kept < m - n}
    numbers = {one: i for i, one in enumerate(sorted(open_ones))}
    assert len(numbers) == count
    return lambda at, mask: numbers[at, mask.bit_count() if by_number else mask]


def frequency(byte: int) -> int:
    """Of "kept"."""
    rare = byte % 128
    assert rare <= 104
    f = rare if rare < 8 else (8 + rare % 8) * 2 ** (rare // 8 - 1)
    return 65536 - f if byte >= 128 else f


def masks_of(
    stream: bytes,
    n: int,
    m: int,
    rows: int,
    groups: int,
    frequencies: list[list[int]],
    number: Callable[[int, int], int],
) -> list[list[int]]:
    """The masks of a block."""
    states = [int.from_bytes(stream[8 * i : 8 * i + 8], "little") for i in range(4)]
    assert all(2**31 <= x < 2**63 for x in states)
    words = iter(range(32, len(stream), 4))
    masks = [[0] * groups for _ in range(rows)]
    for first in range(0, rows, 4):
        for g in range(groups):
            for at, row in order(masks, first, g, n, m):
                lane, mask = row % 4, masks[row][g]
                x, f = states[lane], frequencies[g][number(at, mask)]
                if x % 65536 < f:
                    masks[row][g] |= 1 << at
                    x = f * (x // 65536) + x % 65536
                else:
                    x = (65536 - f) * (x // 65536) + x % 65536 - f
                if x < 2**31:
                    at_word = next(words)
                    x = x * 2**32 + int.from_bytes(stream[at_word : at_word + 4], "little")
                states[lane] = x
            for row in range(first, min(first + 4, rows)):
                left = n - masks[row][g].bit_count()
                masks[row][g] |= ((1 << left) - 1) << (m - left)
    assert next(words, None) is None
    assert states == [2**31] * 4
    return masks


def order(masks: list[list[int]], first: int, g: int, n: int, m: int) -> Iterator[tuple[int, int]]:
    """Positions and rows, as long as there is something to decide."""
    for at in range(m):
        for row in range(first, min(first + 4, len(masks))):
            kept = masks[row][g].bit_count()
            if kept < n and at - kept < m - n:
                yield at, row
