"""Reads a tensor piece by piece, twice, and returns what a report says of it."""

from collections.abc import Iterator
from math import comb, isfinite, ldexp, prod, sqrt

import numpy as np

from sparsefmt.api.compare import group_of
from sparsefmt.base.dtypes import Array, Dtype
from sparsefmt.base.scaled_sum import ScaledSum
from sparsefmt.checkpoint.entry import Value
from sparsefmt.checkpoint.readers.base import decoded_rows, matrix_of
from sparsefmt.checkpoint.verdict import aligned, is_sparse
from sparsefmt.codecs import streams
from sparsefmt.codecs.affine import Affine
from sparsefmt.codecs.codebook import Codebook
from sparsefmt.report.facts import RUNS, Errors, Facts, Map, bits_of, entropy_bound, histogram, summed
from sparsefmt.structures.nm import Nm
from sparsefmt.tensor.layout import along_last
from sparsefmt.tensor.sparse import SparseTensor

BLOCK = 1 << 22  # bytes of dense rows in float64 at a time
_SMALL = 2.0**-14  # the smallest normal float16
_FAR = 5  # root mean squares beyond which a histogram has one bar for all


def row_blocks(value: Value) -> Iterator[tuple[int, Array]]:
    """Dense rows of a tensor, some at a time, with the number of the first."""
    for low, high in block_edges(value):
        yield low, _rows(value, low, high)


def _rows(value: Value, low: int, high: int) -> Array:
    """Rows, native and contiguous."""
    rows = decoded_rows(value, low, high)
    return np.ascontiguousarray(rows.astype(rows.dtype.newbyteorder("="), copy=False))


