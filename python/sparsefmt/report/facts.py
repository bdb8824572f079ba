"""What a report says of one tensor, gathered from blocks of its rows."""

from dataclasses import dataclass, field
from math import comb, isfinite, log2

import numpy as np

from sparsefmt.api.compare import snr_db
from sparsefmt.api.difference import Difference
from sparsefmt.base.dtypes import Array, Dtype

BINS = 40
"""Bars of a histogram."""

RUNS = 72
"""Bars of every other drawing, at most: enough for the patterns of 4:8."""


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
        histogram: counts of values that are finite and not zero over -limit .. limit; the first and the last bar hold
            what is farther out, too.
        histogram_before: the same for the original, if there is one.
        limit: the largest magnitude of both, or where few are that large, a few times their root mean square.
        beyond: whether values are farther out than `limit`.
        row_error: relative error by rows, `column_error` by columns, each over runs of equal length.
        rel_error: Frobenius norm of the error over that of the original, as `compare` has it; None without an original.
        snr: signal to noise in decibels; None without an original or without an error, or where it is infinite.
        worst_group: the largest relative error of a group, and (row, first column) of it; None where nothing differs.
        patterns: how often each pattern of an N:M group occurs; where they are many, runs of them.
        all_patterns: how many there are.
        entropy: bits of a group's pattern as they occur; 0 without patterns.
        bound: bits of a group if all patterns are equally likely.
        codes: how often each code of a codec occurs, in ascending order, or runs of them.
        code_range: the first and the last code.
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
    beyond: bool = False
    row_error: Array | None = None
    column_error: Array | None = None
    rel_error: float | None = None
    snr: float | None = None
    worst_group: tuple[float, int, int] | None = None
    patterns: Array | None = None
    all_patterns: int = 0
    entropy: float = 0.0
    bound: float = 0.0
    codes: Array | None = None
    code_range: tuple[int, int] = (0, 0)
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
        np.add.at(self.counts, run_of(self.row_edges, np.arange(low, low + len(nonzero))), columns)

    def add_places(self, row: Array, col: Array) -> None:
        """Counts elements at these rows and columns."""
        np.add.at(self.counts, (run_of(self.row_edges, row), run_of(self.col_edges, col)), 1)


def run_of(edges: Array, at: Array) -> Array:
    """The run that each place belongs to."""
    return np.searchsorted(edges, at, "right") - 1


def _edges(length: int, side: int) -> Array:
    """At most `side` runs of 0..length, each of one element at least."""
    return np.unique(np.linspace(0, length, min(length, side) + 1).astype(np.int64))


class Errors:
    """The error against an original: as `compare` measures it, and along runs of rows and of columns.

    Args:
        dtypes: of the tensor and of its original.
        shape: of the matrix.
        group: columns of a group.
        scale: the largest finite magnitude of both; squares are taken of what is divided by it.
        runs: of rows, and of columns, at most.
    """

    def __init__(
        self, dtypes: tuple[Dtype, Dtype], shape: tuple[int, int], group: int, scale: float, runs: int
    ) -> None:
        self._found = Difference(*dtypes, shape[1], group)
        self._wide = np.complex128 if "c" in (d.kind for d in dtypes) else np.float64
        self._scale = scale or 1.0
        self._edges = _edges(shape[0], runs), _edges(shape[1], runs)
        self._sums = [np.zeros((2, len(edges) - 1)) for edges in self._edges]

    def add_rows(self, low: int, got: Array, want: Array) -> None:
        """Takes whole rows in, the first of which is row `low`."""
        if not got.size:
            return
        self._found.add_rows(low, got, want)
        row = run_of(self._edges[0], np.arange(low, low + len(got)))
        for i, squares in enumerate(self._squares(got, want)):
            np.add.at(self._sums[0][i], row, squares.sum(axis=1))
            self._sums[1][i] += np.add.reduceat(squares.sum(axis=0), self._edges[1][:-1])

    def add_places(self, row: Array, col: Array, got: Array, want: Array) -> None:
        """Takes elements at these places in, in row-major order; all others are zero in both."""
        if not got.size:
            return
        self._found.add_positions(row, col, got, want)
        for i, squares in enumerate(self._squares(got, want)):
            for sums, edges, at in zip(self._sums, self._edges, (row, col), strict=True):
                np.add.at(sums[i], run_of(edges, at), squares)

    def _squares(self, got: Array, want: Array) -> tuple[Array, Array]:
        """Of the error, infinite where it has no size, and of the original."""
        with np.errstate(all="ignore"):
            wide, other = want.astype(self._wide) / self._scale, got.astype(self._wide) / self._scale
            same = (got == want) | (np.isnan(wide) & np.isnan(other))
            error = np.where(same, 0.0, np.abs(other - wide) ** 2)
        error[np.isnan(error)] = np.inf
        return error, np.where(np.isfinite(wide), np.abs(wide) ** 2, 0.0)

    def into(self, facts: Facts) -> None:
        """Writes down what was found."""
        facts.rel_error = self._found.relative
        snr = snr_db(facts.rel_error)
        facts.snr = snr if isfinite(snr) else None
        if (worst := self._found.worst) is not None:
            facts.worst_group = worst.rel_frobenius, worst.row, worst.cols[0]
        facts.row_error, facts.column_error = (_ratio(*sums) for sums in self._sums)


def _ratio(error: Array, signal: Array) -> Array:
    """Relative errors; infinite where the original is all zero, or nothing is left of it to compare."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.where(error > 0, np.sqrt(error / signal), 0.0)


def histogram(values: Array, limit: float) -> Array:
    """Counts of finite values that are not zero over -limit .. limit, those beyond in the outer bars."""
    real = np.abs(values) if values.dtype.kind == "c" else values
    with np.errstate(invalid="ignore"):  # of NaNs that signal
        wide = real.astype(np.float64).reshape(-1)
    wide = wide[np.isfinite(wide) & (wide != 0)]
    if not limit or not wide.size:
        return np.zeros(BINS, np.int64)
    with np.errstate(over="ignore"):
        place = (np.clip(wide / limit, -1, 1) + 1) * (BINS / 2)
    return np.bincount(np.minimum(place.astype(np.int64), BINS - 1), minlength=BINS)


def summed(counts: Array, most: int) -> Array:
    """The sums of at most so many runs of counts."""
    return np.add.reduceat(counts, _edges(len(counts), most)[:-1]) if len(counts) else counts


def bits_of(counts: Array) -> float:
    """The entropy of what was counted, in bits; 0 of nothing."""
    if not counts.sum():
        return 0.0
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log2(share)).sum())


def entropy_bound(n: int, m: int) -> float:
    """log2 of the number of patterns of N of M."""
    return log2(comb(m, n))
