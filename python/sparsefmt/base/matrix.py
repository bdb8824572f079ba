"""Arrays as rows and columns, cut into blocks of bounded size."""

import math
from collections.abc import Iterator

from sparsefmt.base.alloc import empty
from sparsefmt.base.coerce import is_plain, matrix_shape
from sparsefmt.base.dtypes import Array, Dtype, item_dtype, items, native

BLOCK_BYTES = 1 << 20  # what a block of rows may take where an array must be copied to be worked on


def blocks(rows: int, row_bytes: int, step: int = 1, budget: int = BLOCK_BYTES) -> Iterator[tuple[int, int]]:
    """Cuts `0..rows` into ranges of at most `budget` bytes (but one `step` at least) that start at multiples of it."""
    per = max(budget // max(row_bytes * step, 1), 1) * step
    for low in range(0, rows, per):
        yield low, min(low + per, rows)


def copy_rows(a: Array, low: int, high: int, buffer: Array, *, back: bool = False) -> None:
    """Copies rows `low..high` (leading axes counted as rows) of `a` to the 2-d `buffer`; `back`: the other way."""
    if a.ndim == 1:
        a = a[None]
    if a.ndim == 2:
        if back:
            a[low:high] = buffer
        else:
            buffer[...] = a[low:high]
        return
    per = math.prod(a.shape[1:-1])
    first, last = -(-low // per), high // per
    if first > last:  # all inside one
        copy_rows(a[last], low - last * per, high - last * per, buffer, back=back)
        return
    if low < first * per:
        copy_rows(a[first - 1], low - (first - 1) * per, per, buffer[: first * per - low], back=back)
    if first < last:
        part, whole = buffer[first * per - low : last * per - low], a[first:last]
        if back:
            whole[...] = part.reshape(whole.shape)
        else:
            part.reshape(whole.shape)[...] = whole
    if last * per < high:
        copy_rows(a[last], 0, high - last * per, buffer[last * per - low :], back=back)


class Matrix:
    """An array seen as rows and columns of items, handed to kernels in blocks that they can take.

    A plain array is one block, in place. Any other (strides, byte order) is copied a block at a time; a block is valid
    until the next one is asked for.
    """

    __slots__ = ("_buffer", "array", "dtype", "shape")

    def __init__(self, a: Array) -> None:
        self.array = a
        self.shape: tuple[int, int] = a.shape if a.ndim == 2 else matrix_shape(a.shape)
        self.dtype = native(a.dtype)
        self._buffer: Array | None = None

    def _room(self, rows: int, cols: int) -> Array:
        """The buffer of all blocks, so that no two of them exist at a time."""
        if self._buffer is None or self._buffer.size < rows * cols:
            self._buffer = empty(rows * cols, self.dtype, "a block of rows")
        return self._buffer[: rows * cols].reshape(rows, cols)

    @property
    def item_dtype(self) -> Dtype:
        """The dtype of the items."""
        return item_dtype(self.dtype)

    def row_blocks(self, step: int = 1, budget: int = BLOCK_BYTES) -> Iterator[tuple[int, int, Array]]:
        """Gives (first row, end, items (rows, cols)), first rows multiples of `step`; nothing without items."""
        rows, cols = self.shape
        if rows == 0 or cols == 0:
            return
        if is_plain(self.array):
            yield 0, rows, items(self.array.reshape(self.shape))
        else:
            for low, high in blocks(rows, cols * self.dtype.itemsize, step, budget):
                buffer = self._room(high - low, cols)
                copy_rows(self.array, low, high, buffer)
                yield low, high, items(buffer)

    def col_blocks(self, budget: int = BLOCK_BYTES) -> Iterator[tuple[int, int, Array]]:
        """Gives (first column, end, items (rows, cols)); nothing where there are no items."""
        rows, cols = self.shape
        if rows == 0 or cols == 0:
            return
        if is_plain(self.array):
            yield 0, cols, items(self.array.reshape(self.shape))
        else:
            for low, high in blocks(cols, rows * self.dtype.itemsize, 1, budget):
                buffer = self._room(rows, high - low)
                copy_rows(self.array[..., low:high], 0, rows, buffer)
                yield low, high, items(buffer)
