"""How a tensor is cut: into pieces, and pieces into rows."""

from collections.abc import Iterator

import numpy as np

from sparsefmt.base.dtypes import COMPLEX, FLOATS, Array, Dtype

BYTES = 8 << 20
"""Of the values that a piece covers."""
ROW = 1 << 16
"""Values in a row of a piece at most: rows are what threads share."""


def part_dtype(dtype: Dtype) -> Dtype:
    """The dtype of the real numbers that a value consists of."""
    return np.dtype(f"f{dtype.itemsize // 2}") if dtype.name in COMPLEX else dtype


def is_float(dtype: Dtype) -> int:
    """1 if steps follow the order of floats, 0 if they are differences of the bits as integers."""
    return int(dtype.name in FLOATS or dtype.name in COMPLEX)


def bits(a: Array) -> Array:
    """The items of a contiguous array, complex ones by parts, as flat unsigned integers, in place."""
    return a.reshape(-1).view(f"u{part_dtype(a.dtype).itemsize}")


def spans(count: int, itemsize: int) -> Iterator[tuple[int, int]]:
    """Begin and end of every piece of `count` items."""
    per = BYTES // itemsize
    for start in range(0, count, per):
        yield start, min(start + per, count)


def grid(count: int) -> tuple[int, int]:
    """The rows and columns that `count` items of a piece are laid out in; the last row may be short."""
    rows = -(-count // ROW)
    return rows, -(-count // max(rows, 1))
