"""The sums behind a comparison, block by block."""

import math
from dataclasses import dataclass

import numpy as np

from sparsefmt.base.dtypes import Array, Dtype, items
from sparsefmt.base.scaled_sum import ScaledSum, cosine, exponent, root_ratio, scaled

_TINY = 2.0**-400  # smaller items of a scaled block lose bits when they are squared


@dataclass(frozen=True, slots=True)
class GroupError:
    """The relative error of a run of columns of one row, leading axes counted as rows."""

    row: int
    cols: tuple[int, int]
    """The first column, and one behind the last."""
    rel_frobenius: float
    """Frobenius norm of the difference over that of the original; inf where that is zero."""


class Difference:
    """What differs between a tensor (x) and its original (y), given in blocks.

    Elements are equal where their bits are (their values, where dtypes differ), and zeros whatever their sign. NaN
    and infinities that are equal count in no sum; those that are not make the error infinite.
    """

    def __init__(self, ours: Dtype, theirs: Dtype, cols: int, group: int) -> None:
        self.unequal = self.zeroed = 0
        self.max_abs = 0.0
        self.worst: GroupError | None = None
        self._noise, self._signal, self._packed, self._both = ScaledSum(), ScaledSum(), ScaledSum(), ScaledSum()
        self._broken = False
        self._same_dtype = ours == theirs
        self._whole = self._same_dtype and ours.kind in "biu"
        self._complex = "c" in (ours.kind, theirs.kind)
        self._cols, self._group = cols, group

    @property
    def relative(self) -> float:
        """The Frobenius norm of the difference over that of the original."""
        return math.inf if self._broken else root_ratio(self._noise, self._signal)

    @property
    def cosine(self) -> float:
        """Of the angle between the two; exactly 1 where nothing differs."""
        if not self.unequal:
            return 1.0
        return math.nan if self._broken else cosine(self._both, self._signal, self._packed)

    def add_rows(self, low: int, x: Array, y: Array) -> None:
        """Adds whole rows, (rows, cols), the first of which is row `low`."""
        if not x.size:
            return
        rows, starts = len(x), np.arange(0, self._cols, self._group)
        if (differences := self._add(x.reshape(-1), y.reshape(-1))) is not None:
            offsets = (np.arange(rows)[:, None] * self._cols + starts).reshape(-1)
            at, relative = worst_group(*differences, offsets)
            self._note(low + at // len(starts), int(starts[at % len(starts)]), relative)

    def add_positions(self, row: Array, col: Array, x: Array, y: Array) -> None:
        """Adds elements at positions in row-major order; whatever is not given is zero in both."""
        if (differences := self._add(x, y)) is not None:
            group = col // self._group
            begins = np.flatnonzero(np.concatenate(([True], (row[1:] != row[:-1]) | (group[1:] != group[:-1]))))
            at, relative = worst_group(*differences, begins)
            self._note(int(row[begins[at]]), int(group[begins[at]]) * self._group, relative)

    def _note(self, row: int, col: int, relative: float) -> None:
        if self.worst is None or relative > self.worst.rel_frobenius:
            self.worst = GroupError(row, (col, min(col + self._group, self._cols)), relative)

    def _add(self, x: Array, y: Array) -> tuple[Array, Array] | None:
        """Adds flat arrays; returns the differences (inf where they have no size) and the original, if any differ."""
        wide_x, wide_y = self._wide(x), self._wide(y)
        same = self._same(x, y, wide_x, wide_y)
        unequal = int(same.size - np.count_nonzero(same))
        finite_y = _finite(wide_y)
        usual = self._signal.add(finite_y, finite_y)
        if not unequal:  # so the three sums are one
            self._packed.add(finite_y, finite_y, usual=usual)
            self._both.add(finite_y, finite_y, usual=usual)
            return None
        self.unequal += unequal
        self.zeroed += int(np.count_nonzero(~same & (wide_x == 0)))
        finite_x = _finite(wide_x)
        usual &= self._packed.add(finite_x, finite_x)
        self._both.add(finite_x, finite_y, usual=usual)
        with np.errstate(all="ignore"):
            gap = self._gap(x, y, wide_x, wide_y)
            gap[same] = 0
            size = np.abs(gap)
        broken = ~(np.isfinite(wide_x) & np.isfinite(wide_y)) & ~same
        if broken.any():
            self._broken, self.max_abs = True, math.inf
            size = np.where(broken, 0, size)
        self.max_abs = max(self.max_abs, float(size.max()))
        original = np.abs(finite_y)
        if np.isfinite(size).all():
            self._noise.add(size, size)
        else:  # of finite numbers: their halves have a difference
            size, original = np.abs(wide_x / 2 - wide_y / 2), original / 2
            size[same | broken] = 0
            self._noise.add(size, size, 2)
        return np.where(broken, np.inf, size), original

    def _wide(self, a: Array) -> Array:
        with np.errstate(invalid="ignore"):  # of NaNs that signal
            return a.astype(np.complex128 if self._complex else np.float64, copy=False)

    def _same(self, x: Array, y: Array, wide_x: Array, wide_y: Array) -> Array:
        if not self._same_dtype:
            return np.asarray((wide_x == wide_y) | (np.isnan(wide_x) & np.isnan(wide_y)))
        if x.dtype.itemsize == 16:
            same = (x.view(np.uint64) == y.view(np.uint64)).reshape(-1, 2).all(axis=1)
        else:
            same = items(x) == items(y)
        return np.asarray(same | ((wide_x == 0) & (wide_y == 0)))

    def _gap(self, x: Array, y: Array, wide_x: Array, wide_y: Array) -> Array:
        """`x - y`; of integers the exact size of it, rounded once."""
        if self._whole and x.dtype != np.bool_:
            big = np.uint64 if x.dtype.kind == "u" else np.int64
            a, b = x.astype(big, copy=False), y.astype(big, copy=False)
            less = np.minimum(a, b).view(np.uint64)
            return (np.maximum(a, b).view(np.uint64) - less).astype(np.float64)
        return np.asarray(wide_x - wide_y)


def _finite(a: Array) -> Array:
    """The real and imaginary parts as float64, 0 where an item is NaN or infinite."""
    found = np.isfinite(a)
    if not found.all():
        a = np.where(found, a, 0)
    return a.view(np.float64)


def _least(a: Array, by: int) -> float:
    """The least item of `a / 2**by` that is not 0, or 1."""
    least = float(a.min()) if by == 0 else 0.0
    return min(least, 1.0) if least > 0 else float(np.min(scaled(a, by), where=a > 0, initial=1.0))


def worst_group(size: Array, original: Array, begins: Array) -> tuple[int, float]:
    """The run with the largest relative error, the first of equals, and that error.

    Args:
        size: (n,) magnitudes of differences, inf where they have no size.
        original: (n,) or (2 n,) magnitudes, or those of real and imaginary parts.
        begins: where runs of items begin.

    >>> worst_group(np.array([1.0, 0.0, 1.0]), np.array([2.0, 5.0, 1.0]), np.array([0, 2]))
    (1, 1.0)
    """
    if original.size != size.size:
        original = np.hypot(original[::2], original[1::2])
    over, under = np.maximum.reduceat(size, begins), np.maximum.reduceat(original, begins)
    if np.isinf(over).any():
        return int(np.argmax(np.isinf(over))), math.inf
    widths = np.diff(np.append(begins, size.size))
    ranges = [exponent(a) for a in (over, under)]
    least = min(_least(m, e) for m, e in zip((over, under), ranges, strict=True))
    by: tuple[Array | int, Array | int] = ranges[0], ranges[1]
    if least < _TINY:  # every run is scaled by its own largest item
        by = np.frexp(over)[1], np.frexp(under)[1]
        size, original = (np.ldexp(a, -np.repeat(e, widths)) for a, e in zip((size, original), by, strict=True))
    else:
        size, original = scaled(size, ranges[0]), scaled(original, ranges[1])
    noise, signal = (np.sqrt(np.add.reduceat(np.square(a), begins)) for a in (size, original))
    with np.errstate(all="ignore"):
        relative = np.ldexp(noise / signal, np.subtract(*by))
    relative[over == 0] = 0
    at = int(np.argmax(relative))
    return at, float(relative[at])