def block_edges(value: Value) -> Iterator[tuple[int, int]]:
    """The blocks of rows that a tensor is read in: first row, and one behind the last."""
    rows, cols = matrix_of(tuple(value.shape))
    step = max(BLOCK // max(8 * cols, 1), 1)
    if isinstance(value, SparseTensor):
        step = -(-step // value.structure.row_step) * value.structure.row_step
    for low in range(0, rows if cols else 0, step):
        yield low, min(low + step, rows)


def scattered(value: Value, original: Value | None) -> bool:
    """Whether so little is stored that places are looked at, and never rows: there may be billions of them."""
    return is_sparse(value if original is None else original, value)


def gather(name: str, value: Value, original: Value | None, side: int, bars: int = RUNS) -> Facts:
    """What a report says of one tensor.

    Args:
        name: of the tensor.
        value: an ndarray, or a packed tensor.
        original: what it was made from; None: nothing is compared. Another shape is not compared, and said.
        side: cells of the map along each axis, at most.
        bars: of each drawing, at most; histograms have their own number.
    """
    fmt = value.format if isinstance(value, SparseTensor) else "plain"
    itemsize = np.dtype(value.dtype).itemsize
    facts = Facts(name, tuple(value.shape), np.dtype(value.dtype).name, fmt, value.nbytes, prod(value.shape) * itemsize)
    if original is not None and tuple(original.shape) != facts.shape:
        facts.warnings.append(f"the original has shape {tuple(original.shape)}; nothing was compared")
        original = None
    packed, group, sparse = value, group_of(value), scattered(value, original)
    if sparse:
        value = along_last(value) if isinstance(value, SparseTensor) else value
        original = along_last(original) if isinstance(original, SparseTensor) else original
    spread = _Spread()
    for v in (value, original):
        for part in () if v is None else _values(v, places=sparse):
            spread.add(part)
    facts.limit = spread.limit
    facts.beyond = spread.most > facts.limit
    rows, cols = matrix_of(facts.shape)
    places, odd, dead = Map(rows, cols, side), _Odd(), rows if cols else 0
    errors = None
    if original is not None:
        errors = Errors((_dtype(value), _dtype(original)), (rows, cols), group, spread.most, bars)
        facts.histogram_before = np.zeros_like(facts.histogram)
    if sparse:
        for row, col, got, want in _at_places(value, original):
            at = np.flatnonzero(got)
            places.add_places(row[at], col[at])
            dead -= len(np.unique(row[at]))
            _count(facts, odd, got, want)
            if errors is not None and want is not None:
                errors.add_places(row, col, got, want)
    else:
        for low, high in block_edges(value):
            got, want = _rows(value, low, high), None if original is None else _rows(original, low, high)
            with np.errstate(invalid="ignore"):  # of NaNs that signal
                nonzero = got != 0
            places.add(low, nonzero)
            dead -= int(nonzero.any(axis=1).sum())
            _count(facts, odd, got, want)
            if errors is not None and want is not None:
                errors.add_rows(low, got, want)
    facts.cells = places.counts
    facts.cell_rows, facts.cell_cols = np.diff(places.row_edges), np.diff(places.col_edges)
    facts.nnz = int(places.counts.sum())
    if errors is not None:
        errors.into(facts)
    if said := odd.said():
        facts.warnings.append(said)
    if isinstance(packed, SparseTensor):
        _packed(packed, facts, bars)
    _warn(facts, dead, rows)
    return facts


class _Spread:
    """How large finite values are: the largest, and their root mean square without zeros."""

    def __init__(self) -> None:
        self.most, self._count, self._sum = 0.0, 0, ScaledSum()

    def add(self, part: Array) -> None:
        with np.errstate(over="ignore", invalid="ignore"):
            size = np.abs(part.astype(np.complex128 if part.dtype.kind == "c" else np.float64)).reshape(-1)
        size = size[np.isfinite(size) & (size > 0)]
        self.most = max(self.most, float(size.max(initial=0.0)))
        self._count += size.size
        self._sum.add(size, size)

    @property
    def limit(self) -> float:
        """Where a histogram ends."""
        if not self._count:
            return 0.0
        m, e = self._sum.root()
        return min(self.most, _FAR * ldexp(m / sqrt(self._count), e))


class _Odd:
    """Counts values that are no numbers."""

    def __init__(self) -> None:
        self.nan = self.inf = 0

    def add(self, part: Array) -> None:
        if part.dtype.kind in "biu":
            return
        wide = part.astype(np.float32) if part.dtype.itemsize < 4 else part
        bad = int(np.count_nonzero(~np.isfinite(wide)))
        nan = int(np.count_nonzero(np.isnan(wide))) if bad else 0
        self.nan, self.inf = self.nan + nan, self.inf + bad - nan

    def said(self) -> str:
        return " and ".join(f"{n} {what}" for n, what in ((self.nan, "values NaN"), (self.inf, "infinite")) if n)


def _count(facts: Facts, odd: _Odd, got: Array, want: Array | None) -> None:
    odd.add(got)
    facts.histogram += histogram(got, facts.limit)
    if want is not None:
        assert facts.histogram_before is not None
        facts.histogram_before += histogram(want, facts.limit)


def _values(value: Value, *, places: bool) -> Iterator[Array]:
    """All values that may not be zero, piece by piece."""
    if places and isinstance(value, SparseTensor):
        yield value.values.decode(value.structure).reshape(-1)
    else:
        for _, block in row_blocks(value):
            yield block


def _at_places(value: Value, original: Value | None) -> Iterator[tuple[Array, Array, Array, Array | None]]:
    """Rows, columns and values of what either stores, in row-major order, each row in one piece."""
    assert isinstance(value, SparseTensor)
    if isinstance(original, SparseTensor):
        for want, got, row, col in aligned(original, value):
            yield row, col, got, want
        return
    coo = value.convert("coo")
    arrays = coo.structure.arrays()
    row, col = (arrays[name].astype(np.int64, copy=False) for name in ("row", "col"))
    yield row, col, coo.values.decode(coo.structure).reshape(-1), None


def _dtype(value: Value) -> Dtype:
    return np.dtype(value.dtype).newbyteorder("=")


def _packed(t: SparseTensor, facts: Facts, bars: int) -> None:
    """Patterns, codes and scales of a packed tensor."""
    if isinstance(t.structure, Nm) and t.structure.bits and t.structure.bits <= 16:
        counts = pattern_counts(t.structure)
        facts.patterns, facts.all_patterns, facts.entropy = summed(counts, bars), len(counts), bits_of(counts)
        facts.bound = entropy_bound(t.structure.n, t.structure.m)
        if t.structure.n < t.structure.m and (empty := _empty_groups(t)):
            facts.warnings.append(f"{empty} groups hold no value")
    if isinstance(t.values, Affine | Codebook) and t.values.slot_bits <= 8:
        first, counts = code_counts(t)
        facts.codes, facts.code_range = summed(counts, bars), (first, first + len(counts) - 1)
        if isinstance(t.values, Codebook) and (unused := int((counts == 0).sum())):
            facts.warnings.append(f"{unused} of {counts.size} entries of the codebook are never used")
    scale = t.values.arrays().get("scale")
    if scale is not None and scale.dtype == np.float16 and scale.size and float(scale.min()) < 2 * _SMALL:
        facts.warnings.append(
            f"the smallest scale, {float(scale.min()):.3g}, is near underflow of float16; :f32 is not"
        )


def pattern_counts(s: Nm) -> Array:
    """How often each code occurs."""
    counts = np.zeros(1 << s.bits, np.int64)
    step = max((1 << 20) // max(s.groups * s.bits, 1), 1)
    weights = (1 << np.arange(s.bits)).astype(np.int64)
    for low in range(0, s.shape[0], step):
        bits = np.unpackbits(s.codes[low : low + step], axis=1, bitorder="little")[:, : s.groups * s.bits]
        codes = bits.reshape(-1, s.bits) @ weights
        counts += np.bincount(codes, minlength=len(counts))
    return counts[: comb(s.m, s.n)]


def _empty_groups(t: SparseTensor) -> int:
    """Groups of N:M without a nonzero value."""
    empty, s = 0, t.structure
    assert isinstance(s, Nm)
    for _, block in row_blocks(t):
        starts = np.arange(0, block.shape[1], s.m)
        empty += int((np.add.reduceat(block != 0, starts, axis=1) == 0).sum()) if block.size else 0
    return empty


def code_counts(t: SparseTensor) -> tuple[int, Array]:
    """The least code that the codec has, and how often it and every larger one occurs, of all slots."""
    values = t.values
    if isinstance(values, Affine):
        symmetric = values.zero_point is None
        first = -(1 << values.bits - 1) if symmetric else 0
        codes = values.coding.unpack(t.structure, values.codes)
        found = (codes.view(np.int8) if symmetric else codes).reshape(-1).astype(np.int16) - first
        counts = np.bincount(found, minlength=1 << values.bits)
        return (first + 1, counts[1:]) if symmetric and not counts[0] else (first, counts)  # encoding never writes it
    assert isinstance(values, Codebook)
    codes = streams.unpack(t.structure, values.codes, values.bits)
    return 0, np.bincount(codes.reshape(-1), minlength=values.k)


def _warn(facts: Facts, dead: int, rows: int) -> None:
    if dead:
        facts.warnings.append(f"{dead} of {rows} rows are zero" if rows > 1 else "all values are zero")
    if facts.format != "plain" and facts.nbytes > facts.dense_nbytes:
        times = (
            f"{facts.nbytes / facts.dense_nbytes:.2f} times"
            if facts.dense_nbytes
            else f"{facts.nbytes:,} bytes more than"
        )
        facts.warnings.append(f"it takes {times} the dense array")
    if facts.worst_group is not None and facts.worst_group[0] > 0.5:
        worst, row, column = facts.worst_group
        much = f"{worst:.0%}" if worst < 1000 else f"{worst:.2g} times the group" if isfinite(worst) else "infinite"
        facts.warnings.append(f"row {row}, from column {column} on: the error of this group is {much}")
