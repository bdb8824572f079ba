"""What a report says of one tensor, gathered from blocks of its rows."""

from dataclasses import dataclass, field
from math import comb, log2

import numpy as np

from sparsefmt.base.dtypes import Array

BINS = 40
"""Bars of a histogram."""

_TINY = np.finfo(np.float64).tiny


@dataclass(slots=True)
class Facts:
    """One line of the table, and what is drawn when it is opened.

    Args:
        name: of the tensor.
        shape: of the tensor.
        dtype: of its values.
        format: "plain", or the format text.
        nbytes: stored bytes.
        dense_nbytes: bytes of the dense array.
        nnz: values that are not zero.
        cells: counts of values that are not zero over a grid of the matrix, row by row.
        cell_rows: rows of each row of cells; `cell_cols` likewise columns.
        histogram: counts of stored values over -limit .. limit.
        histogram_before: the same for the original, if there is one.
        limit: the largest magnitude, of both.
        row_error: relative error by rows, `column_error` by columns, each over at most 64 runs.
        rel_error: Frobenius norm of the error over that of the original; None without an original.
        snr: signal to noise in decibels; None without an original or without an error.
        worst_group: the largest relative error of a group, and (row, first column) of it.
        patterns: how often each pattern of an N:M group occurs.
        bound: bits of a group if all patterns are equally likely.
        codes: how often each code of a codec occurs.
        steps: of a delta: how many values moved by 1, 2 to 3, 4 to 7, ... representable values.
        warnings: sentences.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    format: str
    nbytes: int
    dense_nbytes: int
    nnz: int = 0
    cells: Array = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    cell_rows: Array = field(default_factory=lambda: np.zeros(0, np.int64))
    cell_cols: Array = field(default_factory=lambda: np.zeros(0, np.int64))
    histogram: Array = field(default_factory=lambda: np.zeros(BINS, np.int64))
    histogram_before: Array | None = None
    limit: float = 0.0
    row_error: Array | None = None
    column_error: Array | None = None
    rel_error: float | None = None
    snr: float | None = None
    worst_group: tuple[float, int, int] | None = None
    patterns: Array | None = None
    bound: float = 0.0
    codes: Array | None = None
    steps: Array | None = None
    warnings: list[str] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Elements."""
        return int(np.prod(self.shape, dtype=object))

    @property
    def density(self) -> float:
        """Share of values that are not zero."""
        return self.nnz / self.size if self.size else 0.0

    @property
    def bits_per_weight(self) -> float:
        """Stored bits per element."""
        return 8 * self.nbytes / self.size if self.size else 0.0

    @property
    def entropy(self) -> float:
        """Bits of a group's pattern as they occur; 0 without patterns."""
        if self.patterns is None or not self.patterns.sum():
            return 0.0
        share = self.patterns[self.patterns > 0] / self.patterns.sum()
        return float(-(share * np.log2(share)).sum())


class Map:
    """Counts of nonzeros over a grid of at most `side` x `side` cells."""

    def __init__(self, rows: int, cols: int, side: int) -> None:
        self.row_edges = _edges(rows, side)
        self.col_edges = _edges(cols, side)
        self.counts = np.zeros((len(self.row_edges) - 1, len(self.col_edges) - 1), np.int64)

    def add(self, low: int, nonzero: Array) -> None:
        """Counts a block of rows that begins with row `low`."""
        if not nonzero.size:
            return
        columns = np.add.reduceat(nonzero, self.col_edges[:-1], axis=1, dtype=np.int64)
        cell = np.searchsorted(self.row_edges, np.arange(low, low + len(nonzero)), "right") - 1
        np.add.at(self.counts, cell, columns)


def _edges(length: int, side: int) -> Array:
    """At most `side` runs of 0..length, each of one element at least."""
    return np.unique(np.linspace(0, length, min(length, side) + 1).astype(np.int64))


class Errors:
    """Squares of an error and of the original by rows, columns and groups; scaled, so that nothing overflows."""

    def __init__(self, rows: int, cols: int, group: int, scale: float) -> None:
        self.scale = scale or 1.0
        self.group = min(group, max(cols, 1))
        self.rows = np.zeros((2, rows))
        self.cols = np.zeros((2, cols))
        self.worst = (0.0, 0, 0)

    def add(self, low: int, got: Array, want: Array) -> None:
        """Takes a block of rows in."""
        dtype = np.complex128 if "c" in (want.dtype.kind, got.dtype.kind) else np.float64
        with np.errstate(over="ignore", invalid="ignore"):
            wide, other = want.astype(dtype) / self.scale, got.astype(dtype) / self.scale
            same = (got == want) | (np.isnan(wide) & np.isnan(other))
            error = np.abs(np.where(same, 0.0, other - wide)) ** 2
            signal = np.abs(wide) ** 2
        for i, squares in enumerate((error, signal)):
            self.rows[i, low : low + len(got)] = squares.sum(axis=1)
            self.cols[i] += squares.sum(axis=0)
        if error.size:
            starts = np.arange(0, error.shape[1], self.group)
            both = [np.add.reduceat(squares, starts, axis=1) for squares in (error, signal)]
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # where the original is all zero
                ratio = np.where(both[0] > 0, np.sqrt(both[0] / np.maximum(both[1], _TINY)), 0.0)
            at = int(np.argmax(ratio))
            if ratio.flat[at] > self.worst[0]:
                row, group = divmod(at, ratio.shape[1])
                self.worst = (float(ratio.flat[at]), low + row, group * self.group)

    def into(self, facts: Facts) -> None:
        """Writes down what was found."""
        error, signal = self.rows[0].sum(), self.rows[1].sum()
        facts.rel_error = float(np.sqrt(error / signal)) if signal else (0.0 if not error else float("inf"))
        facts.snr = float(10 * np.log10(signal / error)) if error and signal else None
        facts.worst_group = self.worst
        facts.row_error, facts.column_error = _runs(self.rows), _runs(self.cols)


def _runs(squares: Array, count: int = 64) -> Array:
    """Relative errors over at most `count` runs."""
    if not squares.shape[1]:
        return np.zeros(0)
    edges = _edges(squares.shape[1], count)
    both = np.add.reduceat(squares, edges[:-1], axis=1)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # where the original is all zero
        return np.where(both[0] > 0, np.sqrt(both[0] / np.maximum(both[1], _TINY)), 0.0)


def histogram(values: Array, limit: float) -> Array:
    """Counts of finite values that are not zero over -limit .. limit."""
    real = np.abs(values) if values.dtype.kind == "c" else values
    wide = real.astype(np.float64).reshape(-1)
    wide = wide[np.isfinite(wide) & (wide != 0)]
    if not limit or not wide.size:
        return np.zeros(BINS, np.int64)
    place = ((wide / limit + 1) * (BINS / 2)).astype(np.int64)
    return np.bincount(np.clip(place, 0, BINS - 1), minlength=BINS)


def entropy_bound(n: int, m: int) -> float:
    """log2 of the number of patterns of N of M."""
    return log2(comb(m, n))
